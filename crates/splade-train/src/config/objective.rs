//! The settings of the losses and regularizers: `training.training_loss`, `training.regularizers`
//! and those that belong to them.

use hydra_compose::did_you_mean;
use hydra_compose::settings;
use hydra_compose::settings::{
    Descriptions, Fields, Kind, Names, Problem, SettingError, Settings, Written, count, group,
    number, optional, optional_group, required, required_text, text,
};
use serde_json::{Map, Value, json};
use splade_data::DataConfig;

use super::scope::MASKED;

/// A loss with its weight in the sum and its temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The loss function; see [`LossKind`].
    pub kind: LossKind,
    /// The factor of the loss in the sum.
    pub weight: f64,
    /// The divisor of the scores before a softmax; used by `kldiv` and the contrastive losses.
    pub temperature: f64,
}

/// The loss functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// `in_batch_negatives`: cross-entropy over the query's own documents and all other positives.
    InBatchNegatives,
    /// `pairwise_contrastive`: cross-entropy over the query's own documents.
    PairwiseContrastive,
    /// `kldiv`: Kullback-Leibler divergence from the teacher's distribution over the documents.
    KlDiv,
    /// `margin_mse`: squared difference between the margins of the student and of the teacher.
    MarginMse,
}

/// The names of the losses in `training_loss`; the last two need teacher scores.
const LOSSES: [(&str, LossKind); 4] = [
    ("in_batch_negatives", LossKind::InBatchNegatives),
    ("pairwise_contrastive", LossKind::PairwiseContrastive),
    ("kldiv", LossKind::KlDiv),
    ("margin_mse", LossKind::MarginMse),
];

impl LossConfig {
    /// Returns a loss with the default weight and temperature.
    fn new(kind: LossKind) -> Self {
        Self { kind, weight: 1.0, temperature: 1.0 }
    }

    /// Returns the name in `training_loss`.
    fn name(&self) -> &'static str {
        let name = LOSSES.iter().find(|(_, kind)| *kind == self.kind).map(|(name, _)| *name);
        name.expect("the table of losses lacks a loss: this is a bug")
    }
}

/// The kind of the setting `training_loss`, a comma-separated list, with `loss_weights` and
/// `temperatures`.
pub(super) struct Losses;

impl Kind<Vec<LossConfig>> for Losses {
    fn unset(&self) -> Vec<LossConfig> {
        vec![LossConfig::new(LossKind::InBatchNegatives)]
    }

    fn read(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<Vec<LossConfig>, SettingError> {
        let text: Option<String> = fields.read(name, &optional(text()))?;
        let mut losses = match &text {
            None => self.unset(),
            Some(text) => named_losses(text, |rule| fields.error(name, rule))?,
        };
        let mut weights = fields.fields("loss_weights")?;
        let mut temperatures = fields.fields("temperatures")?;
        for (name, kind) in LOSSES {
            let weight = weights.read(name, &optional(number(0.0.., "a number of at least 0")))?;
            let above_zero = number(f64::MIN_POSITIVE.., "a number above 0");
            let temperature = temperatures.read(name, &optional(above_zero))?;
            let Some(loss) = losses.iter_mut().find(|loss| loss.kind == kind) else {
                let at = match (weight, temperature) {
                    (None, None) => continue,
                    (Some(_), _) => weights.path(name),
                    (None, Some(_)) => temperatures.path(name),
                };
                let text = text.as_deref().unwrap_or(LOSSES[0].0);
                let rule = format!("{name} is not in training.training_loss, which is {text}");
                return Err(SettingError::new(at, rule));
            };
            if temperature.is_some() && kind == LossKind::MarginMse {
                return Err(temperatures
                    .error(name, "margin_mse does not use a temperature")
                    .with_remedy("remove the setting"));
            }
            loss.weight = weight.unwrap_or(loss.weight);
            loss.temperature = temperature.unwrap_or(loss.temperature);
        }
        weights.finish()?;
        temperatures.finish()?;
        Ok(losses)
    }

    fn write(&self, name: &'static str, losses: &Vec<LossConfig>, written: &mut Written) {
        let names: Vec<&str> = losses.iter().map(LossConfig::name).collect();
        written.set(name, json!(names.join(",")));
        let of_each = |value: fn(&LossConfig) -> Option<f64>| -> Map<String, Value> {
            let pair = |loss: &LossConfig| {
                Some((loss.name().to_owned(), crate::json::number(value(loss)?)))
            };
            losses.iter().filter_map(pair).collect()
        };
        written.set("loss_weights", of_each(|loss| Some(loss.weight)).into());
        let temperatures =
            of_each(|loss| (loss.kind != LossKind::MarginMse).then_some(loss.temperature));
        written.set("temperatures", temperatures.into());
    }

    fn describe(&self, name: &'static str, meaning: &str, descriptions: &mut Descriptions) {
        let names = LOSSES.map(|(name, _)| name);
        let values = format!("a comma-separated list of {}", names.join(", "));
        descriptions.add(name, meaning, values, Some(json!(names[0])));
        let factor = "The factor of this loss in the sum (light-splade only).";
        descriptions.add("loss_weights.LOSS", factor, "a number of at least 0", Some(json!(1.0)));
        let divisor = "The divisor of the scores before the softmax of this loss (light-splade \
                       only); `margin_mse` has none.";
        descriptions.add("temperatures.LOSS", divisor, "a number above 0", Some(json!(1.0)));
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        names.add(name);
        for mapping in ["loss_weights", "temperatures"] {
            let losses = LOSSES.map(|(name, _)| name);
            names.add_mapping(mapping, Names::default().with_names(losses));
        }
    }
}

/// Reads the names of `training_loss`. The message about an unknown name is that of the Python
/// library.
fn named_losses(
    text: &str,
    error: impl Fn(String) -> SettingError,
) -> Result<Vec<LossConfig>, SettingError> {
    let mut losses: Vec<LossConfig> = Vec::new();
    for name in text.split(',').map(str::trim) {
        let Some((_, kind)) = LOSSES.iter().find(|(word, _)| *word == name) else {
            let names = LOSSES.map(|(word, _)| format!("'{word}'")).join(", ");
            let problem =
                format!("Unsupported training loss: {name}. Only [{names}] is supported.");
            let remedy = did_you_mean(name, LOSSES.iter().map(|(word, _)| *word));
            return Err(SettingError { remedy, ..error(problem) });
        };
        if losses.iter().any(|loss| loss.kind == *kind) {
            return Err(error(format!("{name} is listed twice")));
        }
        losses.push(LossConfig::new(*kind));
    }
    Ok(losses)
}

/// Checks that the data has the scores that the losses need.
pub(super) fn check_teacher(losses: &[LossConfig], data: &DataConfig) -> Result<(), SettingError> {
    let needs_scores =
        |loss: &&LossConfig| matches!(loss.kind, LossKind::KlDiv | LossKind::MarginMse);
    match losses.iter().find(needs_scores) {
        Some(loss) if data.hard_negative_scores.is_none() => {
            let rule = format!("{} needs teacher scores", loss.name());
            Err(SettingError::new("training.training_loss", rule)
                .with_remedy("set data.hard_negative_scores"))
        }
        _ => Ok(()),
    }
}

settings! {
    /// The regularizers of both sides (`regularizers.*`). `None` turns a regularizer off.
    pub struct Regularizers {
        /// The regularizer of the documents.
        pub doc: Option<RegularizerConfig> = optional_group();
        /// The regularizer of the queries.
        pub query: Option<RegularizerConfig> = optional_group();
    }
}

settings! {
    /// A regularizer with its schedule.
    pub struct RegularizerConfig {
        /// The kind of regularizer: `FLOPS`, the squared mean weight of each term (arXiv
        /// 2004.05665); `L1`, the mean sum of the weights of a text; `DF_FLOPS`, an addition of
        /// light-splade, in which a term costs more if many documents have it (arXiv 2505.15070). The Python
        /// library takes every other word for `FLOPS`; here it is an error.
        pub kind as "reg_type": RegularizerKind = RegularizerKindSetting;
        /// The final value of λ.
        pub lambda as "lambda_": f64 = required(number(0.0.., "a number of at least 0"));
        /// The number of steps until λ is reached; λ grows with the square of the share of these
        /// steps. With 0 it is reached at once.
        pub steps as "T": f64 = required(number(0.0.., "a number of at least 0").plain());
    }
}

/// The kinds of regularizers (`reg_type`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RegularizerKind {
    /// `FLOPS`: the squared mean weight of each term (arXiv 2004.05665).
    Flops,
    /// `L1`: the mean sum of the weights of a text.
    L1,
    /// `FLOPS` with `threshold` (light-splade only): texts with at most so many terms add nothing
    /// (arXiv 2504.14839).
    ThresholdedFlops {
        /// The number of terms of a text above which it is penalised.
        threshold: usize,
    },
    /// `DF_FLOPS` (light-splade only): a term costs more if many documents have it (arXiv
    /// 2505.15070).
    DfFlops {
        /// The document frequency, as a share, at which the activation is one half (`df_alpha`).
        alpha: f64,
        /// The steepness of the activation (`df_beta`).
        beta: f64,
        /// The number of steps between two estimates of the document frequencies (`df_interval`).
        interval: u64,
    },
}

settings! {
    /// The settings that belong to one `reg_type`.
    struct RegularizerOptions {
        /// For `FLOPS` (light-splade only): texts with at most so many terms add nothing (arXiv
        /// 2504.14839).
        threshold: Option<usize> = optional(count(1));
        /// For `DF_FLOPS` (light-splade only): the document frequency, as a share, at which the activation is one half;
        /// 0.1 if it is not given.
        df_alpha: Option<f64> =
            optional(number(f64::MIN_POSITIVE..1.0, "a number between 0 and 1"));
        /// For `DF_FLOPS` (light-splade only): the steepness of the activation; 10 if it is not given.
        df_beta: Option<f64> = optional(number(f64::MIN_POSITIVE.., "a number above 0"));
        /// For `DF_FLOPS` (light-splade only): the number of steps between two estimates of the
        /// document frequencies; 100 if it is not given.
        df_interval: Option<u64> = optional(count(1));
    }
}

/// The kind of the setting `reg_type` with `threshold` and `df_*`. The Python library takes every
/// name except L1 for FLOPS; here an unknown name is an error.
struct RegularizerKindSetting;

impl Kind<RegularizerKind> for RegularizerKindSetting {
    fn unset(&self) -> RegularizerKind {
        RegularizerKind::Flops
    }

    fn read(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<RegularizerKind, SettingError> {
        let text: String = fields.read(name, &required_text())?;
        let options = RegularizerOptions::read(fields)?;
        let RegularizerOptions { threshold, df_alpha, df_beta, df_interval } = options;
        let kind = match (text.to_ascii_uppercase().as_str(), threshold) {
            ("FLOPS", None) => RegularizerKind::Flops,
            ("FLOPS", Some(threshold)) => RegularizerKind::ThresholdedFlops { threshold },
            ("L1", _) => RegularizerKind::L1,
            ("DF_FLOPS", _) => RegularizerKind::DfFlops {
                // The default of the paper (arXiv 2505.15070).
                alpha: df_alpha.unwrap_or(0.1),
                beta: df_beta.unwrap_or(10.0),
                interval: df_interval.unwrap_or(100),
            },
            _ => {
                let words = ["FLOPS", "L1", "DF_FLOPS"];
                let remedy = did_you_mean(&text, words);
                let words = words.map(str::to_owned).to_vec();
                let error = SettingError::of(fields.path(name), Problem::Word { got: text, words });
                return Err(SettingError { remedy, ..error });
            }
        };
        if threshold.is_some() && !matches!(kind, RegularizerKind::ThresholdedFlops { .. }) {
            let rule = "this setting is valid only with reg_type: FLOPS";
            return Err(fields.error("threshold", rule));
        }
        let has_df = df_alpha.is_some() || df_beta.is_some() || df_interval.is_some();
        if has_df && !matches!(kind, RegularizerKind::DfFlops { .. }) {
            let rule = "the settings df_* are valid only with reg_type: DF_FLOPS";
            return Err(fields.error(name, rule));
        }
        Ok(kind)
    }

    fn write(&self, name: &'static str, kind: &RegularizerKind, written: &mut Written) {
        match *kind {
            RegularizerKind::Flops => written.set(name, json!("FLOPS")),
            RegularizerKind::L1 => written.set(name, json!("L1")),
            RegularizerKind::ThresholdedFlops { threshold } => {
                written.set(name, json!("FLOPS"));
                written.set("threshold", json!(threshold));
            }
            RegularizerKind::DfFlops { alpha, beta, interval } => {
                written.set(name, json!("DF_FLOPS"));
                written.set("df_alpha", json!(alpha));
                written.set("df_beta", json!(beta));
                written.set("df_interval", json!(interval));
            }
        }
    }

    fn describe(&self, name: &'static str, meaning: &str, descriptions: &mut Descriptions) {
        descriptions.add(name, meaning, "a string, one of FLOPS, L1, DF_FLOPS", None);
        RegularizerOptions::describe(descriptions);
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        names.add(name);
        RegularizerOptions::declare(names);
    }
}

/// The kind of the setting `regularizers`. Masked language modelling has one regularizer, for its
/// texts, in the setting `regularizer`.
pub(super) struct RegularizersOf;

impl Kind<Regularizers> for RegularizersOf {
    fn unset(&self) -> Regularizers {
        Regularizers::default()
    }

    fn read(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<Regularizers, SettingError> {
        match fields.scope() {
            MASKED => {
                let doc = fields.read("regularizer", &optional_group())?;
                Ok(Regularizers { doc, query: None })
            }
            _ => fields.read(name, &group()),
        }
    }

    fn write(&self, name: &'static str, value: &Regularizers, written: &mut Written) {
        match written.scope() {
            MASKED => optional_group().write("regularizer", &value.doc, written),
            _ => group().write(name, value, written),
        }
    }

    fn describe(&self, name: &'static str, _: &str, descriptions: &mut Descriptions) {
        match descriptions.scope() {
            MASKED => {
                let meaning = "The regularizer of the texts.";
                let kind = optional_group();
                Kind::<Option<RegularizerConfig>>::describe(
                    &kind,
                    "regularizer",
                    meaning,
                    descriptions,
                );
            }
            _ => Kind::<Regularizers>::describe(&group(), name, "", descriptions),
        }
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        match names.scope() {
            MASKED => {
                Kind::<Option<RegularizerConfig>>::declare(&optional_group(), "regularizer", names);
            }
            _ => Kind::<Regularizers>::declare(&group(), name, names),
        }
    }
}
