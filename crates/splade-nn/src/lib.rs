//! The arithmetic of SPLADE encoders on the CPU: packed matrix products, attention over packed texts, and the
//! fused SPLADE head.
//!
//! The crate knows tensors and arithmetic; it knows nothing of texts as strings, files or model
//! names. Weights are packed once for the instruction set that the CPU has ([`Isa::detect`]) and
//! for the requested [`Precision`]. Texts are packed one after another without padding and
//! described by `offsets`: the index of each text's first token, followed by the total number of
//! tokens. The result for a text never depends on the other texts of the batch, on the number of
//! threads or on the CPU.
//!
//! Shapes use the same names everywhere: `texts`, `tokens` (of all texts together), `hidden`,
//! `heads`, `head_dim` and `vocab`. All matrices are row-major.
//!
//! ```
//! use splade_nn::{Isa, Linear, Matrix, Pooling, Precision, Saturation, splade_head};
//!
//! // A decoder from 2 dimensions to a vocabulary of 3 terms, and one text of two tokens.
//! let weight = [1.0, 0.0, 0.0, 1.0, -1.0, -1.0];
//! let weight = Matrix::pack(Isa::detect(), Precision::F32, &weight, 3, 2);
//! let decoder = Linear { weight, bias: None };
//! let hidden = [0.5, 0.25, 1.0, -2.0];
//! let pooled =
//!     splade_head(&decoder, &hidden, &[0, 2], Pooling::Max, Saturation::Log1pRelu, false);
//! assert_eq!(pooled[0][0].weight, std::f32::consts::LN_2); // log(1 + 1), the larger of the two
//! assert_eq!(pooled[0][0].position, 1);
//! ```

#[cfg(target_arch = "x86_64")]
mod amx;
mod simd;
mod parallel;
mod buffer;
mod functions;
mod product;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod packed;
mod int8;
mod matrix;
mod attention;
mod head;
mod backward;

pub use attention::{Attention, LogBuckets, RelativePositions, Rotary};
pub use backward::{
    CrossEntropy, Dropout, KeyedTexts, SavedNorm, Scratch, activate, activation_backward,
    cross_entropy, cross_entropy_backward, gated_backward, splade_head_backward,
};
pub use functions::{Activation, LayerNorm, gated_activation};
pub use head::{PooledTerm, Pooling, Saturation, splade_head};
pub use int8::Int8Matrix;
pub use matrix::{Linear, Matrix, Precision};
pub use packed::PackedMatrix;
pub use simd::Isa;
