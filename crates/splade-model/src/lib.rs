//! Loads SPLADE models from Hugging Face folders and encodes texts as sparse vectors.
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
//! A [`ModelFolder`] describes what a folder holds: one encoder for queries and documents, one for
//! each, or a table of weights for queries. [`Encoder::load`] loads one encoder, and
//! [`Encoder::load_pair`] loads both and holds shared weights once. A model that is not on the disk
//! is read from [`ModelFiles`] in memory. A [`CrossEncoder`] scores pairs of texts.
//!
//! The other parts have modules of their own: [`hub`] finds, downloads and uploads models by their
//! hub names, [`training`] has the passes for training, and [`export`] writes folders for other
//! libraries.
//!
//! The default feature `hub` adds the HTTP client, `unidic-lite` the built-in dictionary for
//! Japanese models, and `zstd` a dependency with C code. Without these three features the crate
//! builds for `wasm32-unknown-unknown`, where the calling thread does all the work.

mod head_kind;
mod error;
mod config;
pub mod weights;
mod loader;
mod graph;
mod parameter;
mod arch;
mod network;
mod heads;
mod sentence_transformers;
mod tower;
mod dense_modules;
mod colbert;
pub mod folder;
mod lookup;
pub mod encoder;
mod embedder;
mod nearest;
mod identity;
pub mod cross_encoder;
mod merge;
mod train;
pub mod export;
pub mod hub;

pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
pub use embedder::{Embedded, Embedder, Embedding, similarity};
pub use encoder::{Encoded, Encoder, EncoderOptions, EncoderPair, Explanation, Side};
pub use error::ModelError;
pub use folder::ModelFolder;
pub use head_kind::{HeadKind, Similarity};
pub use identity::{ModelContent, hub_revision, tokenizer_content};
pub use merge::{MergeMethod, Merged, merge};
pub use nearest::{DocumentRows, nearest};
pub use splade_nn::{Isa, Precision};
pub use splade_text::ModelFiles;

/// The architecture of a model and its sizes, as `config.json` gives them.
///
/// ```
/// use splade_model::ModelFolder;
/// use splade_model::architecture::ArchitectureConfig;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let tower = ModelFolder::open(&model)?.document;
/// let config = ArchitectureConfig::open(&tower.dir)?;
/// assert_eq!((config.name(), config.vocab(), config.max_tokens()), ("BERT", 458, 64));
/// # Ok::<(), splade_model::ModelError>(())
/// ```
pub mod architecture {
    pub use crate::arch::ArchitectureConfig;
}

/// Training: forward passes that keep what the backward passes need, parameters as an optimizer
/// sees them, and folders for trained models.
///
/// ```
/// use splade_model::Isa;
/// use splade_model::folder::{Pooling, Saturation};
/// use splade_model::training::Trainable;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let mut model = Trainable::load(&model, Pooling::Max, Saturation::Log1pRelu, Isa::detect())?;
/// let terms = model.forward(&[&[2, 100, 3]], &[0]);
/// // The loss is the sum of all weights.
/// let gradients = vec![vec![1.0; terms[0].len()]];
/// model.backward(&gradients);
/// let changes = model.parameters().iter().filter(|(_, gradient)| gradient.numbers.iter().any(|n| *n != 0.0)).count();
/// assert!(changes > 10);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
pub mod training {
    pub use crate::parameter::{Parameter, ParameterLayout, Tensor};
    pub use crate::train::{
        Masked, Trainable, TrainableCrossEncoder, add_classifier, add_drawn_words, add_head,
        add_words, copy_tokenizer_alone, keep_words, lacks_classifier, lacks_head,
    };
    pub use splade_nn::{CrossEntropy, PooledTerm};
}
