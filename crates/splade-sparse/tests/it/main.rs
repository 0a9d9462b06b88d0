//! The tests of this crate's public surface.
#![cfg(feature = "files")]

mod files;
