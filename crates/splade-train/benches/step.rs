//! Measures the seconds of a training step and the peak memory.
//!
//!     cargo bench -p splade-train --bench step -- MODEL PASSAGES QUERIES
//!         [--batch 8] [--length 128] [--steps 5] [--threads 2] [--cache TOKENS] [--bf16]
//!
//! A step is one batch of triplets (query, positive, negative) with in-batch negatives, FLOPS on
//! both sides, dropout as in the model's config, clipping at 1 and AdamW. The Python counterpart
//! train_step.py makes the same step on the same texts. PASSAGES and QUERIES are NDJSON files with
//! the field `text`. With `--bf16`, products round their operands to bfloat16 (AMX). Two warm-up steps are not timed. The last line of the output is JSON.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use splade_nn::Isa;
use splade_text::{Tokenizer, TokenizerOptions};
use splade_train::config::{RegularizerConfig, RegularizerKind, Regularizers, TrainingConfig};
use splade_train::cpu::CpuEngine;
use splade_train::engine::{Engine, Terms};
use splade_train::objective::{BatchVectors, Objective};
use splade_train::optimizer::{OptimizerState, UpdateOptions, clip_coefficient, gradient_norm};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let paths: Vec<PathBuf> =
        args.iter().take_while(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    let [model, passages, queries] = paths.as_slice() else {
        println!("step: give MODEL PASSAGES QUERIES to time a training step");
        return Ok(());
    };
    let option = |name: &str, default: usize| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let threads = option("--threads", 2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let bf16 = args.iter().any(|arg| arg == "--bf16");
    let isa = if bf16 { Isa::bf16().ok_or("this CPU has no AMX")? } else { Isa::detect() };
    let bench = Bench {
        isa,
        batch: option("--batch", 8),
        length: option("--length", 128),
        steps: option("--steps", 5),
        cache: option("--cache", usize::MAX),
    };
    bench.run(model, &texts(passages)?, &texts(queries)?)
}

struct Bench {
    isa: Isa,
    batch: usize,
    length: usize,
    steps: usize,
    /// The number of tokens whose activations are held at once.
    cache: usize,
}

impl Bench {
    fn run(&self, model: &Path, passages: &[String], queries: &[String]) -> Result<(), Error> {
        let tokenizer = Tokenizer::from_dir(model, &TokenizerOptions::default())?;
        let mut engine = CpuEngine::load(model, Default::default(), Default::default(), self.isa)?;
        let flops = RegularizerConfig::scheduled(RegularizerKind::Flops, 1e-4, 0.0);
        let training = TrainingConfig {
            regularizers: Regularizers { doc: Some(flops.clone()), query: Some(flops) },
            learning_rate: 2e-5,
            weight_decay: 0.01,
            ..Default::default()
        };
        let mut objective = Objective::new(&training, 1)?;
        let options = UpdateOptions::new(&training, training.learning_rate);
        let mut optimizer = OptimizerState::new(training.optim);
        let mut seconds = Vec::new();
        let (mut tokens, mut loss) = (0, 0.0);
        for step in 0..self.steps + 2 {
            let size = self.batch;
            let own = |texts: &[String], first: usize| -> Result<Vec<Vec<u32>>, Error> {
                let texts = (first..first + size).map(|i| &texts[i % texts.len()]);
                let ids = texts.map(|text| Ok(tokenizer.encode(text, Some(self.length))?.ids));
                ids.collect()
            };
            let mut ids = own(queries, step * size)?;
            ids.extend(own(passages, 2 * step * size)?);
            ids.extend(own(passages, (2 * step + 1) * size)?);
            let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
            let noise: Vec<u64> = (0..ids.len()).map(|i| (step * ids.len() + i) as u64).collect();
            let start = Instant::now();
            let vectors = self.vectors(&mut engine, &ids, &noise);
            let batch = BatchVectors {
                vocab: engine.vocab(),
                queries: &vectors[..size],
                positives: &vectors[size..2 * size],
                negatives: &vectors[2 * size..],
                teacher_scores: None,
                teacher_similarities: None,
            };
            let value = objective.compute(&batch, step as u64)?;
            let gradients = value.gradients;
            let all = [gradients.queries, gradients.positives, gradients.negatives].concat();
            self.backward(&mut engine, &ids, &noise, &all);
            let mut engines: [&mut dyn Engine; 1] = [&mut engine];
            let norm = gradient_norm(&mut engines);
            optimizer.update(&mut engines, &options, clip_coefficient(norm, 1.0));
            let took = start.elapsed().as_secs_f64();
            loss = value.loss;
            println!("step {step}: {took:.3} s, loss {loss:.4}, gradient norm {norm:.3}");
            if step >= 2 {
                seconds.push(took);
                tokens += ids.iter().map(|ids| ids.len()).sum::<usize>();
            }
        }
        seconds.sort_by(f64::total_cmp);
        println!(
            "{}",
            serde_json::json!({
                "seconds": seconds,
                "median": seconds[seconds.len() / 2],
                "best": seconds[0],
                "tokens": tokens / self.steps,
                "loss": loss,
                "peak_mib": peak_mib(),
            })
        );
        Ok(())
    }

    /// Divides the texts of a batch into groups that fit into the cache.
    fn groups(&self, ids: &[&[u32]]) -> Vec<std::ops::Range<usize>> {
        let (mut groups, mut first, mut tokens) = (Vec::new(), 0, 0);
        for (i, text) in ids.iter().enumerate() {
            if i > first && tokens + text.len() > self.cache {
                groups.push(first..i);
                (first, tokens) = (i, 0);
            }
            tokens += text.len();
        }
        groups.push(first..ids.len());
        groups
    }

    fn vectors(&self, engine: &mut CpuEngine, ids: &[&[u32]], noise: &[u64]) -> Vec<Terms> {
        let groups = self.groups(ids);
        groups.into_iter().flat_map(|g| engine.forward(&ids[g.clone()], &noise[g])).collect()
    }

    fn backward(&self, engine: &mut CpuEngine, ids: &[&[u32]], noise: &[u64], all: &[Vec<f32>]) {
        let groups = self.groups(ids);
        let again = groups.len() > 1;
        for group in groups {
            if again {
                engine.forward(&ids[group.clone()], &noise[group.clone()]);
            }
            engine.backward(&all[group]);
        }
    }
}

fn texts(path: &Path) -> Result<Vec<String>, Error> {
    let lines = std::fs::read_to_string(path)?;
    let text = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line)?;
        Ok(value["text"].as_str().ok_or("a line without text")?.to_owned())
    };
    lines.lines().map(text).collect()
}

/// Returns the peak resident set size in MiB, or 0 if the system does not report it.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
