//! The settings of training a cross-encoder: the fields of the Python library's
//! `cross_encoder_train.yaml`, and those that only light-splade has.

use std::path::{Component, Path, PathBuf};

use hydra_compose::settings;
use hydra_compose::settings::{
    Descriptions, Fields, Kind, Names, OldName, Problem, SettingError, Settings, Written, choice,
    count, flat, number, optional, own, required_text, text,
};
use serde_json::{Value, json};
use splade_data::contents::file_content;
use splade_io::settings::content;

use super::metrics::RerankMetric;
use super::pairs::PairSettings;
use crate::error::TrainError;

const NOT_NEGATIVE: &str = "a number, 0 or more";

/// Names that transformers and other trainers have for the settings of a cross-encoder.
pub(super) const OLD_NAMES: [OldName; 12] = [
    ("epochs", "num_epochs"),
    ("num_train_epochs", "num_epochs"),
    ("per_device_train_batch_size", "train_batch_size"),
    ("per_device_eval_batch_size", "eval_batch_size"),
    ("batch_size", "train_batch_size"),
    ("eval_steps", "evaluation_steps"),
    ("output_dir", "output_path"),
    ("model_name_or_path", "model_path"),
    ("max_length", "max_token_len"),
    ("max_seq_length", "max_token_len"),
    ("lr", "learning_rate"),
    ("loss", "loss_function"),
];

settings! {
    /// The settings for training a cross-encoder.
    pub struct CrossEncoderConfig {
        /// The pickle `(dev_samples, train_samples)` of the Python library's converter, compressed
        /// (`.gz`) or not. No code in it is run. Either this setting or the four files of a training
        /// set must be given.
        pub(super) source as "input_file": CrossEncoderSource = SourceKind;
        /// The folder of the best model, `log.jsonl`, TensorBoard's files (`runs/`) and the
        /// checkpoints.
        pub output_path: PathBuf = required_text();
        /// The folder of the last model; the default is `output_path/final`. It is replaced as a whole
        /// and may hold nothing but a model.
        pub final_output_path: PathBuf = own(final_output_path, |path| json!(path));
        /// The folder or hub name of the model from which the training starts.
        pub model_path: String = required_text();
        /// The maximum number of training samples; 0 means all.
        pub max_train_size: usize = count(0).or(0);
        /// The maximum number of queries in an evaluation; 0 means all.
        pub max_eval_size: usize = count(0).or(100);
        /// The number of epochs.
        pub num_epochs: u64 = count(1).or(1);
        /// The number of pairs in a step; with a listwise loss, the number of lists.
        pub train_batch_size: usize = count(1).or(32);
        /// The number of pairs that an evaluation scores at a time.
        pub eval_batch_size: usize = count(1).or(64);
        /// The number of steps between two evaluations; with 0, the model is evaluated only at the
        /// end of each epoch.
        pub evaluation_steps: u64 = count(0).or(1000);
        /// The number of warm-up steps: the learning rate rises linearly for so many steps and then
        /// falls linearly to the last step.
        pub warmup_steps: u64 = count(0).or(5000);
        /// The loss function. `MarginMSELoss` and `KLDivLoss` are listwise, and are
        /// additions of light-splade.
        pub(super) loss as "loss_function": CrossEncoderLoss =
            choice(&LOSSES).or(CrossEncoderLoss::Bce);
        /// The seed of all random choices.
        pub seed: u64 = count(0).or(42);
        /// The limits at which the texts of a pair are truncated.
        pub pairs: PairSettings = flat();
        /// The number of labels of the model (light-splade only). The default is 1, or 2 with
        /// `CrossEntropyLoss`.
        pub num_labels: usize = own(
            |fields, name| {
                let loss = choice(&LOSSES).or(CrossEncoderLoss::Bce);
                let entropy = fields.read("loss_function", &loss)? == CrossEncoderLoss::CrossEntropy;
                fields.read(name, &count(1).or(if entropy { 2 } else { 1 }))
            },
            |value| json!(value),
        );
        /// The targets (light-splade only): with `positives`, 1 for positives and 0 for other
        /// documents; with `scores`, the scores, which needs `MSELoss` or `L1Loss`, or
        /// `BCEWithLogitsLoss` if all scores are between 0 and 1.
        pub label_by_score as "labels": bool =
            choice(&[("positives", false), ("scores", true)]).or(false);
        /// The number of negatives that a listwise loss samples for each query and step
        /// (light-splade only).
        pub negatives_per_query: usize = count(1).or(7);
        /// The temperature of the softmax in `KLDivLoss` (light-splade only).
        pub temperature: f64 = number(1e-6.., "a number above 0").or(1.0);
        /// The highest learning rate (light-splade only); the Python library always uses 2e-5.
        pub learning_rate: f64 = number(0.0.., NOT_NEGATIVE).or(2e-5);
        /// The weight decay (light-splade only); the Python library always uses 0.01. It does not
        /// apply to biases and to the norms of BERT.
        pub weight_decay: f64 = number(0.0.., NOT_NEGATIVE).or(0.01);
        /// The norm at which gradients are clipped (light-splade only); the Python library always
        /// uses 1.
        pub max_grad_norm: f64 = number(0.0.., NOT_NEGATIVE).or(1.0);
        /// The number of steps between two checkpoints (light-splade only); 0 means no checkpoints.
        pub save_steps: u64 = count(0).or(0);
        /// The metric that selects the best model (light-splade only).
        pub(super) best_by as "metric_for_best_model": RerankMetric =
            choice(&RerankMetric::NAMES).or(RerankMetric::Mrr);
        /// The path of a compiled MeCab dictionary for Japanese models (light-splade only).
        pub mecab_dicdir: Option<PathBuf> = optional(text());
        /// All settings as they were read; checkpoints record them.
        settings: Value = AsRead;
    }
}

/// The loss functions of cross-encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrossEncoderLoss {
    /// `BCEWithLogitsLoss`, the default: the binary cross-entropy of the logit.
    Bce,
    /// `MSELoss`: the squared difference of logit and target.
    Mse,
    /// `L1Loss`: the absolute difference of logit and target.
    L1,
    /// `CrossEntropyLoss`: the cross-entropy over the labels.
    CrossEntropy,
    /// `MarginMSELoss` (light-splade only): the margins of the logits are compared with those of
    /// another teacher.
    MarginMse,
    /// `KLDivLoss` (light-splade only): the softmax over the documents of a query is compared with
    /// that of another teacher.
    KlDiv,
}

pub(super) const LOSSES: [(&str, CrossEncoderLoss); 6] = [
    ("BCEWithLogitsLoss", CrossEncoderLoss::Bce),
    ("MSELoss", CrossEncoderLoss::Mse),
    ("L1Loss", CrossEncoderLoss::L1),
    ("CrossEntropyLoss", CrossEncoderLoss::CrossEntropy),
    ("MarginMSELoss", CrossEncoderLoss::MarginMse),
    ("KLDivLoss", CrossEncoderLoss::KlDiv),
];

impl CrossEncoderLoss {
    /// Returns the name in configs.
    pub(super) fn name(self) -> &'static str {
        LOSSES.iter().find(|(_, loss)| *loss == self).map_or("", |(name, _)| name)
    }

    /// Returns whether the loss needs several documents of a query with the scores of another
    /// teacher.
    pub(super) fn is_listwise(self) -> bool {
        matches!(self, Self::MarginMse | Self::KlDiv)
    }
}

/// The data for training and evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CrossEncoderSource {
    /// `input_file`: the pickle that the Python library's converters write.
    Pickle(PathBuf),
    /// A set for training and, optionally, a set for evaluation (light-splade only).
    Sets(SetFiles, Option<SetFiles>),
}

/// The files of a set of queries with scored documents.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SetFiles {
    /// The path of the query master.
    pub(super) queries: PathBuf,
    /// The path of the document master.
    pub(super) docs: PathBuf,
    /// The path of the positive lists.
    pub(super) positives: PathBuf,
    /// The path of the scores of positives and negatives.
    pub(super) scores: PathBuf,
}

/// The settings of the files of the set for training.
const TRAIN: [&str; 4] =
    ["train_query_master", "train_doc_master", "train_positives", "hard_negative_scores"];

/// The settings of the files of the set for evaluation.
const VALIDATION: [&str; 4] = [
    "validation_query_master",
    "validation_doc_master",
    "validation_positives",
    "validation_hard_negative_scores",
];

/// The kind of the settings of the data: `input_file`, or the files of sets.
struct SourceKind;

impl Kind<CrossEncoderSource> for SourceKind {
    fn unset(&self) -> CrossEncoderSource {
        CrossEncoderSource::Pickle(PathBuf::new())
    }

    fn read(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<CrossEncoderSource, SettingError> {
        let input: Option<PathBuf> = fields.read(name, &optional(text()))?;
        let train = set(fields, TRAIN)?;
        let validation = set(fields, VALIDATION)?;
        match (input, train) {
            (Some(input), None) if validation.is_none() => Ok(CrossEncoderSource::Pickle(input)),
            (Some(_), _) => Err(fields
                .error(name, "it already holds the data")
                .with_remedy("remove the masters, positives and scores")),
            (None, Some(train)) => Ok(CrossEncoderSource::Sets(train, validation)),
            (None, None) => Err(fields
                .missing(name)
                .with_remedy(format!("set it, or all of {}", TRAIN.join(", ")))),
        }
    }

    fn write(&self, name: &'static str, value: &CrossEncoderSource, written: &mut Written) {
        let mut write = |names: [&'static str; 4], files: &SetFiles| {
            let SetFiles { queries, docs, positives, scores } = files;
            for (name, path) in names.into_iter().zip([queries, docs, positives, scores]) {
                written.set(name, json!(path));
            }
        };
        match value {
            CrossEncoderSource::Pickle(path) => written.set(name, json!(path)),
            CrossEncoderSource::Sets(train, validation) => {
                write(TRAIN, train);
                validation.iter().for_each(|files| write(VALIDATION, files));
            }
        }
    }

    fn describe(&self, name: &'static str, meaning: &str, descriptions: &mut Descriptions) {
        let mut add = |name, meaning: &str| {
            descriptions.add(name, meaning, "a string, or null", Some(Value::Null));
        };
        add(name, meaning);
        for name in TRAIN {
            add(name, "A file of the training set, as in distillation (light-splade only).");
        }
        for name in VALIDATION {
            add(name, "A file of the set for evaluations (light-splade only).");
        }
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        [name].into_iter().chain(TRAIN).chain(VALIDATION).for_each(|name| names.add(name));
    }
}

/// Reads the four files of a set. Returns `None` if none of them is given, and an error if some are
/// missing.
fn set(
    fields: &mut Fields<'_>,
    names: [&'static str; 4],
) -> Result<Option<SetFiles>, SettingError> {
    let mut paths: Vec<Option<PathBuf>> = Vec::new();
    for name in names {
        paths.push(fields.read(name, &optional(text()))?);
    }
    if paths.iter().all(Option::is_none) {
        return Ok(None);
    }
    if let Some(missing) = paths.iter().position(Option::is_none) {
        return Err(SettingError::of(fields.path(names[missing]), Problem::Missing)
            .with_remedy(format!("a set needs all of {}", names.join(", "))));
    }
    let mut paths = paths.into_iter().flatten();
    let mut next = || paths.next().unwrap_or_default();
    Ok(Some(SetFiles { queries: next(), docs: next(), positives: next(), scores: next() }))
}

/// Reads `final_output_path`.
fn final_output_path(fields: &mut Fields<'_>, name: &'static str) -> Result<PathBuf, SettingError> {
    let output: Option<PathBuf> = fields.read("output_path", &optional(text()))?;
    let path: Option<PathBuf> = fields.read(name, &optional(text()))?;
    Ok(path.unwrap_or_else(|| output.unwrap_or_default().join("final")))
}

/// The kind of a field that is not a setting: it holds the config as it was read.
struct AsRead;

impl Kind<Value> for AsRead {
    fn unset(&self) -> Value {
        Value::Null
    }

    fn read(&self, fields: &mut Fields<'_>, _: &'static str) -> Result<Value, SettingError> {
        Ok(fields.entries().map(|(name, value)| (name.to_owned(), value.clone())).collect())
    }

    fn write(&self, _: &'static str, _: &Value, _: &mut Written) {}

    fn describe(&self, _: &'static str, _: &str, _: &mut Descriptions) {}

    fn declare(&self, _: &'static str, _: &mut Names) {}
}

impl CrossEncoderConfig {
    /// Reads a composed config.
    ///
    /// # Errors
    /// Returns an error if a setting is missing, has a wrong value or is unknown.
    pub fn from_value(value: &Value) -> Result<Self, TrainError> {
        Self::names("").check(value, &[("", &OLD_NAMES)])?;
        let mut fields = Fields::new("", Some(value))?;
        fields.pass_over(&OLD_NAMES);
        let config = Self::read(&mut fields)?;
        config.check(&fields)?;
        fields.finish()?;
        Ok(config)
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), TrainError> {
        let entropy = self.loss == CrossEncoderLoss::CrossEntropy;
        if entropy != (self.num_labels > 1) || self.num_labels > 2 {
            let rule = format!(
                "{} with {} needs {}",
                self.num_labels,
                self.loss.name(),
                if entropy { "2 labels: a pair is relevant or not" } else { "1 label" }
            );
            return Err(fields.error("num_labels", rule).into());
        }
        let is_pickle = matches!(self.source, CrossEncoderSource::Pickle(_));
        if self.loss.is_listwise() && is_pickle {
            let rule = format!(
                "{} learns from another teacher's scores, which input_file does not have",
                self.loss.name()
            );
            return Err(fields
                .error("loss_function", rule)
                .with_remedy(format!("set {} instead of input_file", TRAIN.join(", ")))
                .into());
        }
        if self.label_by_score && (is_pickle || entropy || self.loss.is_listwise()) {
            let rule = "scores can be labels only with hard_negative_scores and \
                        BCEWithLogitsLoss, MSELoss or L1Loss; listwise losses use them in any case";
            return Err(fields.error("labels", rule).into());
        }
        if self.loss.is_listwise() && self.max_train_size > 0 {
            let rule = "limits pairs and has no effect on a listwise loss";
            let error = fields.error("max_train_size", rule).with_remedy("remove the setting");
            return Err(error.into());
        }
        self.check_final_output_path(fields)
    }

    /// Checks that the folder of the last model can be replaced as a whole: it must be empty or
    /// hold only a model.
    fn check_final_output_path(&self, fields: &Fields<'_>) -> Result<(), TrainError> {
        let last = &self.final_output_path;
        let wrong = |rule: String| fields.error("final_output_path", rule);
        if resolved(&self.output_path).starts_with(resolved(last)) {
            return Err(wrong(format!(
                "{} is output_path or a parent of it, and is replaced as a whole at the end",
                last.display()
            ))
            .with_remedy("name a folder of its own, such as output_path/final")
            .into());
        }
        let is_empty = match std::fs::read_dir(last) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            entries => entries.map_err(TrainError::io(last))?.next().is_none(),
        };
        if !is_empty && !last.join("config.json").exists() {
            return Err(wrong(format!(
                "{} is neither empty nor a model folder, so it cannot be replaced",
                last.display()
            ))
            .with_remedy("name another folder")
            .into());
        }
        Ok(())
    }

    /// Returns all settings as they were read.
    pub(super) fn settings(&self) -> &Value {
        &self.settings
    }

    /// Returns the hashes of the data files.
    pub(super) fn data_content(&self) -> Result<Value, TrainError> {
        let set = |files: &SetFiles| {
            Ok::<_, TrainError>(json!({
                "queries": file_content(&files.queries)?,
                "docs": file_content(&files.docs)?,
                "positives": file_content(&files.positives)?,
                "scores": file_content(&files.scores)?,
            }))
        };
        Ok(match &self.source {
            CrossEncoderSource::Pickle(path) => content([("input_file", file_content(path)?)]),
            CrossEncoderSource::Sets(train, validation) => content([
                ("train", set(train)?),
                ("validation", validation.as_ref().map(set).transpose()?.unwrap_or_default()),
            ]),
        })
    }
}

/// Returns a path in a form in which folders can be compared, even if they do not exist yet.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let there = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    let Some((part, mut resolved)) = there else { return path };
    for name in path.strip_prefix(part).unwrap_or(&path).components() {
        match name {
            Component::ParentDir => _ = resolved.pop(),
            name => resolved.push(name),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder is replaced as a whole at the end of a run, so it may hold only a model.
    #[test]
    fn nothing_but_a_model_is_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).expect("made");
            path
        };
        let (notes, model) = (make("notes"), make("model"));
        std::fs::write(notes.join("notes.txt"), "mine").expect("written");
        std::fs::write(model.join("config.json"), "{}").expect("written");
        make("empty");
        for (output, last, want) in [
            ("a/b", "a/b", "is output_path or a parent of it"),
            ("a/b", "a/b/", "is output_path or a parent of it"),
            ("a/b", "a", "is output_path or a parent of it"),
            ("a/b", "a/c/../b", "is output_path or a parent of it"),
            ("model/x", "model", "is output_path or a parent of it"),
            ("a", "notes", "neither empty nor a model"),
            ("a", "notes/notes.txt", "notes.txt"),
            ("a", "a/final", ""),
            ("a/b", "a/bc", ""),
            ("a", "model", ""),
            ("a", "empty", ""),
        ] {
            let config = json!({
                "model_path": "m", "input_file": "p.pkl.gz",
                "output_path": dir.path().join(output), "final_output_path": dir.path().join(last),
            });
            let got = CrossEncoderConfig::from_value(&config).err().map(|error| error.to_string());
            let got = got.unwrap_or_default();
            assert!(
                got.contains(want) && want.is_empty() == got.is_empty(),
                "{output}, {last}: {got}"
            );
        }
    }

    #[test]
    fn wrong_settings_are_refused() {
        let base = json!({"output_path": "o", "model_path": "m", "input_file": "p.pkl.gz"});
        for (key, value, want) in [
            ("loss_function", json!("MSE"), "`MSE` is not one of"),
            ("loss_function", json!("MarginMSELoss"), "another teacher's scores"),
            ("loss_function", Value::Null, ""),
            ("num_labels", json!(2), "needs 1 label"),
            ("labels", json!("scores"), "scores can be labels only"),
            ("train_doc_master", json!("d"), "train_query_master: this setting is required"),
            ("warmup", json!(3), "there is no such setting"),
            ("metric_for_best_model", json!("ndcg"), "is not one of mrr@10, ndcg@10, map"),
            ("output_path", json!(""), "this setting is required"),
        ] {
            let mut config = base.clone();
            config[key] = value;
            let got = CrossEncoderConfig::from_value(&config).err().map(|error| error.to_string());
            let got = got.unwrap_or_default();
            assert!(got.contains(want) && (want.is_empty() == got.is_empty()), "{key}: {got}");
        }
    }
}
