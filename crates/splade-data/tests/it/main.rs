//! Integration tests of the crate, in one binary.

mod convert;
mod data;
mod published;
