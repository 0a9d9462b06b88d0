//! The tests of this crate's public surface.

mod common;
mod eval;
mod page;
