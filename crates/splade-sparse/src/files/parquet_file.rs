//! Functions that open Parquet files and their columns safely. The Parquet library panics if the
//! metadata or a page of a damaged file is inconsistent, so both are checked before it uses them.

use std::fs::File;
use std::path::Path;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use splade_io::FileError;

/// The length of the magic bytes at the start of every file, which is the lowest offset of a
/// column.
const MAGIC: u64 = 4;

/// Opens a file and checks that all columns lie inside it, which the library does not check.
pub(super) fn open(path: &Path) -> Result<SerializedFileReader<File>, FileError> {
    of(path, File::open(path).map_err(FileError::io("open", path))?)
}

/// Does the same with a file that is open already; `path` names it in messages.
pub(super) fn of(path: &Path, file: File) -> Result<SerializedFileReader<File>, FileError> {
    let length = file.metadata().map_err(FileError::io("open", path))?.len();
    let file = SerializedFileReader::new(file).map_err(FileError::format(path))?;
    match find_damage(file.metadata(), length) {
        None => Ok(file),
        Some(damage) => Err(FileError::form(path, format!("the file is damaged: {damage}"))),
    }
}

/// Returns a description of the first inconsistency in the metadata of a file with this length in
/// bytes, or `None` if there is none.
fn find_damage(metadata: &ParquetMetaData, length: u64) -> Option<String> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    for (at, group) in metadata.row_groups().iter().enumerate() {
        if group.num_columns() != columns {
            let found = group.num_columns();
            return Some(format!("row group {at} has {found} of {columns} columns"));
        }
        if group.num_rows() < 0 {
            return Some(format!("row group {at} has {} rows", group.num_rows()));
        }
        if let Some(column) = group.columns().iter().find(|column| !is_inside(column, length)) {
            let name = column.column_path().string();
            return Some(format!("column {name} of row group {at} lies outside the file"));
        }
    }
    None
}

/// Returns whether the pages of a column lie inside the file, according to the metadata.
fn is_inside(column: &ColumnChunkMetaData, length: u64) -> bool {
    let data = column.data_page_offset();
    let start = column.dictionary_page_offset().unwrap_or(data);
    let range = (u64::try_from(start), u64::try_from(column.compressed_size()));
    let (Ok(start), Ok(bytes)) = range else { return false };
    let fits = start.checked_add(bytes).is_some_and(|end| end <= length);
    fits && start >= MAGIC && data >= MAGIC as i64 && column.num_values() >= 0
}

/// Runs a function that decodes pages of the file at `path`. The library panics if the values of a
/// page are cut off, which only decoding reveals; this function turns such a panic into an error.
pub(super) fn decode<T>(
    path: &Path,
    decode: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, FileError> {
    // The readers of a damaged file are not used again, so their state after a panic is irrelevant.
    let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
    let cut_off = |_| Err(ParquetError::General("the values of a page are damaged".to_owned()));
    decoded.unwrap_or_else(cut_off).map_err(FileError::format(path))
}

/// Returns a reader of the column with index `at` in a row group.
pub(super) fn column(group: &dyn RowGroupReader, at: usize) -> Result<ColumnReader, ParquetError> {
    let descriptor = group.metadata().column(at).column_descr_ptr();
    let pages = group.get_column_page_reader(at)?;
    let levels = [descriptor.max_rep_level(), descriptor.max_def_level()];
    let pages = CheckedPages { pages, levels, has_dictionary: false };
    Ok(get_column_reader(descriptor, Box::new(pages)))
}

/// A reader of the pages of a column that checks each page before it is decoded.
struct CheckedPages {
    pages: Box<dyn PageReader>,
    /// The maximum repetition level and the maximum definition level.
    levels: [i16; 2],
    /// Whether the dictionary has been read.
    has_dictionary: bool,
}

impl CheckedPages {
    /// Returns an error if decoding the page would panic.
    fn check(&mut self, page: &Page) -> Result<(), ParquetError> {
        #[expect(deprecated, reason = "old writers use this encoding")]
        let is_of_levels = |encoding| matches!(encoding, Encoding::RLE | Encoding::BIT_PACKED);
        let damage = match page {
            Page::DictionaryPage { .. } if self.has_dictionary => "a column has two dictionaries",
            Page::DictionaryPage { .. } => {
                self.has_dictionary = true;
                return Ok(());
            }
            Page::DataPage { def_level_encoding, rep_level_encoding, .. }
                if !is_of_levels(*def_level_encoding) || !is_of_levels(*rep_level_encoding) =>
            {
                "a page has levels of an unknown encoding"
            }
            Page::DataPage { buf, num_values, def_level_encoding, rep_level_encoding, .. }
                if !self.levels_fit(
                    buf,
                    *num_values,
                    [*rep_level_encoding, *def_level_encoding],
                ) =>
            {
                "the levels of a page are cut off"
            }
            Page::DataPage { encoding, .. } | Page::DataPageV2 { encoding, .. } => match encoding {
                Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY if !self.has_dictionary => {
                    "a page lacks its dictionary"
                }
                _ => return Ok(()),
            },
        };
        Err(ParquetError::General(damage.to_owned()))
    }

    /// Returns whether the levels before the values of a version 1 page lie inside the page. The
    /// levels have either a length in the 4 bytes before them or a fixed number of bits each.
    fn levels_fit(&self, page: &[u8], values: u32, encodings: [Encoding; 2]) -> bool {
        let mut rest = page;
        for (most, encoding) in self.levels.into_iter().zip(encodings).filter(|(m, _)| *m > 0) {
            let bytes = if encoding == Encoding::RLE {
                rest.first_chunk().map(|length| 4 + u64::from(u32::from_le_bytes(*length)))
            } else {
                let bits = u64::from(i16::BITS - most.leading_zeros());
                Some((u64::from(values) * bits).div_ceil(8))
            };
            let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
            match bytes.and_then(|bytes| rest.get(bytes..)) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page, ParquetError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        self.pages.at_record_boundary()
    }
}
