//! A CPU engine for SPLADE encoders: packed products, attention over packed texts, the fused head.
