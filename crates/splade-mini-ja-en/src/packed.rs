//! A model folder in one run of bytes, its f16 weights packed without loss.
//!
//! The lower byte of an f16 holds the last eight bits of its fraction, which are noise: no method makes them
//! smaller. The upper byte holds the sign, the exponent and two bits of the fraction; since exponents of trained
//! weights are few and unevenly frequent, it has 5.5 bits of information. So the bytes are separated, the lower
//! ones are stored, and the upper ones are coded by [`rans`] in blocks, each with its own table of
//! frequencies, since tensors differ in scale.
//!
//! # Format, version 1
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `SPLMODEL` |
//! | 4 | version, 1 |
//! | 4 | number of files |
//! | per file: 1, n | length of the name, the name in UTF-8 |
//! | 1 | form: 0 stored, 1 f16 weights |
//! | 4, 4, 4 | size, CRC-32, and packed size of the file |
//! | per file | the packed bytes |
//!
//! f16 weights are the length of what is stored before the first weight (the header of the safetensors file) in
//! 4 bytes, these bytes, the lower bytes of all weights, and the coded blocks of their upper bytes.

use std::borrow::Cow;
use std::fmt;

use crate::rans;

const MAGIC: &[u8; 8] = b"SPLMODEL";
const VERSION: u32 = 1;
/// Upper bytes that share a table of frequencies. A table takes some 400 bytes and tensors differ: of the powers of
/// two this one gives the smallest file.
const BLOCK: usize = 1 << 18;

/// A file of the model's folder.
#[derive(Clone, Copy)]
pub struct File<'a> {
    name: &'a str,
    form: Form,
    size: usize,
    crc32: u32,
    packed: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Stored,
    F16,
}

/// The packed bytes of a file are not those that were packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    file: String,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the built-in model's {} does not match its checksum: the program is damaged",
            self.file
        )
    }
}

impl std::error::Error for Damaged {}

impl fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("name", &self.name)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl<'a> File<'a> {
    /// The name in the folder, such as `config.json`.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The number of bytes when unpacked.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The CRC-32 (of zlib and gzip) of the unpacked bytes.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// Returns the bytes of the file after comparing them with their checksum.
    ///
    /// The weights take about 35 ms to unpack in a release build; all other files are stored and borrowed.
    ///
    /// # Errors
    ///
    /// [`Damaged`] if the checksum differs.
    pub fn unpack(&self) -> Result<Cow<'a, [u8]>, Damaged> {
        let bytes = match self.form {
            Form::Stored => Some(Cow::Borrowed(self.packed)),
            Form::F16 => unpack_f16(self.packed, self.size).map(Cow::Owned),
        };
        bytes
            .filter(|bytes| bytes.len() == self.size && crc32fast::hash(bytes) == self.crc32)
            .ok_or_else(|| Damaged { file: self.name.to_owned() })
    }
}

/// Packs files; `.safetensors` must hold f16 weights alone. Equal files give equal bytes.
///
/// `cargo xtask pack-model` of the repository calls this: users of the model have no need to.
///
/// # Panics
///
/// If a name has more than 255 bytes or a file 4 GiB.
pub fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut files = files.to_vec();
    files.sort_unstable();
    let mut out = MAGIC.to_vec();
    put(&mut out, VERSION as usize);
    put(&mut out, files.len());
    let mut payloads = Vec::new();
    for (name, bytes) in files {
        let (form, packed) = match name.ends_with(".safetensors") {
            true => (1, pack_f16(bytes)),
            false => (0, bytes.to_vec()),
        };
        out.push(u8::try_from(name.len()).expect("a file name has at most 255 bytes"));
        out.extend_from_slice(name.as_bytes());
        out.push(form);
        put(&mut out, bytes.len());
        out.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
        put(&mut out, packed.len());
        payloads.extend(packed);
    }
    out.extend(payloads);
    out
}

/// Reads the list of files, or `None` if these are no packed files.
pub(crate) fn list(packed: &[u8]) -> Option<Vec<File<'_>>> {
    let mut rest = packed.strip_prefix(MAGIC)?;
    if take_u32(&mut rest)? != VERSION {
        return None;
    }
    let count = take_u32(&mut rest)?;
    let mut files = Vec::new();
    let mut lengths = Vec::new();
    for _ in 0..count {
        let length = take(&mut rest, 1)?[0];
        let name = std::str::from_utf8(take(&mut rest, length.into())?).ok()?;
        let form = match take(&mut rest, 1)?[0] {
            0 => Form::Stored,
            1 => Form::F16,
            _ => return None,
        };
        let size = take_u32(&mut rest)? as usize;
        let crc32 = take_u32(&mut rest)?;
        lengths.push(take_u32(&mut rest)? as usize);
        files.push(File { name, form, size, crc32, packed: &[] });
    }
    for (file, length) in files.iter_mut().zip(lengths) {
        file.packed = take(&mut rest, length)?;
    }
    rest.is_empty().then_some(files)
}

fn pack_f16(bytes: &[u8]) -> Vec<u8> {
    // A safetensors file begins with the length of its header in 8 bytes.
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let mut stored =
        usize::try_from(header).unwrap_or(usize::MAX).saturating_add(8).min(bytes.len());
    // Weights have two bytes each.
    stored += (bytes.len() - stored) % 2;
    let (before, weights) = bytes.split_at(stored);
    let mut out = Vec::new();
    put(&mut out, before.len());
    out.extend_from_slice(before);
    out.extend(weights.iter().step_by(2));
    let upper: Vec<u8> = weights.iter().skip(1).step_by(2).copied().collect();
    for block in upper.chunks(BLOCK) {
        rans::encode(block, &mut out);
    }
    out
}

fn unpack_f16(mut packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let stored = take_u32(&mut packed)? as usize;
    let before = take(&mut packed, stored)?;
    let lower = take(&mut packed, size.checked_sub(stored)? / 2)?;
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(before);
    let mut upper = vec![0; BLOCK];
    for lower in lower.chunks(BLOCK) {
        let upper = &mut upper[..lower.len()];
        rans::decode(&mut packed, upper)?;
        out.extend(lower.iter().zip(upper).flat_map(|(lower, upper)| [*lower, *upper]));
    }
    packed.is_empty().then_some(out)
}

fn put(out: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("sizes are below 4 GiB");
    out.extend_from_slice(&number.to_le_bytes());
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Safetensors with `weights` after a header of `header` bytes.
    fn safetensors(header: usize, weights: &[u8]) -> Vec<u8> {
        let mut file = (header as u64).to_le_bytes().to_vec();
        file.resize(8 + header, b' ');
        file.extend_from_slice(weights);
        file
    }

    fn unpacked(packed: &[u8]) -> Vec<(String, Vec<u8>)> {
        let bytes = |file: &File<'_>| file.unpack().expect("a whole file").into_owned();
        let files = list(packed).expect("a list");
        files.iter().map(|file| (file.name().to_owned(), bytes(file))).collect()
    }

    #[test]
    fn what_is_packed_comes_back() {
        let weights: Vec<u8> = (0..600_001u32).map(|i| (i.wrapping_mul(i) / 977) as u8).collect();
        for weights in [&weights[..], &weights[..BLOCK * 2], &weights[..7], &[]] {
            for header in [0, 10, 13] {
                let file = safetensors(header, weights);
                let packed = pack(&[("vocab.txt", b"a\nb\n"), ("m.safetensors", &file)]);
                let want = [("m.safetensors", file), ("vocab.txt", b"a\nb\n".to_vec())];
                assert!(unpacked(&packed) == want.map(|(name, bytes)| (name.to_owned(), bytes)));
            }
        }
        for strange in [&b""[..], b"short", &[255; 20]] {
            let packed = pack(&[("m.safetensors", strange)]);
            assert_eq!(unpacked(&packed), [("m.safetensors".to_owned(), strange.to_vec())]);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let weights: Vec<u8> = (0..4_000u32).map(|i| (i % 61) as u8).collect();
        let packed = pack(&[("m.safetensors", &safetensors(3, &weights)), ("a.txt", b"text")]);
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 4;
            let Some(files) = list(&damaged) else { continue };
            let whole = files.iter().all(|file| file.unpack().is_ok());
            let names: Vec<_> = files.iter().map(File::name).collect();
            assert!(!whole || names != ["a.txt", "m.safetensors"], "byte {at}");
            assert!(list(&packed[..at]).is_none(), "the first {at} bytes");
        }
    }
}
