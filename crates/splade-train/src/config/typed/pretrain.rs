//! Reads the settings of masked language modelling, and writes them back.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::pretrain::{
    NewArchitecture, NewModel, PretrainConfig, PretrainData, PretrainModel, Start,
};
use super::fields::Fields;
use super::names::{self, Names};
use super::training::{self, Scope, Task};
use super::transformers::OLD_NAMES;
use crate::error::TrainError;

const BELOW_ONE: &str = "a number of at least 0 and below 1";

impl PretrainConfig {
    /// Reads the values of [`Composed::value`](hydra_compose::Composed::value). The returned notes
    /// name settings that are accepted but have no effect; show each of them once.
    ///
    /// # Errors
    /// Returns an error if a setting is unknown, missing or out of its range.
    pub fn from_value(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        names::check(value, &all_names(), &OLD_NAMES)?;
        let mut notes = Vec::new();
        let mut root = Fields::new("", Some(value))?;
        let model = model(root.raw("model"))?;
        let data = data(root.raw("data"))?;
        let training = training::read(root.raw("training"), Task::Masked, &mut notes)?;
        root.finish()?;
        Ok((Self { model, data, training }, notes))
    }

    /// Returns all settings, defaults included, in the layout that [`from_value`](Self::from_value)
    /// reads.
    pub fn to_value(&self) -> Value {
        let (m, d) = (&self.model, &self.data);
        let mut model = json!({ "max_length": m.max_length, "mecab_dicdir": m.mecab_dicdir });
        match &m.start {
            Start::Model(name) => model["model_name_or_path"] = json!(name),
            Start::New(new) => {
                model["new"] = json!({
                    "model_type": new.architecture.name(),
                    "tokenizer": new.tokenizer,
                    "hidden_size": new.hidden_size,
                    "num_hidden_layers": new.num_hidden_layers,
                    "num_attention_heads": new.num_attention_heads,
                    "intermediate_size": new.intermediate_size,
                    "max_position_embeddings": new.max_position_embeddings,
                    "hidden_act": new.hidden_act,
                    "hidden_dropout_prob": new.hidden_dropout_prob,
                    "attention_probs_dropout_prob": new.attention_probs_dropout_prob,
                    "initializer_range": new.initializer_range,
                    "layer_norm_eps": new.layer_norm_eps,
                });
            }
        }
        let data = json!({
            "train_files": d.train_files,
            "text_field": d.text_field,
            "eval_share": d.eval_share,
            "mask_share": d.mask_share,
            "whole_words": d.whole_words,
            "shuffle": d.shuffle,
        });
        json!({ "model": model, "data": data, "training": training::write(&self.training, Task::Masked) })
    }
}

fn all_names() -> Names {
    let new = Names::of([
        "model_type",
        "tokenizer",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "hidden_act",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "initializer_range",
        "layer_norm_eps",
    ]);
    let model = ["model_name_or_path", "max_length", "mecab_dicdir"];
    let data = ["train_files", "text_field", "eval_share", "mask_share", "whole_words", "shuffle"];
    Names::of([])
        .with("model", Names::of(model).with("new", new))
        .with("data", Names::of(data))
        .with("training", training::names(Scope::Masked))
}

fn model(value: Option<&Value>) -> Result<PretrainModel, TrainError> {
    let mut fields = Fields::new("model", value)?;
    let name = fields.text("model_name_or_path")?;
    let is_new = fields.value("new").is_some();
    let start = match (name, is_new) {
        (Some(name), false) => Start::Model(name),
        (None, true) => Start::New(new(fields.fields("new")?)?),
        _ => {
            return Err(fields.error(
                "model_name_or_path",
                "a run starts from this model or from random weights; hint: set either \
                 model.model_name_or_path or model.new",
            ));
        }
    };
    let model = PretrainModel {
        start,
        max_length: fields.count("max_length", 256, 8)? as usize,
        mecab_dicdir: fields.text("mecab_dicdir")?.map(PathBuf::from),
    };
    fields.finish()?;
    Ok(model)
}

fn new(mut f: Fields<'_>) -> Result<NewModel, TrainError> {
    let mut size = |name, default| f.count(name, default, 1).map(|size| size as usize);
    let (hidden_size, num_hidden_layers) =
        (size("hidden_size", 256)?, size("num_hidden_layers", 6)?);
    let num_attention_heads = size("num_attention_heads", 4)?;
    let intermediate_size = size("intermediate_size", 1024)?;
    let max_position_embeddings = size("max_position_embeddings", 512)?;
    let name = f.text("model_type")?.unwrap_or_else(|| "bert".to_owned());
    let known = NewArchitecture::ALL.into_iter().find(|known| known.name() == name);
    let Some(architecture) = known else {
        let known = NewArchitecture::ALL.map(NewArchitecture::name).join(" or ");
        return Err(f.error(
            "model_type",
            format!("cannot create a new model of type {name}; hint: use {known}"),
        ));
    };
    let epsilon = match architecture {
        NewArchitecture::Bert => 1e-12,
        NewArchitecture::ModernBert => 1e-5,
    };
    let new = NewModel {
        architecture,
        tokenizer: f.required_text("tokenizer")?,
        hidden_size,
        num_hidden_layers,
        num_attention_heads,
        intermediate_size,
        max_position_embeddings,
        hidden_act: f.text("hidden_act")?.unwrap_or_else(|| "gelu".to_owned()),
        hidden_dropout_prob: f.number("hidden_dropout_prob", 0.1, 0.0..1.0, BELOW_ONE)?,
        attention_probs_dropout_prob: f.number(
            "attention_probs_dropout_prob",
            0.1,
            0.0..1.0,
            BELOW_ONE,
        )?,
        initializer_range: f.number("initializer_range", 0.02, 0.0.., "a number of at least 0")?,
        layer_norm_eps: f.number("layer_norm_eps", epsilon, 0.0.., "a number of at least 0")?,
    };
    if !hidden_size.is_multiple_of(num_attention_heads) {
        return Err(f.error(
            "num_attention_heads",
            format!("hidden_size {hidden_size} is not divisible by {num_attention_heads} heads"),
        ));
    }
    f.finish()?;
    Ok(new)
}

fn data(value: Option<&Value>) -> Result<PretrainData, TrainError> {
    let mut f = Fields::new("data", value)?;
    let files = f.texts("train_files")?.unwrap_or_default();
    if files.is_empty() {
        return Err(f.error(
            "train_files",
            "no texts are given; hint: set a file, a folder or a list of them",
        ));
    }
    let share = "a number above 0 and below 1";
    let data = PretrainData {
        train_files: files.into_iter().map(PathBuf::from).collect(),
        text_field: f.text("text_field")?,
        eval_share: f.number("eval_share", 0.01, 0.0..1.0, BELOW_ONE)?,
        mask_share: f.number("mask_share", 0.15, f64::MIN_POSITIVE..1.0, share)?,
        whole_words: f.flag("whole_words", true)?,
        shuffle: f.flag("shuffle", true)?,
    };
    f.finish()?;
    Ok(data)
}
