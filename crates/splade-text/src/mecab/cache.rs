//! Expands a packed dictionary once into a file that later starts memory-map.
//!
//! Expanding the dictionary takes a third of a second; mapping and checking the file takes some
//! milliseconds. The file name contains the checksum and the size of the packed dictionary and the
//! version of the layout. The file is written under a temporary name and renamed, and it is used
//! only if its own checksum matches; an outdated or damaged file is replaced. If the file cannot be
//! written, the dictionary stays in memory.
#![allow(unsafe_code, reason = "mapping a file")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::image::Dictionary;
use super::packed;

/// The version of the image's layout, which changes with every change of the layout.
const LAYOUT: u32 = 2;
/// The length of the checksum after the image in bytes.
const TRAILER: usize = 8;

/// Returns the folder for cached files: `LIGHT_SPLADE_CACHE`, or else `light-splade` in the user's
/// cache folder.
pub(crate) fn default_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("LIGHT_SPLADE_CACHE") {
        return Some(folder.into());
    }
    let base = set("XDG_CACHE_HOME")
        .or_else(|| set("LOCALAPPDATA"))
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(base.join("light-splade"))
}

/// Opens a packed dictionary, mapped from a file in `folder` if possible.
pub(crate) fn open(packed: &[u8], folder: Option<&Path>) -> Result<Dictionary, String> {
    let (key, size) = (crc32fast::hash(packed), packed.len());
    let endian = if cfg!(target_endian = "little") { "le" } else { "be" };
    let name = format!("mecab-{key:08x}-{size:x}-{LAYOUT}{endian}.bin");
    let file = folder.map(|folder| folder.join(name));
    if let Some(dictionary) = file.as_deref().and_then(map) {
        return Ok(dictionary);
    }
    let dictionary = Dictionary::build(packed::unpack(packed)?);
    if let Some(file) = file {
        // A failure only makes later starts slower, so it is ignored.
        let _ = write(&file, &dictionary.bytes());
    }
    Ok(dictionary)
}

/// Maps a file as a dictionary, or returns `None` if it is missing or damaged.
fn map(path: &Path) -> Option<Dictionary> {
    let file = File::open(path).ok()?;
    // SAFETY: a cached file is never modified in place: writers create a temporary file and rename
    // it, and the mapping keeps the old file alive. Another program that modifies the file would
    // break this assumption.
    let bytes = unsafe { memmap2::Mmap::map(&file) }.ok()?;
    let (image, trailer) = bytes.split_at_checked(bytes.len().checked_sub(TRAILER)?)?;
    let expected = u64::from_le_bytes(trailer.try_into().ok()?);
    if u64::from(crc32fast::hash(image)) != expected {
        return None;
    }
    let image = image.len();
    // SAFETY: the same file is mapped again without the trailer; see above. Its length was checked
    // against the first mapping.
    let map = unsafe { memmap2::MmapOptions::new().len(image).map(&file) }.ok()?;
    Dictionary::mapped(map)
}

/// Writes an image with its checksum under a temporary name and renames the file.
fn write(path: &Path, image: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Two processes may write at the same time, so each has a name of its own.
    let aside = path.with_extension(format!("{}.tmp", std::process::id()));
    let result = (|| {
        let mut file = File::create(&aside)?;
        file.write_all(image)?;
        file.write_all(&u64::from(crc32fast::hash(image)).to_le_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mecab::pack;
    use crate::mecab::parts::Parts;

    /// Checks that a cached file is used, and that a damaged one is replaced.
    #[test]
    fn damaged_files_are_replaced() {
        let packed = pack::pack(&Parts::sample()).expect("packed");
        let folder = tempfile::tempdir().expect("a folder");
        let image = open(&packed, Some(folder.path())).expect("built").bytes().to_vec();
        let file = std::fs::read_dir(folder.path()).expect("listed").next().expect("a file");
        let file = file.expect("an entry").path();
        assert_eq!(map(&file).expect("mapped").bytes(), image);
        let good = std::fs::read(&file).expect("read");
        for damage in [0, 8, image.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[damage] ^= 1;
            std::fs::write(&file, &bad).expect("written");
            assert!(map(&file).is_none(), "byte {damage}");
            assert_eq!(open(&packed, Some(folder.path())).expect("rebuilt").bytes(), image);
            assert_eq!(std::fs::read(&file).expect("read"), good);
        }
        std::fs::write(&file, &good[..good.len() - 100]).expect("written");
        assert!(map(&file).is_none());
        std::fs::write(&file, b"").expect("written");
        assert!(map(&file).is_none());
    }
}
