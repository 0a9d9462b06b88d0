//! Masked language modelling (BERT, arXiv 1810.04805): trains a new model, or continues the
//! training of an existing one.
//!
//! ```text
//! corpus ─► sequence ─► masking ─► Stepper: encoder ─► cross-entropy + λ · FLOPS ─► optimizer
//! ```
//!
//! With a regularizer, this is the middle training of Efficient SPLADE (Lassance and Clinchant,
//! SIGIR 2022, arXiv 2207.03834): the sparse vector of each sequence, computed after masking, is
//! pushed to few terms while the model learns the language. Plan, checkpoints, logs and results are
//! those of the other kinds of training.

mod new_model;
mod step;

mod prepare;
mod task;
#[cfg(test)]
mod tests;

pub use prepare::{OpenTexts, PretrainOptions, Tell, TextStream, pretrain};
