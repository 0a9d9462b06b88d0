//! Integration tests of the crate, in one binary.

mod export;
#[cfg(feature = "push")]
mod push;
