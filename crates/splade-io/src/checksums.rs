//! Checksums of the files of a folder, in the file `checksums.sfv` of the folder.
//!
//! The form is that of simple file verification: a line has the name of a file and its CRC-32, and
//! lines that begin with a semicolon are comments, so that other programs can check the folder, too
//! (`rhash --check checksums.sfv`). The last comment has the CRC-32 of all lines before it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::error::FileError;
use crate::new_file::write_file;

/// The name of the file with the checksums of a folder.
///
/// ```
/// use splade_io::{CHECKSUMS, write_checksums};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("model.bin"), "weights")?;
/// write_checksums(folder.path())?;
/// let checksums = std::fs::read_to_string(folder.path().join(CHECKSUMS))?;
/// assert!(checksums.lines().any(|line| line.starts_with("model.bin ")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const CHECKSUMS: &str = "checksums.sfv";
/// The beginning of the last line, which the checksum of the lines before it follows.
const OF_THE_LINES: &str = "; CRC-32 of the lines above: ";
/// The number of bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// Returns the CRC-32 of a file.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("digits");
/// std::fs::write(&path, "123456789")?;
/// assert_eq!(splade_io::crc32_of(&path)?, 0xcbf4_3926);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn crc32_of(path: &Path) -> Result<u32, FileError> {
    let sum = || -> io::Result<u32> {
        let mut file = File::open(path)?;
        let (mut sum, mut buffer) = (crc32fast::Hasher::new(), vec![0; BUFFER]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(sum.finalize()),
                Ok(bytes) => sum.update(&buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    sum().map_err(FileError::io("read", path))
}

/// Writes the checksums of all files of a folder, those of its folders included.
///
/// ```
/// use splade_io::{check_checksums, write_checksums};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("model.bin"), "weights")?;
/// write_checksums(folder.path())?;
/// assert!(check_checksums(folder.path())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if a file cannot be read or the checksums cannot be written.
pub fn write_checksums(folder: &Path) -> Result<(), FileError> {
    let mut names = Vec::new();
    list(folder, "", &mut names).map_err(FileError::io("list", folder))?;
    names.sort();
    let mut text = String::new();
    for name in names.iter().filter(|name| *name != CHECKSUMS) {
        text += &format!("{name} {:08x}\n", crc32_of(&folder.join(name))?);
    }
    text += &format!("{OF_THE_LINES}{:08x}\n", crc32fast::hash(text.as_bytes()));
    write_file(&folder.join(CHECKSUMS), text.as_bytes())
}

/// Compares the files of a folder with their checksums, and returns whether the folder has
/// checksums.
///
/// ```
/// use splade_io::{check_checksums, write_checksums};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("model.bin"), "weights")?;
/// assert!(!check_checksums(folder.path())?, "there are none yet");
/// write_checksums(folder.path())?;
/// std::fs::write(folder.path().join("model.bin"), "changed")?;
/// assert!(check_checksums(folder.path()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns [`FileError::Form`] if a file is missing or differs, or [`FileError::Io`] if a file
/// cannot be read.
pub fn check_checksums(folder: &Path) -> Result<bool, FileError> {
    let path = folder.join(CHECKSUMS);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        text => text.map_err(FileError::io("read", &path))?,
    };
    let damaged = || FileError::form(&path, "the file was changed or damaged");
    let text = String::from_utf8(text).map_err(|_| damaged())?;
    let (lines, own) = text.rsplit_once(OF_THE_LINES).ok_or_else(damaged)?;
    if own != format!("{:08x}\n", crc32fast::hash(lines.as_bytes())) {
        return Err(damaged());
    }
    for line in lines.lines() {
        let (name, wanted) = line.rsplit_once(' ').ok_or_else(damaged)?;
        let file = folder.join(name);
        if format!("{:08x}", crc32_of(&file)?) != wanted {
            let message = format!(
                "its checksum differs from that in {CHECKSUMS}: the file was changed or damaged"
            );
            return Err(FileError::form(&file, message));
        }
    }
    Ok(true)
}

/// Adds the names of all files below a folder, with slashes.
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|_| io::Error::other("a file name is not UTF-8"))?;
        match entry.path().is_dir() {
            true => list(&entry.path(), &format!("{prefix}{name}/"), names)?,
            false => names.push(format!("{prefix}{name}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ["a file", "part/b", CHECKSUMS];
        fs::create_dir(folder.path().join("part")).expect("made");
        fs::write(folder.path().join(files[0]), "one").expect("written");
        fs::write(folder.path().join(files[1]), [0, 255]).expect("written");
        assert!(!check_checksums(folder.path()).expect("without checksums"));
        write_checksums(folder.path()).expect("written");
        assert!(check_checksums(folder.path()).expect("whole"));
        for path in files.map(|name| folder.path().join(name)) {
            let bytes = fs::read(&path).expect("read");
            for bit in 0..8 * bytes.len() {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                fs::write(&path, bytes).expect("written");
                let found = check_checksums(folder.path());
                assert!(found.is_err(), "bit {bit} of {}", path.display());
            }
            for length in 0..bytes.len() {
                fs::write(&path, &bytes[..length]).expect("written");
                assert!(check_checksums(folder.path()).is_err(), "{length} bytes");
            }
            fs::write(&path, bytes).expect("written");
        }
        fs::remove_file(folder.path().join(files[1])).expect("removed");
        assert!(check_checksums(folder.path()).is_err());
    }
}
