//! A file that is made in parts, each of which stays when the work is stopped or killed.
//!
//! Parts lie in a folder beside the file, `<file>.parts`, each written aside and renamed. At the end
//! they are put one behind the other, which is a file again also where they are packed (RFC 1952
//! allows several members), and the folder goes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_sparse::files::{aside, sync_and_rename};

use crate::convert::Lines;
use crate::error::TrainError;

/// What the parts were made with.
const SETTINGS: &str = "settings.json";

/// Lines that are written in parts.
#[derive(Debug)]
pub struct Parts {
    out: PathBuf,
    dir: PathBuf,
    /// Parts that are there.
    done: usize,
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
    ) -> Result<Self, TrainError> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".ndjson") && !name.ends_with(".ndjson.gz") {
            return Err(told(out, "the name must end in .ndjson or .ndjson.gz"));
        }
        if out.exists() && !replace {
            return Err(told(out, "the file is there already\nhint: replace it with --force"));
        }
        let dir = out.with_added_extension("parts");
        let mut this = Self { out: out.to_path_buf(), dir, done: 0, is_new: false };
        if this.dir.is_dir() && !replace {
            if !resume {
                let hint = "an earlier run has left parts of this file\nhint: go on with --resume, \
                            or begin anew with --force";
                return Err(told(&this.dir, hint));
            }
            let path = this.dir.join(SETTINGS);
            let text = std::fs::read(&path).map_err(TrainError::io(&path))?;
            if serde_json::from_slice::<Value>(&text).ok().as_ref() != Some(settings) {
                let hint =
                    "its parts are of other settings or files\nhint: begin anew with --force";
                return Err(told(&this.dir, hint));
            }
            while this.part(this.done).is_file() {
                this.done += 1;
            }
            return Ok(this);
        }
        this.remove()?;
        std::fs::create_dir_all(&this.dir).map_err(TrainError::io(&this.dir))?;
        this.is_new = true;
        let path = this.dir.join(SETTINGS);
        std::fs::write(aside(&path), settings.to_string()).map_err(TrainError::io(&path))?;
        sync_and_rename(&path).map_err(|error| TrainError::Data(error.to_string()))?;
        Ok(this)
    }

    /// Parts that are there.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Writes the next part: lines without their ends.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, lines: &[String]) -> Result<(), TrainError> {
        let path = self.part(self.done);
        // The name aside ends otherwise, and the end of the name says whether it is packed.
        let packed = self.out.extension().is_some_and(|end| end == "gz");
        let mut file = Lines::create_as(&aside(&path), packed)?;
        for line in lines {
            file.line(format_args!("{line}"))?;
        }
        file.finish()?;
        sync_and_rename(&path).map_err(|error| TrainError::Data(error.to_string()))?;
        self.done += 1;
        Ok(())
    }

    /// Puts the parts together.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), TrainError> {
        let path = aside(&self.out);
        let mut file = File::create(&path).map_err(TrainError::io(&path))?;
        for part in 0..self.done {
            let part = self.part(part);
            let mut source = File::open(&part).map_err(TrainError::io(&part))?;
            std::io::copy(&mut source, &mut file).map_err(TrainError::io(&path))?;
        }
        file.flush().map_err(TrainError::io(&path))?;
        sync_and_rename(&self.out).map_err(|error| TrainError::Data(error.to_string()))?;
        self.remove()
    }

    fn part(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number:06}"))
    }

    fn remove(&self) -> Result<(), TrainError> {
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(TrainError::io(&self.dir)(error))
            }
            _ => Ok(()),
        }
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

fn told(path: &Path, message: &str) -> TrainError {
    TrainError::Data(format!("{}: {message}", path.display()))
}
