//! The kinds of training: each is a [`Task`](crate::run::Task) with the functions that prepare it.

pub(crate) mod prepare;

pub mod cross_encoder;
pub(crate) mod masked_lm;
pub(crate) mod splade;
