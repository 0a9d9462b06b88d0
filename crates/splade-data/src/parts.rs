//! Writes a file in parts, so that completed parts survive when the work is stopped or killed.
//!
//! Parts lie in the folder `<file>.parts` beside the file. Each is written under a temporary name
//! and then renamed. At the end the parts are concatenated, which gives a valid file also for gzip
//! (RFC 1952 allows several members), and the folder is removed. Only one process writes a file at
//! a time. The marker of the folder is its settings file: a folder that has other files but no
//! settings is refused.
//!
//! ```
//! use splade_data::parts::ResumableParts;
//!
//! let folder = tempfile::tempdir()?;
//! let out = folder.path().join("scores.ndjson");
//! let settings = serde_json::json!({"model": "org/ranker"});
//! let mut parts = ResumableParts::open(&out, &settings, false, false)?;
//! parts.write(&["{\"qid\": 1}".to_owned()])?;
//! parts.end_part()?;
//! drop(parts);
//!
//! // The process was killed; another one goes on behind the parts that are complete.
//! let mut parts = ResumableParts::open(&out, &settings, true, false)?;
//! assert_eq!(parts.done(), 1);
//! parts.write(&["{\"qid\": 2}".to_owned()])?;
//! parts.end_part()?;
//! parts.finish()?;
//! assert_eq!(std::fs::read_to_string(&out)?, "{\"qid\": 1}\n{\"qid\": 2}\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::settings::{difference, records_content};
use splade_io::{FileError, LineWriter, MadeWith, NewFile, OutputFolder, write_file};

use crate::error::DataError;

/// The file with the settings of the parts.
const SETTINGS: &str = "settings.json";
/// The file with values that were not known when the parts were begun; see
/// [`ResumableParts::remember`].
const LATER: &str = "later.json";

/// A file of lines that is written in parts, so that the work can be resumed.
///
/// ```
/// use splade_data::parts::ResumableParts;
///
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("scores.ndjson");
/// let mut parts = ResumableParts::open(&out, &serde_json::json!({"model": "a"}), false, false)?;
/// parts.write(&["{\"qid\": 1}".to_owned()])?;
/// parts.end_part()?;
/// drop(parts);
/// // Parts that another model has made are not continued.
/// let other = serde_json::json!({"model": "b"});
/// assert!(ResumableParts::open(&out, &other, true, false).is_err());
/// assert!(!ResumableParts::is_complete(&out));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ResumableParts {
    out: PathBuf,
    /// The folder of the parts, locked while this value is present; `None` once the file is
    /// complete.
    folder: Option<OutputFolder>,
    dir: PathBuf,
    /// The number of complete parts.
    done: usize,
    /// The writer of the current part and its temporary file; `None` between parts.
    open: Option<(LineWriter, NewFile)>,
    /// Whether this process began the parts.
    is_new: bool,
    /// Whether a version of the program began the parts that did not record hashes of contents.
    lacks_content: bool,
}

impl ResumableParts {
    /// Begins a file, or resumes from the parts of an earlier run with the same settings.
    ///
    /// # Errors
    /// Returns an error if the file exists and `replace` is false, if parts exist and `resume` is
    /// false, if the existing parts were written with other settings, or if another process is
    /// writing the file.
    pub fn open(
        out: &Path,
        settings: &Value,
        resume: bool,
        replace: bool,
    ) -> Result<Self, DataError> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".ndjson") && !name.ends_with(".ndjson.gz") {
            return Err(DataError::form(out, "the name must end in .ndjson or .ndjson.gz"));
        }
        let dir = out.with_added_extension("parts");
        let begun = dir.join(SETTINGS).is_file();
        // A run that was started with `replace` and then stopped may resume.
        if out.exists() && !replace && !(resume && begun) {
            return Err(DataError::FileExists { path: out.to_path_buf() });
        }
        if begun && !replace && !resume {
            return Err(DataError::PartsExist { path: dir });
        }
        let folder = OutputFolder::open(&dir, SETTINGS)?;
        let mut this = Self {
            out: out.to_path_buf(),
            folder: Some(folder),
            dir,
            done: 0,
            open: None,
            is_new: false,
            lacks_content: false,
        };
        if begun && !replace {
            let path = this.dir.join(SETTINGS);
            let text = std::fs::read(&path).map_err(DataError::io(&path))?;
            let earlier = serde_json::from_slice::<Value>(&text).unwrap_or_default();
            if let Some(difference) = difference(&earlier, settings) {
                return Err(DataError::OtherParts { path: this.dir.clone(), difference });
            }
            this.lacks_content = !records_content(&earlier);
            this.remove_temporaries()?;
            while this.part(this.done).is_file() {
                this.done += 1;
            }
            return Ok(this);
        }
        this.remove_files()?;
        this.is_new = true;
        write_value(&this.dir.join(SETTINGS), settings)?;
        Ok(this)
    }

    /// Returns whether the file is complete and no parts of it are left, so that a resumed run has
    /// nothing to do.
    pub fn is_complete(out: &Path) -> bool {
        out.is_file() && !out.with_added_extension("parts").join(SETTINGS).is_file()
    }

    /// Returns the number of complete parts.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Returns whether an earlier version of the program began the parts, which did not record
    /// hashes of its inputs, so that changes cannot be detected.
    pub fn lacks_content(&self) -> bool {
        self.lacks_content
    }

    /// Stores a value that was not known when the parts were begun, such as the inputs of a ranker.
    ///
    /// # Errors
    /// Returns an error if the existing parts were written with another value, or if the value
    /// cannot be written.
    pub fn remember(&self, value: &Value) -> Result<(), DataError> {
        let path = self.dir.join(LATER);
        if self.done == 0 {
            return write_value(&path, value);
        }
        let earlier = std::fs::read(&path).ok();
        let earlier = earlier.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        // Earlier versions remembered a list of sizes and times, which say nothing here.
        let is_old = self.lacks_content && earlier.as_ref().is_some_and(Value::is_array);
        let difference = match earlier.as_ref() == Some(value) || is_old {
            true => return Ok(()),
            false => difference(&earlier.unwrap_or_default(), value),
        };
        let difference = difference.unwrap_or_else(|| "its inputs have changed since".to_owned());
        Err(DataError::OtherParts { path: self.dir.clone(), difference })
    }

    /// Writes lines to the current part. The lines come without line ends.
    ///
    /// # Errors
    /// Returns an error if the lines cannot be written.
    pub fn write(&mut self, lines: &[String]) -> Result<(), DataError> {
        let (mut writer, file) = match self.open.take() {
            Some(open) => open,
            // The compression is passed on because the temporary name has another suffix.
            None => {
                let packed = self.out.extension().is_some_and(|end| end == "gz");
                let file = NewFile::create_unlocked(&self.part(self.done))?;
                (LineWriter::create_as(file.temporary_path(), packed)?, file)
            }
        };
        for line in lines {
            writer.line(format_args!("{line}"))?;
        }
        self.open = Some((writer, file));
        Ok(())
    }

    /// Completes the current part, which is kept from now on.
    ///
    /// # Errors
    /// Returns an error if the part cannot be written.
    pub fn end_part(&mut self) -> Result<(), DataError> {
        self.write(&[])?;
        if let Some((writer, file)) = self.open.take() {
            writer.finish()?;
            file.commit()?;
        }
        self.done += 1;
        Ok(())
    }

    /// Concatenates the parts into the file, records what it was made with, and removes the parts.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn finish(mut self) -> Result<(), DataError> {
        let mut file = NewFile::create(&self.out)?;
        for part in 0..self.done {
            let part = self.part(part);
            let mut source = File::open(&part).map_err(DataError::io(&part))?;
            std::io::copy(&mut source, &mut file).map_err(FileError::io("write", &self.out))?;
        }
        file.commit()?;
        let path = self.dir.join(SETTINGS);
        let settings = std::fs::read(&path).map_err(DataError::io(&path))?;
        let settings = serde_json::from_slice(&settings).unwrap_or_default();
        MadeWith::record(&self.out, &settings)?;
        self.remove()
    }

    fn part(&self, number: usize) -> PathBuf {
        self.dir.join(part_name(number))
    }

    /// Removes the files that an earlier run of this project has written into the folder: all
    /// parts, the settings, the remembered values and temporary files.
    fn remove_files(&self) -> Result<(), DataError> {
        self.remove_temporaries()?;
        let entries = std::fs::read_dir(&self.dir).map_err(DataError::io(&self.dir))?;
        let mut files = Vec::new();
        for entry in entries {
            let name = entry.map_err(DataError::io(&self.dir))?.file_name();
            let name = name.to_string_lossy().into_owned();
            if name == LATER || is_part(&name) {
                files.push(name);
            }
        }
        // The settings are removed last, so that a killed process leaves a folder that is
        // recognised.
        let settings = Some(SETTINGS.to_owned()).filter(|name| self.dir.join(name).is_file());
        for path in files.into_iter().chain(settings).map(|name| self.dir.join(name)) {
            std::fs::remove_file(&path).map_err(DataError::io(&path))?;
        }
        Ok(())
    }

    fn remove_temporaries(&self) -> Result<(), DataError> {
        let folder = self
            .folder
            .as_ref()
            .map(|folder| folder.remove_temporaries(|name| name == LATER || is_part(name)));
        Ok(folder.unwrap_or(Ok(()))?)
    }

    /// Removes the files, and also the folder if it is empty then.
    fn remove(&mut self) -> Result<(), DataError> {
        self.open = None;
        self.remove_files()?;
        self.folder = None;
        _ = std::fs::remove_dir(&self.dir);
        Ok(())
    }
}

impl std::fmt::Debug for ResumableParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { out, done, .. } = self;
        f.debug_struct("ResumableParts").field("out", out).field("done", done).finish()
    }
}

/// A new folder without a part is removed because it is of no use.
impl Drop for ResumableParts {
    fn drop(&mut self) {
        if self.folder.is_some() && self.is_new && self.done == 0 {
            _ = self.remove();
        }
    }
}

fn part_name(number: usize) -> String {
    format!("{number:06}")
}

/// Returns whether a file name has the form of [`part_name`].
fn is_part(name: &str) -> bool {
    name.parse().is_ok_and(|number| part_name(number) == name)
}

fn write_value(path: &Path, value: &Value) -> Result<(), DataError> {
    Ok(write_file(path, value.to_string().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_become_a_file_and_are_gone() {
        for name in ["a.ndjson", "a.ndjson.gz"] {
            let dir = tempfile::tempdir().expect("a folder");
            let out = dir.path().join(name);
            let open = |settings: i32, resume, replace| {
                ResumableParts::open(&out, &json!(settings), resume, replace)
                    .map_err(|error| format!("{error}; {}", error.hint().unwrap_or_default()))
            };
            let line = |parts: &mut ResumableParts, text: &str| {
                parts.write(&[text.to_owned()]).expect("written");
            };
            // A process was killed before it could write the settings.
            std::fs::create_dir(out.with_added_extension("parts")).expect("made");
            let mut parts = open(1, true, false).expect("begun");
            parts.remember(&json!("index")).expect("written");
            line(&mut parts, "{\"a\": 1}");
            line(&mut parts, "{}");
            parts.end_part().expect("written");
            // A part that was not completed is written again.
            line(&mut parts, "lost");
            drop(parts);
            assert!(open(1, false, false).expect_err("parts").contains("continue with --resume"));
            assert!(open(2, true, false).expect_err("parts").contains("other settings"));
            let mut parts = open(1, true, false).expect("resumed");
            assert_eq!(parts.done(), 1);
            assert!(parts.remember(&json!("another")).is_err());
            parts.remember(&json!("index")).expect("the same");
            line(&mut parts, "{\"b\": 2}");
            parts.end_part().expect("written");
            parts.end_part().expect("without a line");
            assert!(!out.exists() && !ResumableParts::is_complete(&out));
            parts.finish().expect("finished");
            let bytes = std::fs::read(&out).expect("a file");
            let text = match name.ends_with(".gz") {
                true => std::io::read_to_string(flate2::read::MultiGzDecoder::new(&bytes[..]))
                    .expect("packed"),
                false => String::from_utf8(bytes).expect("UTF-8"),
            };
            assert_eq!(text, "{\"a\": 1}\n{}\n{\"b\": 2}\n");
            // The file, and what it was made with.
            assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 2);
            assert!(ResumableParts::is_complete(&out));
            assert!(open(1, true, false).expect_err("there").contains("--force"));
            // A run that replaces the file can be resumed after it was stopped.
            let mut parts = open(2, false, true).expect("anew");
            assert_eq!(parts.done(), 0);
            parts.end_part().expect("written");
            drop(parts);
            assert_eq!(open(2, true, false).expect("resumed").done(), 1);
            assert!(open(2, false, false).expect_err("there").contains("--force"));
        }
        let error =
            ResumableParts::open("x.json".as_ref(), &json!(1), false, false).expect_err("its name");
        assert!(error.to_string().contains("must end in .ndjson"));
    }

    #[test]
    fn only_our_own_files_are_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (out, parts) = (dir.path().join("a.ndjson"), dir.path().join("a.ndjson.parts"));
        let open = |replace| ResumableParts::open(&out, &json!(1), false, replace);
        // A folder of the user happens to have the name of the parts folder.
        std::fs::create_dir(&parts).expect("made");
        std::fs::write(parts.join("thesis.txt"), "mine").expect("written");
        for replace in [false, true] {
            let error = open(replace).expect_err("not ours").to_string();
            assert!(error.contains("is not empty and has no settings.json"), "{error}");
        }
        std::fs::remove_file(parts.join("thesis.txt")).expect("removed");
        let mut begun = open(false).expect("begun");
        assert!(open(true).expect_err("locked").to_string().contains("another process"));
        begun.end_part().expect("written");
        drop(begun);
        for name in ["thesis.txt", "000001.bak", "7"] {
            std::fs::write(parts.join(name), "mine").expect("written");
        }
        let mut anew = open(true).expect("anew");
        assert_eq!(anew.done(), 0);
        anew.end_part().expect("written");
        anew.finish().expect("finished");
        let mut left: Vec<_> = std::fs::read_dir(&parts)
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["000001.bak", "7", "thesis.txt"]);
        assert!(out.is_file());
    }
}
