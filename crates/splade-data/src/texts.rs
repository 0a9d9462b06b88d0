//! A master: texts by id. The texts stay in their files and are unescaped when they are requested.

use std::borrow::Cow;
use std::path::Path;

use splade_io::{LongLine, repair_surrogates};

use super::ids::Ids;
use super::problems::Findings;
use super::record::{self, DocumentLine, QueryLine, Schema};
use super::table::Table;
use crate::error::DataError;

/// The kind of a master, which decides the name of the id field, `qid` or `doc_id`.
///
/// ```
/// use splade_data::{TextKind, Texts};
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let path = toy.join("train/query_master.ndjson");
/// let (queries, _) = Texts::open(&path, TextKind::Query)?;
/// assert!(queries.row(1).is_some());
/// // The ids of documents have another name.
/// assert!(Texts::open(&path, TextKind::Document).is_err());
/// # Ok::<(), splade_data::DataError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// The query master, whose ids are named `qid`.
    Query,
    /// The document master, whose ids are named `doc_id`.
    Document,
}

impl TextKind {
    fn schema(self) -> Schema {
        match self {
            Self::Query => Schema::Query,
            Self::Document => Schema::Document,
        }
    }

    fn id_field(self) -> &'static str {
        match self {
            Self::Query => "qid",
            Self::Document => "doc_id",
        }
    }

    /// Parses a line into its id and its text.
    fn parse(self, line: &[u8]) -> Result<(i64, Cow<'_, str>), String> {
        self.parse_repaired(line).map(|(row, _)| row)
    }

    /// Parses a line, and returns, too, whether it has half of a surrogate pair, which becomes
    /// U+FFFD.
    fn parse_repaired(self, line: &[u8]) -> Result<((i64, Cow<'_, str>), bool), String> {
        if line.len() > LongLine::LIMIT {
            return Err(LongLine.to_string());
        }
        let error = match self.parse_whole(line) {
            Ok(row) => return Ok((row, false)),
            Err(error) => error,
        };
        let (line, _) = repair_surrogates(line).ok_or(error)?;
        let (id, text) = self.parse_whole(&line)?;
        Ok(((id, Cow::Owned(text.into_owned())), true))
    }

    fn parse_whole(self, line: &[u8]) -> Result<(i64, Cow<'_, str>), String> {
        Ok(match self {
            Self::Query => {
                let line: QueryLine<'_> = record::read(self.schema(), line)?;
                (line.qid, line.text)
            }
            Self::Document => {
                let line: DocumentLine<'_> = record::read(self.schema(), line)?;
                (line.doc_id, line.text)
            }
        })
    }
}

/// The texts of a master, found by id or by row. The rows follow the order of the files.
///
/// The memory is half a byte to 13 bytes for each text, depending on how regular the ids are. The
/// files are memory-mapped and must not be changed while they are in use.
///
/// ```
/// use splade_data::{TextKind, Texts};
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let (documents, warnings) = Texts::open(&toy.join("train/doc_master.ndjson"), TextKind::Document)?;
/// assert!(documents.get(1)?.starts_with("Book a seat") && warnings.is_empty());
/// assert_eq!(documents.text(-1), None);
/// # Ok::<(), splade_data::DataError>(())
/// ```
#[derive(Debug)]
pub struct Texts {
    kind: TextKind,
    table: Table,
    ids: Ids,
    /// For each line that repeats an earlier id, its number minus the number of such lines before
    /// it, in ascending order. Such lines have no row.
    gaps: Vec<u32>,
}

impl Texts {
    /// Opens the file or folder of a master, checks every line, and returns the master and the
    /// warnings about data that is unusual but usable.
    ///
    /// # Errors
    /// Returns an error if the file does not exist, if a line cannot be parsed, if an id has two
    /// different texts, or if there is no text at all.
    pub fn open(path: &Path, kind: TextKind) -> Result<(Self, Vec<String>), DataError> {
        let mut findings = Findings::default();
        let texts = Self::read(path, kind, &mut findings)?;
        let warnings = findings.into_warnings(&path.display().to_string())?;
        Ok((texts, warnings))
    }

    /// Opens a master as far as it can be read, and records the problems in `findings`.
    pub(super) fn read(
        path: &Path,
        kind: TextKind,
        findings: &mut Findings,
    ) -> Result<Self, DataError> {
        let table = Table::open(path)?;
        if table.len() == 0 {
            let name = kind.schema().name();
            return Err(DataError::Empty { name, path: path.to_path_buf() });
        }
        let id_field = kind.id_field();
        let ids = table.map(findings, |found, line, bytes| match kind.parse_repaired(bytes) {
            Ok(((id, text), is_repaired)) => {
                if is_repaired {
                    found.warning("texts with half of a surrogate pair, read as U+FFFD", || {
                        format!("{id_field} {id} {}", table.place(line))
                    });
                }
                if text.trim().is_empty() {
                    found.warning("empty texts", || {
                        format!("{id_field} {id} {}", table.place(line))
                    });
                }
                id
            }
            Err(message) => {
                found.line(|| format!("{message} {}", table.place(line)));
                i64::default()
            }
        });
        let (ids, repeats) = Ids::new(ids);
        let mut gaps = Vec::new();
        for (i, repeat) in repeats.iter().enumerate() {
            gaps.push(repeat.again - i as u32);
            let [first, again] = [repeat.first, repeat.again].map(|line| line as usize);
            // An unreadable line has been reported already.
            let (Ok(a), Ok(b)) = (kind.parse(table.line(first)), kind.parse(table.line(again)))
            else {
                continue;
            };
            let place = || table.place(again);
            match a == b {
                true => findings.warning("repeated lines, skipped", || {
                    format!("{id_field} {} {}", b.0, place())
                }),
                false => findings.line(|| {
                    let earlier = table.place(first);
                    format!("{id_field} {} already has another text {earlier} {}", b.0, place())
                }),
            }
        }
        Ok(Self { kind, table, ids, gaps })
    }

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the ids in the order of the files.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = i64> + '_ {
        (0..self.len()).map(|row| self.ids.get(row))
    }

    /// Returns the id of a row.
    ///
    /// # Panics
    /// Panics if the row is not below [`len`](Self::len).
    pub fn id_at(&self, row: usize) -> i64 {
        assert!(row < self.len(), "row {row} of {}", self.len());
        self.ids.get(row)
    }

    /// Returns the row of an id; `None` if there is no such id.
    pub fn row(&self, id: i64) -> Option<usize> {
        self.ids.find(id)
    }

    /// Returns the text of an id; `None` if there is no such id or if its file was changed after it
    /// was opened. [`get`](Self::get) distinguishes the two cases.
    pub fn text(&self, id: i64) -> Option<Cow<'_, str>> {
        self.text_at(self.row(id)?)
    }

    /// Returns the text of a row; `None` if there is no such row or if its file was changed after
    /// it was opened.
    pub fn text_at(&self, row: usize) -> Option<Cow<'_, str>> {
        let line = self.line_of(row)?;
        self.kind.parse(self.table.line(line)).ok().map(|(_, text)| text)
    }

    /// Returns the text of an id.
    ///
    /// # Errors
    /// Returns an error if there is no such id, or if its file was changed after it was opened.
    pub fn get(&self, id: i64) -> Result<Cow<'_, str>, DataError> {
        let Some(line) = self.row(id).and_then(|row| self.line_of(row)) else {
            return Err(DataError::UnknownId { id });
        };
        match self.kind.parse(self.table.line(line)) {
            Ok((found, text)) if found == id => Ok(text),
            _ => {
                let (field, place) = (self.kind.id_field(), self.table.place(line));
                Err(DataError::Changed { what: format!("{field} {id} is no longer there {place}") })
            }
        }
    }

    /// Returns the file and line of a row as they stand at the end of a message.
    pub(super) fn place(&self, row: usize) -> String {
        self.line_of(row).map(|line| self.table.place(line).to_string()).unwrap_or_default()
    }

    /// Returns the bytes of memory in use, without the mapped files.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes() + self.ids.heap_bytes() + self.gaps.capacity() * 4
    }

    fn line_of(&self, row: usize) -> Option<usize> {
        let skipped = self.gaps.partition_point(|gap| *gap as usize <= row);
        (row < self.len()).then_some(row + skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::io::Write;

    fn open(lines: &str) -> Result<(Texts, Vec<String>), String> {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.ndjson"), lines).expect("written");
        let opened = Texts::open(dir.path(), TextKind::Document);
        // The folder is removed from errors and warnings because each test run has another one.
        let own = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
        let (texts, warnings) = opened.map_err(|error| own(error.to_string()))?;
        Ok((texts, warnings.into_iter().map(own).collect()))
    }

    #[test]
    fn repeated_lines_are_left_out() {
        let line = |id: i64, text: &str| format!("{{\"doc_id\":{id},\"text\":\"{text}\"}}\n");
        let lines = [(5, "a"), (3, "b"), (5, "a"), (5, "\\u0061"), (4, ""), (3, "b"), (9, "d")];
        let (texts, warnings) = open(&lines.map(|(id, text)| line(id, text)).concat()).expect("ok");
        assert_eq!(texts.ids().collect::<Vec<_>>(), [5, 3, 4, 9]);
        let all: Vec<_> = (0..5).map(|row| texts.text_at(row)).collect();
        assert_eq!(
            all,
            ["a", "b", "", "d"]
                .map(|t| Some(t.into()))
                .into_iter()
                .chain([None])
                .collect::<Vec<_>>()
        );
        assert_eq!(
            warnings,
            [
                "1 empty text, the first: doc_id 4 (a.ndjson, line 5)",
                "3 repeated lines, skipped, the first: doc_id 5 (a.ndjson, line 3)",
            ]
        );
        let error = open(&[line(1, "a"), line(1, "b")].concat()).expect_err("two texts");
        let want = "doc_id 1 already has another text (a.ndjson, line 1) (a.ndjson, line 2)";
        assert!(error.ends_with(&format!("has a problem:\n  {want}")), "{error}");
    }

    #[test]
    fn half_of_a_surrogate_pair_is_read_as_a_replacement_character() {
        let line = "{\"doc_id\":1,\"text\":\"x \\ud83d\"}\n";
        let (texts, warnings) = open(line).expect("texts");
        assert_eq!(texts.get(1).expect("a text"), "x \u{fffd}");
        let want = "1 text with half of a surrogate pair, read as U+FFFD, the first: doc_id 1 \
                    (a.ndjson, line 1)";
        assert_eq!(warnings, [want]);
    }

    #[test]
    fn bad_lines_are_all_counted() {
        let sound = "{\"doc_id\":1,\"text\":\"x\"}\n";
        let error = open(&format!("{sound}x\n\n{sound}{{\"doc_id\":2}}\n\n")).expect_err("bad");
        let want = [
            "has 3 problems:",
            "  the line is not valid JSON: expected value at column 1 (a.ndjson, line 2)",
            "  the line is blank (a.ndjson, line 3)",
            "  there is no \"text\"; a line of the document master has doc_id, text (a.ndjson, line 5)",
        ];
        assert!(error.ends_with(&want.join("\n")), "{error}");
        assert!(open("\n").expect_err("empty").contains("is empty"));
    }

    #[test]
    fn unknown_ids_are_errors_in_the_words_of_the_python_library() {
        let (texts, _) = open("{\"doc_id\":1,\"text\":\"x\"}").expect("texts");
        assert_eq!(texts.get(1).expect("a text"), "x");
        let error = texts.get(2).expect_err("unknown").to_string();
        assert_eq!(error, "The id 2 does not exist in the master data");
        assert_eq!((texts.text(2), texts.row(2)), (None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn holds_what_a_map_holds(
            rows in prop::collection::vec((prop_oneof![0i64..60, any::<i64>()], ".{0,9}"), 1..80),
            cuts in prop::collection::vec(0usize..80, 0..3),
            packed: bool,
        ) {
            let dir = tempfile::tempdir().expect("a folder");
            let mut map = HashMap::new();
            let mut order = Vec::new();
            let mut lines = Vec::new();
            for (id, text) in rows {
                let text = map.entry(id).or_insert_with(|| { order.push(id); text });
                lines.push(serde_json::json!({"text": text, "doc_id": id}).to_string() + "\n");
            }
            for cut in cuts {
                lines.insert(cut.min(lines.len()), String::new());
            }
            for (i, part) in lines.split(|line| line.is_empty()).enumerate() {
                let path = dir.path().join(format!("{i}.ndjson"));
                match packed {
                    false => std::fs::write(path, part.concat()).expect("written"),
                    true => {
                        let file = std::fs::File::create(path.with_extension("ndjson.gz"));
                        let level = flate2::Compression::fast();
                        let mut gz = flate2::write::GzEncoder::new(file.expect("file"), level);
                        gz.write_all(part.concat().as_bytes()).expect("packed");
                        gz.finish().expect("packed");
                    }
                }
            }
            let (texts, _) = Texts::open(dir.path(), TextKind::Document).expect("sound");
            prop_assert_eq!(texts.ids().collect::<Vec<_>>(), order);
            for row in 0..texts.len() {
                let id = texts.id_at(row);
                prop_assert_eq!(texts.text_at(row), Some(map[&id].as_str().into()));
                prop_assert_eq!(texts.get(id).expect("a text"), map[&id].as_str());
                prop_assert_eq!(texts.row(id), Some(row));
            }
        }
    }
}
