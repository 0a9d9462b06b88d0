//! A folder that keeps the dense vectors of texts, so that every text is embedded once.
//!
//! A vector is found by the hash of its text. The folder holds the vectors of one model with one set of
//! settings, which `about.json` describes:
//!
//! - `about.json`: `{"format": "light-splade dense vectors", "version": 1, "dim": d, "about": …}`
//! - `rows.f32`: 64 bytes, which begin with `LSDENSE1`, then the vectors as little-endian 32-bit
//!   floats, row after row.
//! - `texts.bin`: for each text 24 bytes: the hash of the text (16 bytes), the number of its rows (4
//!   bytes) and the CRC-32 of their bytes (4 bytes), little-endian.
//!
//! Vectors are appended: first the rows, then the entries of the texts. What a run that was stopped left
//! behind the last complete entry is cut off when the folder is opened again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde_json::{Value, json};
use splade_io::{ContentHash, OutputLock, write_file};

use crate::error::DataError;
use crate::files::map;

const FORMAT: &str = "light-splade dense vectors";
/// The start of `rows.f32`.
const MAGIC: &[u8; 8] = b"LSDENSE1";
/// The bytes before the first row, so that rows are aligned.
const HEADER: u64 = 64;
/// The bytes of an entry of `texts.bin`.
const ENTRY: usize = 24;

/// A folder of dense vectors, open for appending.
///
/// ```
/// use splade_data::VectorStore;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors");
/// let about = serde_json::json!({"model": "org/teacher"});
/// let mut store = VectorStore::open(&path, &about, 2)?;
/// store.append([("night train", &[0.6, 0.8][..]), ("garden", &[1.0, 0.0][..])])?;
/// drop(store);
/// // Another process computes only what is missing.
/// let store = VectorStore::open(&path, &about, 2)?;
/// assert!(store.has("garden") && !store.has("bridge"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VectorStore {
    dir: PathBuf,
    dim: usize,
    rows: File,
    texts: File,
    /// The index of each text in `ends`.
    known: HashMap<[u8; 16], usize>,
    /// The number of rows of all texts up to each one.
    ends: Vec<u64>,
    _lock: OutputLock,
}

/// The vectors of a [`VectorStore`], mapped into memory.
///
/// ```
/// use splade_data::VectorStore;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors");
/// let about = serde_json::json!({"model": "org/teacher"});
/// let mut store = VectorStore::open(&path, &about, 2)?;
/// store.append([("night train", &[0.6, 0.8][..]), ("garden", &[1.0, 0.0][..])])?;
/// let vectors = store.read()?;
/// let train = vectors.index("night train").expect("a text that was stored");
/// assert_eq!(vectors.rows(train), [0.6, 0.8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StoredVectors {
    map: Option<Mmap>,
    dim: usize,
    known: HashMap<[u8; 16], usize>,
    ends: Vec<u64>,
}

fn key(text: &str) -> [u8; 16] {
    ContentHash::of(text.as_bytes()).to_bytes()
}

impl VectorStore {
    /// Opens a folder, or creates it. `about` is everything besides the texts that the vectors depend
    /// on, and `dim` their number of dimensions.
    ///
    /// # Errors
    /// Returns an error if the folder holds something else or the vectors of another model, if
    /// another process writes to it, or if a file cannot be read or written.
    pub fn open(dir: &Path, about: &Value, dim: usize) -> Result<Self, DataError> {
        std::fs::create_dir_all(dir).map_err(DataError::io(dir))?;
        let lock = OutputLock::take(&dir.join("lock"), dir)?;
        let form = |message: String| DataError::Form { path: dir.to_path_buf(), message };
        let own = json!({"format": FORMAT, "version": 1, "dim": dim, "about": about});
        let path = dir.join("about.json");
        match std::fs::read(&path) {
            Ok(bytes) => {
                let found: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                if found["format"] != FORMAT || found["version"] != 1 {
                    return Err(form("about.json is not that of dense vectors".to_owned()));
                }
                if found != own {
                    return Err(form(
                        "the folder has vectors of another model, or of other settings; name another \
                         folder"
                            .to_owned(),
                    ));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let entries = std::fs::read_dir(dir).map_err(DataError::io(dir))?;
                let others =
                    entries.filter_map(Result::ok).any(|entry| entry.file_name() != "lock");
                if others {
                    return Err(form(
                        "the folder has other files, so vectors are not written into it; name a new \
                         folder"
                            .to_owned(),
                    ));
                }
                write_file(&path, format!("{own:#}\n").as_bytes())?;
            }
            Err(error) => return Err(DataError::io(&path)(error)),
        }
        let open = |name: &str| {
            let path = dir.join(name);
            let options =
                File::options().create(true).truncate(false).read(true).write(true).open(&path);
            options.map_err(DataError::io(&path))
        };
        let (rows, texts) = (open("rows.f32")?, open("texts.bin")?);
        let (known, ends) = (HashMap::new(), Vec::new());
        let dir = dir.to_path_buf();
        let mut this = Self { dir, dim, rows, texts, known, ends, _lock: lock };
        this.recover()?;
        Ok(this)
    }

    /// Reads the entries and cuts off what is not complete.
    fn recover(&mut self) -> Result<(), DataError> {
        let path = self.dir.join("rows.f32");
        let length = self.rows.metadata().map_err(DataError::io(&path))?.len();
        if length < HEADER {
            let mut header = [0; HEADER as usize];
            header[..MAGIC.len()].copy_from_slice(MAGIC);
            self.rows.write_all(&header).map_err(DataError::io(&path))?;
        }
        let entries = std::fs::read(self.dir.join("texts.bin"));
        let entries = entries.map_err(DataError::io(&self.dir.join("texts.bin")))?;
        let map = map(&path)?;
        let bytes = map.as_deref().unwrap_or_default();
        if !bytes.starts_with(MAGIC) {
            return Err(DataError::Form {
                path,
                message: "it is not a file of vectors".to_owned(),
            });
        }
        let (mut at, mut complete) = (HEADER as usize, 0);
        for entry in entries.as_chunks::<ENTRY>().0 {
            let number = |at: usize| {
                u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
            };
            let size = number(16) as usize * self.dim * size_of::<f32>();
            let Some(rows) = bytes.get(at..at.saturating_add(size)) else { break };
            if crc32fast::hash(rows) != number(20) {
                break;
            }
            let mut key = [0; 16];
            key.copy_from_slice(&entry[..16]);
            self.known.insert(key, self.ends.len());
            self.ends.push(self.ends.last().copied().unwrap_or(0) + u64::from(number(16)));
            (at, complete) = (at + size, complete + ENTRY);
        }
        drop(map);
        for (file, length, name) in
            [(&mut self.rows, at, "rows.f32"), (&mut self.texts, complete, "texts.bin")]
        {
            let path = self.dir.join(name);
            file.set_len(length as u64).map_err(DataError::io(&path))?;
            file.seek(SeekFrom::End(0)).map_err(DataError::io(&path))?;
        }
        Ok(())
    }

    /// Returns whether the folder has the vectors of a text.
    pub fn has(&self, text: &str) -> bool {
        self.known.contains_key(&key(text))
    }

    /// Appends the vectors of texts, each as row after row. Texts that are there already are passed
    /// over.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn append<'a>(
        &mut self,
        texts: impl IntoIterator<Item = (&'a str, &'a [f32])>,
    ) -> Result<(), DataError> {
        let (mut rows, mut entries) = (Vec::new(), Vec::new());
        for (text, numbers) in texts {
            let key = key(text);
            if self.known.contains_key(&key) {
                continue;
            }
            let start = rows.len();
            rows.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            let count = (numbers.len() / self.dim.max(1)) as u32;
            entries.extend_from_slice(&key);
            entries.extend_from_slice(&count.to_le_bytes());
            entries.extend_from_slice(&crc32fast::hash(&rows[start..]).to_le_bytes());
            self.known.insert(key, self.ends.len());
            self.ends.push(self.ends.last().copied().unwrap_or(0) + u64::from(count));
        }
        let path = self.dir.join("rows.f32");
        self.rows.write_all(&rows).map_err(DataError::io(&path))?;
        let path = self.dir.join("texts.bin");
        self.texts.write_all(&entries).map_err(DataError::io(&path))
    }

    /// Maps all vectors into memory and closes the folder for writing.
    ///
    /// # Errors
    /// Returns an error if the file cannot be mapped.
    pub fn read(self) -> Result<StoredVectors, DataError> {
        let map = map(&self.dir.join("rows.f32"))?;
        Ok(StoredVectors { map, dim: self.dim, known: self.known, ends: self.ends })
    }
}

impl StoredVectors {
    /// Returns the number of dimensions.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns the index of a text, or `None` if it has no vectors here.
    pub fn index(&self, text: &str) -> Option<usize> {
        self.known.get(&key(text)).copied()
    }

    /// Returns the numbers of the text with an index, row after row.
    pub fn rows(&self, index: usize) -> &[f32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.numbers()[start as usize * self.dim..self.ends[index] as usize * self.dim]
    }

    /// Returns the numbers of all texts, row after row.
    pub fn numbers(&self) -> &[f32] {
        let bytes = self.map.as_deref().and_then(|map| map.get(HEADER as usize..));
        bytemuck::cast_slice(bytes.unwrap_or_default())
    }

    /// Returns the number of rows of all texts up to each one.
    pub fn ends(&self) -> &[u64] {
        &self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(store: StoredVectors, texts: &[&str]) -> Vec<Option<Vec<f32>>> {
        let row = |text: &&str| store.index(text).map(|index| store.rows(index).to_vec());
        texts.iter().map(row).collect()
    }

    #[test]
    fn vectors_are_kept_by_text_and_cut_off_where_they_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, about) = (dir.path().join("vectors"), json!({"model": "m"}));
        let open = || VectorStore::open(&path, &about, 2);
        let mut store = open().expect("opened");
        store.append([("a", &[1.0, 2.0][..]), ("b", &[3.0, 4.0, 5.0, 6.0])]).expect("written");
        assert!(store.has("a") && !store.has("c"));
        assert!(open().is_err(), "one process at a time");
        drop(store);
        // A text that is there is not written again, and one without a row is kept.
        let mut store = open().expect("opened");
        store.append([("a", &[9.0, 9.0][..]), ("c", &[])]).expect("written");
        let want = vec![Some(vec![1.0, 2.0]), Some(vec![3.0, 4.0, 5.0, 6.0]), Some(vec![]), None];
        assert_eq!(rows(store.read().expect("mapped"), &["a", "b", "c", "d"]), want);
        // What a stopped run left is cut off: half an entry, half a row, and an entry with damage.
        let mut texts = File::options().append(true).open(path.join("texts.bin")).expect("opened");
        texts.write_all(&[7; 5]).expect("written");
        let mut file = File::options().append(true).open(path.join("rows.f32")).expect("opened");
        file.write_all(&[7; 3]).expect("written");
        let mut store = open().expect("opened");
        store.append([("d", &[7.0, 8.0][..])]).expect("written");
        let want = vec![Some(vec![3.0, 4.0, 5.0, 6.0]), Some(vec![7.0, 8.0])];
        assert_eq!(rows(store.read().expect("mapped"), &["b", "d"]), want);
        let mut bytes = std::fs::read(path.join("rows.f32")).expect("read");
        bytes[HEADER as usize + 9] ^= 1;
        std::fs::write(path.join("rows.f32"), bytes).expect("written");
        let store = open().expect("opened");
        assert!(store.has("a") && !store.has("b") && !store.has("d"));
    }

    #[test]
    fn other_vectors_and_other_files_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("vectors");
        drop(VectorStore::open(&path, &json!({"model": "m"}), 2).expect("opened"));
        for (about, dim) in [(json!({"model": "n"}), 2), (json!({"model": "m"}), 3)] {
            let error = VectorStore::open(&path, &about, dim).expect_err("refused").to_string();
            assert!(error.contains("another model"), "{error}");
        }
        std::fs::write(dir.path().join("notes.txt"), "mine").expect("written");
        let error = VectorStore::open(dir.path(), &json!({}), 2).expect_err("refused").to_string();
        assert!(error.contains("other files"), "{error}");
        assert_eq!(std::fs::read(dir.path().join("notes.txt")).expect("there"), b"mine");
    }
}
