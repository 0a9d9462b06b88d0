//! Tests of the crate's public interface, in one binary.

mod export;
#[cfg(feature = "push")]
mod push;
