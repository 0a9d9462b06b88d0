//! The table at the end of a sweep: a row for each job.

use anyhow::Result;
use splade_io::{columns, printable};
use splade_train::Results;

use crate::output::print_styled;
use crate::style::{self, Style};

/// What a job changed in the config, and its results; none where its run was complete before.
type Done = (Vec<String>, Option<Results>);

/// The numbers of terms of a query and of a document.
const TERMS: [&str; 2] = ["eval_avg_query_nnz", "eval_avg_nnz"];

/// Prints the results of all jobs below each other; the best of each metric is bold.
pub(super) fn tell(jobs: &[Done]) -> Result<()> {
    print_styled(&table(jobs, style::on_stdout()))
}

fn table(jobs: &[Done], colour: bool) -> String {
    let metrics = metrics(jobs);
    let of = |(_, results): &Done, name: &str| value(results.as_ref()?, name);
    // Where all jobs are equal, none is best.
    let best = |name: &str| {
        let values: Vec<f64> = jobs.iter().filter_map(|job| of(job, name)).collect();
        let (least, most) = (
            values.iter().copied().fold(f64::INFINITY, f64::min),
            values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        );
        (least < most).then_some(if smaller_is_better(name) { least } else { most })
    };
    let terms = |job: &Done| Some(TERMS.map(|name| of(job, name))).filter(|all| all[1].is_some());
    let has_terms = jobs.iter().any(|job| terms(job).is_some());
    let short = |name: &String| name.strip_prefix("eval_").unwrap_or(name).to_owned();
    let mut header = vec!["job".to_owned()];
    header.extend(metrics.iter().map(short));
    header.extend(has_terms.then(|| "terms q/d".to_owned()));
    header.push("overrides".to_owned());
    let mut right = vec![true; header.len()];
    right.pop();
    let mut rows = vec![header];
    for (number, job) in (1..).zip(jobs) {
        let mut row = vec![number.to_string()];
        for name in &metrics {
            row.push(of(job, name).map_or("-".to_owned(), |value| {
                Style::Bold.paint(colour && best(name) == Some(value), format!("{value:.4}"))
            }));
        }
        if has_terms {
            let one =
                |count: Option<f64>| count.map_or("-".to_owned(), |count| format!("{count:.1}"));
            row.push(terms(job).map_or("-".to_owned(), |all| all.map(one).join("/")));
        }
        row.push(printable(&varied(jobs, &job.0)).into_owned());
        rows.push(row);
    }
    columns(&rows, &right)
}

/// The overrides of a job that not all jobs have; of a job alone, all.
fn varied(jobs: &[Done], overrides: &[String]) -> String {
    let is_common = |one: &&String| jobs.len() > 1 && jobs.iter().all(|(all, _)| all.contains(one));
    let own: Vec<&str> =
        overrides.iter().filter(|one| !is_common(one)).map(String::as_str).collect();
    own.join(" ")
}

/// The names of the metrics that a table has: those of retrieval, then the losses of the final models, or
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
    names.sort_by_key(|name| smaller_is_better(name));
    let trained = "train_loss".to_owned();
    if names.is_empty() && results().any(|results| value(results, &trained).is_some()) {
        names.push(trained);
    }
    names
}

/// Whether a value says how good a model is, rather than how it was made or how large its vectors are.
fn is_quality(name: &str) -> bool {
    name.contains('@') || ["eval_loss", "eval_accuracy", "eval_perplexity"].contains(&name)
}

fn smaller_is_better(name: &str) -> bool {
    ["loss", "perplexity"].iter().any(|part| name.contains(part))
}

fn value(results: &Results, name: &str) -> Option<f64> {
    let mut all = results.eval.iter().flatten().chain(&results.train);
    all.find(|(own, _)| own == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(eval: &[(&str, f64)]) -> Results {
        let mut results = Results::default();
        results.eval =
            Some(eval.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect());
        results
    }

    #[test]
    fn the_best_of_each_metric_is_bold() {
        let job = |seed: u32, mrr: f64, loss: f64, terms: f64| {
            let results = results(&[
                ("eval_loss", loss),
                ("eval_MRR@10", mrr),
                ("eval_recall@10", 0.5),
                ("eval_avg_nnz", terms),
                ("eval_avg_sparsity", 0.9),
                ("eval_avg_query_nnz", 5.2),
                ("eval_runtime", 3.0),
                ("lambda_q", 0.1),
            ]);
            (
                vec!["training.max_steps=2".to_owned(), format!("training.seed={seed}")],
                Some(results),
            )
        };
        let third = vec!["training.max_steps=2".to_owned(), "training.seed=3".to_owned()];
        let jobs = [job(1, 0.5, 2.0, 120.0), job(2, 0.25, 1.0, 90.5), (third, None)];
        assert_eq!(
            table(&jobs, false),
            "job  MRR@10  recall@10    loss  terms q/d  overrides\n\
             \x20 1  0.5000     0.5000  2.0000  5.2/120.0  training.seed=1\n\
             \x20 2  0.2500     0.5000  1.0000   5.2/90.5  training.seed=2\n\
             \x20 3       -          -       -          -  training.seed=3\n"
        );
        let coloured = table(&jobs, true);
        assert!(coloured.contains("  1  \x1b[1m0.5000\x1b[0m     0.5000  2.0000"), "{coloured:?}");
        assert!(coloured.contains("  2  0.2500     0.5000  \x1b[1m1.0000\x1b[0m"), "{coloured:?}");
    }

    #[test]
    fn a_job_without_retrieval_has_its_loss() {
        let mut only_trained = Results::default();
        only_trained.train = vec![("train_loss".to_owned(), 1.5)];
        let jobs = [(vec!["a=1".to_owned()], Some(only_trained))];
        assert_eq!(table(&jobs, false), "job  train_loss  overrides\n  1      1.5000  a=1\n");
    }
}
