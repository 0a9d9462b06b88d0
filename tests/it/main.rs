//! Tests of the command line: calls of the program, its output and the files that it writes.

mod common;
mod engine;
#[cfg(feature = "push")]
mod fake_engine;
#[path = "../../crates/splade-model/tests/fake_hub/mod.rs"]
mod fake_hub;

mod book;
mod builtin;
mod cli;
mod command_line;
mod convert;
mod cross_encoder;
#[cfg(feature = "hub")]
mod datasets;
mod demo;
#[cfg(feature = "push")]
mod doctor;
mod export;
#[cfg(feature = "hub")]
mod hub;
mod hybrid;
mod identity;
mod inputs;
mod merge_models;
mod messages;
mod outputs;
mod pages;
mod pipeline;
mod pretrain;
mod promises;
mod retrieval;
#[cfg(feature = "serve")]
mod serve;
mod teachers;
mod train;
