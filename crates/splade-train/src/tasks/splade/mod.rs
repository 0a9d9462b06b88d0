//! SPLADE training: one or two encoders are trained on queries with positive and negative
//! documents.
//!
//! ```text
//! data ─► feed (a thread) ─► Stepper: towers ─► objective ─► towers ─► optimizer
//! ```
//!
//! `teacher.rs` is the interface to a teacher that makes vectors. `batch.rs` tokenizes samples and `feed.rs` does so ahead of time. `towers.rs` computes the
//! forward and backward passes of a batch, `step.rs` makes a step, `evaluation.rs` computes the
//! held-out loss and the retrieval metrics, and `outputs.rs` writes the final model. `task.rs`
//! implements the trait of the training loop, and `prepare.rs` opens and checks everything that a
//! run needs.

mod teacher;

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
pub use teacher::{OpenTeacher, TeacherVectors};
