//! The tests of this crate's public surface.

mod eval;
mod page;
