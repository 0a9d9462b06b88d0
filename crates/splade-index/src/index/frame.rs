//! What the files of an index have in common: a header, entries one after another, and at the end a
//! table of the entries with a checksum. A few bytes that tell the kind of the file are at both ends.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the bytes of the kind |
//! | 4 | version |
//! | 4 | a number of the kind |
//! | | the entries |
//! | 24 per entry | the table |
//! | 4 each | numbers of the kind, of which the last is the number of entries |
//! | 4 | CRC-32 of the table and of these numbers |
//! | 8 | the bytes of the kind |

use std::io::Write;
use std::path::Path;

use splade_io::NewFile;

use super::bytes::u32_at;
use crate::IndexError;

/// The length of the header in bytes.
pub(super) const HEADER: usize = 16;
/// The length of an entry in the table, in bytes.
pub(super) const ENTRY: usize = 24;
/// The length of the checksum and of the last bytes.
const END: usize = 12;

/// A kind of file.
#[derive(Debug)]
pub(super) struct Kind {
    /// The first and the last bytes of the file.
    pub(super) magic: &'static [u8; 8],
    /// The version of the format that is written and read.
    pub(super) version: u32,
    /// The count of numbers between the table and its checksum.
    pub(super) numbers: usize,
    /// The message for a file of another kind.
    pub(super) missing: &'static str,
    /// The beginning of the message for a file of another version.
    pub(super) has: &'static str,
    /// The name of the entries in messages.
    pub(super) entries: &'static str,
}

/// The places of the table in a complete file.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) start: usize,
    /// The end of the table, where the numbers of the kind begin.
    pub(super) end: usize,
}

impl Kind {
    /// Returns the header of a file.
    pub(super) fn header(&self, number: u32) -> Vec<u8> {
        [&self.magic[..], &self.version.to_le_bytes(), &number.to_le_bytes()].concat()
    }

    /// Writes the table and what is after it. `path` appears in messages only.
    pub(super) fn finish(
        &self,
        mut file: NewFile,
        path: &Path,
        mut table: Vec<u8>,
        numbers: &[u32],
    ) -> Result<NewFile, IndexError> {
        debug_assert_eq!(numbers.len(), self.numbers);
        numbers.iter().for_each(|number| table.extend(number.to_le_bytes()));
        let crc = crc32fast::hash(&table);
        table.extend(crc.to_le_bytes());
        table.extend(self.magic);
        file.write_all(&table).map_err(IndexError::io("write", path))?;
        file.flush().map_err(IndexError::io("write", path))?;
        Ok(file)
    }

    /// Returns the place of the table in a file of `size` bytes whose end is `tail`, as far as the
    /// file is one of this kind. Nothing is checked.
    pub(super) fn table_of(&self, size: usize, tail: &[u8]) -> Option<std::ops::Range<usize>> {
        let count = u32_at(tail, tail.len().checked_sub(END + 4)?)? as usize;
        let end = size.checked_sub(END + 4 * self.numbers)?;
        Some(end.checked_sub(count.checked_mul(ENTRY)?)?..end)
    }

    /// Checks the ends, the version and the table of a complete file. `path` appears in messages
    /// only.
    pub(super) fn check(&self, bytes: &[u8], path: &Path) -> Result<Table, IndexError> {
        let Self { magic, version, numbers, missing, has, entries } = self;
        let damaged = |message: &str| IndexError::damaged(path, message);
        let shortest = HEADER + 4 * numbers + END;
        if bytes.len() < shortest || !bytes.starts_with(*magic) || !bytes.ends_with(*magic) {
            return Err(damaged(missing));
        }
        let found = u32_at(bytes, 8).unwrap_or(0);
        if found != *version {
            return Err(damaged(&format!(
                "{has} version {found}; this program reads version {version}"
            )));
        }
        let crc_at = bytes.len() - END;
        let end = crc_at - 4 * numbers;
        let count = u32_at(bytes, crc_at - 4).unwrap_or(0) as usize;
        let start = count.checked_mul(ENTRY).and_then(|length| end.checked_sub(length));
        let start = start.filter(|start| *start >= HEADER);
        let start = start.ok_or_else(|| damaged(&format!("the table of {entries} is cut off")))?;
        if Some(crc32fast::hash(&bytes[start..crc_at])) != u32_at(bytes, crc_at) {
            return Err(damaged(&format!("the checksum of the table of {entries} differs")));
        }
        Ok(Table { start, end })
    }
}
