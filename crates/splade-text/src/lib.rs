//! Converts text to token ids exactly as Hugging Face tokenizers do, including Japanese ones.
//!
//! A [`Tokenizer`] is loaded from a model folder. It supports `tokenizer.json`, a BERT `vocab.txt`,
//! and `BertJapaneseTokenizer`, for which MeCab's search and unidic-lite's dictionary are built in.
//! The ids are those of transformers 4.56 for the same folder; a feature that is not implemented is
//! an error.
//!
//! ```
//! use splade_text::{Tokenizer, TokenizerOptions};
//!
//! # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
//! let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
//! let encoding = tokenizer.encode("The night train", Some(512))?;
//! let tokens: Vec<_> = encoding.ids.iter().filter_map(|id| tokenizer.token(*id)).collect();
//! assert_eq!(tokens, ["[CLS]", "the", "night", "train", "[SEP]"]);
//! # Ok::<(), splade_text::TextError>(())
//! ```
//!
//! The Japanese dictionary is expanded once into a file that later starts memory-map. The file is
//! in the folder `light-splade` of the user's cache folder or in `LIGHT_SPLADE_CACHE`. Without such
//! a folder, every start takes a third of a second longer.

mod foreign;

mod error;
mod keys;
mod files;
mod config;
mod vocab;
mod wordpiece;
mod added;
mod pair;
mod places;
mod hugging_face;
mod mecab;
mod japanese;
mod words;
mod tokenizer;
mod learn;
mod extend;
mod trim;
mod merge;
mod sentences;

pub use error::TextError;
pub use extend::{ExtensibleVocabulary, NewWord};
pub use files::{ModelFile, ModelFiles};
pub use foreign::Foreign;
pub use keys::{shown_value, unknown_key};
pub use learn::{Vocabulary, VocabularyOptions};
pub use pair::PairEncoding;
pub use sentences::sentences;
pub use tokenizer::{Encoding, PlacedToken, Tokenizer, TokenizerOptions, tokenizer_json_of_vocab};
pub use words::{WordCounts, WordKind, WordSplitter};

/// Returns the folder for files that are made once and used by later starts: `LIGHT_SPLADE_CACHE`,
/// or else `light-splade` in the user's cache folder. It is `None` if there is no cache folder.
///
/// ```
/// // An expanded dictionary is stored there; it may be deleted at any time.
/// if let Some(folder) = splade_text::cache_folder() {
///     assert!(folder.is_absolute() || std::env::var_os("LIGHT_SPLADE_CACHE").is_some());
/// }
/// ```
pub fn cache_folder() -> Option<std::path::PathBuf> {
    mecab::cache::default_folder()
}

/// Packs a compiled MeCab dictionary in UTF-8 into one small file, keeping everything that
/// segmentation needs.
///
/// The 250 MB of unidic-lite become 7 MB, which are built into this crate.
/// [`TokenizerOptions::mecab_dicdir`] accepts such a file and opens it faster than the folder.
/// Packing takes minutes.
///
/// ```
/// use splade_text::{check_packed_dictionary, pack_dictionary};
///
/// # use std::io::Read;
/// # let folder = tempfile::tempdir()?;
/// # let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mecab");
/// # for name in ["char.bin", "matrix.bin", "sys.dic", "unk.dic"] {
/// #     let mut bytes = Vec::new();
/// #     let packed = std::fs::File::open(fixture.join(format!("{name}.gz")))?;
/// #     flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes)?;
/// #     std::fs::write(folder.path().join(name), bytes)?;
/// # }
/// let packed = pack_dictionary(folder.path())?;
/// check_packed_dictionary(&packed)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the folder is no such dictionary.
#[cfg(feature = "zstd")]
pub fn pack_dictionary(dir: &std::path::Path) -> Result<Vec<u8>, TextError> {
    let parts = mecab::compiled::read(dir)?;
    mecab::pack::pack(&parts).map_err(|source| TextError::Io { path: dir.to_path_buf(), source })
}

/// Returns a packed dictionary in a form for downloads: unidic-lite has 6.0 MB instead of 6.8, and
/// takes a little longer to open.
///
/// ```
/// use splade_text::{check_packed_dictionary, pack_dictionary, pack_dictionary_smaller};
///
/// # use std::io::Read;
/// # let folder = tempfile::tempdir()?;
/// # let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mecab");
/// # for name in ["char.bin", "matrix.bin", "sys.dic", "unk.dic"] {
/// #     let mut bytes = Vec::new();
/// #     let packed = std::fs::File::open(fixture.join(format!("{name}.gz")))?;
/// #     flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes)?;
/// #     std::fs::write(folder.path().join(name), bytes)?;
/// # }
/// let smaller = pack_dictionary_smaller(&pack_dictionary(folder.path())?)?;
/// check_packed_dictionary(&smaller)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error with the reason if the bytes are not a packed dictionary.
pub fn pack_dictionary_smaller(packed: &[u8]) -> Result<Vec<u8>, TextError> {
    mecab::packed::pack_smaller(packed).map_err(TextError::Dictionary)
}

/// Checks that bytes are an undamaged packed dictionary.
///
/// ```
/// let error = splade_text::check_packed_dictionary(b"half of a download").expect_err("damaged");
/// assert!(error.to_string().starts_with("the packed dictionary cannot be read: "));
/// ```
///
/// # Errors
///
/// Returns an error with the reason if they are not.
pub fn check_packed_dictionary(bytes: &[u8]) -> Result<(), TextError> {
    mecab::packed::unpack(bytes).map(drop).map_err(TextError::Dictionary)
}
