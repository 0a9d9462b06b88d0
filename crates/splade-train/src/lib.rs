//! Trains SPLADE encoders (SPLADE v2, arXiv 2109.10086; SPLADE++, 2205.04733).
//!
//! ```text
//! config ─► data ─► batch ─► engine (forward) ─► objective ─► engine (backward) ─► optimizer
//! ```
//!
//! [`convert`] makes data of what others publish and [`mine`] finds negatives for it.
//!
//! [`config`] composes Hydra's layout into a [`config::Config`], [`data`] reads and samples,
//! [`engine`] is the one door to what computes ([`cpu`] models, [`table`] queries without one),
//! [`objective`] the losses and regularizers on sparse vectors, [`optimizer`] and [`schedule`] the
//! update, and [`trainer`] the loop with its checkpoints and evaluations.

pub mod config;
pub mod engine;

pub mod cpu;
pub mod error;
mod json;
pub mod objective;
pub mod optimizer;
pub mod schedule;
pub mod table;
pub mod teacher;
pub mod trainer;
