//! The kinds of training, each a [`Task`](crate::run::Task) and the functions that prepare it.

pub(crate) mod prepare;

pub mod cross_encoder;
pub(crate) mod masked_lm;
pub(crate) mod splade;
