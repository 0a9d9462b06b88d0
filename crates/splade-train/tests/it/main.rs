//! Integration tests of the crate, in one binary.

mod cross_encoder;
mod settings;
mod shipped_configs;
