//! Hashes of contents, which tell whether two files, models or texts are the same.
//!
//! The hash is XXH3 with 128 bits (Collet, xxHash specification 0.2). It reads several gigabytes a
//! second, and different contents never have the same hash by chance. It is not cryptographic: it
//! protects against mistakes and not against somebody who constructs a collision.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use crate::error::FileError;

/// The bytes that are read from a file at a time.
const BLOCK: usize = 1 << 20;

/// A hash of a content. Its text form is `xxh3:` and 32 hexadecimal digits.
///
/// ```
/// use splade_io::ContentHash;
///
/// let hash = ContentHash::of(b"night train");
/// assert_ne!(hash, ContentHash::of(b"night bus"));
/// assert_eq!(hash.to_string().len(), "xxh3:".len() + 32);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(u128);

impl ContentHash {
    /// Returns the hash of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }

    /// Returns the 16 bytes of the hash, the most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads a file and returns the hash of its bytes.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn of_file(path: &Path) -> Result<Self, FileError> {
        let mut file = File::open(path).map_err(FileError::io("open", path))?;
        let (mut hasher, mut block) = (ContentHasher::new(), vec![0; BLOCK]);
        loop {
            match file.read(&mut block) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.bytes(&block[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::io("read", path)(error)),
            }
        }
    }

    /// Returns the first eight digits, which are enough to tell a few hashes apart in a message.
    pub fn short(self) -> String {
        format!("{:08x}", self.0 >> 96)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xxh3:{:032x}", self.0)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses the text form. Any other text, also the hash of another algorithm, is an error.
impl std::str::FromStr for ContentHash {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("xxh3:").filter(|digits| {
            digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| format!("{text:?} is not a hash of the form xxh3:…"))
    }
}

/// Computes the hash of a content that comes in pieces.
///
/// ```
/// use splade_io::{ContentHash, ContentHasher};
///
/// let mut hasher = ContentHasher::new();
/// hasher.bytes(b"night ");
/// hasher.bytes(b"train");
/// assert_eq!(hasher.finish(), ContentHash::of(b"night train"));
///
/// let hash = |texts: [&str; 2]| {
///     let mut hasher = ContentHasher::new();
///     texts.iter().for_each(|text| hasher.text(text));
///     hasher.finish()
/// };
/// assert_ne!(hash(["night", "train"]), hash(["nigh", "ttrain"]));
/// ```
#[derive(Clone, Default)]
pub struct ContentHasher(Xxh3);

impl ContentHasher {
    /// Begins a hash.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes. Only the concatenation of all pieces counts, not where one ends.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a text and its length, so that two texts are told from the same bytes divided
    /// otherwise.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Adds another hash.
    pub fn hash(&mut self, hash: ContentHash) {
        self.bytes(&hash.0.to_le_bytes());
    }

    /// Returns the hash of all pieces so far.
    pub fn finish(&self) -> ContentHash {
        ContentHash(self.0.digest128())
    }
}

impl fmt::Debug for ContentHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContentHasher").field(&self.finish()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_files_and_texts_have_the_published_hash() {
        // The value of XXH3 with 128 bits for no bytes, from the tests of xxHash.
        let empty = "xxh3:99aa06d3014798d86001c324468d497f";
        assert_eq!(ContentHash::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(ContentHash::of(b"")));
        assert_eq!(ContentHash::of(b"").short(), "99aa06d3");
        let bytes: Vec<u8> = (0..3 << 20).map(|i: u32| (i / 7) as u8).collect();
        let mut hasher = ContentHasher::new();
        bytes.chunks(1000).for_each(|piece| hasher.bytes(piece));
        assert_eq!(hasher.finish(), ContentHash::of(&bytes));
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &bytes).expect("written");
        assert_eq!(ContentHash::of_file(file.path()).expect("read"), ContentHash::of(&bytes));
        assert!(ContentHash::of_file(&file.path().join("none")).is_err());
        for text in ["", "xxh3:", "crc32:99aa06d3", "xxh3:+9aa06d3014798d86001c324468d497f"] {
            assert!(text.parse::<ContentHash>().is_err(), "{text}");
        }
    }

    #[test]
    fn texts_are_told_apart_by_where_they_end() {
        let of = |texts: &[&str]| {
            let mut hasher = ContentHasher::new();
            texts.iter().for_each(|text| hasher.text(text));
            hasher.finish()
        };
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["ab", ""]), of(&["ab"]));
    }
}
