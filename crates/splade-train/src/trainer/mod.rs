//! The loop: steps, logs, evaluations, checkpoints, results.
//!
//! ```text
//! data ─► feed (a thread) ─► Stepper: towers ─► objective ─► towers ─► optimizer
//!                               └─► window ─► logs      └─► checkpoint, evaluation
//! ```
//!
//! [`Stepper`] makes a step of batches of token ids; [`Trainer`] is a whole run. What is due when
//! follows transformers 4.56 (`Trainer`, `DefaultFlowCallback`), with two differences: what an
//! epoch's end brings is done with its last step, and a checkpoint is written last of all, so that
//! it holds everything of its step. Everything random follows from the seed and the step; a run
//! that was killed and goes on from a checkpoint ends with the same bytes as one that was not.

mod batch;
pub(crate) mod checkpoint;
mod checks;
mod evaluation;
mod events;
mod feed;
mod outputs;
mod plan;
mod pretrain;
mod run;
mod state;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod towers;
mod watchdog;
mod window;

pub use batch::{TokenBatch, Tokenization};
pub use checkpoint::{checkpoint_to_resume, checkpoints};
pub use checks::check_outputs;
pub use evaluation::{AVG_QUERY_TERMS, Evaluation, held_out_loss, retrieval};
pub use events::{Event, Progress, Watch};
pub use outputs::Results;
pub use plan::{Due, Plan, PlannedBatch};
pub use pretrain::{Pretrainer, PretrainerOptions, new_model};
pub use run::{Outcome, Trainer, TrainerOptions};
pub use state::TrainerState;
pub use step::{BatchReport, StepReport, Stepper};
pub use towers::{BatchTerms, QueryTower, Towers};
