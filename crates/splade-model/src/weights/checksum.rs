//! The checksum of a safetensors file, which this project writes into the file itself.
//!
//! It is the entry `crc32` of `__metadata__`, which other programs ignore: the CRC-32 of the whole
//! file with eight zeros in the place of its own eight hexadecimal digits. A program that changes
//! the file and writes it again leaves the entry out, or writes it wrong.

use std::io;

use crc32fast::Hasher;
use splade_text::ModelFile;

/// The name of the entry in `__metadata__`.
pub(super) const KEY: &str = "crc32";
/// The digits in the file for which the checksum is computed.
pub(super) const ZEROS: &str = "00000000";
/// The number of bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// Returns the position of the digits in a header; `digits` is what is in their place.
pub(super) fn position(header: &[u8], digits: &str) -> Option<usize> {
    let entry = format!("\"{KEY}\":\"{digits}\"");
    let found = header.windows(entry.len()).position(|part| part == entry.as_bytes())?;
    Some(found + entry.len() - 1 - digits.len())
}

/// Returns whether a file of `length` bytes has the checksum `digits`, which are `at` bytes behind
/// its beginning.
pub(super) fn is_right(file: &ModelFile, length: u64, digits: &str, at: usize) -> io::Result<bool> {
    let mut sum = Hasher::new();
    let mut buffer = vec![0; BUFFER.min(length as usize)];
    let mut start = 0;
    while start < length {
        let part = &mut buffer[..BUFFER.min((length - start) as usize)];
        file.read_at(part, start)?;
        for (digit, zero) in (at as u64..).zip(ZEROS.bytes()) {
            if let Some(place) = digit.checked_sub(start).filter(|at| *at < part.len() as u64) {
                part[place as usize] = zero;
            }
        }
        sum.update(part);
        start += part.len() as u64;
    }
    Ok(format!("{:08x}", sum.finalize()) == digits)
}
