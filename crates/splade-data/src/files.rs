//! Finds the data files of a path in the config and maps them into memory.
//!
//! The operating system reads the pages of a mapped file when they are accessed and may evict them
//! again. A compressed file is decompressed once, into an unnamed file in the system's temporary
//! folder, which disappears when the program ends.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use memmap2::Mmap;

use splade_io::{free_bytes, size};

use crate::error::DataError;

/// Returns the data files of a path: the file itself, or the files of the folder, first `*.ndjson`
/// and then `*.ndjson.gz`, each sorted by name.
pub(crate) fn find(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let ends = |path: &Path, suffix| path.as_os_str().as_encoded_bytes().ends_with(suffix);
    let [plain, packed] = [b".ndjson".as_slice(), b".ndjson.gz"];
    let mut files = Vec::new();
    if path.is_dir() {
        let list = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>, _>>());
        let mut list = list.map_err(DataError::io(path))?;
        list.retain(|path| path.is_file());
        list.sort();
        for suffix in [plain, packed] {
            files.extend(list.iter().filter(|path| ends(path, suffix)).cloned());
        }
    } else if path.is_file() && (ends(path, plain) || ends(path, packed)) {
        files.push(path.to_path_buf());
    }
    if files.is_empty() {
        return Err(DataError::NoData { path: path.to_path_buf(), exists: path.exists() });
    }
    Ok(files)
}

/// Returns the names of the files of a folder that [`find`] leaves out; none if the path is a file.
/// Hidden files are not among them.
pub(crate) fn left_out(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let found = find(path).unwrap_or_default();
    let paths = entries.flatten().map(|entry| entry.path());
    let others = paths.filter(|path| path.is_file() && !found.contains(path));
    let names = others.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.filter(|name| !name.starts_with(['.', '_'])).collect();
    names.sort();
    names
}

/// Maps a file into memory, decompressed if its first bytes are those of gzip; returns `None` if the
/// file is empty.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("texts.ndjson");
/// std::fs::write(&path, "{}\n")?;
/// let bytes = splade_data::map(&path)?.expect("the file is not empty");
/// assert_eq!(&bytes[..], b"{}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn map(path: &Path) -> Result<Option<Mmap>, DataError> {
    let mut file = File::open(path).map_err(DataError::io(path))?;
    if is_packed(&mut file).map_err(DataError::io(path))? {
        file = unpack(path, file)?;
    }
    // The kernel refuses to map zero bytes.
    if file.metadata().map_err(DataError::io(path))?.len() == 0 {
        return Ok(None);
    }
    // SAFETY: the documentation of `TrainingData` requires that training data is not written to
    // while it is in use, and its bytes are checked whenever they are read.
    #[allow(unsafe_code, reason = "mapping a file")]
    let map = unsafe { Mmap::map(&file) }.map_err(DataError::io(path))?;
    Ok(Some(map))
}

/// Returns whether a file begins as gzip does.
fn is_packed(file: &mut File) -> std::io::Result<bool> {
    let mut magic = Vec::new();
    Read::by_ref(file).take(2).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(magic == [0x1f, 0x8b])
}

fn unpack(path: &Path, mut file: File) -> Result<File, DataError> {
    let folder = std::env::temp_dir();
    let needed = least_size(&mut file).map_err(DataError::io(path))?;
    if let Some(free) = free_bytes(&folder).filter(|free| *free < needed) {
        return Err(no_room(
            path,
            &folder,
            &format!("{} or more, but only {} is free", size(needed), size(free)),
        ));
    }
    let unpacked = tempfile::tempfile_in(&folder).map_err(DataError::io(&folder))?;
    let mut source = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file));
    let mut sink = BufWriter::new(unpacked);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = source.read(&mut buffer).map_err(DataError::io(path))?;
        if count == 0 {
            break;
        }
        let written = sink.write_all(&buffer[..count]);
        written.map_err(|error| no_room(path, &folder, &error.to_string()))?;
    }
    sink.into_inner().map_err(|error| no_room(path, &folder, &error.error().to_string()))
}

fn no_room(path: &Path, folder: &Path, why: &str) -> DataError {
    let (path, folder) = (path.to_path_buf(), folder.to_path_buf());
    DataError::NotUnpacked { path, folder, why: why.to_owned() }
}

/// Returns a lower bound of a file's decompressed size. Its last four bytes hold the size modulo
/// 2^32 (RFC 1952).
fn least_size(file: &mut File) -> std::io::Result<u64> {
    let packed = file.seek(SeekFrom::End(0))?;
    let mut size = [0; 4];
    if packed >= 4 {
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut size)?;
    }
    file.rewind()?;
    let size = u64::from(u32::from_le_bytes(size));
    // Data that deflate cannot compress grows by 5 bytes in 16 KB, and a member has 18 bytes or
    // more.
    let incompressible = packed.saturating_sub(packed / 1000 + 64);
    Ok(match size >= incompressible {
        true => size,
        // The file has more than 4 GB or several members, or it is damaged.
        false => incompressible,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gz(text: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text).expect("packed");
        gz.finish().expect("packed")
    }

    #[test]
    fn files_of_a_folder_come_by_name_and_plain_ones_first() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["b.ndjson", "c.ndjson", "a.ndjson.gz", "a.json", "B.ndjson", "b.ndjson.bak"] {
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        std::fs::create_dir(dir.path().join("d.ndjson")).expect("a folder");
        let found = find(dir.path()).expect("files");
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["B.ndjson", "b.ndjson", "c.ndjson", "a.ndjson.gz"]);
        assert_eq!(left_out(dir.path()), ["a.json", "b.ndjson.bak"]);
        assert_eq!(left_out(&dir.path().join("b.ndjson")), [""; 0]);
    }

    #[test]
    fn other_paths_are_refused_in_the_words_of_the_python_library() {
        let dir = tempfile::tempdir().expect("a folder");
        let json = dir.path().join("a.json");
        std::fs::write(&json, "").expect("written");
        for (path, more) in [
            (dir.path(), ""),
            (&json, ""),
            (Path::new("no/such.ndjson"), "; no file or folder has this name"),
        ] {
            let want = format!(
                "The data_path `{}` is not valid (must be a .ndjson or .ndjson.gz file, or a \
                 folder which contain at least 1 such file){more}",
                path.display()
            );
            assert_eq!(find(path).expect_err("refused").to_string(), want);
        }
    }

    #[test]
    fn packed_files_are_unpacked_and_damage_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.ndjson.gz");
        let text = "line\n".repeat(200_000).into_bytes();
        // The file has two gzip members, as `cat a.gz b.gz` makes it.
        let packed = [gz(&text), gz(b"end")].concat();
        std::fs::write(&path, &packed).expect("written");
        let map = map(&path).expect("mapped").expect("not empty");
        assert_eq!(map[..], [&text[..], b"end"].concat());
        std::fs::write(&path, &packed[..packed.len() / 2]).expect("written");
        assert!(super::map(&path).is_err());
        std::fs::write(&path, gz(b"")).expect("written");
        assert!(super::map(&path).expect("mapped").is_none());
        // What a browser unpacked while it saved the file keeps its name.
        std::fs::write(&path, b"plain\n").expect("written");
        assert_eq!(super::map(&path).expect("mapped").expect("not empty")[..], b"plain\n"[..]);
    }

    #[test]
    fn the_needed_room_is_no_more_than_the_size() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.gz");
        let mut random = crate::random::Random::new(&[1]);
        let noise: Vec<u8> = (0..100_000).map(|_| random.next_u64() as u8).collect();
        for text in [&noise[..], &[7; 100_000], b"", b"x"] {
            let two = [gz(text), gz(b"y")].concat();
            for (packed, size) in [(gz(text), text.len()), (two, text.len() + 1)] {
                std::fs::write(&path, packed).expect("written");
                let needed = least_size(&mut File::open(&path).expect("open")).expect("read");
                assert!(needed <= size as u64, "{needed} > {size}");
            }
        }
        assert!(cfg!(not(unix)) || free_bytes(dir.path()).is_some_and(|free| free > 0));
    }
}
