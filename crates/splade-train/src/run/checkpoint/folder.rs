//! Atomic writing and deleting of folders: checkpoints and final models.
//!
//! A checkpoint is written to `checkpoint-N.partial`, synced to disk and then renamed. A checkpoint
//! that is to be deleted is first renamed to `checkpoint-N.deleted`. A folder named `checkpoint-N`
//! is therefore always complete, wherever the process was killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::TrainError;

const PARTIAL: &str = "partial";
const DELETED: &str = "deleted";
/// The ending of the folder that holds the old checkpoint while it is replaced.
const REPLACED: &str = "replaced";

/// Returns the folder of the checkpoint after `step` steps.
pub(crate) fn path(output: &Path, step: u64) -> PathBuf {
    output.join(format!("checkpoint-{step}"))
}

/// Lists the checkpoints of a run by step, the earliest first. The list is empty if the folder does
/// not exist.
///
/// # Errors
/// Returns an error if the folder cannot be read.
pub(crate) fn checkpoints(output: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let mut found = Vec::new();
    for path in entries(output)? {
        let step = name(&path).strip_prefix("checkpoint-").and_then(|step| step.parse().ok());
        if let Some(step) = step.filter(|_| path.is_dir()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Creates an empty temporary folder beside `target`, and returns its path.
pub(crate) fn begin(target: &Path) -> Result<PathBuf, TrainError> {
    let partial = with(target, PARTIAL);
    remove(&partial)?;
    fs::create_dir_all(&partial).map_err(TrainError::io(&partial))?;
    Ok(partial)
}

/// Syncs the folder that [`begin`] created to disk, and renames it to `target`.
pub(crate) fn finish(target: &Path) -> Result<(), TrainError> {
    let partial = with(target, PARTIAL);
    sync_tree(&partial)?;
    let replaced = with(target, REPLACED);
    if target.exists() {
        rename(target, &replaced)?;
    }
    rename(&partial, target)?;
    if let Some(parent) = target.parent() {
        sync(parent)?;
    }
    remove(&replaced)
}

/// Renames a checkpoint before deleting it, so that a half-deleted folder is never taken for a
/// checkpoint.
pub(crate) fn delete(checkpoint: &Path) -> Result<(), TrainError> {
    let deleted = with(checkpoint, DELETED);
    remove(&deleted)?;
    rename(checkpoint, &deleted)?;
    remove(&deleted)
}

/// Removes the temporary folders of a killed process; complete checkpoints stay.
pub(crate) fn tidy(output: &Path) -> Result<(), TrainError> {
    for path in entries(output)? {
        let Some((target, kind)) = name(&path).rsplit_once('.') else { continue };
        if !target.starts_with("checkpoint-") {
            continue;
        }
        let target = path.with_file_name(target);
        match kind {
            // The process was killed between the two renames of `finish`.
            REPLACED if !target.exists() => rename(&path, &target)?,
            PARTIAL | DELETED | REPLACED => remove(&path)?,
            _ => {}
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrainError::io(folder))?,
    };
    entries.map(|entry| Ok(entry.map_err(TrainError::io(folder))?.path())).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

fn with(target: &Path, kind: &str) -> PathBuf {
    target.with_file_name(format!("{}.{kind}", name(target)))
}

fn rename(from: &Path, to: &Path) -> Result<(), TrainError> {
    fs::rename(from, to).map_err(TrainError::io(from))
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(TrainError::io(folder)),
    }
}

fn sync_tree(folder: &Path) -> Result<(), TrainError> {
    for path in entries(folder)? {
        if path.is_dir() { sync_tree(&path)? } else { sync(&path)? }
    }
    sync(folder)
}

fn sync(path: &Path) -> Result<(), TrainError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(TrainError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(output: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            entries(output).expect("read").iter().map(|path| name(path).to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_there_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = path(dir.path(), 20);
        for text in ["first", "second"] {
            let partial = begin(&target).expect("begun");
            fs::write(partial.join("file"), text).expect("written");
            if text == "first" {
                assert_eq!(checkpoints(dir.path()).expect("listed"), []);
            }
            finish(&target).expect("finished");
            assert_eq!(fs::read_to_string(target.join("file")).expect("read"), text);
        }
        let five = path(dir.path(), 5);
        begin(&five).expect("begun");
        finish(&five).expect("finished");
        let steps: Vec<u64> =
            checkpoints(dir.path()).expect("listed").into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [5, 20]);
        delete(&five).expect("deleted");
        assert_eq!(names(dir.path()), ["checkpoint-20"]);
    }

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in [
            "checkpoint-1",
            "checkpoint-1.replaced",
            "checkpoint-2.partial",
            "checkpoint-3.deleted",
            "checkpoint-4.replaced",
            "other.partial",
        ] {
            fs::create_dir(dir.path().join(name)).expect("created");
        }
        tidy(dir.path()).expect("tidied");
        assert_eq!(names(dir.path()), ["checkpoint-1", "checkpoint-4", "other.partial"]);
        assert_eq!(checkpoints(&dir.path().join("none")).expect("listed"), []);
    }
}
