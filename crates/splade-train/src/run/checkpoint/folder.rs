//! Writing and deleting of the folders of a run: checkpoints and final models.
//!
//! A folder is written under a temporary name with random characters, synced to disk and renamed.
//! A folder that is deleted is first renamed, too. A folder named `checkpoint-N` is therefore always
//! complete, wherever the process was killed. It has the checksums of its files, which are compared
//! before a run resumes from it.

use std::fs;
use std::path::{Path, PathBuf};

use splade_io::{
    NewFolder, Problem, check_checksums, clear_leftovers, remove_folder, write_checksums,
};

use crate::error::TrainError;

/// The file that says how a model is used, and to which run a checkpoint belongs.
pub(crate) const OURS: &str = "light_splade.json";
/// The file by which the folder of a model is recognised.
pub(crate) const WEIGHTS: &str = "model.safetensors";

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
    let entries = match fs::read_dir(output) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrainError::io(output))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(TrainError::io(output))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let step = name.strip_prefix("checkpoint-").and_then(|step| step.parse().ok());
        if let Some(step) = step.filter(|_| path.is_dir()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Creates an empty temporary folder beside `target`.
pub(crate) fn begin(target: &Path) -> Result<NewFolder, TrainError> {
    Ok(NewFolder::create_unlocked(target)?)
}

/// Completes a checkpoint with the checksums of its files. A checkpoint of the same step is
/// replaced.
pub(crate) fn finish_checkpoint(folder: NewFolder) -> Result<(), TrainError> {
    write_checksums(folder.path())?;
    Ok(folder.replace(OURS)?)
}

/// Completes the folder of a model. The model of an earlier run is replaced.
pub(crate) fn finish_model(folder: NewFolder) -> Result<(), TrainError> {
    Ok(folder.replace(WEIGHTS)?)
}

/// Compares the files of a checkpoint with their checksums. Checkpoints of earlier versions have
/// none.
pub(crate) fn check(checkpoint: &Path) -> Result<(), TrainError> {
    let damaged = |error: splade_io::FileError| {
        let problem = Problem::new(error.to_string()).with_remedy(
            "resume from an earlier checkpoint with training.resume_from_checkpoint=FOLDER, or \
             remove this one",
        );
        TrainError::checkpoint(checkpoint, problem)
    };
    check_checksums(checkpoint).map(drop).map_err(damaged)
}

/// Deletes a checkpoint. It loses its name first, so that a half-deleted folder is never taken for a
/// checkpoint.
pub(crate) fn delete(checkpoint: &Path) -> Result<(), TrainError> {
    Ok(remove_folder(checkpoint)?)
}

/// Clears what killed processes have left: temporary folders are removed, complete checkpoints stay.
/// The caller holds the lock of the folder.
pub(crate) fn tidy(output: &Path) -> Result<(), TrainError> {
    const TEMPORARY: [&str; 6] = ["best", "evaluation", "final", "model", "start", "start_query"];
    let is_ours = |name: &str| name.starts_with("checkpoint-") || TEMPORARY.contains(&name);
    match output.is_dir() {
        true => Ok(clear_leftovers(output, is_ours)?),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(output: &Path) -> Vec<String> {
        let entries = fs::read_dir(output).expect("listed");
        let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|e| name(e.expect("an entry"))).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_there_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = path(dir.path(), 20);
        for text in ["first", "second"] {
            let folder = begin(&target).expect("begun");
            fs::write(folder.path().join(OURS), text).expect("written");
            if text == "first" {
                assert_eq!(checkpoints(dir.path()).expect("listed"), []);
            }
            finish_checkpoint(folder).expect("finished");
            assert_eq!(fs::read_to_string(target.join(OURS)).expect("read"), text);
        }
        check(&target).expect("whole");
        fs::write(target.join(OURS), "secund").expect("written");
        let error = check(&target).expect_err("damaged").to_string();
        assert!(error.contains("light_splade.json: its checksum differs"), "{error}");
        let five = path(dir.path(), 5);
        finish_checkpoint(begin(&five).expect("begun")).expect("finished");
        let steps: Vec<u64> =
            checkpoints(dir.path()).expect("listed").into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [5, 20]);
        delete(&five).expect("deleted");
        assert_eq!(names(dir.path()), ["checkpoint-20"]);
    }

    #[test]
    fn folders_of_others_are_not_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        fs::create_dir(&target).expect("made");
        fs::write(target.join("thesis.txt"), "mine").expect("written");
        assert!(finish_model(begin(&target).expect("begun")).is_err());
        assert_eq!(names(&target), ["thesis.txt"]);
        assert_eq!(names(dir.path()), ["model"]);
    }

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in [
            "checkpoint-1",
            "checkpoint-1.aaaaaaaaaaaa.old/earlier",
            "checkpoint-2.bbbbbbbbbbbb.tmp",
            "checkpoint-4.cccccccccccc.old/earlier",
            "checkpoint-5.partial",
            "start.dddddddddddd.tmp",
            "other.eeeeeeeeeeee.tmp",
        ] {
            fs::create_dir_all(dir.path().join(name)).expect("created");
        }
        tidy(dir.path()).expect("tidied");
        let want =
            ["checkpoint-1", "checkpoint-4", "checkpoint-5.partial", "other.eeeeeeeeeeee.tmp"];
        assert_eq!(names(dir.path()), want);
        tidy(&dir.path().join("none")).expect("nothing to do");
        assert_eq!(checkpoints(&dir.path().join("none")).expect("listed"), []);
    }
}
