//! Runs whose λ is steered by a budget of terms.

use std::fs;

use splade_io::{Event, Observer};

use super::*;
use crate::config::{QueryTable, ResumeFrom, Strength};
use crate::run::Outcome;
use crate::run::checkpoint::checkpoint_to_resume;

/// An observer that keeps what a run says, and stops it after some steps.
#[derive(Default)]
struct Listener {
    stop_after: Option<u64>,
    step: u64,
    notes: Vec<String>,
    warnings: Vec<String>,
    hints: Vec<String>,
}

impl Observer for Listener {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Step(progress) => self.step = progress.step,
            Event::Note(text) => self.notes.push(text.to_owned()),
            Event::Warning(text) => self.warnings.push(text.to_owned()),
            Event::Hint(text) => self.hints.push(text.to_owned()),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        self.stop_after.is_some_and(|stop| self.step >= stop)
    }
}

fn budget(kind: RegularizerKind, target_terms: f64) -> Option<RegularizerConfig> {
    let strength = Strength::Budget { target_terms, lambda: None, steps: None };
    Some(RegularizerConfig { kind, strength })
}

/// Returns a run with budgets of terms for queries and documents.
fn steered(output: &Path, query: f64, doc: f64) -> Config {
    let mut config = config(output);
    config.data.eval_loss_size = 0;
    config.training.regularizers = Regularizers {
        query: budget(RegularizerKind::Flops, query),
        doc: budget(RegularizerKind::Flops, doc),
    };
    config.training.max_steps = Some(300);
    config.training.logging_steps = 10.0;
    config.training.save_strategy = IntervalStrategy::No;
    config
}

fn run(config: &Config, queries: Queries, listener: &mut Listener) -> Outcome {
    options(config.clone(), queries).run().expect("a run").run(listener).expect("it ends")
}

/// Returns the last λ and numbers of terms of a run's log.
fn last(output: &Path) -> Value {
    let log = fs::read_to_string(output.join("log.jsonl")).expect("a log");
    let records = log.lines().rev().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut records = records.filter(|record| record["kind"] == "train");
    records.next().expect("a record")
}

/// Returns the mean numbers of terms that the final model gives to the queries and documents of all
/// training samples.
fn counted(config: &Config, queries: Queries) -> (f64, f64) {
    let data = TrainingData::open(&config.data, 42).expect("data");
    let mut towers = towers(queries);
    towers.load(&config.training.output_dir.join("model")).expect("loaded");
    let samples: Vec<_> = (0..data.len()).map(|position| data.sample(0, position)).collect();
    let batch = tokenization().batch(&data, &samples, None).expect("a batch");
    let vectors = towers.encode(&batch);
    let mean = |sides: &[&[crate::engine::Terms]]| {
        let counts = sides.iter().flat_map(|side| side.iter().map(|text| text.terms.len()));
        let count = sides.iter().map(|side| side.len()).sum::<usize>();
        counts.sum::<usize>() as f64 / count as f64
    };
    (mean(&[&vectors.queries]), mean(&[&vectors.positives, &vectors.negatives]))
}

/// Whatever the batch, the loss and the target are, the number of terms ends within 5 % of the target, as far as 300
/// steps of the learning rate move the model far enough: at .003 it ends within 20 %.
#[test]
fn the_number_of_terms_settles_at_the_target() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut failed = Vec::new();
    for (case, (batch, rate, query, doc, weight, tolerance)) in [
        (64, 0.01, 30.0, 12.0, 1.0, 0.05),
        (16, 0.01, 25.0, 25.0, 100.0, 0.05),
        (16, 0.003, 40.0, 40.0, 1.0, 0.2),
    ]
    .into_iter()
    .enumerate()
    {
        let output = dir.path().join(case.to_string());
        let mut config = steered(&output, query, doc);
        config.training.per_device_train_batch_size = batch;
        config.training.learning_rate = rate;
        config.training.losses[0].weight = weight;
        let mut listener = Listener::default();
        run(&config, Queries::Shared, &mut listener);
        let (of_queries, of_documents) = counted(&config, Queries::Shared);
        for (got, want) in [(of_queries, query), (of_documents, doc)] {
            if (got / want - 1.0f64).abs() > tolerance {
                failed.push(format!(
                    "case {case}: {got} terms, not {want}; {} {:?}",
                    last(&output),
                    listener.warnings
                ));
            }
        }
        let told = listener.notes.iter().filter(|note| note.contains("target_terms is")).count();
        let warned = listener.warnings.iter().filter(|text| text.contains("not reached")).count();
        assert_eq!(told + warned, 2, "{:?}", listener.notes);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// One encoder cannot give 12 terms to queries and 50 to documents that are texts of the same kind. The run says so.
#[test]
fn targets_that_exclude_each_other_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = steered(dir.path(), 12.0, 50.0);
    config.training.per_device_train_batch_size = 4;
    config.training.learning_rate = 0.01;
    let mut listener = Listener::default();
    run(&config, Queries::Shared, &mut listener);
    assert!(
        listener.warnings.iter().any(|text| text.contains("not reached")),
        "{:?}",
        listener.warnings
    );
}

/// The state of the controllers is in the checkpoint, so a run that is stopped ends as one that is
/// not, with the same logs.
#[test]
fn a_stopped_run_with_a_budget_ends_as_one_that_was_not() {
    let dir = tempfile::tempdir().expect("a folder");
    for kind in
        [RegularizerKind::Flops, RegularizerKind::DfFlops { alpha: 0.1, beta: 10.0, interval: 4 }]
    {
        let make = |name: &str| {
            let output = dir.path().join(format!("{name}-{kind:?}"));
            let mut config = steered(&output, 20.0, 30.0);
            config.training.regularizers.doc = budget(kind, 30.0);
            config.training.max_steps = Some(30);
            config.training.logging_steps = 1.0;
            config
        };
        let straight = make("straight");
        run(&straight, Queries::Shared, &mut Listener::default());
        let mut broken = make("broken");
        broken.training.resume_from_checkpoint = Some(ResumeFrom::Last);
        let output = broken.training.output_dir.clone();
        // A probe is due in every eighth step; the stops are before, at and after one.
        for stop in [7, 8, 9, 21, 100] {
            let resume = checkpoint_to_resume(&output, &ResumeFrom::Last).expect("readable");
            let parts = Parts { resume, ..options(broken.clone(), Queries::Shared) };
            let mut listener = Listener { stop_after: Some(stop), ..Listener::default() };
            parts.run().expect("a run").run(&mut listener).expect("it ends");
        }
        let records = |config: &Config| -> Vec<Value> {
            let log = fs::read_to_string(config.training.output_dir.join("log.jsonl"));
            let log = log.expect("a log");
            let records = log.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            let record = |mut record: Value| {
                record.as_object_mut().expect("an object").remove("time");
                record
            };
            let records = records.map(record).filter(|record: &Value| record["kind"] == "train");
            records.collect()
        };
        let (a, b) = (records(&straight), records(&broken));
        assert_eq!(a.len(), 30);
        assert!(a[3]["doc_terms_steered"].as_f64() > Some(0.0), "{}", a[3]);
        assert_ne!(a[10]["lambda_d"], a[20]["lambda_d"]);
        assert_eq!(a, b, "{kind:?}");
        let model = |config: &Config| {
            fs::read(config.training.output_dir.join("model/model.safetensors")).expect("a model")
        };
        assert!(model(&straight) == model(&broken), "{kind:?}: the models differ");
    }
}

/// Targets that no λ can reach are refused before the run, or named when λ is at its end.
#[test]
fn a_target_that_cannot_be_reached_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |queries, change: &dyn Fn(&mut Config)| {
        let mut config = steered(&dir.path().join("refused"), 20.0, 30.0);
        change(&mut config);
        options(config, queries).run().map(drop).expect_err("refused").to_string()
    };
    let vocab = towers(Queries::Shared).vocab();
    let message = refused(Queries::Shared, &|config| {
        config.training.regularizers.doc = budget(RegularizerKind::L1, vocab as f64 + 1.0);
    });
    let expected = format!(
        "training.regularizers.doc.target_terms: {} is more than the {vocab} terms of the vocabulary",
        vocab + 1
    );
    assert_eq!(message, expected);
    let message = refused(Queries::Own, &|config| config.model.freeze_d_model = true);
    assert!(message.contains("doc.target_terms: the encoder is frozen"), "{message}");
    let message = refused(Queries::Table, &|config| {
        let table = QueryTable { freeze: true, ..QueryTable::default() };
        config.model.query_encoder = QueryEncoder::Table(table);
    });
    assert!(message.contains("query.target_terms: the encoder is frozen"), "{message}");

    // A table has no more terms than a query has tokens.
    let mut config = steered(&dir.path().join("table"), 90.0, 30.0);
    config.model.query_encoder = QueryEncoder::Table(QueryTable::default());
    config.training.regularizers.doc = None;
    let mut listener = Listener::default();
    run(&config, Queries::Table, &mut listener);
    let named = |text: &&String| text.contains("λ is at the end of its range");
    assert_eq!(listener.warnings.iter().filter(named).count(), 1, "{:?}", listener.warnings);
    let named = |text: &&String| text.starts_with("the target was not reached");
    assert_eq!(listener.warnings.iter().filter(named).count(), 1, "{:?}", listener.warnings);
    let hint = "these texts do not get more terms even with hardly any regularizer";
    assert!(listener.hints.iter().any(|text| text.starts_with(hint)), "{:?}", listener.hints);
}

/// A start without any term is told in the first step.
#[test]
fn a_dead_start_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = steered(&dir.path().join("dead"), 20.0, 30.0);
    config.training.max_steps = Some(2);
    let mut parts = options(config, Queries::Shared);
    parts.towers.document.parameters(&mut |parameter| {
        if parameter.name == "decoder.bias" {
            parameter.values.fill(-100.0);
        }
    });
    let mut listener = Listener::default();
    parts.run().expect("a run").run(&mut listener).expect("it ends");
    let named = listener.warnings.iter().any(|text| text.starts_with("dead start: no text"));
    assert!(named, "{:?}", listener.warnings);
}

/// A state that is not a controller's is refused, and so is one of a run without a budget.
#[test]
fn states_of_other_regularizers_are_refused() {
    use crate::objective::Objective;
    let training = |regularizers: Option<RegularizerConfig>| TrainingConfig {
        regularizers: Regularizers { doc: regularizers, query: None },
        ..training()
    };
    let steered = budget(RegularizerKind::Flops, 30.0);
    let plain = Some(RegularizerConfig::scheduled(RegularizerKind::Flops, 0.1, 1.0));
    let objective = |doc| Objective::new(&training(doc), 10).expect("an objective");
    let state = objective(steered.clone()).state();
    objective(steered.clone()).restore(&state).expect("the same");
    assert!(objective(plain.clone()).restore(&state).is_err());
    assert!(objective(steered.clone()).restore(&objective(plain).state()).is_err());
    let mut broken = state;
    broken["doc"]["budget"]["steps"] = "many".into();
    assert!(objective(steered).restore(&broken).is_err());
}
