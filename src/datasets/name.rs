//! The names of published data sets, and the repositories of the hub that hold them.

use crate::error::{Error, advised};

/// The revision to which the hub converts data sets as Parquet files.
pub(super) const CONVERTED: &str = "refs/convert/parquet";

/// A data set of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetName {
    /// The name as it was given.
    pub(super) given: String,
    /// The repositories, each with the revision if one was given. The second has the judgements, or
    /// the passages, of the first.
    pub(super) repositories: Vec<String>,
    /// The part of a set of several.
    pub(super) subset: Option<String>,
    /// Whether a revision was given.
    pub(super) has_revision: bool,
}

impl SetName {
    /// Reads `org/name[:subset][@revision]` or one of the short names.
    ///
    /// # Errors
    /// Returns an error if it is neither.
    pub(super) fn parse(given: &str) -> Result<Self, Error> {
        let (name, revision) = match given.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (given, None),
        };
        let (name, subset) = match name.split_once(':') {
            Some((name, subset)) => (name, Some(subset)),
            None => (name, None),
        };
        let (repositories, implied) = match (name, name.split_once('/')) {
            ("jaquad", _) => (vec!["SkelterLabsInc/JaQuAD".to_owned()], None),
            ("scifact", _) => (beir("scifact"), None),
            (_, Some(("beir" | "BeIR", set))) => (beir(set), None),
            (_, Some(("nanobeir", set))) => (vec![format!("zeta-alpha-ai/Nano{set}")], None),
            (_, Some(("jmteb", task))) => (vec!["sbintuitions/JMTEB".to_owned()], Some(task)),
            (_, Some(("miracl", language))) if language.len() == 2 => {
                let both = ["miracl/miracl", "miracl/miracl-corpus"];
                (both.map(str::to_owned).to_vec(), Some(language))
            }
            (_, Some(("mmarco", language))) => {
                let both = ["unicamp-dl/mmarco", "BeIR/msmarco-qrels"];
                (both.map(str::to_owned).to_vec(), Some(language))
            }
            (_, Some(_)) => (vec![name.to_owned()], None),
            (_, None) => return Err(unknown(given)),
        };
        if let (Some(subset), Some(implied)) = (subset, implied) {
            return Err(advised(
                format!("{given} names two subsets, {implied} and {subset}"),
                "leave out the colon and what follows it",
            ));
        }
        let mut this = Self {
            given: given.to_owned(),
            repositories,
            subset: subset.or(implied).map(str::to_owned),
            has_revision: revision.is_some(),
        };
        if let Some(revision) = revision {
            this.repositories[0] += "@";
            this.repositories[0] += revision;
        }
        Ok(this)
    }

    /// The same set as the hub converts it. Sets with a loading script are there as Parquet files.
    pub(super) fn converted(&self) -> Self {
        let repositories = self.repositories.iter().map(|name| format!("{name}@{CONVERTED}"));
        Self { repositories: repositories.collect(), ..self.clone() }
    }

    /// The name of the folder that keeps the set.
    pub(super) fn folder(&self) -> String {
        let subset = self.subset.as_ref().map_or_else(String::new, |subset| format!("--{subset}"));
        format!("{}{subset}", self.repositories[0]).replace(['/', ':'], "--")
    }
}

/// The repositories of a set of BEIR: its judgements are apart.
fn beir(set: &str) -> Vec<String> {
    vec![format!("BeIR/{set}"), format!("BeIR/{set}-qrels")]
}

fn unknown(given: &str) -> Error {
    let what = format!("no folder is called {given}, and no published data set has this name");
    let remedy = "name a folder, scifact, jaquad, beir/NAME, mteb/NAME, nanobeir/NAME, jmteb/TASK, \
                  miracl/LANGUAGE, mmarco/LANGUAGE, or another data set of the hub as org/name or \
                  org/name:subset";
    advised(what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_repositories() {
        for (given, repositories, subset) in [
            ("jaquad", &["SkelterLabsInc/JaQuAD"][..], None),
            ("scifact", &["BeIR/scifact", "BeIR/scifact-qrels"], None),
            ("beir/nfcorpus", &["BeIR/nfcorpus", "BeIR/nfcorpus-qrels"], None),
            ("mteb/scifact", &["mteb/scifact"], None),
            ("mteb/MIRACLRetrieval:ja@v1", &["mteb/MIRACLRetrieval@v1"], Some("ja")),
            ("nanobeir/SciFact", &["zeta-alpha-ai/NanoSciFact"], None),
            ("jmteb/jaqket", &["sbintuitions/JMTEB"], Some("jaqket")),
            ("miracl/ja", &["miracl/miracl", "miracl/miracl-corpus"], Some("ja")),
            ("miracl/mmteb-miracl:ja", &["miracl/mmteb-miracl"], Some("ja")),
            ("mmarco/japanese", &["unicamp-dl/mmarco", "BeIR/msmarco-qrels"], Some("japanese")),
            ("org/name", &["org/name"], None),
        ] {
            let name = SetName::parse(given).expect(given);
            assert_eq!(name.repositories, repositories, "{given}");
            assert_eq!(name.subset.as_deref(), subset, "{given}");
        }
        let message = |given: &str| SetName::parse(given).expect_err("a bad name").to_string();
        assert!(message("nowhere").contains("no folder is called nowhere"));
        assert!(message("jmteb/jaqket:x").contains("two subsets, jaqket and x"));
    }

    #[test]
    fn folders_differ() {
        let folder = |given: &str| SetName::parse(given).expect(given).folder();
        assert_eq!(folder("beir/scifact"), folder("scifact"));
        assert_eq!(folder("mteb/x:ja"), "mteb--x--ja");
        assert_eq!(folder("mteb/x@v1"), "mteb--x@v1");
    }
}
