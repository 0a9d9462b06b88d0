//! Compares with nine recorded runs of the Python library's trainer (torch 2.6, transformers 4.56)
//! and of a plain loop in f64: twenty steps of given batches, and then an evaluation. The records
//! are not part of the repository; without them the tests print that they are skipped.

use std::fs;

use crate::cpu::CpuEngine;
use crate::engine::Engine;
use crate::run::checkpoint::TensorFile;
use crate::tasks::splade::batch::TokenBatch;
use crate::tasks::splade::evaluation::retrieval;
use crate::tasks::splade::step::Stepper;
use splade_nn::Isa;

use super::*;

const RUNS: [&str; 9] = [
    "triplet_in_batch_negatives",
    "triplet_in_batch_negatives_L1",
    "triplet_in_batch_negatives_ga2",
    "triplet_pairwise_contrastive",
    "triplet_two_tower",
    "triplet_two_tower_freeze_d",
    "distil_kldiv",
    "distil_margin_mse",
    "distil_kldiv_margin_mse",
];

fn shared() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let there = shared.join("golden/train").is_dir();
    if !there {
        // The printed line is the only difference between a skipped test and a passed one.
        #[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("skipped: no recorded runs at {}", shared.display());
        }
    }
    there.then_some(shared)
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

/// Returns the settings of a recorded run.
fn config_of(meta: &Value, shared: &Path) -> Config {
    let mut config = config(Path::new("none"));
    config.model.max_length = 64;
    let data = shared.join("data/toy_triplet");
    let master = |split: &str, name: &str| data.join(split).join(format!("{name}.ndjson"));
    config.data.train_doc_master = master("train", "doc_master");
    config.data.train_query_master = master("train", "query_master");
    config.data.train_positives = master("train", "positive_lists");
    config.data.train_triplets = Some(master("train", "triplets"));
    config.data.validation_doc_master = Some(master("validation", "doc_master"));
    config.data.validation_query_master = Some(master("validation", "query_master"));
    config.data.validation_positives = Some(master("validation", "positive_lists"));
    let training = &mut config.training;
    let kind = |name: &Value| match name.as_str() {
        Some("in_batch_negatives") => LossKind::InBatchNegatives,
        Some("pairwise_contrastive") => LossKind::PairwiseContrastive,
        Some("kldiv") => LossKind::KlDiv,
        Some("margin_mse") => LossKind::MarginMse,
        _ => panic!("{name}"),
    };
    let losses = meta["losses"].as_array().expect("a list").iter();
    training.losses = losses.map(|name| LossConfig::new(kind(name))).collect();
    let regularizer = |side: &str| {
        let kind = match meta["regularizer"] == "L1" {
            true => RegularizerKind::L1,
            false => RegularizerKind::Flops,
        };
        let number = |name: &str| number(&meta["reg"][format!("{name}_{side}")]);
        Some(RegularizerConfig::scheduled(kind, number("lambda"), number("T")))
    };
    training.regularizers = Regularizers { query: regularizer("q"), doc: regularizer("d") };
    let hp = &meta["hp"];
    training.learning_rate = number(&hp["learning_rate"]);
    training.weight_decay = number(&hp["weight_decay"]);
    training.warmup_steps = hp["warmup_steps"].as_u64().expect("a count");
    training.max_steps = hp["max_steps"].as_u64();
    training.gradient_accumulation_steps = meta["grad_accum"].as_u64().expect("a count") as usize;
    training.validation_metrics =
        ["MRR@10", "NDCG@10", "MAP@10", "recall@1", "recall@10", "precision@5"]
            .map(str::to_owned)
            .to_vec();
    training.compat = Compat { identical_ids: true, zero_scores: true, ..Compat::default() };
    config
}

fn batch_of(record: &Value) -> TokenBatch {
    let texts = |name: &str| -> Vec<Vec<u32>> {
        let rows = |kind: &str| record[format!("{name}_{kind}")].as_array().expect("rows").clone();
        let pairs = rows("input_ids").into_iter().zip(rows("attention_mask"));
        let kept = |(ids, mask): (Value, Value)| {
            let pairs = numbers(&ids).into_iter().zip(numbers(&mask));
            pairs.filter(|(_, mask)| *mask > 0.0).map(|(id, _)| id as u32).collect()
        };
        pairs.map(kept).collect()
    };
    let scores = |name: &str| -> Option<Vec<f64>> {
        let rows = record.get(name)?.as_array()?;
        Some(rows.iter().flat_map(numbers).collect())
    };
    let teacher = scores("teacher_pos_scores").zip(scores("teacher_neg_scores"));
    TokenBatch {
        queries: texts("q"),
        positives: texts("pos"),
        negatives: texts("neg"),
        teacher_scores: teacher.map(|(positives, negatives)| {
            positives.into_iter().zip(negatives).flat_map(|(p, n)| [p as f32, n as f32]).collect()
        }),
        teacher_similarities: None,
    }
}

struct Recorded {
    config: Config,
    meta: Value,
    record: Value,
    batches: Vec<TokenBatch>,
    folder: PathBuf,
}

fn recorded(shared: &Path, run: &str) -> Recorded {
    let folder = shared.join("golden/train");
    let text = fs::read_to_string(folder.join(format!("{run}.json"))).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    let meta = record["meta"].take();
    let batches = record["batches"].as_array().expect("a list").iter().map(batch_of).collect();
    let config = config_of(&meta, shared);
    Recorded { config, meta, record, batches, folder: folder.join(run) }
}

fn stepper(shared: &Path, recorded: &Recorded) -> Stepper {
    let Recorded { config, meta, .. } = recorded;
    let model = shared.join("golden/models/tiny-ja-nodrop");
    let load = || -> Box<dyn Engine> {
        let (agg, saturation) = (config.model.agg, config.model.saturation);
        Box::new(CpuEngine::load(&model, agg, saturation, Isa::detect()).expect("a model"))
    };
    let towers = Towers {
        document: load(),
        query: (meta["two_tower"] == true).then(|| QueryTower::Model(load())),
        freeze_document: meta["freeze_d"] == true,
        frozen_dropout: false,
    };
    Stepper::new(towers, config, 20).expect("a stepper")
}

/// Returns the factor by which the tolerance of a number of a run is wider in a step; the evaluation
/// counts as step 20.
///
/// In step 9 of the run with two towers, the logits of one term at two tokens of a query differ by
/// 2.5e-7 in 64 bits, and both are the largest; no other step before has a gap below 1.9e-6. In 32
/// bits, the rounding decides which of the tokens gets the gradient, and Adam amplifies the
/// difference. PyTorch in 32 bits differs from itself in the same way if its attention is computed
/// in another order: the norm of step 9 is 14.40896 in the record and 14.40784 with the other
/// token, and that of step 19 is 7.6749 and 7.5966. This implementation gives the second values.
///
/// In step 14 of the run that accumulates two batches, the largest logit of a term (1307, in query
/// 2 of the second batch) is 4.7e-7 below zero in 64 bits; in no step before is one nearer to zero
/// than 3.2e-6. In 32 bits rounding decides whether the term counts and gets a gradient: the logit
/// that is found here is 2.5e-6 above zero. The norms of steps 14, 17 and 19 are 2.265525,
/// 1.158065 and 1.593352 in the record's 64 bits; the same loop in 64 bits that counts the term
/// has 2.265641, 1.160374 and 1.587839, PyTorch in 32 bits 2.265626, 1.160376 and 1.587829; found
/// here are 2.265645, 1.160375 and 1.587839. With the term left out in that one batch, all norms
/// found here are within 8e-5 of the record's 64 bits. So norms differ by up to 3.5e-3 in steps 17
/// to 19, for which 4 is the smallest whole factor; all else needs no more than elsewhere.
fn slack(run: &str, what: &str, step: usize) -> f64 {
    match run {
        "triplet_two_tower" if step >= 10 => 20.0,
        "triplet_in_batch_negatives_ga2" if step >= 17 && what == "norm" => 4.0,
        _ => 1.0,
    }
}

/// Losses must agree to 2e-4 with the f64 loop (the record's own f32 loop is within 9e-5), λ and
/// learning rates exactly, norms to 1e-3, and numbers of terms up to the few weights near zero.
#[test]
fn steps_are_those_of_the_python_library() {
    let Some(shared) = shared() else { return };
    for run in RUNS {
        let recorded = recorded(&shared, run);
        let mut stepper = stepper(&shared, &recorded);
        let accumulation = recorded.config.training.gradient_accumulation_steps;
        for (step, batches) in recorded.batches.chunks(accumulation).enumerate() {
            let report = stepper.step(batches).expect("a step");
            let want = &recorded.record["own_f64"][step];
            let trainer = |i: usize| &recorded.record["trainer"][step * accumulation + i];
            let near = |what: &str, got: f64, want: f64, tolerance: f64| {
                assert!(
                    (got - want).abs() <= slack(run, what, step) * tolerance,
                    "{run} {step} {what}: {got} {want}"
                );
            };
            let loss = number(&want["loss"]);
            near("loss", report.loss, loss, 2e-4 * loss.abs().max(1.0));
            assert_eq!(report.learning_rate, number(&want["lr"]), "{run} {step}");
            assert_eq!(report.lambda_q, number(&want["lambda_q"]), "{run} {step}");
            assert_eq!(report.lambda_d, number(&want["lambda_d"]), "{run} {step}");
            let norm = number(&want["grad_norm"]);
            near("norm", report.gradient_norm, norm, 1e-3 * norm);
            for (i, batch) in report.batches.iter().enumerate() {
                let want = trainer(i);
                let loss = number(&want["loss"]);
                near("batch", batch.loss, loss, 2e-4 * loss.abs().max(1.0));
                for (name, value) in &batch.components {
                    let want = number(&want["components"][name]);
                    near(name, *value, want, 2e-4 * want.abs().max(1.0));
                }
                let components = &want["components"];
                let name = if components["flops"].is_null() { "regularizer" } else { "flops" };
                near(name, batch.regularizer, number(&components[name]), 2e-4);
                let mut terms = numbers(&want["nnz_pos"]);
                terms.extend(numbers(&want["nnz_neg"]));
                for (got, want) in batch.document_terms.iter().zip(terms) {
                    near("terms", *got as f64, want, 2.0);
                }
            }
        }
    }
}

/// Every gradient of the first step, before clipping, must agree to 1e-3 of the largest of its
/// tensor. The f32 numbers of the record have noise of that size where the true gradient is zero,
/// as for the bias of a key.
#[test]
fn gradients_are_those_of_pytorch() {
    let Some(shared) = shared() else { return };
    for run in RUNS {
        let recorded = recorded(&shared, run);
        let mut stepper = stepper(&shared, &recorded);
        let accumulation = recorded.config.training.gradient_accumulation_steps;
        let share = 1.0 / accumulation as f32;
        for (index, batch) in recorded.batches[..accumulation].iter().enumerate() {
            stepper.add_gradients(batch, index, share).expect("a loss");
        }
        let file =
            TensorFile::open(&recorded.folder.join("grads_step0.safetensors")).expect("read");
        let two = recorded.meta["two_tower"] == true;
        let sides = match (two, recorded.meta["freeze_d"] == true) {
            (true, true) => vec!["q_encoder"],
            (true, false) => vec!["d_encoder", "q_encoder"],
            (false, _) => vec!["d_encoder"],
        };
        let mut compared = 0;
        for (engine, side) in stepper.towers_mut().trained(false).into_iter().zip(sides) {
            let mut gradients = Vec::new();
            engine.parameters(&mut |parameter| gradients.push(parameter.gradients.to_vec()));
            for (index, gradients) in gradients.iter().enumerate() {
                for tensor in engine.to_tensors(index, gradients) {
                    let name = PREFIXES
                        .iter()
                        .map(|prefix| format!("{}{}", prefix.replace("SIDE", side), tensor.name))
                        .find(|name| file.has(name));
                    let Some(name) = name else {
                        panic!("{run}: no {} in the record", tensor.name);
                    };
                    let want = file.read(&name, &tensor.shape).expect("read");
                    let scale = want.iter().fold(0.0_f32, |most, x| most.max(x.abs())).max(1e-3);
                    for (got, want) in tensor.values.iter().zip(&want) {
                        assert!((got - want).abs() < 1e-3 * scale, "{run} {name}: {got} {want}");
                    }
                    compared += 1;
                }
            }
        }
        assert!(compared > 20, "{run}: {compared} tensors");
    }
}

/// The prefixes of tensor names in the record.
const PREFIXES: [&str; 1] = ["SIDE.transformer."];

/// The evaluation after the last step: the loss, which the record has for the first two batches,
/// must agree as closely as those of the steps. Metrics must be those of the record, with and
/// without the defect that drops a document whose id is that of the query, and statistics must
/// agree to one term.
#[test]
fn the_evaluation_is_that_of_the_python_library() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    for run in RUNS {
        let mut recorded = recorded(&shared, run);
        let mut stepper = stepper(&shared, &recorded);
        let accumulation = recorded.config.training.gradient_accumulation_steps;
        for batches in recorded.batches.chunks(accumulation) {
            stepper.step(batches).expect("a step");
        }
        let folder = shared.join("golden/models/tiny-ja-nodrop");
        let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default());
        let tokenization = Tokenization {
            tokenizer: Arc::new(tokenizer.expect("a tokenizer")),
            plain_queries: false,
            max_length: 64,
            model_length: 64,
        };
        let validation = ValidationData::open(&recorded.config.data).expect("data").expect("data");
        let evaluate = |config: &Config| {
            let folder = dir.path().join("index");
            retrieval(stepper.towers(), &tokenization, &validation, config, &folder)
                .expect("evaluated")
        };
        let found = evaluate(&recorded.config);
        let want = &recorded.record["eval_seed"];
        let losses = recorded.batches[..2].iter().map(|batch| stepper.loss(batch).expect("a loss"));
        let (loss, want_loss) = (losses.sum::<f64>() / 2.0, number(&want["eval_loss"]));
        let tolerance = slack(run, "loss", 20) * 2e-4 * want_loss.max(1.0);
        assert!((loss - want_loss).abs() <= tolerance, "{run}: {loss} {want_loss}");
        for (name, got) in found.values.iter().filter(|(name, _)| name != "eval_avg_query_nnz") {
            let want = number(&want[name]);
            let tolerance = match name.as_str() {
                "eval_avg_nnz" | "eval_num_unique_tokens" | "eval_num_unique_subtokens" => 2.0,
                "eval_avg_sparsity" => 1e-3,
                _ => 0.0,
            };
            assert!((got - want).abs() <= tolerance, "{run} {name}: {got} {want}");
        }
        recorded.config.training.compat = Compat::default();
        let found = evaluate(&recorded.config);
        for (name, got) in &found.values {
            let name = name.trim_start_matches("eval_").to_lowercase();
            if let Some(want) = recorded.record["eval_without_id_collision"][&name].as_f64() {
                assert_eq!(*got, want, "{run} {name}");
            }
        }
    }
}
