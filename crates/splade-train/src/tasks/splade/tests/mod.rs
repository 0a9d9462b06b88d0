//! Tests of complete steps and runs, with a small encoder and the toy data.

mod budget;
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
    Compat, Config, Initialization, IntervalStrategy, LossConfig, LossKind, ModelConfig,
    QueryEncoder, RegularizerConfig, RegularizerKind, Regularizers, ReportTo, TrainingConfig,
};
use crate::table::TableEngine;
use splade_data::random::hash;
use splade_data::{DataConfig, TrainingData, ValidationData};

use super::batch::Tokenization;
use super::task::Parts;
use super::towers::{QueryTower, Towers};
pub(crate) use engine::Bag;

/// Returns settings with transformers' defaults, except for those that a test of the loop needs.
pub(crate) fn training() -> TrainingConfig {
    let regularizer = |kind| RegularizerConfig::scheduled(kind, 0.01, 6.0);

    TrainingConfig {
        output_dir: PathBuf::new(),
        losses: vec![LossConfig::new(LossKind::InBatchNegatives)],
        regularizers: Regularizers {
            doc: Some(regularizer(RegularizerKind::Flops)),
            query: Some(regularizer(RegularizerKind::L1)),
        },
        max_steps: Some(10),
        learning_rate: 0.01,
        weight_decay: 0.01,
        warmup_steps: 2,
        logging_steps: 3.0,
        report_to: ReportTo { tensorboard: false, mlflow: None, wandb: None },
        ..TrainingConfig::default()
    }
}

/// Returns the config of a run on the toy data, whose outputs go into `output`.
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
            teacher: None,
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

/// Returns the settings that a test compares when a run resumes.
pub(crate) fn settings(config: &Config) -> Value {
    json!({
        "training": {
            "seed": config.training.seed,
            "learning_rate": config.training.learning_rate,
            "max_steps": config.training.max_steps,
        },
    })
}

/// The encoder of the queries in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queries {
    /// The encoder of the documents.
    Shared,
    /// A second encoder with other initial weights.
    Own,
    /// A table with one weight for each token.
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
        teacher: None,
        content: Value::Null,
        validation,
        resume: None,
        info: splade_logs::RunInfo::default(),
        dashboard: None,
        config,
    }
}
