//! A CPU engine for SPLADE encoders: packed products, attention over packed texts, the fused head.

mod simd;
mod parallel;
mod buffer;
mod functions;
mod packed;
mod int8;
mod matrix;
mod head;

pub use functions::{Activation, LayerNorm, gated_activation};
pub use head::{PooledTerm, Pooling, Saturation, splade_head};
pub use int8::Int8Matrix;
pub use matrix::{Linear, Matrix, Precision};
pub use packed::PackedMatrix;
pub use simd::Isa;
