//! The folder that is written: aside until it is whole, then renamed.
//!
//! Lines are those of Python's `json.dumps(…, ensure_ascii=False)`, a blank after each colon and
//! comma, so that the files equal the Python library's byte by byte.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_sparse::files::aside;

use super::Watch;
use crate::error::DataError;
use crate::{SetPaths, verify};
use splade_io::LineWriter;
use splade_io::free_bytes;

/// What a whole folder was made with.
pub(super) const SETTINGS: &str = "convert.json";

/// A folder that is being written.
#[derive(Debug)]
pub(super) struct Output {
    out: PathBuf,
    /// Where everything is until the end.
    aside: PathBuf,
}

impl Output {
    /// Begins an empty folder beside `out`.
    pub(super) fn create(out: &Path, replace: bool) -> Result<Self, DataError> {
        let is_empty = match std::fs::read_dir(out) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(DataError::io(out)(error)),
        };
        if !is_empty && !replace {
            return Err(DataError::Data(format!(
                "{} is not empty\nhint: name another folder, or replace it with --force",
                out.display()
            )));
        }
        if !is_empty && !out.join(SETTINGS).is_file() {
            return Err(DataError::Data(format!(
                "{} was not made by a conversion: it has no {SETTINGS}; it is not replaced\n\
                 hint: name another folder, or remove it yourself",
                out.display()
            )));
        }
        // A path that ends in a slash would put the folder aside into itself.
        let out: PathBuf = out.components().collect();
        let aside = aside(&out);
        remove(&aside)?;
        std::fs::create_dir_all(&aside).map_err(DataError::io(&aside))?;
        Ok(Self { out, aside })
    }

    /// A file of the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.aside.join(name)
    }

    /// Refuses to begin what does not fit on the disk.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), DataError> {
        match free_bytes(&self.aside).filter(|free| *free < bytes) {
            None => Ok(()),
            Some(free) => Err(DataError::Data(format!(
                "{} needs about {bytes} bytes, {free} are free\nhint: free some, or name a folder \
                 of another disk",
                self.out.display()
            ))),
        }
    }

    /// A part of the set: `train` or `validation`.
    pub(super) fn part(&self, name: &'static str) -> Result<Part, DataError> {
        let dir = self.aside.join(name);
        std::fs::create_dir_all(&dir).map_err(DataError::io(&dir))?;
        Ok(Part { name, dir })
    }

    /// Gives the folder its name.
    pub(super) fn finish(mut self, settings: &Value) -> Result<(), DataError> {
        let path = self.aside.join(SETTINGS);
        let mut file = File::create(&path).map_err(DataError::io(&path))?;
        let written = writeln!(file, "{settings:#}").and_then(|()| file.sync_all());
        written.map_err(DataError::io(&path))?;
        let old = self.out.with_added_extension("old");
        remove(&old)?;
        if self.out.exists() {
            std::fs::rename(&self.out, &old).map_err(DataError::io(&self.out))?;
        }
        std::fs::rename(&self.aside, &self.out).map_err(DataError::io(&self.out))?;
        // Nothing is aside any more.
        self.aside = PathBuf::new();
        remove(&old)
    }
}

/// Of a folder that is not whole nothing is left.
impl Drop for Output {
    fn drop(&mut self) {
        if !self.aside.as_os_str().is_empty() {
            _ = std::fs::remove_dir_all(&self.aside);
        }
    }
}

fn remove(dir: &Path) -> Result<(), DataError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DataError::io(dir)(error))
        }
        _ => Ok(()),
    }
}

/// A folder of masters, positive lists and triplets.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    dir: PathBuf,
}

impl Part {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Writes one master: `(id, text)`.
    pub(super) fn texts<T: AsRef<str>>(
        &self,
        kind: Master,
        rows: impl IntoIterator<Item = Result<(i64, T), DataError>>,
        watch: &mut Watch<'_>,
    ) -> Result<usize, DataError> {
        let (name, id_field, what) = kind.names();
        let mut file = LineWriter::create(&self.dir.join(format!("{name}.ndjson")))?;
        let mut count = 0;
        for row in rows {
            let (id, text) = row?;
            watch.count(what, count, None)?;
            let text = Value::from(text.as_ref());
            file.line(format_args!("{{\"{id_field}\": {id}, \"text\": {text}}}"))?;
            count += 1;
        }
        file.finish()?;
        Ok(count)
    }

    /// Writes the positives of queries: `(qid, doc_ids)`.
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

    /// Writes triplets: `[qid, positive, negative]`.
    pub(super) fn triplets(
        &self,
        rows: impl IntoIterator<Item = [i64; 3]>,
        watch: &mut Watch<'_>,
    ) -> Result<(), DataError> {
        let mut file = LineWriter::create(&self.dir.join("triplets.ndjson"))?;
        for (count, [qid, positive, negative]) in rows.into_iter().enumerate() {
            watch.count("triplets written", count, None)?;
            file.line(format_args!(
                "{{\"qid\": {qid}, \"pos_doc_id\": {positive}, \"neg_doc_id\": {negative}}}"
            ))?;
        }
        Ok(file.finish()?)
    }

    /// Takes the document master of another part, without a second copy where the disk allows it.
    pub(super) fn same_documents(&self, other: &Self) -> Result<(), DataError> {
        let name = "doc_master.ndjson";
        let (from, to) = (other.dir.join(name), self.dir.join(name));
        std::fs::hard_link(&from, &to)
            .or_else(|_| std::fs::copy(&from, &to).map(|_| ()))
            .map_err(DataError::io(&to))
    }

    /// Reads what was written as training does; warnings come as notes.
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

/// Which master.
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
        assert_eq!(names(), ["data.partial"]);
        output.finish(&serde_json::json!({"seed": 1})).expect("finished");
        assert_eq!(names(), ["data"]);
        assert!(Output::create(&out, false).expect_err("there").to_string().contains("--force"));
        let output = Output::create(&out, true).expect("created");
        std::fs::write(output.path("b"), "1").expect("written");
        assert!(out.join("a").is_file(), "the old one is there until the new one is whole");
        output.finish(&Value::Null).expect("finished");
        assert!(out.join("b").is_file() && !out.join("a").exists());
        assert_eq!(names(), ["data"]);
        // A folder of something else is never replaced.
        std::fs::remove_file(out.join(SETTINGS)).expect("removed");
        let error = Output::create(&out, true).expect_err("not ours").to_string();
        assert!(error.contains("it is not replaced"), "{error}");
    }

    #[test]
    fn lines_are_those_of_python() {
        let dir = tempfile::tempdir().expect("a folder");
        let output = Output::create(&dir.path().join("x"), false).expect("created");
        let part = output.part("train").expect("a part");
        let mut go_on = |_| true;
        let watch = &mut Watch::new(&mut go_on);
        let text = "あ \"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{2028}";
        part.texts(Master::Queries, [Ok((-1, text))], watch).expect("written");
        part.positives([(3, vec![1, 2]), (4, vec![])]).expect("written");
        part.triplets([[1, 2, 3]], watch).expect("written");
        let mut scores = LineWriter::create(&part.dir.join("s.ndjson")).expect("created");
        let line = score_line(1, [(2, 1.0), (-3, -0.25)]);
        scores.line(format_args!("{line}")).expect("written");
        scores.finish().expect("written");
        let read = |name: &str| std::fs::read_to_string(part.dir.join(name)).expect("a file");
        // json.dumps({"qid": -1, "text": …}, ensure_ascii=False) of Python 3.11.
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
