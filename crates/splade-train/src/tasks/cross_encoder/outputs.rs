//! The folders of a run: what an earlier run has left in them, and whether they can be written.
//!
//! A checkpoint and the last model record in `light_splade.json` which run wrote them: its
//! settings, and the hashes of its data files. A run resumes only from its
//! own checkpoints, and counts as finished only if the last model is its own.

use std::path::{Path, PathBuf};

use hydra_compose::settings::SettingError;
use serde_json::{Value, json};
use splade_io::{Problem, size};

use super::config::CrossEncoderConfig;
use crate::config::Optimizer;
use crate::error::TrainError;
use crate::optimizer::OptimizerState;
use crate::run::checkpoint::differences::differences as all_differences;
use crate::run::checkpoint::folder::{self, OURS};

/// The settings that do not change the numbers of a step.
const FREE: [&str; 5] =
    ["eval_batch_size", "evaluation_steps", "final_output_path", "output_path", "save_steps"];

/// The file by which the folder of a model is recognised.
const MODEL: &str = "config.json";
/// The name of the log in `output_path`.
pub(super) const LOG: &str = "log.jsonl";

/// Where a run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The run begins with the first step.
    New,
    /// The run resumes after the last step of this checkpoint.
    Continued(PathBuf),
    /// The run has nothing to do: an earlier run with the same settings has made all steps.
    Finished,
}

/// Decides where a run begins, and checks that its folders can be written.
///
/// # Errors
/// Returns an error if a folder holds outputs of another run, or of the same run without `resume`,
/// or if it cannot be written.
pub(super) fn prepare(config: &CrossEncoderConfig, resume: bool) -> Result<Beginning, TrainError> {
    let (output, last) = (&config.output_path, &config.final_output_path);
    let checkpoint = folder::checkpoints(output)?.pop().map(|(_, path)| path);
    if last.join(MODEL).exists() {
        if !resume {
            let rule = format!("{} has a model already", last.display());
            return Err(SettingError::new("final_output_path", rule)
                .with_remedy("for a new run name another final_output_path, or remove it")
                .into());
        }
        check_finished(config)?;
        delete_checkpoints(output)?;
        return Ok(Beginning::Finished);
    }
    if let Some(checkpoint) = checkpoint.as_ref().filter(|_| !resume) {
        let rule = format!("an earlier run left {}", checkpoint.display());
        return Err(SettingError::new("output_path", rule)
            .with_remedy("add --resume to continue it, or choose another output_path")
            .into());
    }
    // The log is begun before the first model is kept.
    if output.join(MODEL).exists() && !(resume && output.join(LOG).exists()) {
        let rule = format!("{} has a model already", output.display());
        return Err(SettingError::new("output_path", rule)
            .with_remedy("name another output_path or remove the model")
            .into());
    }
    let beside = last.parent().filter(|folder| !folder.as_os_str().is_empty());
    for folder in [output.as_path(), beside.unwrap_or(Path::new("."))] {
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        tempfile::tempfile_in(folder).map_err(TrainError::io(folder))?;
    }
    Ok(checkpoint.map_or(Beginning::New, Beginning::Continued))
}

/// Returns the fingerprint of a run: its settings and the hashes of its data files. Two runs with
/// equal fingerprints produce the same bytes.
pub(super) fn identity(config: &CrossEncoderConfig) -> Result<Value, TrainError> {
    Ok(json!({ "data": config.data_content()?, "settings": config.settings() }))
}

/// Returns the differences between two fingerprints that change the numbers of a step, one line for
/// each.
pub(super) fn differences(was: &Value, is: &Value) -> Vec<String> {
    let decisive = |run: &Value| {
        let mut settings = run["settings"].clone();
        if let Some(settings) = settings.as_object_mut() {
            settings.retain(|name, _| !FREE.contains(&&**name));
        }
        settings
    };
    let mut found = all_differences(&decisive(was), &decisive(is));
    // Checkpoints of earlier versions do not record the contents of their data.
    if !was["data"]["version"].is_null() {
        let data = |run: &Value| json!({ "data": run["data"] });
        found.extend(all_differences(&data(was), &data(is)));
    }
    found
}

/// Checks that the models in both folders are those that this run would write.
fn check_finished(config: &CrossEncoderConfig) -> Result<(), TrainError> {
    let last = &config.final_output_path;
    let path = last.join(OURS);
    let state = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let state: Value = state.unwrap_or_default();
    let mut differences = match &state["run"] {
        Value::Null => vec!["  it does not record the run that wrote it".to_owned()],
        run => differences(run, &identity(config)?),
    };
    if !config.output_path.join(MODEL).exists() {
        differences.push(format!("  there is no best model in {}", config.output_path.display()));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let rule =
        format!("{} holds the model of another run:\n{}", last.display(), differences.join("\n"));
    Err(SettingError::new("final_output_path", rule)
        .with_remedy("name another final_output_path, or remove it")
        .into())
}

/// Deletes all checkpoints of a finished run.
pub(super) fn delete_checkpoints(output: &Path) -> Result<(), TrainError> {
    for (_, checkpoint) in folder::checkpoints(output)? {
        folder::delete(&checkpoint)?;
    }
    Ok(())
}

/// Checks that the free space of the disk is enough for the best model and a checkpoint, and for a
/// second checkpoint that is written before the first is deleted. A resumed run already has the
/// first checkpoint.
pub(super) fn check_space(
    config: &CrossEncoderConfig,
    numbers: u64,
    resume: bool,
    free: Option<u64>,
) -> Result<(), TrainError> {
    let model = numbers * size_of::<f32>() as u64;
    let moments = OptimizerState::moment_names(Optimizer::AdamW).len() as u64;
    let checkpoints = if config.save_steps > 0 && !resume { 2 } else { 1 };
    let needed = model * (1 + checkpoints * (1 + moments));
    match free.filter(|free| *free < needed) {
        None => Ok(()),
        Some(free) => {
            let what = format!(
                "{} has {} left, but its models and checkpoints need {}",
                config.output_path.display(),
                size(free),
                size(needed)
            );
            Err(TrainError::Run(Problem::new(what).with_remedy("choose another output_path")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(output: &Path, more: &[(&str, Value)]) -> CrossEncoderConfig {
        let mut value = json!({
            "output_path": output, "model_path": "m", "input_file": output.join("pairs.pkl"),
        });
        for (key, setting) in more {
            value[*key] = setting.clone();
        }
        CrossEncoderConfig::from_value(&value).expect("settings")
    }

    #[test]
    fn only_what_decides_numbers_makes_another_run() {
        let data = |hash: &str| json!({"version": 1, "input_file": hash});
        let settings = json!({"seed": 1, "save_steps": 5, "output_path": "a"});
        let was = json!({"settings": settings, "data": data("3")});
        let free = json!({"settings": {"seed": 1.0, "eval_batch_size": 2}, "data": data("3")});
        assert!(differences(&was, &free).is_empty());
        let other = json!({"settings": {"seed": 2}, "data": data("4")});
        let want = ["  seed was 1, is 2", "  data.input_file was \"3\", is \"4\""];
        assert_eq!(differences(&was, &other), want);
        // Earlier versions recorded sizes and times.
        let old = json!({"settings": settings, "data": {"input_file": [["pairs.pkl", 1, 2]]}});
        assert!(differences(&old, &free).is_empty());
    }

    #[test]
    fn what_an_earlier_run_left_decides_how_a_run_begins() {
        let dir = tempfile::tempdir().expect("a folder");
        let output = dir.path().join("teacher");
        fs::create_dir(&output).expect("made");
        fs::write(output.join("pairs.pkl"), "pairs").expect("written");
        let this = config(&output, &[]);
        let begins = |config: &CrossEncoderConfig, resume| {
            prepare(config, resume).map_err(|error| error.said())
        };
        assert_eq!(begins(&this, false), Ok(Beginning::New));
        assert_eq!(begins(&this, true), Ok(Beginning::New));
        // The model of somebody else is not overwritten; that of a run that was killed before its
        // first checkpoint is.
        fs::write(output.join(MODEL), "{}").expect("written");
        for resume in [false, true] {
            assert!(begins(&this, resume).expect_err("refused").contains("has a model already"));
        }
        fs::write(output.join(LOG), "").expect("written");
        assert_eq!(begins(&this, true), Ok(Beginning::New));
        assert!(begins(&this, false).is_err());
        for name in [MODEL, LOG] {
            fs::remove_file(output.join(name)).expect("removed");
        }
        // The process was killed while the checkpoint was written again; its first version counts.
        fs::create_dir_all(output.join("checkpoint-4.aaaaaaaaaaaa.old/earlier")).expect("made");
        folder::tidy(&output).expect("tidied");
        let checkpoint = output.join("checkpoint-4");
        assert_eq!(begins(&this, true), Ok(Beginning::Continued(checkpoint.clone())));
        assert!(begins(&this, false).expect_err("refused").contains("add --resume"));

        // The run is finished; a checkpoint that a killed process left is deleted.
        let last = output.join("final");
        fs::create_dir(&last).expect("made");
        for folder in [&last, &output] {
            fs::write(folder.join("config.json"), "{}").expect("written");
        }
        assert!(begins(&this, false).expect_err("refused").contains("has a model already"));
        assert!(begins(&this, true).expect_err("refused").contains("the run that wrote it"));
        let state = json!({ "run": identity(&this).expect("an identity") });
        fs::write(last.join(OURS), state.to_string()).expect("written");
        assert!(checkpoint.is_dir());
        let free = config(&output, &[("save_steps", json!(9))]);
        assert_eq!(begins(&free, true), Ok(Beginning::Finished));
        assert!(!checkpoint.exists());
        let other = config(&output, &[("num_epochs", json!(2))]);
        assert!(begins(&other, true).expect_err("refused").contains("num_epochs was null, is 2"));
        fs::write(output.join("pairs.pkl"), "others").expect("written");
        assert!(begins(&this, true).expect_err("refused").contains("data.input_file was"));
    }

    #[test]
    fn models_and_checkpoints_must_fit() {
        let dir = tempfile::tempdir().expect("a folder");
        let (once, often) =
            (config(dir.path(), &[]), config(dir.path(), &[("save_steps", json!(5))]));
        // The model has 400 bytes, and a checkpoint has three times as many.
        for (config, resume, needed) in
            [(&once, false, 1600), (&often, false, 2800), (&often, true, 1600)]
        {
            assert!(check_space(config, 100, resume, Some(needed)).is_ok());
            assert!(check_space(config, 100, resume, Some(needed - 1)).is_err());
        }
        assert!(check_space(&once, u64::MAX / 16, false, None).is_ok());
    }
}
