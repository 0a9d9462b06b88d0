//! Reads a composed config into the settings of a run, and writes them back.
//!
//! The names of all settings are checked first, and then every value when it is read. An unknown
//! name is an error. The Python library
//! ignores unknown keys, so a misspelt name there can train for days with a default. Names in
//! capitals are variables for interpolations.

mod data;
pub(crate) mod fields;
mod model;
pub(crate) mod names;
mod objective;
mod pretrain;
mod training;
mod transformers;
mod words;

use serde_json::{Value, json};

pub use self::transformers::ignored_settings;

use self::fields::Fields;
use self::names::Names;
use self::training::{Scope, Task};
use super::schema::Config;
use crate::error::TrainError;

impl Config {
    /// Reads the values of [`hydra_compose::Composed::value`]. The returned notes name settings
    /// that are accepted but have no effect; show each of them once.
    pub fn from_value(value: &Value) -> Result<(Config, Vec<String>), TrainError> {
        let names = Names::of([])
            .with("model", model::names())
            .with("data", data::names())
            .with("training", training::names(Scope::Retrieval));
        names::check(value, &names, &transformers::OLD_NAMES)?;
        let mut notes = Vec::new();
        let mut root = Fields::new("", Some(value))?;
        let model = model::read(root.raw("model"))?;
        let data = data::read(root.raw("data"))?;
        let training = training::read(root.raw("training"), Task::Retrieval(&data), &mut notes)?;
        root.finish()?;
        let config = Config { model, data, training };
        Ok((config, notes))
    }

    /// Returns all settings, defaults included, in the layout that [`Config::from_value`] reads.
    /// Hub tokens are not among them, because the settings do not keep any.
    pub fn to_value(&self) -> Value {
        json!({
            "model": model::write(&self.model),
            "data": data::write(&self.data),
            "training": training::write(&self.training, Task::Retrieval(&self.data)),
        })
    }
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
