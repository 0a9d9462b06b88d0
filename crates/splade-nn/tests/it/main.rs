//! Tests of every kernel on every instruction set, in one program.

// Numbers from a seed, and slow obvious computations in f64.
mod common;

// Layer norm and gated activation.
mod functions;
// Products in 32-bit floats.
mod products;
// Products in 8 bits.
mod int8;
// Attention and rotary positions.
mod attention;
// The fused head.
mod heads;
// Gradients of layers.
mod backward;
// The gradient of attention.
mod backward_attention;
// The gradient of the fused head.
mod backward_head;
// The loss of hidden tokens.
mod cross_entropy;
// Arguments that do not fit each other.
mod wrong_lengths;
// The same bits on every CPU.
mod same_bits;
