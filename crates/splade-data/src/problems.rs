//! What is wrong with data: all of it is counted, the first of it is shown.

use std::collections::BTreeMap;

use crate::error::DataError;

/// Problems that a report shows.
const SHOWN: usize = 10;

/// A number of messages, of which the first are kept.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: u64,
    shown: Vec<String>,
}

impl Tally {
    fn add(&mut self, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(message());
        }
    }

    fn append(&mut self, later: Self) {
        self.count += later.count;
        let room = SHOWN - self.shown.len();
        self.shown.extend(later.shown.into_iter().take(room));
    }
}

/// Findings in the order of the files and lines, also where threads shared them out.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Lines that cannot be used.
    lines: Tally,
    /// Ids that one file has and another lacks. A line that cannot be read leads to many of these.
    references: Tally,
    /// By what they are about.
    warnings: BTreeMap<&'static str, Tally>,
}

impl Findings {
    pub(crate) fn line(&mut self, message: impl FnOnce() -> String) {
        self.lines.add(message);
    }

    pub(super) fn reference(&mut self, message: impl FnOnce() -> String) {
        self.references.add(message);
    }

    /// `about` reads after a number: "texts are empty".
    pub(super) fn warning(&mut self, about: &'static str, message: impl FnOnce() -> String) {
        self.warnings.entry(about).or_default().add(message);
    }

    /// Adds what was found in later lines.
    pub(super) fn append(&mut self, later: Self) {
        self.lines.append(later.lines);
        self.references.append(later.references);
        for (about, tally) in later.warnings {
            self.warnings.entry(about).or_default().append(tally);
        }
    }

    /// How many problems there are, and the first ten. Those of single lines hide those between
    /// files, which may be their consequence.
    pub(super) fn problems(&self) -> (u64, &[String]) {
        let tally = if self.lines.count > 0 { &self.lines } else { &self.references };
        (tally.count, &tally.shown)
    }

    /// One text a kind.
    pub(super) fn warnings(&self) -> Vec<String> {
        let text = |(about, tally): (&&str, &Tally)| {
            let first = tally.shown.first().map_or("", String::as_str);
            format!("{} {about}, the first: {first}", tally.count)
        };
        self.warnings.iter().map(text).collect()
    }

    /// The warnings, if there is no problem.
    pub(crate) fn into_warnings(self, what: &str) -> Result<Vec<String>, DataError> {
        let (count, shown) = self.problems();
        if count == 0 {
            return Ok(self.warnings());
        }
        Err(DataError::Problems {
            what: what.to_owned(),
            count,
            shown: shown.to_vec(),
            hides_references: self.lines.count > 0 && self.references.count > 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_and_shows_ten() {
        let mut findings = Findings::default();
        assert_eq!(Findings::default().into_warnings("x").expect("sound"), [""; 0]);
        findings.reference(|| "r".to_owned());
        let mut later = Findings::default();
        for i in 0..12 {
            later.line(|| format!("l{i}"));
        }
        findings.line(|| "first".to_owned());
        findings.append(later);
        let text = findings.into_warnings("the data").expect_err("problems").to_string();
        assert!(text.starts_with("the data has 13 problems; the first 10:\n  first\n  l0\n"));
        assert!(text.contains("\n  l8\nhint: ") && !text.contains("  r"), "{text}");
    }

    #[test]
    fn warnings_are_counted_by_kind() {
        let mut findings = Findings::default();
        for i in 0..3 {
            findings.warning("texts are empty", || format!("doc_id {i}"));
        }
        findings.warning("things are odd", || "this".to_owned());
        let want = ["3 texts are empty, the first: doc_id 0", "1 things are odd, the first: this"];
        assert_eq!(findings.into_warnings("x").expect("no problem"), want);
    }
}
