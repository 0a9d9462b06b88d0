//! Tests of the crate's public interface, in one binary.

mod changes;
mod index;
#[cfg(feature = "zstd")]
mod stored;
