//! The checks before the long work: folders can be written, no other run is overwritten, and the
//! disk has enough space.

use std::path::{Path, PathBuf};

use hydra_compose::settings as setting;
use hydra_compose::settings::SettingError;
use splade_io::{FileError, Problem, is_free, size};

use crate::config::{IntervalStrategy, TrainingConfig};
use crate::error::TrainError;

use super::checkpoint::folder::{WEIGHTS, checkpoints};
use super::folders::RunFolders;
use super::plan::Plan;

/// Checks that the folders of a run can be written, and that a new run does not overwrite another
/// one.
///
/// # Errors
/// Returns an error if a folder cannot be written, or if it has the checkpoints or the model of
/// another run.
pub(crate) fn check_outputs(training: &TrainingConfig, resumes: bool) -> Result<(), TrainError> {
    let output = &training.output_dir;
    if output.as_os_str().is_empty() {
        return Err(SettingError::of("training.output_dir", setting::Problem::Missing)
            .with_remedy("set it to the folder for checkpoints")
            .into());
    }
    let found = checkpoints(output)?;
    if let Some((_, last)) = found.last().filter(|_| !resumes) {
        let what = format!(
            "{} holds checkpoints of an earlier run, the last one is {}",
            output.display(),
            last.file_name().unwrap_or_default().to_string_lossy()
        );
        return Err(TrainError::Run(Problem::new(what).with_remedy(
            "--resume continues it; for a new run name another training.output_dir or remove them",
        )));
    }
    let results = final_folder(training);
    let model = results.join("model");
    if model.exists() && !resumes {
        let problem = Problem::new(format!("{} is there already", model.display()));
        return Err(TrainError::Run(
            problem
                .with_remedy("for a new run name another training.final_output_dir or remove it"),
        ));
    }
    if resumes && !is_free(&model) && !model.join(WEIGHTS).is_file() {
        let (path, marker) = (model, WEIGHTS.to_owned());
        return Err(FileError::NotOurs { path, marker }.into());
    }
    for folder in [output.as_path(), results] {
        create(folder)?;
        tempfile::tempfile_in(folder).map_err(TrainError::io(folder))?;
    }
    Ok(())
}

/// Checks the folders of a run as [`check_outputs`] does, and locks them.
///
/// # Errors
/// Returns the errors of [`check_outputs`], or an error if another process writes to a folder.
pub(crate) fn lock_outputs(training: &TrainingConfig) -> Result<RunFolders, TrainError> {
    let check = || check_outputs(training, training.resume_from_checkpoint.is_some());
    check()?;
    let folders = RunFolders::lock(&training.output_dir, final_folder(training))?;
    // Another process may have written the folders before they were locked.
    check()?;
    Ok(folders)
}

/// The folders of a run that did not exist before it, the deepest first.
pub(crate) struct NewFolders(Vec<PathBuf>);

impl NewFolders {
    /// Notes which of the folders and their parents do not exist yet.
    pub(crate) fn before<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Self {
        let missing = |folder: &'a Path| {
            folder.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists())
        };
        let mut new: Vec<PathBuf> =
            folders.into_iter().flat_map(missing).map(Path::to_path_buf).collect();
        new.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        new.dedup();
        Self(new)
    }

    /// Removes those that are there now and empty, after a run that failed before it wrote
    /// anything.
    pub(crate) fn remove_empty<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            // A folder that is not empty is not removed; that is no failure.
            self.0.iter().for_each(|folder| _ = std::fs::remove_dir(folder));
        }
        result
    }
}

/// Checks that the checkpoints of the steps after `done` fit on the disk. `bytes` is the size of a
/// checkpoint, and `free` is the free space of the disk, if the system reports it.
pub(crate) fn check_space(
    training: &TrainingConfig,
    plan: &Plan,
    done: u64,
    bytes: u64,
    free: Option<u64>,
) -> Result<(), TrainError> {
    let saves = saves_after(plan, training, done);
    let limit = training.save_total_limit.filter(|limit| *limit > 0);
    // A checkpoint is written before another one is deleted, and the final model needs as much
    // space as one more.
    let kept = limit.map_or(saves, |limit| saves.min(limit as u64 + 1)) + 1;
    let needed = bytes.saturating_mul(kept);
    match free.filter(|free| *free < needed) {
        None => Ok(()),
        Some(free) => {
            let what = format!(
                "{} has {} left, {kept} checkpoints and models of {} need {}",
                training.output_dir.display(),
                size(free),
                size(bytes),
                size(needed)
            );
            Err(TrainError::Run(Problem::new(what).with_remedy(
                "give a training.save_total_limit, save more seldom, or choose another output_dir",
            )))
        }
    }
}

/// Returns the maximum number of checkpoints that are written after `done` steps.
fn saves_after(plan: &Plan, training: &TrainingConfig, done: u64) -> u64 {
    let left = plan.total.saturating_sub(done);
    match training.save_strategy {
        IntervalStrategy::No => 0,
        IntervalStrategy::Steps => plan.save.every.map_or(1, |steps| left / steps + 1),
        IntervalStrategy::Epoch => left.div_ceil(plan.epoch_steps),
        // Each of these checkpoints is better than all before it, so there are few.
        IntervalStrategy::Best => left.min(3),
    }
}

/// Creates a folder and its parents.
pub(crate) fn create(folder: &Path) -> Result<(), TrainError> {
    std::fs::create_dir_all(folder).map_err(TrainError::io(folder))
}

/// Returns the folder for the final model and the results.
pub(crate) fn final_folder(training: &TrainingConfig) -> &Path {
    training.final_output_dir.as_deref().unwrap_or(&training.output_dir)
}

/// Returns an error about a setting of `training`.
pub(crate) fn wrong(field: &str, rule: &str) -> TrainError {
    SettingError::new(format!("training.{field}"), rule).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::splade::tests::training;

    #[test]
    fn only_new_and_empty_folders_are_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("there")).expect("made");
        let (first, second) = (path("a/b/c"), path("there"));
        let new = NewFolders::before([&*first, &*second, &*path("a/b/full")]);
        std::fs::create_dir_all(&first).expect("made");
        std::fs::create_dir_all(path("a/b/full")).expect("made");
        std::fs::write(path("a/b/full/x"), "mine").expect("written");
        assert!(new.remove_empty(Err::<(), ()>(())).is_err());
        assert!(!first.exists() && second.exists() && path("a/b/full/x").exists());
        let new = NewFolders::before([&*path("n/m")]);
        std::fs::create_dir_all(path("n/m")).expect("made");
        assert!(new.remove_empty(Err::<(), ()>(())).is_err());
        assert!(!path("n").exists());
    }

    #[test]
    fn checkpoints_must_fit() {
        let mut training = training();
        training.save_steps = 2.0;
        let plan = Plan::new(&training, 100).expect("a plan");
        let saves = |done| saves_after(&plan, &training, done);
        assert_eq!((saves(0), saves(7)), (6, 2));
        let fits =
            |training: &TrainingConfig, free| check_space(training, &plan, 0, 1_000, Some(free));
        // Ten steps give checkpoints at 2, 4, 6, 8 and 10. One more is spare for a last checkpoint,
        // and the final model comes on top.
        assert!(fits(&training, 7_000).is_ok());
        let error = fits(&training, 6_999).expect_err("too few");
        let message = error.to_string();
        assert!(
            message.contains("has 7.00 kB left, 7 checkpoints and models of 1.00 kB need 7.00 kB"),
            "{message}"
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("save_total_limit")), "{error}");
        training.save_total_limit = Some(2);
        assert!(fits(&training, 4_000).is_ok() && fits(&training, 3_999).is_err());
        assert!(check_space(&training, &plan, 0, u64::MAX, None).is_ok());
    }
}
