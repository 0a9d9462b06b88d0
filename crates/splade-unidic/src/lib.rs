//! The dictionary of unidic-lite 1.0.8 (UniDic 2.1.2), packed for segmentation with `splade-text`.
//!
//! The crate exists apart from `splade-text` because of its size: crates.io takes 10 MiB a crate, and a program
//! that segments with another dictionary, or not at all, does without the 6.8 MB.
//!
//! ```
//! assert!(splade_unidic::UNIDIC_LITE.len() > 6_000_000);
//! ```

/// The packed dictionary, in the format that `splade-text` describes in `src/mecab/packed.rs`.
///
/// It is a `static`, so that a program holds the bytes once however often they are named.
pub static UNIDIC_LITE: &[u8] = include_bytes!("../dictionary/unidic-lite.mecab");
