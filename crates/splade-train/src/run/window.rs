//! The numbers of the steps since the last log, and the means of them that are logged.
//!
//! As in transformers and the Python library, the loss is the mean over the steps since the last
//! log, the components of the loss are means over the batches of these steps, and the gradient norm
//! and the learning rate are those of the last step.

use serde::{Deserialize, Serialize};

use splade_logs::Series;

use super::report::StepReport;

/// Sums since the last log. A checkpoint holds them exactly, so a resumed run logs the same means.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    steps: u64,
    /// The sum of the losses of the steps.
    loss: f64,
    batches: u64,
    components: Vec<(String, f64)>,
    regularizer: f64,
    query_terms: f64,
    document_terms: f64,
    gradient_norm: f64,
    learning_rate: f64,
    /// The sum of the losses of all steps of the run.
    pub(crate) total_loss: f64,
}

impl Window {
    /// Adds the numbers of a step.
    pub(crate) fn add(&mut self, report: &StepReport) {
        self.steps += 1;
        self.loss += report.loss;
        self.total_loss += report.loss;
        self.gradient_norm = report.gradient_norm;
        self.learning_rate = report.learning_rate;
        self.query_terms += report.query_terms;
        self.document_terms += report.document_terms;
        for batch in &report.batches {
            self.batches += 1;
            self.regularizer += batch.regularizer;
            for (at, (name, value)) in batch.components.iter().enumerate() {
                match self.components.get_mut(at) {
                    Some((_, sum)) => *sum += value,
                    None => self.components.push(((*name).to_owned(), *value)),
                }
            }
        }
    }

    /// Restores a window from the sum of the losses and the number of the steps; all other sums are
    /// zero.
    pub(crate) fn of_losses((loss, steps): (f64, u64)) -> Self {
        Self { loss, steps, ..Self::default() }
    }

    /// Returns the sum of the losses since the last log, and the number of steps.
    pub(crate) fn losses(&self) -> (f64, u64) {
        (self.loss, self.steps)
    }

    /// Returns whether no step was made since the last log.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Returns the means in the order of the Python library, and empties the window. `regularizer`
    /// is the name under which the regularizers' part of the loss is logged. As in Python, the λ
    /// values are those of the next step.
    pub(crate) fn take(
        &mut self,
        regularizer: &str,
        (lambda_q, lambda_d): (f64, f64),
    ) -> Vec<(String, f64)> {
        let total_loss = self.total_loss;
        let Self { steps, batches, .. } = *self;
        let window = std::mem::replace(self, Self { total_loss, ..Self::default() });
        let (steps, batches) = (steps.max(1) as f64, batches.max(1) as f64);
        let value = |name: &str, value: f64| (name.to_owned(), value);
        let mut values = vec![
            value(Series::LOSS, window.loss / steps),
            value(Series::GRAD_NORM, window.gradient_norm),
            value(Series::LEARNING_RATE, window.learning_rate),
        ];
        let components = window.components.into_iter();
        values.extend(components.map(|(name, sum)| (name, sum / batches)));
        values.extend([
            value(regularizer, window.regularizer / batches),
            value(Series::LAMBDA_Q, lambda_q),
            value(Series::LAMBDA_D, lambda_d),
            value(Series::QUERY_TERMS, window.query_terms / steps),
            value(Series::DOC_TERMS, window.document_terms / steps),
        ]);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::report::BatchReport;

    #[test]
    fn means_over_steps_and_over_batches() {
        let batch = |loss: f64| BatchReport {
            loss,
            components: vec![("kldiv_loss", loss)],
            regularizer: 0.5,
            ..BatchReport::default()
        };
        let step = |losses: &[f64]| StepReport {
            loss: losses.iter().sum::<f64>() / losses.len() as f64,
            gradient_norm: losses[0],
            learning_rate: 0.25,
            query_terms: 2.0,
            batches: losses.iter().map(|loss| batch(*loss)).collect(),
            ..StepReport::default()
        };
        let mut window = Window::default();
        window.add(&step(&[1.0, 2.0]));
        window.add(&step(&[6.0]));
        let text = serde_json::to_string(&window).expect("JSON");
        assert_eq!(serde_json::from_str::<Window>(&text).expect("a window"), window);
        let values = window.take("flops", (0.125, 0.25));
        let want = [
            ("loss", 3.75),
            ("grad_norm", 6.0),
            ("learning_rate", 0.25),
            ("kldiv_loss", 3.0),
            ("flops", 0.5),
            ("lambda_q", 0.125),
            ("lambda_d", 0.25),
            ("query_terms", 2.0),
            ("doc_terms", 0.0),
        ];
        assert_eq!(values, want.map(|(name, value)| (name.to_owned(), value)));
        assert!(window.is_empty());
        assert_eq!(window.total_loss, 7.5);
    }
}
