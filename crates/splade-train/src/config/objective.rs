//! The settings of the losses and regularizers: `training.training_loss`, `training.regularizers`
//! and those that belong to them.

use hydra_compose::did_you_mean;
use hydra_compose::settings;
use hydra_compose::settings::{
    Descriptions, Fields, Kind, Names, Problem, SettingError, Settings, Written, count, flag,
    group, number, optional, optional_group, required, required_text, text,
};
use serde_json::{Map, Value, json};
use splade_data::DataConfig;

use super::model::ModelConfig;
use super::scope::MASKED;

/// A loss with its weight in the sum, its temperature and its use of the teacher's scores.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The loss function; see [`LossKind`].
    pub kind: LossKind,
    /// The factor of the loss in the sum.
    pub weight: f64,
    /// The divisor of the student's scores before a softmax; `margin_mse` does not use it.
    pub temperature: f64,
    /// The divisor of the teacher's scores (light-splade only). `None` stands for the temperature,
    /// and for 1 in `margin_mse`.
    pub teacher_temperature: Option<f64>,
    /// Whether the teacher's scores of each query are shifted and scaled to mean 0 and standard
    /// deviation 1 before they are divided (light-splade only).
    pub standardize: bool,
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
    /// `in_batch_kldiv` (light-splade only): Kullback-Leibler divergence from the teacher's
    /// distribution over all documents of the batch, by the teacher's vectors.
    InBatchKlDiv,
}

/// The names of the losses in `training_loss`.
const LOSSES: [(&str, LossKind); 5] = [
    ("in_batch_negatives", LossKind::InBatchNegatives),
    ("pairwise_contrastive", LossKind::PairwiseContrastive),
    ("kldiv", LossKind::KlDiv),
    ("margin_mse", LossKind::MarginMse),
    ("in_batch_kldiv", LossKind::InBatchKlDiv),
];

impl LossKind {
    /// Returns whether the loss needs the scores that a teacher gave to a query's own documents.
    pub fn needs_scores(self) -> bool {
        matches!(self, Self::KlDiv | Self::MarginMse)
    }

    /// Returns whether the loss needs the vectors of a teacher (`model.teacher`).
    pub fn needs_vectors(self) -> bool {
        self == Self::InBatchKlDiv
    }
}

impl LossConfig {
    /// Returns a loss with the default settings.
    pub fn new(kind: LossKind) -> Self {
        Self { kind, weight: 1.0, temperature: 1.0, teacher_temperature: None, standardize: false }
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
        let mut teacher_temperatures = fields.fields("teacher_temperatures")?;
        let mut standardize = fields.fields("standardize_teacher")?;
        for (name, kind) in LOSSES {
            let weight = weights.read(name, &optional(number(0.0.., "a number of at least 0")))?;
            let above_zero = || optional(number(f64::MIN_POSITIVE.., "a number above 0"));
            let temperature = temperatures.read(name, &above_zero())?;
            let teacher = teacher_temperatures.read(name, &above_zero())?;
            let standard = standardize.read::<Option<bool>>(name, &optional(flag()))?;
            let Some(loss) = losses.iter_mut().find(|loss| loss.kind == kind) else {
                let given = [
                    (weight.is_some(), &weights),
                    (temperature.is_some(), &temperatures),
                    (teacher.is_some(), &teacher_temperatures),
                    (standard.is_some(), &standardize),
                ];
                let Some((_, fields)) = given.iter().find(|(is_given, _)| *is_given) else {
                    continue;
                };
                let text = text.as_deref().unwrap_or(LOSSES[0].0);
                let rule = format!("{name} is not in training.training_loss, which is {text}");
                return Err(SettingError::new(fields.path(name), rule));
            };
            if temperature.is_some() && kind == LossKind::MarginMse {
                return Err(temperatures
                    .error(name, "margin_mse does not use a temperature")
                    .with_remedy(
                        "remove the setting; training.teacher_temperatures.margin_mse divides the \
                         scores of the teacher",
                    ));
            }
            if !kind.needs_scores() && !kind.needs_vectors() {
                let given = [
                    (teacher.is_some(), &teacher_temperatures),
                    (standard.is_some(), &standardize),
                ];
                if let Some((_, fields)) = given.iter().find(|(is_given, _)| *is_given) {
                    let rule = format!("{name} has no teacher");
                    return Err(fields.error(name, rule).with_remedy("remove the setting"));
                }
            }
            loss.weight = weight.unwrap_or(loss.weight);
            loss.temperature = temperature.unwrap_or(loss.temperature);
            loss.teacher_temperature = teacher;
            loss.standardize = standard.unwrap_or(false);
        }
        for fields in [weights, temperatures, teacher_temperatures, standardize] {
            fields.finish()?;
        }
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
        // Only what is set is written, so that checkpoints of earlier versions are the same.
        let teacher_temperatures = of_each(|loss| loss.teacher_temperature);
        if !teacher_temperatures.is_empty() {
            written.set("teacher_temperatures", teacher_temperatures.into());
        }
        let standardized = losses.iter().filter(|loss| loss.standardize);
        let standardized: Map<String, Value> =
            standardized.map(|loss| (loss.name().to_owned(), json!(true))).collect();
        if !standardized.is_empty() {
            written.set("standardize_teacher", standardized.into());
        }
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
        let divisor = "The divisor of the teacher's scores (light-splade only). If it is not given, \
                       it is that of `temperatures`, and 1 for `margin_mse`.";
        descriptions.add("teacher_temperatures.LOSS", divisor, "a number above 0", None);
        let standardize = "Whether the teacher's scores for a query are first shifted and scaled to \
                           mean 0 and standard deviation 1 (light-splade only). For `kldiv` and \
                           `margin_mse`, this needs more than one negative.";
        let standardize_name = "standardize_teacher.LOSS";
        descriptions.add(standardize_name, standardize, "true or false", Some(json!(false)));
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        names.add(name);
        let mappings =
            ["loss_weights", "temperatures", "teacher_temperatures", "standardize_teacher"];
        for mapping in mappings {
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

/// Checks that there are the scores and the teacher that the losses need.
pub(super) fn check_teacher(
    losses: &[LossConfig],
    data: &DataConfig,
    model: &ModelConfig,
) -> Result<(), SettingError> {
    let loss = |needs: fn(LossKind) -> bool| losses.iter().find(|loss| needs(loss.kind));
    if let Some(loss) = loss(LossKind::needs_scores)
        && data.hard_negative_scores.is_none()
    {
        let rule = format!("{} needs teacher scores", loss.name());
        return Err(SettingError::new("training.training_loss", rule)
            .with_remedy("set data.hard_negative_scores"));
    }
    match (loss(LossKind::needs_vectors), &model.teacher) {
        (Some(loss), None) => {
            let rule = format!("{} needs a teacher that makes vectors", loss.name());
            return Err(SettingError::new("training.training_loss", rule)
                .with_remedy("set model.teacher.model_name_or_path"));
        }
        (None, Some(_)) => {
            let rule = "no loss of training.training_loss uses the vectors of a teacher";
            return Err(SettingError::new("model.teacher", rule).with_remedy(
                "add in_batch_kldiv to training.training_loss, or remove the setting",
            ));
        }
        _ => {}
    }
    let of_two = |loss: &&LossConfig| loss.standardize && loss.kind.needs_scores();
    match losses.iter().find(of_two) {
        Some(loss) if data.negatives_per_query == 1 => {
            let at = format!("training.standardize_teacher.{}", loss.name());
            let rule = "two scores are always +1 and -1 once they are standardized, so only their \
                        order would be left";
            Err(SettingError::new(at, rule)
                .with_remedy("set data.negatives_per_query to more than 1"))
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
        /// What gives λ in each step: a schedule or a number of terms (`lambda_`, `T` and
        /// `target_terms`).
        pub strength as "lambda_": Strength = StrengthKind;
    }
}

impl RegularizerConfig {
    /// Returns a regularizer whose λ grows to `lambda` in `steps` steps.
    pub fn scheduled(kind: RegularizerKind, lambda: f64, steps: f64) -> Self {
        Self { kind, strength: Strength::Schedule { lambda, steps } }
    }
}

/// What gives the λ of a regularizer in each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strength {
    /// `lambda_` and `T`: λ grows to a fixed value.
    Schedule {
        /// The final value of λ.
        lambda: f64,
        /// The number of steps until λ is reached; λ grows with the square of the share of these
        /// steps. With 0 it is reached at once.
        steps: f64,
    },
    /// `target_terms` (light-splade only): λ is steered so that texts have this number of terms.
    Budget {
        /// The mean number of terms of a text that is to be reached.
        target_terms: f64,
        /// The λ of the first step (`lambda_`). `None` derives it from the first batch.
        lambda: Option<f64>,
        /// The number of steps in which the target is approached (`T`). `None` takes half of
        /// the run.
        steps: Option<f64>,
    },
}

/// The kind of the settings `lambda_`, `T` and `target_terms`.
struct StrengthKind;

impl Kind<Strength> for StrengthKind {
    fn unset(&self) -> Strength {
        Strength::Schedule { lambda: 0.0, steps: 0.0 }
    }

    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<Strength, SettingError> {
        let not_negative = || number(0.0.., "a number of at least 0");
        let target = optional(number(1.0.., "a number of at least 1").plain());
        if let Some(target_terms) = fields.read("target_terms", &target)? {
            let above_zero = number(f64::MIN_POSITIVE.., "a number above 0");
            let lambda = fields.read(name, &optional(above_zero))?;
            let steps = fields.read("T", &optional(not_negative().plain()))?;
            return Ok(Strength::Budget { target_terms, lambda, steps });
        }
        let lambda = fields.read(name, &required(not_negative()))?;
        let steps = fields.read("T", &required(not_negative().plain()))?;
        Ok(Strength::Schedule { lambda, steps })
    }

    fn write(&self, name: &'static str, value: &Strength, written: &mut Written) {
        let steps = |steps: f64| crate::json::number(steps);
        match *value {
            Strength::Schedule { lambda, steps: length } => {
                written.set(name, json!(lambda));
                written.set("T", steps(length));
            }
            Strength::Budget { target_terms, lambda, steps: length } => {
                written.set("target_terms", crate::json::number(target_terms));
                written.set(name, json!(lambda));
                written.set("T", length.map_or(Value::Null, steps));
            }
        }
    }

    fn describe(&self, name: &'static str, _: &str, descriptions: &mut Descriptions) {
        let lambda = "The final value of λ. With `target_terms`, it is that of the first step and may \
                      be left out.";
        descriptions.add(name, lambda, "a number of at least 0", None);
        let steps = "The number of steps until λ is reached; λ grows with the square of the share of \
                     these steps. With 0 it is reached at once; the Python library would divide by \
                     zero. With `target_terms`, it is the number of steps in which the target is \
                     approached, and may be left out: then it is half of the run.";
        descriptions.add("T", steps, "a number of at least 0", None);
        let target = "The mean number of terms of a text (light-splade only). λ is steered so that \
                      texts get this number of terms.";
        descriptions.add("target_terms", target, "a number of at least 1", Some(Value::Null));
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        for name in [name, "T", "target_terms"] {
            names.add(name);
        }
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
