//! What a file or folder looks like from outside, as build tools have it. Contents are not read.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use splade_io::FileError;

/// Files, bytes, and a hash of names, sizes and times of change; links count as what they lead to.
pub(crate) fn stamp(path: &Path) -> Result<String, FileError> {
    let mut files = Vec::new();
    let at = FileError::io("look at", path);
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok("none".to_owned()),
        Err(error) => return Err(at(error)),
        Ok(metadata) if metadata.is_dir() => walk(path, &mut files).map_err(at)?,
        Ok(metadata) => files.push((PathBuf::new(), metadata)),
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let (mut hash, mut bytes) = (FNV_START, 0);
    for (file, metadata) in &files {
        let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let name = file.strip_prefix(path).unwrap_or(file).display();
        let time = time.unwrap_or_default().as_nanos();
        hash = fnv(hash, format!("{name}\0{}\0{time}\n", metadata.len()).as_bytes());
        bytes += metadata.len();
    }
    Ok(format!("{} files, {bytes} bytes, {hash:016x}", files.len()))
}

fn walk(folder: &Path, files: &mut Vec<(PathBuf, Metadata)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::metadata(&path)?;
        match metadata.is_dir() {
            true => walk(&path, files)?,
            false => files.push((path, metadata)),
        }
    }
    Ok(())
}

/// Fowler, Noll and Vo's hash (FNV-1a, 64 bits).
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
