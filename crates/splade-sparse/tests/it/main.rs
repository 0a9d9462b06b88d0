//! Tests of the crate's public interface, in one binary.
#![cfg(feature = "files")]

mod files;
