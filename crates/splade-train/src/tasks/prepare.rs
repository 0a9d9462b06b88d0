//! The preparations that all runs share: model folders, the checkpoint to resume from, and logs.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::{Event, Observer};
use splade_logs::{LogOptions, MlflowOptions, RunInfo, WandbOptions, default_logging_dir};
use splade_model::hub::{self, HubOptions};
use splade_model::training::{add_head, lacks_head};

use crate::config::TrainingConfig;
use crate::error::{SourceError, TrainError};
use crate::json::pretty;
use crate::run::checkpoint::checkpoint_to_resume;
use crate::run::folders::RunFolders;
use crate::run::{Length, Rules};

/// Returns the folder of a model, which is named by its folder, by its name on the hub, or in
/// another way that the caller understands.
pub type ResolveModel<'a> = dyn Fn(&str) -> Result<PathBuf, SourceError> + 'a;

/// A function that is called once, after all checks and before the first step.
pub type Ready<'a> = dyn Fn() -> Result<(), SourceError> + 'a;

/// Returns a folder unchanged, and fetches a model with any other name from the Hugging Face hub.
pub(crate) fn resolve_at_hub(name: &str) -> Result<PathBuf, SourceError> {
    if Path::new(name).is_dir() {
        return Ok(PathBuf::from(name));
    }
    Ok(hub::resolve(name, &HubOptions::from_env()?, &mut ())?)
}

/// The default of [`Ready`]; it always succeeds.
pub(crate) fn nothing() -> Result<(), SourceError> {
    Ok(())
}

/// Returns the checkpoint to resume from, if the run should resume and there is a checkpoint.
pub(crate) fn checkpoint(
    training: &TrainingConfig,
    observer: &mut dyn Observer,
) -> Result<Option<PathBuf>, TrainError> {
    let Some(from) = &training.resume_from_checkpoint else { return Ok(None) };
    let folder = checkpoint_to_resume(&training.output_dir, from)?;
    tell_checkpoint(folder.as_deref(), &training.output_dir, observer);
    Ok(folder)
}

/// Tells the observer from which checkpoint the run resumes, or that there is none.
pub(crate) fn tell_checkpoint(folder: Option<&Path>, output: &Path, observer: &mut dyn Observer) {
    let note = match folder {
        Some(folder) => format!("resuming from {}", folder.display()),
        None => {
            format!("there is no checkpoint in {}; beginning at the start", output.display())
        }
    };
    observer.event(Event::Note(&note));
}

/// Returns a model with a masked-language-modelling head, and whether the head is new. The model is
/// the given folder, or a copy with a new head in a temporary folder of the run.
pub(crate) fn with_head(
    folder: PathBuf,
    folders: &mut RunFolders,
    name: &str,
) -> Result<(PathBuf, bool), TrainError> {
    if !lacks_head(&folder)? {
        return Ok((folder, false));
    }
    let out = folders.temporary(name)?;
    add_head(&folder, &out)?;
    Ok((out, true))
}

/// Returns what is trained, for the logs. The data are the folders of `files`.
pub(crate) fn run_info(
    command: &str,
    config: Option<&str>,
    model: &str,
    files: &[&PathBuf],
) -> RunInfo {
    let mut folders: Vec<String> = Vec::new();
    for file in files {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(file);
        let folder = folder.display().to_string();
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    RunInfo {
        command: command.to_owned(),
        config: config.map(str::to_owned),
        model: model.to_owned(),
        data: folders.join(", "),
        ..RunInfo::default()
    }
}

/// Returns the rules of a run with transformers' settings.
pub(crate) fn rules(training: &TrainingConfig, settings: &Value, dashboard: Option<u16>) -> Rules {
    let set = |variable| std::env::var(variable).ok().filter(|value| !value.is_empty());
    let default_folder = || default_logging_dir(&training.output_dir);
    Rules {
        output: training.output_dir.clone(),
        keep: training.save_total_limit,
        save_optimizer: !training.save_only_model,
        begin_epoch_anew: training.ignore_data_skip,
        evaluate_first: training.eval_on_start,
        summary: Some(match training.max_steps {
            Some(_) => Length::Steps,
            None => Length::Epochs(training.num_train_epochs),
        }),
        logs: LogOptions {
            tensorboard: (training.report_to.tensorboard)
                .then(|| training.logging_dir.clone().unwrap_or_else(default_folder)),
            mlflow: training.report_to.mlflow.clone().map(|store| MlflowOptions {
                store,
                experiment: set("MLFLOW_EXPERIMENT_NAME"),
                run: training.run_name.clone(),
            }),
            wandb: training.report_to.wandb.clone().map(|folder| WandbOptions {
                folder,
                project: set("WANDB_PROJECT").unwrap_or_else(|| "light-splade".to_owned()),
                entity: set("WANDB_ENTITY"),
                run: training.run_name.clone(),
            }),
            json: training.output_dir.join("log.jsonl"),
            dashboard,
            resumed_step: None,
        },
        settings: Some(pretty(settings)),
        ..Rules::default()
    }
}
