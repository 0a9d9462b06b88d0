//! Integration tests of the crate, in one binary.

mod settings;
mod shipped_configs;
mod cross_encoder;
