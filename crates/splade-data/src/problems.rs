//! Collects the problems of data: all are counted, and the first of them are shown.

use std::collections::BTreeMap;

use splade_io::counted;

use crate::error::DataError;

/// The number of problems that a report shows.
const SHOWN: usize = 10;

/// A count of messages that keeps the first of them.
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

/// The problems and warnings that were found, in the order of files and lines, also if several
/// threads read the lines.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The problems of single lines.
    lines: Tally,
    /// The problems between files: ids that one file names and another lacks. One unreadable line
    /// can cause many of them.
    references: Tally,
    /// The warnings, grouped by their kind.
    warnings: BTreeMap<&'static str, Tally>,
}

impl Findings {
    pub(crate) fn line(&mut self, message: impl FnOnce() -> String) {
        self.lines.add(message);
    }

    pub(super) fn reference(&mut self, message: impl FnOnce() -> String) {
        self.references.add(message);
    }

    /// Adds a warning. `about` names the things with a noun in the plural, such as "empty texts".
    pub(super) fn warning(&mut self, about: &'static str, message: impl FnOnce() -> String) {
        self.warnings.entry(about).or_default().add(message);
    }

    /// Appends the findings of later lines.
    pub(super) fn append(&mut self, later: Self) {
        self.lines.append(later.lines);
        self.references.append(later.references);
        for (about, tally) in later.warnings {
            self.warnings.entry(about).or_default().append(tally);
        }
    }

    /// Returns the number of problems and the messages of the first ten. If single lines have
    /// problems, those between files are not included, because they may be consequences.
    pub(super) fn problems(&self) -> (u64, &[String]) {
        let tally = if self.lines.count > 0 { &self.lines } else { &self.references };
        (tally.count, &tally.shown)
    }

    /// Returns one text for each kind of warning.
    pub(super) fn warnings(&self) -> Vec<String> {
        let text = |(about, tally): (&&str, &Tally)| {
            let first = tally.shown.first().map_or("", String::as_str);
            format!("{}, the first: {first}", counted(tally.count, about))
        };
        self.warnings.iter().map(text).collect()
    }

    /// Returns the warnings, or an error if there are problems.
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
        let error = findings.into_warnings("the data").expect_err("problems");
        assert!(error.hint().is_some_and(|hint| hint.contains("fix these lines first")));
        let text = error.to_string();
        assert!(text.starts_with("the data has 13 problems; the first 10:\n  first\n  l0\n"));
        assert!(text.ends_with("\n  l8") && !text.contains("  r"), "{text}");
    }

    #[test]
    fn warnings_are_counted_by_kind() {
        let mut findings = Findings::default();
        for i in 0..3 {
            findings.warning("empty texts", || format!("doc_id {i}"));
        }
        findings.warning("odd things", || "this".to_owned());
        let want = ["3 empty texts, the first: doc_id 0", "1 odd thing, the first: this"];
        assert_eq!(findings.into_warnings("x").expect("no problem"), want);
    }
}
