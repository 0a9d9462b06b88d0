//! The settings of masked language modelling. The settings of the training itself are
//! [`TrainingConfig`], without those that belong to retrieval.

use std::path::PathBuf;

use hydra_compose::settings;
use hydra_compose::settings::{
    Description, Descriptions, Fields, Kind, Names, SettingError, Settings, Written, choice, count,
    flag, group, number, optional, own, required_text, text, texts,
};
use serde_json::{Value, json};

use super::scope::MASKED;
use super::training::{self, TrainingConfig};
use super::transformers::{OLD_NAMES, old_names};
use crate::error::TrainError;

const NOT_NEGATIVE: &str = "a number of at least 0";
const BELOW_ONE: &str = "a number of at least 0 and below 1";

/// All settings of a run of masked language modelling.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainConfig {
    /// The settings under `model.*`: where the run starts and how long a sequence is.
    pub model: PretrainModel,
    /// The settings under `data.*`: the texts and how their tokens are masked.
    pub data: PretrainData,
    /// The settings under `training.*`, shared with SPLADE training.
    pub training: TrainingConfig,
}

settings! {
    /// The settings under `model.*` of masked language modelling.
    pub struct PretrainModel {
        /// The model that the run starts from (`model_name_or_path` or `new`).
        pub start: Start = StartKind;
        /// The number of tokens in a sequence, special tokens included.
        pub max_length: usize = count(8).or(256);
        /// The path of a compiled MeCab dictionary; needed for Japanese models only.
        pub mecab_dicdir: Option<PathBuf> = optional(text());
    }
}

/// The origin of the initial weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// `model_name_or_path`: the folder or hub name of a model.
    Model(String),
    /// `model.new`: a new model with random weights.
    New(NewModel),
}

/// The kind of the settings `model_name_or_path` and `new`, of which one must be given.
struct StartKind;

impl Kind<Start> for StartKind {
    fn unset(&self) -> Start {
        Start::Model(String::new())
    }

    fn read(&self, fields: &mut Fields<'_>, _: &'static str) -> Result<Start, SettingError> {
        let name: Option<String> = fields.read("model_name_or_path", &optional(text()))?;
        let new = fields.value("new").is_some();
        match (name, new) {
            (Some(name), false) => Ok(Start::Model(name)),
            (None, true) => {
                let mut inner = fields.fields("new")?;
                let model = NewModel::read(&mut inner)?;
                model.check(&inner)?;
                inner.finish()?;
                Ok(Start::New(model))
            }
            _ => Err(fields
                .error(
                    "model_name_or_path",
                    "a run starts either from this model or from random weights",
                )
                .with_remedy("set either model.model_name_or_path or model.new")),
        }
    }

    fn write(&self, _: &'static str, value: &Start, written: &mut Written) {
        match value {
            Start::Model(name) => written.set("model_name_or_path", json!(name)),
            Start::New(new) => group().write("new", new, written),
        }
    }

    fn describe(&self, _: &'static str, _: &str, descriptions: &mut Descriptions) {
        let meaning = "The folder or hub name of the model from which the run starts. Either this \
                       setting or `new` must be given.";
        descriptions.add("model_name_or_path", meaning, "a string, or null", Some(Value::Null));
        descriptions.within("new", NewModel::describe);
    }

    fn declare(&self, _: &'static str, names: &mut Names) {
        names.add("model_name_or_path");
        Kind::<NewModel>::declare(&group(), "new", names);
    }
}

/// The architecture of a new model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewArchitecture {
    /// BERT: learned positions, and norms after the layers.
    Bert,
    /// ModernBERT: rotary positions, norms before the layers, and global attention in every layer.
    ModernBert,
}

/// The values of `model_type` in transformers.
const ARCHITECTURES: [(&str, NewArchitecture); 2] =
    [("bert", NewArchitecture::Bert), ("modernbert", NewArchitecture::ModernBert)];

impl NewArchitecture {
    /// All architectures from which a new model can be made.
    pub const ALL: [Self; 2] = [Self::Bert, Self::ModernBert];

    /// Returns the architecture's `model_type` in transformers.
    pub fn name(self) -> &'static str {
        let name = ARCHITECTURES.iter().find(|(_, of)| *of == self).map(|(name, _)| *name);
        name.expect("the table lacks an architecture: this is a bug")
    }

    /// Returns the default of `layer_norm_eps`.
    fn layer_norm_eps(self) -> f64 {
        match self {
            Self::Bert => 1e-12,
            Self::ModernBert => 1e-5,
        }
    }
}

settings! {
    /// The sizes of a new model (`model.new.*`). The names are those of transformers' `BertConfig`,
    /// and so are the defaults, except for the sizes.
    pub struct NewModel {
        /// The architecture.
        pub architecture as "model_type": NewArchitecture =
            choice(&ARCHITECTURES).or(NewArchitecture::Bert);
        /// The folder of the tokenizer.
        pub tokenizer: String = required_text();
        /// The width of the hidden layers.
        pub hidden_size: usize = count(1).or(256);
        /// The number of layers.
        pub num_hidden_layers: usize = count(1).or(6);
        /// The number of attention heads; it must divide `hidden_size`.
        pub num_attention_heads: usize = count(1).or(4);
        /// The width of the hidden layer of the feed-forward block.
        pub intermediate_size: usize = count(1).or(1024);
        /// The maximum length of a text in tokens.
        pub max_position_embeddings: usize = count(1).or(512);
        /// The activation function of the feed-forward block.
        pub hidden_act: String = text().or("gelu".to_owned());
        /// The dropout probability after the embeddings and the layers; in ModernBERT, after the
        /// embeddings and inside the feed-forward block.
        pub hidden_dropout_prob: f64 = number(0.0..1.0, BELOW_ONE).or(0.1);
        /// The dropout probability of the attention weights.
        pub attention_probs_dropout_prob: f64 = number(0.0..1.0, BELOW_ONE).or(0.1);
        /// The standard deviation of the normal distribution from which weights are drawn. In
        /// ModernBERT the distribution is truncated at two standard deviations, and the deviation
        /// of the output projections is divided by the square root of twice the number of layers.
        pub initializer_range: f64 = number(0.0.., NOT_NEGATIVE).or(0.02);
        /// The epsilon of every layer norm; its default depends on the architecture.
        pub layer_norm_eps: f64 = own(
            |fields, name| {
                let architecture = choice(&ARCHITECTURES).or(NewArchitecture::Bert);
                let default = fields.read("model_type", &architecture)?.layer_norm_eps();
                fields.read(name, &number(0.0.., NOT_NEGATIVE).or(default))
            },
            |value| json!(value),
        );
    }
}

settings! {
    /// The settings under `data.*` of masked language modelling.
    pub struct PretrainData {
        /// The files or folders of texts, in the formats that every command reads.
        pub train_files: Vec<PathBuf> = texts().or(Vec::new());
        /// The NDJSON field that holds the text.
        pub text_field: Option<String> = optional(text());
        /// The share of the documents that is held out for evaluations, at least 0 and below 1.
        pub eval_share: f64 = number(0.0..1.0, BELOW_ONE).or(0.01);
        /// The share of the tokens that the model has to predict, between 0 and 1.
        pub mask_share: f64 =
            number(f64::MIN_POSITIVE..1.0, "a number above 0 and below 1").or(0.15);
        /// Whether all pieces of a word are masked together.
        pub whole_words: bool = flag().or(true);
        /// Whether each epoch has its own random order.
        pub shuffle: bool = flag().or(true);
    }
}

impl PretrainConfig {
    /// Returns what the tables say of every setting, for documentation.
    pub fn descriptions() -> Vec<Description> {
        super::described([
            ("model", PretrainModel::descriptions(MASKED)),
            ("data", PretrainData::descriptions(MASKED)),
            ("training", TrainingConfig::descriptions(MASKED)),
        ])
    }

    /// Reads the values of [`Composed::value`](hydra_compose::Composed::value). The returned notes
    /// name settings that are accepted but have no effect; show each of them once.
    ///
    /// # Errors
    /// Returns an error if a setting is unknown, missing or out of its range.
    pub fn from_value(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        Names::default()
            .with("model", PretrainModel::names(MASKED))
            .with("data", PretrainData::names(MASKED))
            .with("training", training::names(MASKED))
            .check(value, &OLD_NAMES)?;
        let mut notes = Vec::new();
        let mut root = Fields::new("", Some(value))?;
        let mut fields = root.fields("model")?;
        fields.pass_over(old_names("model"));
        let model = PretrainModel::read(&mut fields)?;
        fields.finish()?;
        let data: PretrainData = root.read("data", &group())?;
        if data.train_files.is_empty() {
            return Err(no_texts().into());
        }
        let fields = root.fields("training")?.with_scope(MASKED);
        let training = TrainingConfig::from_fields(fields, &mut notes)?;
        root.finish()?;
        Ok((Self { model, data, training }, notes))
    }

    /// Returns all settings, defaults included, in the layout that [`from_value`](Self::from_value)
    /// reads.
    pub fn to_value(&self) -> Value {
        json!({
            "model": self.model.to_value(),
            "data": self.data.to_value(),
            "training": self.training.to_value_of(MASKED),
        })
    }
}

fn no_texts() -> SettingError {
    SettingError::new("data.train_files", "no texts are given")
        .with_remedy("set a file, a folder or a list of them")
}

impl NewModel {
    fn check(&self, fields: &Fields<'_>) -> Result<(), SettingError> {
        let (size, heads) = (self.hidden_size, self.num_attention_heads);
        if size.is_multiple_of(heads) {
            return Ok(());
        }
        let rule = format!("hidden_size {size} is not divisible by {heads} heads");
        Err(fields.error("num_attention_heads", rule))
    }
}
