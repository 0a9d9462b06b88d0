//! The kinds of training that share the table of settings `training.*`.

/// The scope of SPLADE training; some settings belong to it alone.
pub(super) const RETRIEVAL: &str = "SPLADE training";

/// The scope of masked language modelling; it has no queries and no validation set.
pub(super) const MASKED: &str = "masked language modelling";
