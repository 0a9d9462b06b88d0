#![doc = include_str!("../README.md")]

mod packed;
mod rans;

pub use packed::{Damaged, File, Matrix, list, pack, pack_int8};

/// The name by which `light-splade` knows the model.
pub const NAME: &str = "mini-ja-en";

static PACKED: &[u8] = include_bytes!("../mini-ja-en.packed");

/// Lists the files of the model's folder, in alphabetical order.
///
/// Names, sizes and checksums are read from the list at the beginning of the packed bytes; only
/// [`File::unpack`] costs time.
pub fn files() -> Vec<File<'static>> {
    packed::list(PACKED).expect("the built-in model has no list of files: this is a bug")
}
