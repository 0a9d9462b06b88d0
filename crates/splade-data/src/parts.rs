//! A file that is made in parts, each of which stays when the work is stopped or killed.
//!
//! Parts lie in a folder beside the file, `<file>.parts`, each written aside and renamed. At the end
//! they are put one behind the other, which is a file again also where they are packed (RFC 1952
//! allows several members), and the folder goes. A folder without settings was left by a kill before
//! the first part, and counts as none.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_sparse::files::{aside, sync_and_rename};

use crate::error::DataError;
use splade_io::LineWriter;

/// What the parts were made with.
const SETTINGS: &str = "settings.json";
/// What was known only later.
const LATER: &str = "later.json";
const OTHERS: &str = "its parts are of other settings or files\nhint: begin anew with --force";

/// Lines that are written in parts.
pub struct Parts {
    out: PathBuf,
    dir: PathBuf,
    /// Parts that are there.
    done: usize,
    /// The part that is written.
    open: Option<LineWriter>,
    /// Whether the folder was made by this run.
    is_new: bool,
}

impl Parts {
    /// Begins a file, or goes on with the parts that an earlier run of the same settings has left.
    ///
    /// # Errors
    /// If the file is there and is not to be replaced; if parts are there and `resume` is not
    /// asked for, or they are of other settings.
    pub fn open(
        out: &Path,
        settings: &Value,
        resume: bool,
        replace: bool,
    ) -> Result<Self, DataError> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".ndjson") && !name.ends_with(".ndjson.gz") {
            return Err(told(out, "the name must end in .ndjson or .ndjson.gz"));
        }
        let dir = out.with_added_extension("parts");
        let begun = dir.join(SETTINGS).is_file();
        // A run that was to replace the file and was stopped may go on.
        if out.exists() && !replace && !(resume && begun) {
            return Err(told(out, "the file is there already\nhint: replace it with --force"));
        }
        let mut this = Self { out: out.to_path_buf(), dir, done: 0, open: None, is_new: false };
        if begun && !replace {
            if !resume {
                let hint = "an earlier run has left parts of this file\nhint: go on with --resume, \
                            or begin anew with --force";
                return Err(told(&this.dir, hint));
            }
            let path = this.dir.join(SETTINGS);
            let text = std::fs::read(&path).map_err(DataError::io(&path))?;
            if serde_json::from_slice::<Value>(&text).ok().as_ref() != Some(settings) {
                return Err(told(&this.dir, OTHERS));
            }
            while this.part(this.done).is_file() {
                this.done += 1;
            }
            return Ok(this);
        }
        this.remove()?;
        std::fs::create_dir_all(&this.dir).map_err(DataError::io(&this.dir))?;
        this.is_new = true;
        write_value(&this.dir.join(SETTINGS), settings)?;
        Ok(this)
    }

    /// Parts that are there.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Remembers something that was not known when the parts were begun, such as an index that was
    /// built for them.
    ///
    /// # Errors
    /// If parts are there that were made with something else, or it cannot be written.
    pub fn remember(&self, value: &Value) -> Result<(), DataError> {
        let path = self.dir.join(LATER);
        if self.done == 0 {
            return write_value(&path, value);
        }
        let earlier = std::fs::read(&path).ok();
        let earlier = earlier.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        match earlier.as_ref() == Some(value) {
            true => Ok(()),
            false => Err(told(&self.dir, OTHERS)),
        }
    }

    /// Writes lines, without their ends, to the next part.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, lines: &[String]) -> Result<(), DataError> {
        let mut file = match self.open.take() {
            Some(file) => file,
            // The name aside ends otherwise, and the end of the name says whether it is packed.
            None => {
                let packed = self.out.extension().is_some_and(|end| end == "gz");
                LineWriter::create_as(&aside(&self.part(self.done)), packed)?
            }
        };
        for line in lines {
            file.line(format_args!("{line}"))?;
        }
        self.open = Some(file);
        Ok(())
    }

    /// Ends the part, which stays from now on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end_part(&mut self) -> Result<(), DataError> {
        self.write(&[])?;
        self.open.take().map_or(Ok(()), LineWriter::finish)?;
        let path = self.part(self.done);
        sync_and_rename(&path).map_err(|error| DataError::Data(error.to_string()))?;
        self.done += 1;
        Ok(())
    }

    /// Puts the parts together.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), DataError> {
        let path = aside(&self.out);
        let mut file = File::create(&path).map_err(DataError::io(&path))?;
        for part in 0..self.done {
            let part = self.part(part);
            let mut source = File::open(&part).map_err(DataError::io(&part))?;
            std::io::copy(&mut source, &mut file).map_err(DataError::io(&path))?;
        }
        file.flush().map_err(DataError::io(&path))?;
        sync_and_rename(&self.out).map_err(|error| DataError::Data(error.to_string()))?;
        self.remove()
    }

    fn part(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number:06}"))
    }

    fn remove(&self) -> Result<(), DataError> {
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DataError::io(&self.dir)(error))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("out", &self.out).field("done", &self.done).finish()
    }
}

/// A new folder without a part is of no use.
impl Drop for Parts {
    fn drop(&mut self) {
        if self.is_new && self.done == 0 {
            _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn write_value(path: &Path, value: &Value) -> Result<(), DataError> {
    std::fs::write(aside(path), value.to_string()).map_err(DataError::io(path))?;
    sync_and_rename(path).map_err(|error| DataError::Data(error.to_string()))
}

fn told(path: &Path, message: &str) -> DataError {
    DataError::Data(format!("{}: {message}", path.display()))
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
                Parts::open(&out, &json!(settings), resume, replace)
                    .map_err(|error| error.to_string())
            };
            let line = |parts: &mut Parts, text: &str| {
                parts.write(&[text.to_owned()]).expect("written");
            };
            // Killed before it could say what its parts would be of.
            std::fs::create_dir(out.with_added_extension("parts")).expect("made");
            let mut parts = open(1, true, false).expect("begun");
            parts.remember(&json!("index")).expect("written");
            line(&mut parts, "{\"a\": 1}");
            line(&mut parts, "{}");
            parts.end_part().expect("written");
            // A part that was not ended is written again.
            line(&mut parts, "lost");
            drop(parts);
            assert!(open(1, false, false).expect_err("parts").contains("go on with --resume"));
            assert!(open(2, true, false).expect_err("parts").contains("other settings"));
            let mut parts = open(1, true, false).expect("resumed");
            assert_eq!(parts.done(), 1);
            assert!(parts.remember(&json!("another")).is_err());
            parts.remember(&json!("index")).expect("the same");
            line(&mut parts, "{\"b\": 2}");
            parts.end_part().expect("written");
            parts.end_part().expect("without a line");
            assert!(!out.exists());
            parts.finish().expect("finished");
            let bytes = std::fs::read(&out).expect("a file");
            let text = match name.ends_with(".gz") {
                true => std::io::read_to_string(flate2::read::MultiGzDecoder::new(&bytes[..]))
                    .expect("packed"),
                false => String::from_utf8(bytes).expect("UTF-8"),
            };
            assert_eq!(text, "{\"a\": 1}\n{}\n{\"b\": 2}\n");
            assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
            assert!(open(1, true, false).expect_err("there").contains("--force"));
            // One that is to replace the file goes on when it was stopped.
            let mut parts = open(2, false, true).expect("anew");
            assert_eq!(parts.done(), 0);
            parts.end_part().expect("written");
            drop(parts);
            assert_eq!(open(2, true, false).expect("resumed").done(), 1);
            assert!(open(2, false, false).expect_err("there").contains("--force"));
        }
        let error = Parts::open("x.json".as_ref(), &json!(1), false, false).expect_err("its name");
        assert!(error.to_string().contains("must end in .ndjson"));
    }
}
