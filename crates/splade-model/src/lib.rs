//! SPLADE models from Hugging Face folders: texts in, sparse vectors out.
//!
//! ```no_run
//! use splade_model::{Encoder, EncoderOptions};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Path::new("models/light-splade-japanese-28M");
//! let encoder = Encoder::load(model, &EncoderOptions::default())?;
//! let texts = ["日本の首都は東京です。", "大阪万博は2025年に開催されます。"];
//! for vector in encoder.encode(&texts)? {
//!     for (term, weight) in vector.by_weight() {
//!         println!("{} {weight:.4}", encoder.token(term));
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod error;
mod config;
mod weights;
mod loader;
mod graph;
mod parameter;
mod arch;
mod network;
mod folder;
mod lookup;
mod encoder;
mod cross_encoder;
mod train;
mod export;
mod hub;

pub use arch::ArchitectureConfig;
pub use cross_encoder::{CrossEncoder, CrossEncoderOptions, PairTokenizer, ScoredPairs};
pub use encoder::{Encoded, Encoder, EncoderOptions, ExplainedTerm, Explanation, Side};
pub use error::ModelError;
pub use export::{ExportOptions, ExportedModel, OnnxOutput, QueryTower, Reader, export_model};
pub use folder::{Layout, Method, ModelFolder, Table, Tower};
pub use hub::{HubOptions, HubProgress, HubTarget, resolve, resolve_dataset, upload};
pub use parameter::{Parameter, ParameterLayout, Tensor};
pub use splade_nn::{CrossEntropy, Isa, PooledTerm, Pooling, Precision, Saturation};
pub use train::{
    Masked, Trainable, TrainableCrossEncoder, add_classifier, add_head, copy_tokenizer_alone,
    lacks_classifier, lacks_head,
};
pub use weights::{FloatType, Weights, WeightsWriter};
