//! Trains SPLADE encoders (SPLADE v2, arXiv 2109.10086; SPLADE++, 2205.04733), the language models
//! from which they start, and the cross-encoders that are their teachers.
//!
//! ```text
//! config ─► data ─► batch ─► engine (forward) ─► objective ─► engine (backward) ─► optimizer
//! ```
//!
//! [`train`] trains encoders of queries and documents, [`pretrain`] trains masked language models,
//! and [`cross_encoder`] trains cross-encoders, scores pairs with them and combines the scores of
//! several. Each function takes a config (read by [`config`]), options, and an
//! [`Observer`](splade_io::Observer) that receives progress and can ask the run to stop.
//!
//! ```
//! use serde_json::json;
//! use splade_train::config::Config;
//! use splade_train::{TrainOptions, train};
//!
//! let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
//! let data = repository.join("data/toy/train");
//! let output = tempfile::tempdir()?;
//! let (config, _notes) = Config::from_value(&json!({
//!     "model": { "model_name_or_path": repository.join("models/demo"), "max_length": 32 },
//!     "data": {
//!         "train_doc_master": data.join("doc_master.ndjson"),
//!         "train_query_master": data.join("query_master.ndjson"),
//!         "train_positives": data.join("positive_lists.ndjson"),
//!         "train_triplets": data.join("triplets.ndjson"),
//!     },
//!     "training": { "output_dir": output.path(), "max_steps": 2 },
//! }))?;
//! train(&config, &TrainOptions::default(), &mut ())?;
//! assert!(output.path().join("model/model.safetensors").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The modules are listed in the order in which data passes them, and each uses only the modules
//! above it. [`engine`] is the interface to the code that computes, implemented by the models on
//! the CPU ([`cpu`]) and by the tables of query weights. [`objective`] computes the losses and
//! regularizers on sparse vectors, and [`optimizer`] the update. `run` is the training loop over
//! the trait `Task`, and `tasks` has one folder for each kind of training.

mod error;

mod json;

pub mod config;

pub mod engine;

pub mod cpu;
mod table;

pub mod objective;
pub mod optimizer;
mod schedule;

mod run;

mod tasks;

pub use error::{SourceError, TrainError};
pub use run::{Outcome, Results};
pub use tasks::cross_encoder;
pub use tasks::masked_lm::{OpenTexts, PretrainOptions, Tell, TextStream, pretrain};
pub use tasks::prepare::{Ready, ResolveModel};
pub use tasks::splade::{OpenTeacher, TeacherVectors, TrainOptions, train};
