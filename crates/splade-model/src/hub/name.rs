//! The names of hub repositories, `org/name[@revision]`, and how they differ from paths.

use std::path::PathBuf;

use crate::error::ModelError;
use splade_io::Problem;

/// The default revision.
const MAIN: &str = "main";

/// The kind of a hub repository. Models and data sets have separate names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
pub(super) enum Kind {
    Model,
    Dataset,
}

impl Kind {
    /// Returns the name of the kind in messages.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "data set",
        }
    }

    /// Returns the name of the kind in the hub's API and in the cache.
    #[cfg(feature = "hub")]
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

/// A repository of the hub and a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
pub(super) struct RepoName {
    /// The name as the user gave it, for messages.
    name: String,
    pub(super) kind: Kind,
    /// The id in the form `org/name`.
    pub(super) id: String,
    /// The name of a branch, a tag or a commit.
    pub(super) revision: String,
}

impl RepoName {
    /// Parses a name of the form `org/name[@revision]`.
    ///
    /// # Errors
    /// Returns an error if the name is not valid at the hub. The message then also says that no
    /// such folder exists.
    pub(super) fn parse(name: &str, kind: Kind) -> Result<Self, ModelError> {
        let (id, revision) = name.split_once('@').unwrap_or((name, MAIN));
        if !is_id(id) {
            let problem = Problem::new(format!(
                "there is no such folder, and the name is not that of a {} of the hub",
                kind.noun()
            ));
            let problem = problem.with_remedy("use org/name or org/name@revision");
            return Err(ModelError::NoModel { path: PathBuf::from(name), problem });
        }
        let (id, revision) = (id.to_owned(), revision.to_owned());
        let name = Self { name: name.to_owned(), kind, id, revision };
        match is_revision(&name.revision) {
            true => Ok(name),
            false => {
                Err(name.error("the text after @ must be the name of a branch, a tag or a commit"))
            }
        }
    }

    pub(super) fn error(&self, problem: impl Into<Problem>) -> ModelError {
        ModelError::Hub { name: self.name.clone(), problem: problem.into() }
    }

    /// Returns an error with what to do about it.
    #[cfg(feature = "hub")]
    pub(super) fn advised(&self, what: impl Into<String>, remedy: impl Into<String>) -> ModelError {
        self.error(Problem::new(what).with_remedy(remedy))
    }
}

/// Returns whether an id is valid by the rules of the hub, as
/// `huggingface_hub.utils.validate_repo_id` has them.
fn is_id(id: &str) -> bool {
    let is_part = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && (1..=96).contains(&part.len())
    };
    let parts = id.split_once('/');
    parts.is_some_and(|(org, name)| is_part(org) && is_part(name))
        && !id.contains("--")
        && !id.contains("..")
        && !id.ends_with(".git")
}

/// Returns whether a revision is safe as a path below `refs`, so that it cannot lead out of there.
/// Git allows no other names.
fn is_revision(revision: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    revision.split('/').all(is_part)
        && revision.len() <= 200
        && !revision.chars().any(|c| c.is_control() || " ~^:?*[\\@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_revisions() {
        for (name, id, revision) in [
            ("org/name", "org/name", "main"),
            ("naver/splade-v3", "naver/splade-v3", "main"),
            ("a_b/c.d-e", "a_b/c.d-e", "main"),
            ("org/name@v1.0", "org/name", "v1.0"),
            ("org/name@refs/pr/1", "org/name", "refs/pr/1"),
        ] {
            let parsed = RepoName::parse(name, Kind::Model).expect(name);
            assert_eq!((&*parsed.id, &*parsed.revision), (id, revision));
        }
    }

    /// None of these names may be used in a request or as a path in the cache.
    #[test]
    fn paths_are_no_ids() {
        for name in [
            "",
            "name",
            "./org/name",
            "/org/name",
            "~/name",
            "../name",
            "org/..",
            "a/b/c",
            "org/",
            "org\\name",
            "C:\\models\\x",
            "org/na me",
            "org/na--me",
            "org/name.git",
            "-org/name",
            "org/name.",
            "org/é",
        ] {
            let error = RepoName::parse(name, Kind::Model).expect_err(name).to_string();
            assert!(error.contains("there is no such folder"), "{name}: {error}");
        }
        for name in ["org/name@", "org/name@../x", "org/name@a//b", "org/name@a b", "org/name@/x"] {
            let error = RepoName::parse(name, Kind::Model).expect_err(name).to_string();
            assert!(error.contains("after @"), "{name}: {error}");
        }
    }
}
