//! The `light-splade` command line.
fn main() {}
