//! The output folder of a conversion, which is written under a temporary name and renamed once it
//! is complete.
//!
//! Lines have the format of Python's `json.dumps(…, ensure_ascii=False)`, with a blank after each
//! colon and comma, so that the files equal those of the Python library byte for byte.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::{LineWriter, NewFolder, free_bytes, is_free, write_file};

use super::steps::Steps;
use crate::error::DataError;
use crate::{SetPaths, verify};

/// The file with the settings of a conversion, which marks a complete folder.
pub(super) const SETTINGS: &str = "convert.json";

/// The file name of a document master.
const DOCUMENTS: &str = "doc_master.ndjson";

/// An output folder that is being written.
#[derive(Debug)]
pub(super) struct Output {
    out: PathBuf,
    folder: NewFolder,
    /// Whether the folder of an earlier conversion may be replaced.
    replace: bool,
}

impl Output {
    /// Creates an empty temporary folder beside `out`.
    pub(super) fn create(out: &Path, replace: bool) -> Result<Self, DataError> {
        if !is_free(out) {
            // A path that is not a folder gives the error of the operating system.
            std::fs::read_dir(out).map_err(DataError::io(out))?;
            if !replace {
                return Err(DataError::NotEmpty { path: out.to_path_buf() });
            }
            if !out.join(SETTINGS).is_file() {
                let path = out.to_path_buf();
                return Err(DataError::NotConverted { path, marker: SETTINGS });
            }
        }
        Ok(Self { out: out.to_path_buf(), folder: NewFolder::create(out)?, replace })
    }

    /// Returns the path of a file in the temporary folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns an error if the output will not fit on the disk.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), DataError> {
        match free_bytes(self.folder.path()).filter(|free| *free < bytes) {
            None => Ok(()),
            Some(free) => Err(DataError::NoRoom { path: self.out.clone(), needed: bytes, free }),
        }
    }

    /// Creates the folder of a split, `train` or `validation`.
    pub(super) fn split(&self, name: &'static str) -> Result<SplitFolder, DataError> {
        let dir = self.path(name);
        std::fs::create_dir_all(&dir).map_err(DataError::io(&dir))?;
        Ok(SplitFolder { name, dir })
    }

    /// Writes the settings and renames the temporary folder to its final name.
    pub(super) fn finish(self, settings: &Value) -> Result<(), DataError> {
        write_file(&self.path(SETTINGS), format!("{settings:#}\n").as_bytes())?;
        match self.replace {
            true => self.folder.replace(SETTINGS)?,
            false => self.folder.commit()?,
        }
        Ok(())
    }
}

/// The folder of a split, with masters, positive lists and triplets.
#[derive(Debug)]
pub(super) struct SplitFolder {
    name: &'static str,
    dir: PathBuf,
}

impl SplitFolder {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Writes one master from pairs `(id, text)`.
    pub(super) fn texts<T: AsRef<str>>(
        &self,
        kind: Master,
        rows: impl IntoIterator<Item = Result<(i64, T), DataError>>,
        steps: &mut Steps<'_>,
    ) -> Result<usize, DataError> {
        let (name, id_field, what) = kind.names();
        let mut file = LineWriter::create(&self.dir.join(format!("{name}.ndjson")))?;
        let mut count = 0;
        for row in rows {
            let (id, text) = row?;
            steps.count(what, count, None)?;
            let text = Value::from(text.as_ref());
            file.line(format_args!("{{\"{id_field}\": {id}, \"text\": {text}}}"))?;
            count += 1;
        }
        file.finish()?;
        Ok(count)
    }

    /// Writes the positive lists from pairs `(qid, doc_ids)`.
    pub(super) fn positives<I: IntoIterator<Item = i64>>(
        &self,
        rows: impl IntoIterator<Item = (i64, I)>,
    ) -> Result<(), DataError> {
        let mut file = LineWriter::create(&self.dir.join("positive_lists.ndjson"))?;
        for (qid, ids) in rows {
            let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
            let ids = ids.join(", ");
            file.line(format_args!("{{\"qid\": {qid}, \"positive_doc_ids\": [{ids}]}}"))?;
        }
        Ok(file.finish()?)
    }

    /// Writes triplets `[qid, positive, negative]`.
    pub(super) fn triplets(
        &self,
        rows: impl IntoIterator<Item = [i64; 3]>,
        steps: &mut Steps<'_>,
    ) -> Result<(), DataError> {
        let mut file = LineWriter::create(&self.dir.join("triplets.ndjson"))?;
        for (count, [qid, positive, negative]) in rows.into_iter().enumerate() {
            steps.count("triplets written", count, None)?;
            file.line(format_args!(
                "{{\"qid\": {qid}, \"pos_doc_id\": {positive}, \"neg_doc_id\": {negative}}}"
            ))?;
        }
        Ok(file.finish()?)
    }

    /// Links the document master of another split, or copies it if the disk does not support hard
    /// links.
    pub(super) fn same_documents(&self, other: &Self) -> Result<(), DataError> {
        self.link_documents(&other.dir.join(DOCUMENTS))
    }

    /// Links a document master that is complete, or copies it.
    pub(super) fn link_documents(&self, from: &Path) -> Result<(), DataError> {
        let to = self.dir.join(DOCUMENTS);
        std::fs::hard_link(from, &to)
            .or_else(|_| std::fs::copy(from, &to).map(|_| ()))
            .map_err(DataError::io(&to))
    }

    /// Returns the path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads the written files as training does, and returns the warnings.
    pub(super) fn check(&self, scores: Option<&Path>) -> Result<Vec<String>, DataError> {
        let file = |name: &str| self.dir.join(format!("{name}.ndjson"));
        let (docs, queries, positives) =
            (file("doc_master"), file("query_master"), file("positive_lists"));
        let triplets = Some(file("triplets")).filter(|path| path.is_file());
        let paths = SetPaths {
            docs: &docs,
            queries: &queries,
            positives: &positives,
            triplets: triplets.as_deref(),
            scores,
        };
        let inside = format!("{}/", self.dir.parent().unwrap_or(&self.dir).display());
        let warnings = verify(paths, &format!("what was written for {}", self.name))?;
        let note = |warning: String| format!("{}: {}", self.name, warning.replace(&inside, ""));
        Ok(warnings.into_iter().map(note).collect())
    }
}

/// The kind of a master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Master {
    Queries,
    Documents,
}

impl Master {
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Queries => ("query_master", "qid", "queries written"),
            Self::Documents => ("doc_master", "doc_id", "documents written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::score_line;

    #[test]
    fn a_folder_appears_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let out = dir.path().join("data/");
        let names = || {
            let entries = std::fs::read_dir(dir.path()).expect("listed");
            let name = |e: std::fs::DirEntry| e.file_name().to_string_lossy().into_owned();
            let mut names: Vec<_> = entries.map(|e| name(e.expect("an entry"))).collect();
            names.sort();
            names
        };
        drop(Output::create(&out, false).expect("created"));
        assert_eq!(names(), [""; 0]);
        let output = Output::create(&out, false).expect("created");
        std::fs::write(output.path("a"), "1").expect("written");
        assert!(names().iter().all(|name| name.starts_with("data.")), "{:?}", names());
        output.finish(&serde_json::json!({"seed": 1})).expect("finished");
        assert_eq!(names(), ["data"]);
        assert!(
            Output::create(&out, false)
                .expect_err("there")
                .hint()
                .is_some_and(|hint| hint.contains("--force"))
        );
        // A folder of the user has a name that an earlier version of this code gave to the replaced
        // folder.
        let old = dir.path().join("data.old");
        std::fs::create_dir(&old).expect("made");
        std::fs::write(old.join("thesis.txt"), "mine").expect("written");
        let output = Output::create(&out, true).expect("created");
        std::fs::write(output.path("b"), "1").expect("written");
        assert!(out.join("a").is_file(), "the old one is there until the new one is whole");
        output.finish(&Value::Null).expect("finished");
        assert!(out.join("b").is_file() && !out.join("a").exists());
        assert_eq!(names(), ["data", "data.old"]);
        assert!(old.join("thesis.txt").is_file());
        // A folder that is not the output of a conversion is never replaced.
        std::fs::remove_file(out.join(SETTINGS)).expect("removed");
        let error = Output::create(&out, true).expect_err("not ours").to_string();
        assert!(error.contains("it is not replaced"), "{error}");
    }

    #[test]
    fn lines_are_those_of_python() {
        let dir = tempfile::tempdir().expect("a folder");
        let output = Output::create(&dir.path().join("x"), false).expect("created");
        let part = output.split("train").expect("a part");
        let mut observer = ();
        let steps = &mut Steps(&mut observer);
        let text = "あ \"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{2028}";
        part.texts(Master::Queries, [Ok((-1, text))], steps).expect("written");
        part.positives([(3, vec![1, 2]), (4, vec![])]).expect("written");
        part.triplets([[1, 2, 3]], steps).expect("written");
        let mut scores = LineWriter::create(&part.dir.join("s.ndjson")).expect("created");
        let line = score_line(1, [(2, 1.0), (-3, -0.25)]);
        scores.line(format_args!("{line}")).expect("written");
        scores.finish().expect("written");
        let read = |name: &str| std::fs::read_to_string(part.dir.join(name)).expect("a file");
        // The expected line is json.dumps({"qid": -1, "text": …}, ensure_ascii=False) of Python
        // 3.11.
        let want =
            "{\"qid\": -1, \"text\": \"あ \\\"\\\\/\\b\\f\\n\\r\\t\\u0001\u{7f}\u{2028}\"}\n";
        assert_eq!(read("query_master.ndjson"), want);
        let want =
            "{\"qid\": 3, \"positive_doc_ids\": [1, 2]}\n{\"qid\": 4, \"positive_doc_ids\": []}\n";
        assert_eq!(read("positive_lists.ndjson"), want);
        let want = "{\"qid\": 1, \"pos_doc_id\": 2, \"neg_doc_id\": 3}\n";
        assert_eq!(read("triplets.ndjson"), want);
        assert_eq!(read("s.ndjson"), "{\"qid\": 1, \"scores\": {\"2\": 1.0, \"-3\": -0.25}}\n");
    }
}
