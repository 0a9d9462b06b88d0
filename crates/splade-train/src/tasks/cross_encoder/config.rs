//! The settings of cross-encoders: the fields of the Python library's `cross_encoder_train.yaml`
//! and `cross_encoder_predict.yaml`, and those that only light-splade has.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::metrics::RerankMetric;
use crate::config::Fields;
use crate::config::names::{self, Names, OldName};
use crate::error::TrainError;
use splade_data::contents::file_content;
use splade_io::settings::content;

/// The names of the settings of training, without those of [`PairLimits`].
const TRAIN: [&str; 31] = [
    "input_file",
    "train_query_master",
    "train_doc_master",
    "train_positives",
    "hard_negative_scores",
    "validation_query_master",
    "validation_doc_master",
    "validation_positives",
    "validation_hard_negative_scores",
    "output_path",
    "final_output_path",
    "model_path",
    "max_train_size",
    "max_eval_size",
    "num_epochs",
    "train_batch_size",
    "eval_batch_size",
    "evaluation_steps",
    "warmup_steps",
    "loss_function",
    "seed",
    "num_labels",
    "labels",
    "negatives_per_query",
    "temperature",
    "learning_rate",
    "weight_decay",
    "max_grad_norm",
    "save_steps",
    "metric_for_best_model",
    "mecab_dicdir",
];
/// The names of the settings of scoring, without those of [`PairLimits`].
const PREDICT: [&str; 9] = [
    "model_path",
    "train_doc_master",
    "train_query_master",
    "validation_doc_master",
    "validation_query_master",
    "hard_negative_init_scores",
    "hard_negative_cross_encoder_scores",
    "predict_batch_size",
    "mecab_dicdir",
];
/// The names of the settings of [`PairLimits`].
const LIMITS: [&str; 3] = ["max_token_len", "char_per_token_ratio", "max_query_len"];
/// Names that transformers and other trainers have for these settings.
const OLD_NAMES: [(&str, &[OldName]); 1] = [(
    "",
    &[
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
    ],
)];

/// The limits at which the texts of a pair are truncated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairLimits {
    /// The maximum number of tokens in a pair, special tokens included.
    pub max_token_len: usize,
    /// The maximum number of characters in a pair.
    pub max_len: usize,
    /// The maximum number of characters in the query of a pair.
    pub max_query_len: usize,
}

/// The warning for queries that may be as long as a pair.
pub(super) const QUERIES_MAY_FILL_PAIRS: &str =
    "max_query_len does not limit queries: a long query may leave no room for its document";

impl PairLimits {
    fn read(fields: &mut Fields<'_>) -> Result<Self, TrainError> {
        let max_token_len = fields.count("max_token_len", 512, 1)? as usize;
        let ratio = fields.number("char_per_token_ratio", 1.8, 1e-6.., "a number above 0")?;
        let max_len = (max_token_len as f64 * ratio) as usize;
        let max_query_len = match fields.value("max_query_len") {
            // A float is a share of all characters, and an integer is a number of characters.
            Some(value) if value.is_f64() || value.as_u64().is_none() => {
                let share = value.as_f64().filter(|share| (0.0..1.0).contains(share));
                let share = share.ok_or_else(|| {
                    let message = "If float, max_query_len must be in the range 0.0 ~ 1.0!";
                    fields.error("max_query_len", message)
                })?;
                (share * max_len as f64) as usize
            }
            Some(value) => value.as_u64().unwrap_or_default() as usize,
            None => (0.33 * max_len as f64) as usize,
        };
        let max_query_len = match max_query_len {
            0 => max_len,
            length => length.min(max_len),
        };
        Ok(Self { max_token_len, max_len, max_query_len })
    }

    /// Returns the used parts of a query and a document. Characters are counted as in Python.
    pub fn cut<'a>(&self, query: &'a str, document: &'a str) -> (&'a str, &'a str) {
        let query = first_characters(query, self.max_query_len);
        let left = self.max_len - query.chars().count();
        (query, first_characters(document, left))
    }

    /// Returns whether a query may leave no room for its document.
    pub fn queries_may_fill_pairs(&self) -> bool {
        self.max_query_len == self.max_len
    }
}

fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
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

/// The data for training and evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CrossEncoderSource {
    /// `input_file`: the pickle that the Python library's converters write.
    Pickle(PathBuf),
    /// A set for training and, optionally, a set for evaluation (light-splade only).
    Sets(SetFiles, Option<SetFiles>),
}

/// The settings for training a cross-encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEncoderConfig {
    /// The data for training and evaluation.
    pub(super) source: CrossEncoderSource,
    /// The folder of the best model.
    pub output_path: PathBuf,
    /// The folder of the last model; the default is `output_path/final`.
    pub final_output_path: PathBuf,
    /// The folder or hub name of the model from which the training starts.
    pub model_path: String,
    /// The maximum number of training samples; 0 means all.
    pub max_train_size: usize,
    /// The maximum number of queries in an evaluation; 0 means all.
    pub max_eval_size: usize,
    /// The number of epochs.
    pub num_epochs: u64,
    /// The number of pairs in a step; with a listwise loss, the number of lists.
    pub train_batch_size: usize,
    /// The number of pairs that an evaluation scores at a time.
    pub eval_batch_size: usize,
    /// The number of steps between two evaluations; with 0, the model is evaluated only at the end
    /// of each epoch.
    pub evaluation_steps: u64,
    /// The number of warm-up steps.
    pub warmup_steps: u64,
    /// The loss function (`loss_function`).
    pub(super) loss: CrossEncoderLoss,
    /// The seed of all random choices.
    pub seed: u64,
    /// The limits at which the texts of a pair are truncated.
    pub limits: PairLimits,
    /// The number of labels of the model (light-splade only). The default is 1, or 2 with
    /// `CrossEntropyLoss`.
    pub num_labels: usize,
    /// Whether the targets are the scores (`labels: scores`, light-splade only). Otherwise they are
    /// 1 for positives and 0 for other documents.
    pub label_by_score: bool,
    /// The number of negatives that a listwise loss samples for each query and step (light-splade
    /// only).
    pub negatives_per_query: usize,
    /// The temperature of the softmax in `KLDivLoss` (light-splade only).
    pub temperature: f64,
    /// The highest learning rate (light-splade only); the Python library always uses 2e-5.
    pub learning_rate: f64,
    /// The weight decay (light-splade only); the Python library always uses 0.01. It does not apply
    /// to biases and to the norms of BERT.
    pub weight_decay: f64,
    /// The norm at which gradients are clipped (light-splade only); the Python library always uses
    /// 1.
    pub max_grad_norm: f64,
    /// The number of steps between two checkpoints (light-splade only); 0 means no checkpoints.
    pub save_steps: u64,
    /// The metric that selects the best model (light-splade only).
    pub(super) best_by: RerankMetric,
    /// The path of a compiled MeCab dictionary for Japanese models (light-splade only).
    pub mecab_dicdir: Option<PathBuf>,
    /// All settings as they were read; checkpoints record them.
    settings: Value,
}

impl CrossEncoderConfig {
    /// Reads a composed config.
    ///
    /// # Errors
    /// Returns an error if a setting is missing, has a wrong value or is unknown.
    pub fn from_value(value: &Value) -> Result<Self, TrainError> {
        names::check(value, &Names::of(TRAIN.into_iter().chain(LIMITS)), &OLD_NAMES)?;
        let mut fields = Fields::new("", Some(value))?;
        let loss = fields.choice("loss_function", CrossEncoderLoss::Bce, &LOSSES)?;
        let output_path = PathBuf::from(fields.required_text("output_path")?);
        let final_output_path = fields.text("final_output_path")?.map(PathBuf::from);
        let labels = if loss == CrossEncoderLoss::CrossEntropy { 2 } else { 1 };
        let config = Self {
            source: source(&mut fields)?,
            final_output_path: final_output_path.unwrap_or_else(|| output_path.join("final")),
            output_path,
            model_path: fields.required_text("model_path")?,
            max_train_size: fields.count("max_train_size", 0, 0)? as usize,
            max_eval_size: fields.count("max_eval_size", 100, 0)? as usize,
            num_epochs: fields.count("num_epochs", 1, 1)?,
            train_batch_size: fields.count("train_batch_size", 32, 1)? as usize,
            eval_batch_size: fields.count("eval_batch_size", 64, 1)? as usize,
            evaluation_steps: fields.count("evaluation_steps", 1000, 0)?,
            warmup_steps: fields.count("warmup_steps", 5000, 0)?,
            loss,
            seed: fields.count("seed", 42, 0)?,
            limits: PairLimits::read(&mut fields)?,
            num_labels: fields.count("num_labels", labels, 1)? as usize,
            label_by_score: fields.choice(
                "labels",
                false,
                &[("positives", false), ("scores", true)],
            )?,
            negatives_per_query: fields.count("negatives_per_query", 7, 1)? as usize,
            temperature: fields.number("temperature", 1.0, 1e-6.., "a number above 0")?,
            learning_rate: fields.number("learning_rate", 2e-5, 0.0.., NOT_NEGATIVE)?,
            weight_decay: fields.number("weight_decay", 0.01, 0.0.., NOT_NEGATIVE)?,
            max_grad_norm: fields.number("max_grad_norm", 1.0, 0.0.., NOT_NEGATIVE)?,
            save_steps: fields.count("save_steps", 0, 0)?,
            best_by: fields.choice(
                "metric_for_best_model",
                RerankMetric::Mrr,
                &RerankMetric::ALL.map(|metric| (metric.name(), metric)),
            )?,
            mecab_dicdir: fields.text("mecab_dicdir")?.map(PathBuf::from),
            settings: value.clone(),
        };
        config.check(&fields)?;
        fields.finish()?;
        Ok(config)
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), TrainError> {
        let entropy = self.loss == CrossEncoderLoss::CrossEntropy;
        if entropy != (self.num_labels > 1) || self.num_labels > 2 {
            let message = format!(
                "{} with {} needs {}",
                self.num_labels,
                self.loss.name(),
                if entropy { "2 labels: a pair is relevant or not" } else { "1 label" }
            );
            return Err(fields.error("num_labels", message));
        }
        let is_pickle = matches!(self.source, CrossEncoderSource::Pickle(_));
        if self.loss.is_listwise() && is_pickle {
            let message = format!(
                "{} learns from another teacher's scores, which input_file does not have\nhint: \
                 give train_query_master, train_doc_master, train_positives and \
                 hard_negative_scores",
                self.loss.name()
            );
            return Err(fields.error("loss_function", message));
        }
        if self.label_by_score && (is_pickle || entropy || self.loss.is_listwise()) {
            let message = "scores can be labels only with hard_negative_scores and \
                           BCEWithLogitsLoss, MSELoss or L1Loss; listwise losses use them in any \
                           case";
            return Err(fields.error("labels", message));
        }
        if self.loss.is_listwise() && self.max_train_size > 0 {
            let message =
                "limits pairs and has no effect on a listwise loss; hint: remove the setting";
            return Err(fields.error("max_train_size", message));
        }
        self.check_final_output_path(fields)
    }

    /// Checks that the folder of the last model can be replaced as a whole: it must be empty or
    /// hold only a model.
    fn check_final_output_path(&self, fields: &Fields<'_>) -> Result<(), TrainError> {
        let last = &self.final_output_path;
        let wrong = |message: String| Err(fields.error("final_output_path", message));
        if resolved(&self.output_path).starts_with(resolved(last)) {
            return wrong(format!(
                "{} is output_path or a parent of it, and is replaced as a whole at the \
                 end\nhint: name a folder of its own, such as output_path/final",
                last.display()
            ));
        }
        let is_empty = match std::fs::read_dir(last) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            entries => entries.map_err(TrainError::io(last))?.next().is_none(),
        };
        if !is_empty && !last.join("config.json").exists() {
            return wrong(format!(
                "{} is neither empty nor a model folder, so it cannot be replaced\nhint: name \
                 another folder",
                last.display()
            ));
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

const NOT_NEGATIVE: &str = "a number, 0 or more";

fn source(fields: &mut Fields<'_>) -> Result<CrossEncoderSource, TrainError> {
    let input = fields.text("input_file")?;
    const TRAINING: [&str; 4] =
        ["train_query_master", "train_doc_master", "train_positives", "hard_negative_scores"];
    const VALIDATION: [&str; 4] = [
        "validation_query_master",
        "validation_doc_master",
        "validation_positives",
        "validation_hard_negative_scores",
    ];
    let train = set(fields, TRAINING)?;
    let validation = set(fields, VALIDATION)?;
    match (input, train) {
        (Some(input), None) if validation.is_none() => Ok(CrossEncoderSource::Pickle(input.into())),
        (Some(_), _) => Err(fields.error(
            "input_file",
            "it already holds the data; hint: remove the masters, positives and scores",
        )),
        (None, Some(train)) => Ok(CrossEncoderSource::Sets(train, validation)),
        (None, None) => Err(fields.error(
            "input_file",
            format!("this setting is required, unless {} are set", TRAINING.join(", ")),
        )),
    }
}

/// Reads the four files of a set. Returns `None` if none of them is given, and an error if some are
/// missing.
fn set(fields: &mut Fields<'_>, names: [&'static str; 4]) -> Result<Option<SetFiles>, TrainError> {
    let mut paths = Vec::new();
    for name in names {
        paths.push(fields.text(name)?.map(PathBuf::from));
    }
    if paths.iter().all(Option::is_none) {
        return Ok(None);
    }
    let missing = paths.iter().position(Option::is_none);
    if let Some(missing) = missing {
        return Err(fields.error(
            names[missing],
            format!("is missing; a set needs all of {}", names.join(", ")),
        ));
    }
    let mut paths = paths.into_iter().flatten();
    let mut next = || paths.next().unwrap_or_default();
    Ok(Some(SetFiles { queries: next(), docs: next(), positives: next(), scores: next() }))
}

/// The settings for scoring pairs with a cross-encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictConfig {
    /// The folder or hub name of the cross-encoder.
    pub model_path: String,
    /// The document masters: that of the training set and, optionally, that of the validation set.
    pub doc_masters: Vec<PathBuf>,
    /// The query masters: that of the training set and, optionally, that of the validation set.
    pub query_masters: Vec<PathBuf>,
    /// The file of the pairs to score; its own scores are ignored.
    pub hard_negative_init_scores: PathBuf,
    /// The output file of the scores.
    pub hard_negative_cross_encoder_scores: PathBuf,
    /// The number of pairs that are scored and written at a time.
    pub predict_batch_size: usize,
    /// The limits at which the texts of a pair are truncated.
    pub limits: PairLimits,
    /// Whether scores go through a sigmoid in 32 bits and back, as in Python
    /// (`compat.inverse_sigmoid`, light-splade only). Scores that are lost to rounding become ±10⁶.
    pub inverse_sigmoid: bool,
    /// The path of a compiled MeCab dictionary for Japanese models (light-splade only).
    pub mecab_dicdir: Option<PathBuf>,
}

impl PredictConfig {
    /// Reads a composed config.
    ///
    /// # Errors
    /// Returns an error if a setting is missing, has a wrong value or is unknown.
    pub fn from_value(value: &Value) -> Result<Self, TrainError> {
        let names = Names::of(PREDICT.into_iter().chain(LIMITS));
        names::check(value, &names.with("compat", Names::of(["inverse_sigmoid"])), &OLD_NAMES)?;
        let mut fields = Fields::new("", Some(value))?;
        let limits = PairLimits::read(&mut fields)?;
        let mut compat = fields.fields("compat")?;
        let inverse_sigmoid = compat.flag("inverse_sigmoid", false)?;
        compat.finish()?;
        let mut path = |name| fields.required_text(name).map(PathBuf::from);
        let (doc, query) = (path("train_doc_master")?, path("train_query_master")?);
        let init = path("hard_negative_init_scores")?;
        let output = path("hard_negative_cross_encoder_scores")?;
        let mut more = |name| fields.text(name).map(|path| path.map(PathBuf::from));
        let (docs, queries) = (more("validation_doc_master")?, more("validation_query_master")?);
        let config = Self {
            model_path: fields.required_text("model_path")?,
            doc_masters: [doc].into_iter().chain(docs).collect(),
            query_masters: [query].into_iter().chain(queries).collect(),
            hard_negative_init_scores: init,
            hard_negative_cross_encoder_scores: output,
            predict_batch_size: fields.count("predict_batch_size", 32, 1)? as usize,
            limits,
            inverse_sigmoid,
            mecab_dicdir: fields.text("mecab_dicdir")?.map(PathBuf::from),
        };
        fields.finish()?;
        Ok(config)
    }

    /// Returns the fingerprint: the settings and files that determine the scores. A resumed run
    /// must have the same fingerprint.
    pub(super) fn fingerprint(&self) -> Result<Value, TrainError> {
        let files = |paths: &[PathBuf]| -> Result<Value, TrainError> {
            let hashes = paths.iter().map(|path| file_content(path));
            Ok(hashes.collect::<Result<Vec<_>, _>>()?.into())
        };
        let contents = content([
            ("hard_negative_init_scores", file_content(&self.hard_negative_init_scores)?),
            ("doc_masters", files(&self.doc_masters)?),
            ("query_masters", files(&self.query_masters)?),
        ]);
        Ok(json!({
            "content": contents,
            "hard_negative_init_scores": self.hard_negative_init_scores,
            "doc_masters": self.doc_masters,
            "query_masters": self.query_masters,
            "max_token_len": self.limits.max_token_len,
            "max_len": self.limits.max_len,
            "max_query_len": self.limits.max_query_len,
            "inverse_sigmoid": self.inverse_sigmoid,
            "mecab_dicdir": self.mecab_dicdir,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(values: Value) -> Result<PairLimits, String> {
        let mut fields = Fields::new("", Some(&values)).map_err(|error| error.to_string())?;
        PairLimits::read(&mut fields).map_err(|error| error.to_string())
    }

    /// The expected values are `int(max_token_len * char_per_token_ratio)` and so on, as the Python
    /// class computes them.
    #[test]
    fn lengths_are_those_of_python() {
        for (values, max_len, max_query_len) in [
            (json!({}), 921, 303),
            (json!({"max_token_len": 256}), 460, 151),
            (json!({"max_token_len": 256, "max_query_len": 100}), 460, 100),
            (json!({"max_token_len": 256, "max_query_len": 0}), 460, 460),
            (json!({"max_token_len": 256, "max_query_len": 0.0}), 460, 460),
            (json!({"max_token_len": 256, "max_query_len": 9999}), 460, 460),
            (
                json!({"max_token_len": 10, "char_per_token_ratio": 4.35, "max_query_len": 0.5}),
                43,
                21,
            ),
        ] {
            let limits = limits(values.clone()).expect("sound");
            assert_eq!(
                (limits.max_len, limits.max_query_len),
                (max_len, max_query_len),
                "{values}"
            );
        }
        for wrong in [1.0, -0.1, 1.5] {
            let error = limits(json!({"max_query_len": wrong})).expect_err("refused");
            assert_eq!(
                error,
                "max_query_len: If float, max_query_len must be in the range 0.0 ~ 1.0!"
            );
        }
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let limits = PairLimits { max_token_len: 9, max_len: 6, max_query_len: 4 };
        assert_eq!(limits.cut("夜明け前に", "橋を渡る"), ("夜明け前", "橋を"));
        assert_eq!(limits.cut("夜", "橋を渡る列車"), ("夜", "橋を渡る列"));
        assert_eq!(limits.cut("", ""), ("", ""));
        let limits = PairLimits { max_query_len: 6, ..limits };
        assert_eq!(limits.cut("abcdefgh", "x"), ("abcdef", ""));
    }

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
            ("train_doc_master", json!("d"), "train_query_master: is missing"),
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
