//! Tests of the crate's public interface, in one binary.

mod changes;
mod index;
mod parts;
#[cfg(feature = "zstd")]
mod stored;
