//! The losses of a cross-encoder as functions of the logits of a pair or a list.
//!
//! | loss | value for a group with logits `z` and targets `y` |
//! |---|---|
//! | `BCEWithLogitsLoss` | `max(z, 0) - z y + log(1 + exp(-abs z))` |
//! | `MSELoss` | `(z - y)²` |
//! | `L1Loss` | `abs(z - y)` |
//! | `CrossEntropyLoss` | `-log softmax(z)[y]` over the labels |
//! | `MarginMSELoss`, `KLDivLoss` | as `objective` has them, over the documents of a query |
//!
//! A loss is the mean over the groups of a step. The values are those of PyTorch's losses of the
//! same names.

use super::config::CrossEncoderLoss;
use crate::objective::losses::{kldiv, log_softmax, margin_mse};

/// Returns the loss of a group, and its derivatives with respect to the logits times `share`.
pub(super) fn group(
    loss: CrossEncoderLoss,
    logits: &[f32],
    targets: &[f32],
    temperature: f64,
    share: f64,
) -> (f64, Vec<f32>) {
    let z: Vec<f64> = logits.iter().map(|z| f64::from(*z)).collect();
    let y: Vec<f64> = targets.iter().map(|y| f64::from(*y)).collect();
    let mut by = vec![0.0; z.len()];
    let value = match loss {
        CrossEncoderLoss::Bce => {
            by[0] = share * (1.0 / (1.0 + libm::exp(-z[0])) - y[0]);
            z[0].max(0.0) - z[0] * y[0] + libm::log1p(libm::exp(-z[0].abs()))
        }
        CrossEncoderLoss::Mse => {
            by[0] = share * 2.0 * (z[0] - y[0]);
            (z[0] - y[0]) * (z[0] - y[0])
        }
        CrossEncoderLoss::L1 => {
            let difference = z[0] - y[0];
            by[0] = if difference == 0.0 { 0.0 } else { share * difference.signum() };
            difference.abs()
        }
        CrossEncoderLoss::CrossEntropy => {
            let log_p = log_softmax(&z, 1.0);
            let label = y[0] as usize;
            for (i, (by, log_p)) in by.iter_mut().zip(&log_p).enumerate() {
                *by = share * if i == label { libm::expm1(*log_p) } else { libm::exp(*log_p) };
            }
            -log_p[label]
        }
        CrossEncoderLoss::MarginMse => margin_mse(&z, &y, share, &mut by),
        CrossEncoderLoss::KlDiv => {
            let teacher = log_softmax(&y, temperature);
            kldiv(&z, &teacher, temperature, share, &mut by)
        }
    };
    (value, by.into_iter().map(|by| by as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of PyTorch 2.6 in f64 (`scripts/reference/teacher.py`). Only
    /// the last digits of exponentials differ, and gradients are rounded to 32 bits.
    #[test]
    fn values_are_those_of_pytorch() {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/teacher/losses.json"))
                .expect("JSON");
        let numbers = |value: &serde_json::Value| -> Vec<f64> {
            serde_json::from_value(value.clone()).expect("numbers")
        };
        let floats = |value| numbers(value).into_iter().map(|x| x as f32).collect::<Vec<f32>>();
        let cases = cases.as_array().expect("cases");
        assert!(cases.len() > 70);
        for case in cases {
            let (_, loss) = super::super::config::LOSSES
                .into_iter()
                .find(|(name, _)| case["loss"] == *name)
                .expect("a loss");
            let (logits, targets) = (floats(&case["logits"]), floats(&case["targets"]));
            let (value, by) = group(loss, &logits, &targets, 1.0, 1.0);
            let want = case["value"].as_f64().expect("a number");
            assert!((value - want).abs() <= 1e-12 * want.abs().max(1.0), "{case}: {value}");
            for (got, want) in by.iter().zip(numbers(&case["gradients"])) {
                let near = (f64::from(*got) - want).abs() <= 1e-7 * want.abs() + 1e-12;
                assert!(near, "{case}: {by:?}");
            }
            let (_, half) = group(loss, &logits, &targets, 1.0, 0.5);
            assert!(half.iter().zip(&by).all(|(half, by)| 2.0 * half == *by), "{case}");
        }
    }
}
