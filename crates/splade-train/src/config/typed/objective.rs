//! Reads and writes `training.training_loss` and `training.regularizers` with their settings.

use serde_json::{Value, json};

use super::super::schema::{
    LossConfig, LossKind, RegularizerConfig, RegularizerKind, Regularizers,
};
use super::fields::Fields;
use super::names::Names;
use super::words::word;
use crate::error::TrainError;
use crate::json::number;
use hydra_compose::did_you_mean;
use splade_data::DataConfig;

/// The names of the losses in `training_loss`; the last two need teacher scores.
const LOSSES: [(&str, LossKind); 4] = [
    ("in_batch_negatives", LossKind::InBatchNegatives),
    ("pairwise_contrastive", LossKind::PairwiseContrastive),
    ("kldiv", LossKind::KlDiv),
    ("margin_mse", LossKind::MarginMse),
];

/// Returns the names in `loss_weights` and `temperatures`.
pub(super) fn loss_names() -> Names {
    Names::of(LOSSES.map(|(name, _)| name))
}

/// Returns the names in `regularizers`.
pub(super) fn regularizers_names() -> Names {
    Names::of([]).with("doc", regularizer_names()).with("query", regularizer_names())
}

/// Returns the names in a regularizer.
pub(super) fn regularizer_names() -> Names {
    Names::of(["reg_type", "lambda_", "T", "threshold", "df_alpha", "df_beta", "df_interval"])
}

/// Returns the value of `training_loss`: the names of the losses, separated by commas.
pub(super) fn names(losses: &[LossConfig]) -> String {
    losses.iter().map(|loss| word(&LOSSES, &loss.kind)).collect::<Vec<_>>().join(",")
}

/// Returns the value of `loss_weights`: a mapping from the name of a loss to its weight.
pub(super) fn weights(losses: &[LossConfig]) -> Value {
    per_loss(losses, |loss| Some(loss.weight))
}

/// Returns the value of `temperatures`: a mapping from the name of a loss to its temperature.
pub(super) fn temperatures(losses: &[LossConfig]) -> Value {
    per_loss(losses, |loss| (loss.kind != LossKind::MarginMse).then_some(loss.temperature))
}

fn per_loss(losses: &[LossConfig], value: fn(&LossConfig) -> Option<f64>) -> Value {
    let pairs = losses
        .iter()
        .filter_map(|loss| Some((word(&LOSSES, &loss.kind).to_owned(), number(value(loss)?))));
    Value::Object(pairs.collect())
}

/// Returns the value of `regularizers`: a mapping with a regularizer for `query` and for `doc`.
pub(super) fn write_regularizers(sides: &Regularizers) -> Value {
    json!({
        "doc": sides.doc.as_ref().map(write_regularizer),
        "query": sides.query.as_ref().map(write_regularizer),
    })
}

pub(super) fn losses(f: &mut Fields<'_>, data: &DataConfig) -> Result<Vec<LossConfig>, TrainError> {
    const NAME: &str = "training_loss";
    let text = f.text(NAME)?.unwrap_or_else(|| "in_batch_negatives".to_owned());
    let mut weights = f.fields("loss_weights")?;
    let mut temperatures = f.fields("temperatures")?;
    let mut losses: Vec<LossConfig> = Vec::new();
    for name in text.split(',').map(str::trim) {
        let Some((_, kind)) = LOSSES.iter().find(|(word, _)| *word == name) else {
            let names = LOSSES.map(|(word, _)| format!("'{word}'"));
            let hint = did_you_mean(name, LOSSES.iter().map(|(word, _)| *word));
            return Err(f.error(
                NAME,
                format!(
                    "Unsupported training loss: {name}. Only [{}] is supported.{}",
                    names.join(", "),
                    hint.trim_start_matches(';')
                ),
            ));
        };
        if losses.iter().any(|loss| loss.kind == *kind) {
            return Err(f.error(NAME, format!("{name} is listed twice")));
        }
        let needs_scores = matches!(kind, LossKind::KlDiv | LossKind::MarginMse);
        if needs_scores && data.hard_negative_scores.is_none() {
            return Err(f.error(
                NAME,
                format!("{name} needs teacher scores; hint: set data.hard_negative_scores"),
            ));
        }
        losses.push(LossConfig { kind: *kind, weight: 1.0, temperature: 1.0 });
    }
    for (name, kind) in LOSSES {
        let weight = weights.optional_number(name, 0.0.., "a number of at least 0")?;
        let temperature =
            temperatures.optional_number(name, f64::MIN_POSITIVE.., "a number above 0")?;
        let Some(loss) = losses.iter_mut().find(|loss| loss.kind == kind) else {
            let at = match (weight, temperature) {
                (None, None) => continue,
                (Some(_), _) => weights.path(name),
                (None, Some(_)) => temperatures.path(name),
            };
            return Err(TrainError::Config {
                at,
                message: format!("{name} is not in training.training_loss, which is {text}"),
            });
        };
        if temperature.is_some() && kind == LossKind::MarginMse {
            return Err(temperatures
                .error(name, "margin_mse does not use a temperature; hint: remove the setting"));
        }
        loss.weight = weight.unwrap_or(1.0);
        loss.temperature = temperature.unwrap_or(1.0);
    }
    weights.finish()?;
    temperatures.finish()?;
    Ok(losses)
}

pub(super) fn regularizers(f: &mut Fields<'_>) -> Result<Regularizers, TrainError> {
    let mut sides = f.fields("regularizers")?;
    let regularizers =
        Regularizers { doc: side(&mut sides, "doc")?, query: side(&mut sides, "query")? };
    sides.finish()?;
    Ok(regularizers)
}

/// Reads `regularizer`, which penalises the texts of masked language modelling.
pub(super) fn regularizer(f: &mut Fields<'_>) -> Result<Regularizers, TrainError> {
    Ok(Regularizers { doc: side(f, "regularizer")?, query: None })
}

fn side(
    sides: &mut Fields<'_>,
    name: &'static str,
) -> Result<Option<RegularizerConfig>, TrainError> {
    if sides.value(name).is_none() {
        return Ok(None);
    }
    let mut f = sides.fields(name)?;
    for needed in ["reg_type", "lambda_", "T"] {
        if !f.has(needed) {
            return Err(f.error(needed, "a regularizer needs reg_type, lambda_ and T"));
        }
    }
    let config = RegularizerConfig {
        kind: kind(&mut f)?,
        lambda: f.number("lambda_", 0.0, 0.0.., "a number of at least 0")?,
        steps: f.number("T", 0.0, 0.0.., "a number of at least 0")?,
    };
    f.finish()?;
    Ok(Some(config))
}

/// Reads `reg_type`. The Python library takes every name except L1 for FLOPS; here an unknown name
/// is an error.
fn kind(f: &mut Fields<'_>) -> Result<RegularizerKind, TrainError> {
    let name = f.required_text("reg_type")?;
    let threshold = f.optional_count("threshold", 1)?;
    let alpha =
        f.optional_number("df_alpha", f64::MIN_POSITIVE..1.0, "a number between 0 and 1")?;
    let beta = f.optional_number("df_beta", f64::MIN_POSITIVE.., "a number above 0")?;
    let interval = f.optional_count("df_interval", 1)?;
    let has_df = alpha.is_some() || beta.is_some() || interval.is_some();
    let kind = match (name.to_ascii_uppercase().as_str(), threshold) {
        ("FLOPS", None) => RegularizerKind::Flops,
        ("FLOPS", Some(terms)) => RegularizerKind::ThresholdedFlops { threshold: terms as usize },
        ("L1", _) => RegularizerKind::L1,
        ("DF_FLOPS", _) => RegularizerKind::DfFlops {
            // The default of the paper (arXiv 2505.15070).
            alpha: alpha.unwrap_or(0.1),
            beta: beta.unwrap_or(10.0),
            interval: interval.unwrap_or(100),
        },
        _ => {
            let names = ["FLOPS", "L1", "DF_FLOPS"];
            let hint = did_you_mean(&name, names);
            return Err(
                f.error("reg_type", format!("`{name}` is not one of {}{hint}", names.join(", ")))
            );
        }
    };
    if threshold.is_some() && !matches!(kind, RegularizerKind::ThresholdedFlops { .. }) {
        return Err(f.error("threshold", "this setting is valid only with reg_type: FLOPS"));
    }
    if has_df && !matches!(kind, RegularizerKind::DfFlops { .. }) {
        return Err(f.error("reg_type", "the settings df_* are valid only with reg_type: DF_FLOPS"));
    }
    Ok(kind)
}

/// Returns the value of one regularizer with all its settings.
pub(super) fn write_regularizer(r: &RegularizerConfig) -> Value {
    let mut object = json!({"reg_type": "FLOPS", "lambda_": r.lambda, "T": number(r.steps)});
    match r.kind {
        RegularizerKind::Flops => {}
        RegularizerKind::L1 => object["reg_type"] = json!("L1"),
        RegularizerKind::ThresholdedFlops { threshold } => object["threshold"] = json!(threshold),
        RegularizerKind::DfFlops { alpha, beta, interval } => {
            object["reg_type"] = json!("DF_FLOPS");
            object["df_alpha"] = json!(alpha);
            object["df_beta"] = json!(beta);
            object["df_interval"] = json!(interval);
        }
    }
    object
}
