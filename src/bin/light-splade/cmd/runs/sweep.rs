//! The table at the end of a sweep: a row a job.

use anyhow::Result;
use splade_io::{columns, printable};
use splade_train::Results;

use crate::output::print_styled;
use crate::style::{self, Style};

/// What a job changed in the config, and its results; none where its run was complete before.
type Done = (Vec<String>, Option<Results>);

/// Prints the results of all jobs below each other; the best of each metric is bold.
pub(super) fn tell(jobs: &[Done]) -> Result<()> {
    print_styled(&table(jobs, style::on_stdout()))
}

fn table(jobs: &[Done], colour: bool) -> String {
    let metrics = metrics(jobs);
    let best = |name: &str| {
        let values = jobs.iter().filter_map(|(_, results)| value(results.as_ref()?, name));
        match smaller_is_better(name) {
            true => values.reduce(f64::min),
            false => values.reduce(f64::max),
        }
    };
    let short = |name: &String| name.strip_prefix("eval_").unwrap_or(name).to_owned();
    let header = ["job".to_owned()].into_iter().chain(metrics.iter().map(short));
    let header = header.chain(["overrides".to_owned()]);
    let mut rows: Vec<Vec<String>> = vec![header.collect()];
    for (number, (overrides, results)) in (1..).zip(jobs) {
        let mut row = vec![number.to_string()];
        for name in &metrics {
            let Some(value) = results.as_ref().and_then(|results| value(results, name)) else {
                row.push("-".to_owned());
                continue;
            };
            let is_best = jobs.len() > 1 && best(name) == Some(value);
            row.push(Style::Bold.paint(colour && is_best, format!("{value:.4}")));
        }
        row.push(printable(&overrides.join(" ")).into_owned());
        rows.push(row);
    }
    let mut right = vec![true; 1 + metrics.len()];
    right.push(false);
    columns(&rows, &right)
}

/// The names of the metrics that a table has: those of retrieval and the losses of the final models, and
/// of the training where nothing was evaluated.
fn metrics(jobs: &[Done]) -> Vec<String> {
    let results = || jobs.iter().filter_map(|(_, results)| results.as_ref());
    let of_eval = results().flat_map(|results| results.eval.iter().flatten());
    let mut names: Vec<String> = Vec::new();
    for (name, _) in of_eval.filter(|(name, _)| is_quality(name)) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let trained = "train_loss".to_owned();
    if names.is_empty() && results().any(|results| value(results, &trained).is_some()) {
        names.push(trained);
    }
    names
}

/// Whether a value says how good a model is, rather than how long it took.
fn is_quality(name: &str) -> bool {
    !["runtime", "per_second", "epoch", "samples", "steps"].iter().any(|part| name.contains(part))
}

fn smaller_is_better(name: &str) -> bool {
    ["loss", "flops", "perplexity"].iter().any(|part| name.to_ascii_lowercase().contains(part))
}

fn value(results: &Results, name: &str) -> Option<f64> {
    let mut all = results.eval.iter().flatten().chain(&results.train);
    all.find(|(own, _)| own == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_each_metric_is_bold() {
        let job = |seed: u32, mrr: f64, loss: f64| {
            let mut results = Results::default();
            let name = |name: &str| name.to_owned();
            results.eval = Some(vec![
                (name("eval_MRR@10"), mrr),
                (name("eval_loss"), loss),
                (name("eval_runtime"), 3.0),
            ]);
            (vec![format!("training.seed={seed}")], Some(results))
        };
        let jobs =
            [job(1, 0.5, 2.0), job(2, 0.25, 1.0), (vec!["training.seed=3".to_owned()], None)];
        assert_eq!(
            table(&jobs, false),
            "job  MRR@10    loss  overrides\n\
             \x20 1  0.5000  2.0000  training.seed=1\n\
             \x20 2  0.2500  1.0000  training.seed=2\n\
             \x20 3       -       -  training.seed=3\n"
        );
        let coloured = table(&jobs, true);
        assert!(coloured.contains("  1  \x1b[1m0.5000\x1b[0m  2.0000"), "{coloured:?}");
        assert!(coloured.contains("  2  0.2500  \x1b[1m1.0000\x1b[0m"), "{coloured:?}");
    }
}
