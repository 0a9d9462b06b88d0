//! SPLADE: one encoder or two are trained on queries with positive and negative documents.
//!
//! ```text
//! data ─► feed (a thread) ─► Stepper: towers ─► objective ─► towers ─► optimizer
//! ```
//!
//! `batch.rs` tokenizes samples and `feed.rs` does so ahead of time; `towers.rs` takes a batch through
//! the encoders and back; `step.rs` is a step; `evaluation.rs` measures the held-out loss and
//! retrieval; `outputs.rs` writes the final model; `task.rs` puts these behind the trait of the loop,
//! and `prepare.rs` opens and checks everything that a run is made of.

mod batch;
mod towers;

mod feed;
mod step;

mod evaluation;
mod watchdog;

mod checks;
mod outputs;

mod prepare;
mod task;
#[cfg(test)]
pub(crate) mod tests;

pub use prepare::{TrainOptions, train};
