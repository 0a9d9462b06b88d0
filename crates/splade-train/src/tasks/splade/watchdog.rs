//! Warnings about runs that go wrong without an error: vectors without terms, and vectors that stay
//! dense.

use std::collections::VecDeque;

use splade_io::Problem;

use crate::objective::BudgetReport;
use crate::run::{BatchReport, StepReport};

/// The number of steps before a warning about dense vectors, even if the regularizers reach their
/// full λ earlier.
const SETTLING: f64 = 100.0;

/// The number of steps over which empty vectors are counted. One small batch without terms is common
/// when the regularizers grow, and runs recover from it.
const WINDOW: usize = 20;
/// A warning is due if fewer than one vector out of so many has terms.
const FILLED: usize = 20;

/// The state of the warnings; each is given once.
#[derive(Debug, Clone)]
pub(super) struct Watchdog {
    vocab: usize,
    /// The number of steps until both regularizers have reached their full λ, at least
    /// [`SETTLING`].
    full_strength: f64,
    queries: Emptiness,
    documents: Emptiness,
    said_dense: bool,
    /// For the queries and the documents.
    said_exhausted: [bool; 2],
}

/// The vectors of one side in the last steps.
#[derive(Debug, Clone, Default)]
struct Emptiness {
    /// For each step, the number of vectors and the number of those that have terms.
    steps: VecDeque<(usize, usize)>,
    said: bool,
}

impl Emptiness {
    /// Adds a step, and returns the number of vectors in the window and of the empty ones among
    /// them if a warning is due.
    fn add<'a>(&mut self, batches: impl Iterator<Item = &'a Vec<usize>>) -> Option<(usize, usize)> {
        let count = |(vectors, filled): (usize, usize), terms: &usize| {
            (vectors + 1, filled + usize::from(*terms > 0))
        };
        let step = batches.flatten().fold((0, 0), count);
        if step.0 > 0 {
            self.steps.push_back(step);
        }
        if self.steps.len() > WINDOW {
            self.steps.pop_front();
        }
        let sum = |(vectors, filled): (usize, usize), step: &(usize, usize)| {
            (vectors + step.0, filled + step.1)
        };
        let (vectors, filled) = self.steps.iter().fold((0, 0), sum);
        let is_due = self.steps.len() == WINDOW && filled * FILLED < vectors && !self.said;
        self.said |= is_due;
        is_due.then_some((vectors, vectors - filled))
    }
}

impl Watchdog {
    pub(super) fn new(vocab: usize, full_strength: f64) -> Self {
        Self {
            vocab,
            full_strength: full_strength.max(SETTLING),
            queries: Emptiness::default(),
            documents: Emptiness::default(),
            said_dense: false,
            said_exhausted: [false; 2],
        }
    }

    /// Returns a warning if λ has come to the end of its range and the target is far.
    fn exhausted(
        &mut self,
        step: u64,
        budgets: &[(&'static str, Option<BudgetReport>)],
    ) -> Option<Problem> {
        for ((side, budget), said) in budgets.iter().zip(&mut self.said_exhausted) {
            let Some(budget) = budget.filter(|b| b.is_due && b.is_exhausted && !b.is_reached())
            else {
                continue;
            };
            if !std::mem::replace(said, true) {
                let setting = format!("training.regularizers.{side}");
                let what = format!(
                    "step {step}: {setting}.target_terms is {}, but texts have \
                     {:.1} terms and λ is at the end of its range ({:.3e})",
                    budget.target, budget.terms, budget.lambda
                );
                return Some(Problem::new(what).with_remedy(budget.remedy(&setting)));
            }
        }
        None
    }

    /// Returns a warning about a step, if there is a reason for one.
    /// `budgets` are those of both sides after the step.
    pub(super) fn look(
        &mut self,
        report: &StepReport,
        budgets: &[(&'static str, Option<BudgetReport>)],
    ) -> Option<Problem> {
        let step = report.step;
        if step == 0
            && let Some(dead) = dead_start(report)
        {
            return Some(dead);
        }
        let queries = self.queries.add(report.batches.iter().map(|batch| &batch.query_terms));
        let documents =
            self.documents.add(report.batches.iter().map(|batch| &batch.document_terms));
        for (found, side, setting) in
            [(queries, "queries", "query"), (documents, "documents", "doc")]
        {
            if let Some((vectors, empty)) = found {
                let problem = Problem::new(format!(
                    "collapse: step {step}: {empty} of {vectors} {side} in the last {WINDOW} steps \
                     have empty vectors, and empty vectors get no gradient"
                ));
                return Some(problem.with_remedy(format!(
                    "if this continues, start a new run with a smaller \
                     training.regularizers.{setting}.lambda_ or a larger T, or with a smaller \
                     training.learning_rate"
                )));
            }
        }
        if let Some(problem) = self.exhausted(step, budgets) {
            return Some(problem);
        }
        if self.said_dense || (step as f64) < self.full_strength {
            return None;
        }
        let counts = report.batches.iter().flat_map(|batch| &batch.document_terms);
        let mut counts: Vec<usize> = counts.copied().collect();
        counts.sort_unstable();
        let median = *counts.get(counts.len() / 2)?;
        self.said_dense = median > self.vocab / 4;
        self.said_dense.then(|| {
            Problem::new(format!(
                "step {step}: the median document has {median} of {} terms although the \
                 regularizers have their full strength",
                self.vocab
            ))
            .with_remedy(
                "raise training.regularizers.*.lambda_; for a model that is not yet a SPLADE \
                 model, set model.init.target_terms",
            )
        })
    }
}

/// Returns a problem if the first step has queries or documents, and none of them has a term.
fn dead_start(report: &StepReport) -> Option<Problem> {
    let has_none = |counts: fn(&BatchReport) -> &Vec<usize>| {
        let mut counts = report.batches.iter().flat_map(counts).peekable();
        counts.peek().is_some() && counts.all(|terms| *terms == 0)
    };
    let side = match (has_none(|b| &b.query_terms), has_none(|b| &b.document_terms)) {
        (false, false) => return None,
        (true, false) => "query",
        (false, true) => "document",
        (true, true) => "text",
    };
    let what = format!(
        "dead start: no {side} of the first step has a term, so nothing is learned from them"
    );
    Some(Problem::new(what).with_remedy(
        "start from a model that makes terms, or set model.init.target_terms, which shifts the bias \
         of the decoder until documents have terms",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: u64, query_terms: &[usize], document_terms: &[usize]) -> StepReport {
        let batch = BatchReport {
            query_terms: query_terms.to_vec(),
            document_terms: document_terms.to_vec(),
            ..BatchReport::default()
        };
        StepReport { step, batches: vec![batch], ..StepReport::default() }
    }

    #[test]
    fn says_each_thing_once() {
        let mut watchdog = Watchdog::new(100, 200.0);
        assert_eq!(watchdog.look(&report(0, &[0, 1], &[90, 90]), &[]), None);
        assert_eq!(watchdog.look(&report(200, &[1, 1], &[90, 3, 25]), &[]), None);
        let dense = watchdog.look(&report(200, &[1, 1], &[3, 26, 90]), &[]).expect("dense");
        assert!(dense.to_string().contains("26 of 100 terms"), "{dense}");
        assert!(dense.hint().is_some_and(|hint| hint.contains("lambda_")), "{dense:?}");
        assert_eq!(watchdog.look(&report(201, &[1, 1], &[90, 90]), &[]), None);
    }

    #[test]
    fn a_dead_start_is_told_of_the_first_step_alone() {
        for (queries, documents, want) in [
            (&[0, 0], &[0, 0], Some("dead start: no text of the first step has a term")),
            (&[0, 0], &[1, 0], Some("dead start: no query of")),
            (&[1, 0], &[0, 0], Some("dead start: no document of")),
            (&[1, 0], &[1, 0], None),
        ] {
            let said = Watchdog::new(100, 200.0).look(&report(0, queries, documents), &[]);
            let said = said.map(|said| said.to_string());
            assert_eq!(said.is_some(), want.is_some(), "{said:?}");
            assert!(said.unwrap_or_default().starts_with(want.unwrap_or_default()));
            let later = Watchdog::new(100, 200.0).look(&report(1, queries, documents), &[]);
            assert_eq!(later, None);
        }
    }

    #[test]
    fn a_target_out_of_reach_is_told_once() {
        let budget = |terms, is_due, is_exhausted| {
            let lambda = 1e-9;
            Some(BudgetReport { target: 100.0, terms, lambda, is_due, is_exhausted })
        };
        let mut watchdog = Watchdog::new(1000, 200.0);
        let report = report(50, &[1, 1], &[60, 60]);
        for (terms, is_due, is_exhausted) in
            [(60.0, false, true), (60.0, true, false), (96.0, true, true)]
        {
            let budgets = [("query", None), ("doc", budget(terms, is_due, is_exhausted))];
            assert_eq!(watchdog.look(&report, &budgets), None);
        }
        let budgets = [("query", budget(60.0, true, true)), ("doc", budget(300.0, true, true))];
        let said: Vec<Problem> = (0..9).filter_map(|_| watchdog.look(&report, &budgets)).collect();
        let [few, many] = &said[..] else { panic!("{said:?}") };
        assert!(
            few.to_string().contains("query.target_terms is 100, but texts have 60.0"),
            "{few}"
        );
        assert!(few.hint().is_some_and(|hint| hint.contains("do not get more terms")), "{few:?}");
        assert!(many.hint().is_some_and(|hint| hint.contains("removes terms")), "{many:?}");
    }

    #[test]
    fn one_empty_batch_is_no_alarm() {
        let mut watchdog = Watchdog::new(100, 200.0);
        // Batches that are empty in a row, between batches that are not.
        for step in 0..100_u64 {
            let is_filled = step.is_multiple_of(WINDOW as u64);
            let terms = if is_filled { [1; 8] } else { [0; 8] };
            assert_eq!(watchdog.look(&report(step, &terms, &[1]), &[]), None, "step {step}");
        }
        // Steps without queries say nothing.
        assert_eq!(watchdog.look(&report(100, &[], &[1]), &[]), None);
    }

    #[test]
    fn a_side_that_is_nearly_always_empty_is_told_once() {
        for (queries, documents, want) in [
            (
                [0; 4],
                [1; 3],
                "collapse: step 20: 80 of 80 queries in the last 20 steps have empty vectors",
            ),
            (
                [1; 4],
                [0; 3],
                "collapse: step 20: 60 of 60 documents in the last 20 steps have empty vectors",
            ),
        ] {
            let mut watchdog = Watchdog::new(100, 200.0);
            assert_eq!(watchdog.look(&report(0, &[1; 4], &[1; 3]), &[]), None);
            let said: Vec<String> = (1..100)
                .filter_map(|step| watchdog.look(&report(step, &queries, &documents), &[]))
                .map(|warning| warning.to_string())
                .collect();
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with(want), "{said:?}");
        }
        // A single term now and then does not mean that a run recovers.
        let mut watchdog = Watchdog::new(100, 200.0);
        let rare = |step: u64| [usize::from(step.is_multiple_of(10)), 0, 0, 0, 0, 0, 0, 0];
        let said = (0..40).find_map(|step| watchdog.look(&report(step, &rare(step), &[1]), &[]));
        assert!(said.is_some_and(|said| said.to_string().contains("158 of 160 queries")));
    }
}
