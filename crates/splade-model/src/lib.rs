//! SPLADE models from Hugging Face folders: texts in, sparse vectors out.
//!
//! ```
//! use splade_model::{Encoder, EncoderOptions};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini-ja-en");
//! let encoder = Encoder::load(&model, &EncoderOptions::default())?;
//! let texts = ["日本の首都は東京です。", "The night train leaves for Tokyo."];
//! for vector in encoder.encode(&texts)? {
//!     assert!(!vector.is_empty());
//!     for (term, weight) in vector.by_weight().into_iter().take(5) {
//!         println!("{} {weight:.4}", encoder.token(term));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`ModelFolder`] tells what a folder holds: one encoder for queries and documents, one for each,
//! or a table of weights for queries. [`Encoder::load`] loads one of them and [`Encoder::load_pair`]
//! both, with weights that they share held once. A model that is not on the disk is read from
//! [`ModelFiles`] in memory. A [`CrossEncoder`] scores pairs of texts.
//!
//! Everything else has a module of its own: models by their hub names in [`hub`], training passes in
//! [`training`], folders for other libraries in [`export`].
//!
//! Without the default feature `hub` there is no HTTP client, without `unidic-lite` no built-in
//! dictionary for Japanese models, and without `zstd` no code in C; the crate then builds for
//! `wasm32-unknown-unknown`, where all work is done by the thread that asks for it.

mod error;
mod config;
pub mod weights;
mod loader;
mod graph;
mod parameter;
mod arch;
mod network;
pub mod folder;
mod lookup;
pub mod encoder;
pub mod cross_encoder;
mod train;
pub mod export;
pub mod hub;

pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
pub use encoder::{Encoded, Encoder, EncoderOptions, EncoderPair, Explanation, Side};
pub use error::ModelError;
pub use folder::ModelFolder;
pub use splade_nn::{Isa, Precision};
pub use splade_text::ModelFiles;

/// What `config.json` says of a model: its architecture and its sizes.
pub mod architecture {
    pub use crate::arch::ArchitectureConfig;
}

/// Models that learn: forward passes that keep what backward passes need, parameters as an optimizer
/// sees them, and folders for what was learned.
pub mod training {
    pub use crate::parameter::{Parameter, ParameterLayout, Tensor};
    pub use crate::train::{
        Masked, Trainable, TrainableCrossEncoder, add_classifier, add_head, copy_tokenizer_alone,
        lacks_classifier, lacks_head,
    };
    pub use splade_nn::{CrossEntropy, PooledTerm};
}
