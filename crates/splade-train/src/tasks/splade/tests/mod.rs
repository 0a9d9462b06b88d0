//! Tests of whole steps and runs, on a small encoder and the toy data.

mod engine;
mod golden;
mod run;
mod step;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use splade_nn::{Pooling, Saturation};
use splade_text::{Tokenizer, TokenizerOptions};

use crate::config::{
    Compat, Config, Initialization, IntervalStrategy, LossConfig, LossKind, ModelConfig, Optimizer,
    QueryEncoder, RegularizerConfig, RegularizerKind, Regularizers, ReportTo, SchedulerKind,
    TrainingConfig,
};
use crate::table::TableEngine;
use splade_data::random::hash;
use splade_data::{DataConfig, TrainingData, ValidationData};

use super::batch::Tokenization;
use super::task::Parts;
use super::towers::{QueryTower, Towers};
pub(crate) use engine::Bag;

/// Settings with transformers' defaults, but for those that a test of the loop wants.
pub(crate) fn training() -> TrainingConfig {
    let regularizer = |kind| RegularizerConfig { kind, lambda: 0.01, steps: 6.0 };
    let loss = |kind| LossConfig { kind, weight: 1.0, temperature: 1.0 };
    TrainingConfig {
        output_dir: PathBuf::new(),
        final_output_dir: None,
        logging_dir: None,
        losses: vec![loss(LossKind::InBatchNegatives)],
        regularizers: Regularizers {
            doc: Some(regularizer(RegularizerKind::Flops)),
            query: Some(regularizer(RegularizerKind::L1)),
        },
        validation_metrics: vec!["MRR@10".into(), "recall@10".into()],
        per_device_train_batch_size: 8,
        per_device_eval_batch_size: 8,
        gradient_accumulation_steps: 1,
        max_grad_norm: 1.0,
        num_train_epochs: 3.0,
        max_steps: Some(10),
        learning_rate: 0.01,
        weight_decay: 0.01,
        adam_beta1: 0.9,
        adam_beta2: 0.999,
        adam_epsilon: 1e-8,
        optim: Optimizer::AdamW,
        lr_scheduler_type: SchedulerKind::Linear,
        lr_scheduler_kwargs: Vec::new(),
        warmup_steps: 2,
        warmup_ratio: 0.0,
        seed: 42,
        data_seed: None,
        dataloader_drop_last: false,
        logging_strategy: IntervalStrategy::Steps,
        logging_steps: 3.0,
        logging_first_step: false,
        save_strategy: IntervalStrategy::Steps,
        save_steps: 500.0,
        save_total_limit: None,
        save_only_model: false,
        do_eval: false,
        eval_strategy: IntervalStrategy::No,
        eval_steps: None,
        eval_delay: 0.0,
        eval_on_start: false,
        load_best_model_at_end: false,
        metric_for_best_model: None,
        greater_is_better: None,
        resume_from_checkpoint: None,
        ignore_data_skip: false,
        report_to: ReportTo { tensorboard: false },
        run_name: None,
        disable_tqdm: false,
        fp16: false,
        bf16: false,
        gradient_cache_tokens: None,
        compat: Compat::default(),
    }
}

/// A run on the toy data, whose outputs go to a folder.
pub(crate) fn config(output: &Path) -> Config {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
    let (train, validation) = (data.join("train"), data.join("validation"));
    Config {
        model: ModelConfig {
            model_name_or_path: "bag".into(),
            model_name_or_path_q: None,
            freeze_d_model: false,
            agg: Pooling::Max,
            max_length: 32,
            saturation: Saturation::Log1pRelu,
            query_encoder: QueryEncoder::Model,
            init: Initialization { target_terms: None },
            mecab_dicdir: None,
            device: "cpu".into(),
        },
        data: DataConfig {
            train_doc_master: train.join("doc_master.ndjson"),
            train_query_master: train.join("query_master.ndjson"),
            train_positives: train.join("positive_lists.ndjson"),
            train_triplets: Some(train.join("triplets.ndjson")),
            hard_negative_scores: None,
            eval_loss_size: 20,
            validation_doc_master: Some(validation.join("doc_master.ndjson")),
            validation_query_master: Some(validation.join("query_master.ndjson")),
            validation_positives: Some(validation.join("positive_lists.ndjson")),
            negatives_per_query: 1,
            shuffle: true,
        },
        training: TrainingConfig { output_dir: output.to_path_buf(), ..training() },
    }
}

fn tokenizer_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../splade-text/tests/fixtures/bert-uncased")
}

pub(crate) fn tokenization() -> Tokenization {
    let tokenizer = Tokenizer::from_dir(&tokenizer_folder(), &TokenizerOptions::default())
        .expect("a tokenizer");
    Tokenization {
        tokenizer: Arc::new(tokenizer),
        plain_queries: false,
        max_length: 32,
        model_length: 64,
    }
}

/// What a test compares when a run goes on; the rest of the settings stands in the config.
pub(crate) fn settings(config: &Config) -> Value {
    json!({
        "training": {
            "seed": config.training.seed,
            "learning_rate": config.training.learning_rate,
            "max_steps": config.training.max_steps,
        },
    })
}

/// What encodes the queries of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queries {
    /// The encoder of documents.
    Shared,
    /// An encoder that starts elsewhere.
    Own,
    /// A table.
    Table,
}

impl Queries {
    pub(crate) const ALL: [Self; 3] = [Self::Shared, Self::Own, Self::Table];
}

pub(crate) fn towers(queries: Queries) -> Towers {
    let tokenizer = tokenization().tokenizer;
    let vocab = tokenizer.len();
    let query = match queries {
        Queries::Shared => None,
        Queries::Own => Some(QueryTower::Model(Box::new(Bag::new(vocab, 2, 0.1)))),
        Queries::Table => {
            let weights = (0..vocab).map(|id| 0.5 + (id % 11) as f32 * 0.1).collect();
            Some(QueryTower::Table(TableEngine::new(
                weights,
                tokenizer,
                &tokenizer_folder(),
                false,
            )))
        }
    };
    Towers {
        document: Box::new(Bag::new(vocab, 1, 0.1)),
        query,
        freeze_document: false,
        frozen_dropout: false,
    }
}

pub(crate) fn options(config: Config, queries: Queries) -> Parts {
    let data = TrainingData::open(&config.data, config.training.seed).expect("data");
    let validation = ValidationData::open(&config.data).expect("data");
    Parts {
        settings: settings(&config),
        towers: towers(queries),
        tokenization: Tokenization { plain_queries: queries == Queries::Table, ..tokenization() },
        data,
        validation,
        resume: None,
        dashboard: None,
        config,
    }
}
