//! The configuration of a training run, composed as Hydra does and then read into typed structs.
//!
//! Each group of settings is a table, declared with [`hydra_compose::settings!`]: a setting's name,
//! type, default and check, and the way in which it is written, stand there and nowhere else. The
//! names of all settings are checked first, and then every value when it is read. An unknown name is
//! an error. The Python library ignores unknown keys, so a misspelt name there can train for days
//! with a default.

mod scope;
mod transformers;

mod model;

mod objective;

mod training;

mod pretrain;

use hydra_compose::settings::{Description, Fields, Names, Settings};
use serde_json::{Value, json};
use splade_data::DataConfig;

pub use model::{
    Initialization, ModelConfig, QueryEncoder, QueryTable, TableStart, TeacherConfig, TeacherHead,
};
pub use objective::{
    LossConfig, LossKind, RegularizerConfig, RegularizerKind, Regularizers, Strength,
};
pub use pretrain::{NewArchitecture, NewModel, PretrainConfig, PretrainData, PretrainModel, Start};
pub use training::{
    Compat, IntervalStrategy, Optimizer, ReportTo, ResumeFrom, SchedulerKind, TrainingConfig,
};
pub use transformers::ignored_settings;

use crate::error::TrainError;
use scope::RETRIEVAL;

/// All settings of a SPLADE training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The settings under `model.*`.
    pub model: ModelConfig,
    /// The settings under `data.*`.
    pub data: DataConfig,
    /// The settings under `training.*`.
    pub training: TrainingConfig,
}

impl Config {
    /// Reads the values of [`hydra_compose::Composed::value`]. The returned notes name settings
    /// that are accepted but have no effect; show each of them once.
    ///
    /// # Errors
    /// Returns an error if a setting is unknown, missing or out of its range.
    pub fn from_value(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        Names::default()
            .with("model", ModelConfig::names(RETRIEVAL))
            .with("data", DataConfig::names(RETRIEVAL))
            .with("training", training::names(RETRIEVAL))
            .check(value, &transformers::OLD_NAMES)?;
        let mut notes = Vec::new();
        let mut root = Fields::new("", Some(value))?;
        let model = ModelConfig::from_fields(root.fields("model")?)?;
        let mut fields = root.fields("data")?;
        let data = DataConfig::read(&mut fields)?;
        data.check_training()?;
        data.check_validation()?;
        fields.finish()?;
        let fields = root.fields("training")?.with_scope(RETRIEVAL);
        let training = TrainingConfig::from_fields(fields, &mut notes)?;
        objective::check_teacher(&training.losses, &data, &model)?;
        root.finish()?;
        Ok((Self { model, data, training }, notes))
    }

    /// Returns what the tables say of every setting, for documentation.
    pub fn descriptions() -> Vec<Description> {
        described([
            ("model", ModelConfig::descriptions(RETRIEVAL)),
            ("data", DataConfig::descriptions(RETRIEVAL)),
            ("training", TrainingConfig::descriptions(RETRIEVAL)),
        ])
    }

    /// Returns all settings, defaults included, in the layout that [`Config::from_value`] reads.
    /// Hub tokens are not among them, because the settings do not keep any.
    pub fn to_value(&self) -> Value {
        json!({
            "model": self.model.to_value(),
            "data": self.data.to_value(),
            "training": self.training.to_value_of(RETRIEVAL),
        })
    }
}

/// Joins the descriptions of groups of settings, whose names then begin with that of their group.
fn described<const N: usize>(groups: [(&str, Vec<Description>); N]) -> Vec<Description> {
    let in_group = |(group, settings): (&str, Vec<Description>)| {
        let full = |setting: Description| Description {
            name: format!("{group}.{}", setting.name),
            ..setting
        };
        settings.into_iter().map(full).collect::<Vec<_>>()
    };
    groups.into_iter().flat_map(in_group).collect()
}

/// Hides secrets before a value reaches a log: every value whose name ends in `_token` is replaced
/// by its name, as the Python library prints it (`<HUB_TOKEN>`).
pub fn redact(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                if name.ends_with("_token") {
                    *value = Value::String(format!("<{}>", name.to_uppercase()));
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(redact),
        _ => {}
    }
}
