//! A model folder in one run of bytes, its f16 weights packed without loss, or with the losses of an 8-bit model.
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
//! | 1 | form: 0 stored, 1 f16 weights, 2 quantised weights |
//! | 4, 4, 4 | size, CRC-32, and packed size of the file |
//! | per file | the packed bytes |
//!
//! f16 weights are the length of what is stored before the first weight (the header of the safetensors file) in
//! 4 bytes, these bytes, the lower bytes of all weights, and the coded blocks of their upper bytes.
//!
//! Quantised weights are runs one after another, each with its kind in 1 byte. Kind 0 is bytes as they are: their
//! number in 4 bytes, and they. Kind 1 is a matrix: the numbers of its rows and columns in 4 bytes each, the largest
//! absolute weight of each row as an f16, and in coded blocks one byte for each weight, which is 128 more than the
//! weight in 127ths of the largest one of its row. That is how the kernels of 8 bits quantise a row, and they come
//! to the same integers and scales when they quantise it again ([`pack_int8`] makes sure of it), so an encoder of 8
//! bits gives the same vectors as it does with the weights as they were.

use std::borrow::Cow;
use std::fmt;

use half::f16;

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
    Int8,
}

/// A matrix of f16 weights in a `.safetensors` file, for [`pack_int8`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The place of the first weight in the file, in bytes.
    pub start: usize,
    /// The number of rows, each of which gets a scale of its own.
    pub rows: usize,
    /// The number of weights in a row.
    pub columns: usize,
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
            Form::Int8 => unpack_int8(self.packed, self.size).map(Cow::Owned),
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
    pack_with(files, |name, bytes| match name.ends_with(".safetensors") {
        true => (Form::F16, Cow::Borrowed(bytes), pack_f16(bytes)),
        false => (Form::Stored, Cow::Borrowed(bytes), bytes.to_vec()),
    })
}

/// Packs files for encoders of 8 bits, in about half the size: the `matrices` of the file `weights` keep only what
/// these encoders read of them. All other files and weights are stored. `None` if a matrix is not in the file, has
/// weights that are not finite, or would be quantised to other integers again, which rows of tiny weights may be.
///
/// # Panics
///
/// If a name has more than 255 bytes or a file 4 GiB.
pub fn pack_int8(files: &[(&str, &[u8])], weights: &str, matrices: &[Matrix]) -> Option<Vec<u8>> {
    let bytes = files.iter().find(|(name, _)| *name == weights)?.1;
    let packed = quantize(bytes, matrices)?;
    let unpacked = unpack_int8(&packed, bytes.len())?;
    if quantize(&unpacked, matrices)? != packed {
        return None;
    }
    Some(pack_with(files, |name, bytes| match name == weights {
        true => (Form::Int8, Cow::Owned(unpacked.clone()), packed.clone()),
        false => (Form::Stored, Cow::Borrowed(bytes), bytes.to_vec()),
    }))
}

/// Packs files as `form` says of each: its form, its bytes after unpacking, and its packed bytes.
fn pack_with<'a>(
    files: &[(&'a str, &'a [u8])],
    form: impl Fn(&str, &'a [u8]) -> (Form, Cow<'a, [u8]>, Vec<u8>),
) -> Vec<u8> {
    let mut files = files.to_vec();
    files.sort_unstable();
    let mut out = MAGIC.to_vec();
    put(&mut out, VERSION as usize);
    put(&mut out, files.len());
    let mut payloads = Vec::new();
    for (name, bytes) in files {
        let (form, bytes, packed) = form(name, bytes);
        out.push(u8::try_from(name.len()).expect("a file name has at most 255 bytes"));
        out.extend_from_slice(name.as_bytes());
        out.push(form as u8);
        put(&mut out, bytes.len());
        out.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        put(&mut out, packed.len());
        payloads.extend(packed);
    }
    out.extend(payloads);
    out
}

/// Reads the list of files that [`pack`] or [`pack_int8`] packed, or `None` if these are no packed files. Only
/// [`File::unpack`] compares a checksum.
pub fn list(packed: &[u8]) -> Option<Vec<File<'_>>> {
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
            2 => Form::Int8,
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

/// Quantises the matrices of a file; `None` if one of them is not in the file or has a weight that is not finite.
fn quantize(bytes: &[u8], matrices: &[Matrix]) -> Option<Vec<u8>> {
    let mut matrices = matrices.to_vec();
    matrices.sort_unstable_by_key(|matrix| matrix.start);
    let mut out = Vec::new();
    let mut at = 0;
    for Matrix { start, rows, columns } in matrices {
        put_stored(&mut out, bytes.get(at..start)?);
        at = start.checked_add(rows.checked_mul(columns)?.checked_mul(2)?)?;
        let weights = bytes.get(start..at)?.chunks_exact(2);
        let weights: Vec<f16> = weights.map(|w| f16::from_le_bytes([w[0], w[1]])).collect();
        if columns == 0 || weights.iter().any(|weight| !weight.is_finite()) {
            return None;
        }
        out.push(1);
        put(&mut out, rows);
        put(&mut out, columns);
        let mut quantized = Vec::with_capacity(weights.len());
        for row in weights.chunks_exact(columns) {
            let largest = row.iter().fold(0.0f32, |most, weight| most.max(weight.to_f32().abs()));
            out.extend_from_slice(&f16::from_f32(largest).to_le_bytes());
            // As `Int8Matrix` of `splade-nn` does it. The largest weight of an f16 is far from subnormal.
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let quantize =
                |w: &f16| ((w.to_f32() * inverse).round() as i8).wrapping_add(-128) as u8;
            quantized.extend(row.iter().map(quantize));
        }
        for block in quantized.chunks(BLOCK) {
            rans::encode(block, &mut out);
        }
    }
    put_stored(&mut out, bytes.get(at..)?);
    Some(out)
}

/// Appends a run of bytes as they are.
fn put_stored(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(0);
    put(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn unpack_int8(mut packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(size);
    let mut block = vec![0; BLOCK];
    while let Some((kind, rest)) = packed.split_first() {
        packed = rest;
        if *kind == 0 {
            let length = take_u32(&mut packed)? as usize;
            out.extend_from_slice(take(&mut packed, length)?);
            continue;
        }
        let (rows, columns) = (take_u32(&mut packed)? as usize, take_u32(&mut packed)? as usize);
        let largest = take(&mut packed, rows.checked_mul(2)?)?;
        let mut left = rows.checked_mul(columns)?;
        if *kind != 1 || left > size / 2 {
            return None;
        }
        let mut at = 0;
        while left > 0 {
            let block = &mut block[..left.min(BLOCK)];
            rans::decode(&mut packed, block)?;
            for byte in &*block {
                let row = at / columns * 2;
                let largest = f16::from_le_bytes([largest[row], largest[row + 1]]);
                let weight = match byte.wrapping_sub(128) as i8 {
                    127 => largest,
                    -127 => -largest,
                    q => f16::from_f32(f32::from(q) * (largest.to_f32() / 127.0)),
                };
                out.extend_from_slice(&weight.to_le_bytes());
                at += 1;
            }
            left -= block.len();
        }
    }
    Some(out)
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

    /// Two matrices with stored bytes around them. The integers and scales that a kernel of 8 bits makes of the
    /// weights are those that it makes of the unpacked ones.
    #[test]
    fn quantised_weights_are_quantised_to_the_same() {
        let mut state = 7u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f16::from_f32((state >> 8) as f32 / 2f32.powi(24) - 0.5)
        };
        let mut weights: Vec<f16> = (0..2 + 30 * 17 + 3 + 4 * 5).map(|_| draw()).collect();
        // A row of zeros.
        weights[2 + 17..2 + 34].fill(f16::ZERO);
        let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        let file = safetensors(10, &bytes);
        let at = |weight: usize| 18 + 2 * weight;
        let matrices = [
            Matrix { start: at(2 + 30 * 17 + 3), rows: 4, columns: 5 },
            Matrix { start: at(2), rows: 30, columns: 17 },
        ];
        let files: [(&str, &[u8]); 2] = [("a.txt", b"text"), ("m.safetensors", &file)];
        let packed = pack_int8(&files, "m.safetensors", &matrices).expect("packed");
        let unpacked = unpacked(&packed);
        assert_eq!(unpacked[0], ("a.txt".to_owned(), b"text".to_vec()));
        let again = &unpacked[1].1;
        assert_eq!(again.len(), file.len());
        let inside = |i: usize| {
            matrices.iter().any(|m| (m.start..m.start + 2 * m.rows * m.columns).contains(&i))
        };
        assert!((0..file.len()).all(|i| inside(i) || again[i] == file[i]));
        let row = |file: &[u8], m: &Matrix, row: usize| -> Vec<f32> {
            let row = &file[m.start + 2 * row * m.columns..][..2 * m.columns];
            row.chunks_exact(2).map(|w| f16::from_le_bytes([w[0], w[1]]).to_f32()).collect()
        };
        let int8 = |row: &[f32]| -> (f32, Vec<i8>) {
            let largest = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            (largest, row.iter().map(|w| (w * inverse).round() as i8).collect())
        };
        for matrix in &matrices {
            for r in 0..matrix.rows {
                assert_eq!(int8(&row(&file, matrix, r)), int8(&row(again, matrix, r)), "row {r}");
            }
        }
        let outside = [Matrix { start: at(2), rows: 300, columns: 17 }];
        assert_eq!(pack_int8(&files, "m.safetensors", &outside), None);
        assert_eq!(pack_int8(&files, "other.safetensors", &matrices), None);
        let infinite = safetensors(10, &f16::INFINITY.to_le_bytes());
        let one = [Matrix { start: 18, rows: 1, columns: 1 }];
        assert_eq!(pack_int8(&[("m", &infinite[..])], "m", &one), None);
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 16;
            // Another file or none, but no panic.
            list(&damaged).into_iter().flatten().for_each(|file| drop(file.unpack()));
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
