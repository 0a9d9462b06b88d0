//! Trains SPLADE encoders (SPLADE v2, arXiv 2109.10086; SPLADE++, 2205.04733), the language models
//! that they start from, and the cross-encoders that they learn from.
//!
//! ```text
//! config ─► data ─► batch ─► engine (forward) ─► objective ─► engine (backward) ─► optimizer
//! ```
//!
//! [`train`] trains encoders of queries and documents, [`pretrain`] masked language models, and
//! [`cross_encoder`] trains cross-encoders, scores pairs with them and joins the scores of several.
//! Each takes a config (read by [`config`]), options, and an [`Observer`](splade_io::Observer) that
//! hears what happens and may ask to stop.
//!
//! The modules stand in the order in which data passes them, and each uses only those above it:
//! [`engine`] is the one door to what computes, with the models on the CPU ([`cpu`]) and the tables of
//! query weights behind it; [`objective`] has the losses and regularizers on sparse vectors,
//! [`optimizer`] the update; `run` is the training loop over the trait `Task`; `tasks` has one folder
//! for each kind of training.

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
pub use tasks::masked_lm::{OpenTexts, PretrainOptions, TextStream, pretrain};
pub use tasks::prepare::{Ready, ResolveModel};
pub use tasks::splade::{TrainOptions, train};
