//! Reads the pickle that the Python library's converters write: `(evaluation samples, training
//! samples)`.
//!
//! Only the parts of such a file are supported: tuples, lists, dictionaries, strings and numbers in
//! the protocols 2 to 5. A pickle that would build or call anything else is refused, so reading one
//! never runs code. The texts stay in the memory-mapped file, and a sample takes 12 bytes. The
//! format is that of Python's `pickletools`.

use std::path::Path;

use memmap2::Mmap;
use splade_io::Problem;

use crate::error::TrainError;
use splade_data::map;

/// The number of the query's text, the number of the document's text, and the label of the pair.
pub(super) type Labelled = (u32, u32, f32);

/// The texts and samples of a pickle.
#[derive(Debug)]
pub(super) struct Pickled {
    pub(super) texts: PickledTexts,
    pub(super) train: Vec<Labelled>,
    pub(super) eval: Vec<PickledQuery>,
}

/// A query of the evaluation; its texts are given by their numbers.
#[derive(Debug)]
pub(super) struct PickledQuery {
    pub(super) query: u32,
    pub(super) positives: Vec<u32>,
    pub(super) negatives: Vec<u32>,
}

/// The texts of a memory-mapped pickle, by number.
#[derive(Debug)]
pub(super) struct PickledTexts {
    map: Mmap,
    /// The offset and the length of each text in bytes.
    places: Vec<(u64, u32)>,
}

impl PickledTexts {
    /// Returns a text, which was checked to be UTF-8 when the file was read.
    pub(super) fn get(&self, number: u32) -> &str {
        let (start, len) = self.places[number as usize];
        let bytes = self.map.get(start as usize..start as usize + len as usize);
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Pickled {
    /// Reads a pickle, which is decompressed if its name ends in `.gz`.
    ///
    /// # Errors
    /// Returns an error if the file is not a pickle of this form.
    pub(super) fn open(path: &Path) -> Result<Self, TrainError> {
        let empty = || TrainError::Data(format!("{} is empty", path.display()).into());
        let map = map(path)?.ok_or_else(empty)?;
        let mut reader = Reader { bytes: &map, ..Reader::default() };
        let read = reader.run().and_then(|root| reader.samples(root));
        let (eval, train) = read.map_err(|message| {
            let (path, at) = (path.display(), reader.at);
            let what = format!("{path}: {message} (byte {at} of the unpacked file)");
            TrainError::Data(Problem::new(what).with_remedy(
                "give a pickle of (dev_samples, train_samples), as \
                 run_convert_mmarco_ja_distil.py writes it",
            ))
        })?;
        let places = std::mem::take(&mut reader.texts);
        Ok(Self { texts: PickledTexts { map, places }, train, eval })
    }
}

/// A value of the pickle. Strings, samples, tuples, lists and dictionaries are numbers of entries
/// in the reader's tables.
#[derive(Debug, Clone, Copy)]
enum Value {
    Mark,
    None,
    Number(f32),
    Text(u32),
    /// A tuple of two strings and a number; a file has millions of them.
    Sample(u32),
    Tuple(u32),
    List(u32),
    Dict(u32),
}

#[derive(Default)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: Vec<Option<Value>>,
    texts: Vec<(u64, u32)>,
    samples: Vec<Labelled>,
    /// The elements of tuples and lists.
    sequences: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    /// Reads the file, and returns its value.
    fn run(&mut self) -> Read<Value> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                b'.' => return self.pop(),
                // Protocols and frames do not matter, because all bytes are in memory.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.stack.push(Value::Mark),
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Number(1.0)),
                0x89 => self.stack.push(Value::Number(0.0)),
                b'K' => self.push_number(1)?,
                b'M' => self.push_number(2)?,
                b'J' => {
                    let number = self.unsigned(4)? as u32 as i32;
                    self.stack.push(Value::Number(number as f32));
                }
                0x8a => {
                    let len = self.unsigned(1)? as usize;
                    let number = long(self.take(len)?)?;
                    self.stack.push(Value::Number(number));
                }
                b'G' => {
                    let bytes = self.take(8)?.try_into().map_err(|_| "eight bytes".to_owned())?;
                    self.stack.push(Value::Number(f64::from_be_bytes(bytes) as f32));
                }
                0x8c => self.push_text(1)?,
                b'X' => self.push_text(4)?,
                0x8d => self.push_text(8)?,
                b')' => self.push_tuple(Vec::new()),
                0x85 => self.pop_tuple(1)?,
                0x86 => self.pop_tuple(2)?,
                0x87 => self.pop_tuple(3)?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push_tuple(items);
                }
                b']' => {
                    self.sequences.push(Vec::new());
                    self.stack.push(Value::List(self.sequences.len() as u32 - 1));
                }
                b'}' => {
                    self.dicts.push(Vec::new());
                    self.stack.push(Value::Dict(self.dicts.len() as u32 - 1));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(&[item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(&items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set(&items)?;
                }
                0x94 => self.remember(self.memo.len())?,
                b'q' => {
                    let index = self.unsigned(1)? as usize;
                    self.remember(index)?;
                }
                b'r' => {
                    let index = self.unsigned(4)? as usize;
                    self.remember(index)?;
                }
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                other => {
                    return Err(format!(
                        "the pickle has other values than lists, texts and numbers (opcode \
                         0x{other:02x})"
                    ));
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> Read<&[u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("the file ends too early")?;
        let bytes = &self.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    /// Reads a little-endian unsigned integer of `bytes` bytes.
    fn unsigned(&mut self, bytes: usize) -> Read<u64> {
        let bytes = self.take(bytes)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn push_number(&mut self, bytes: usize) -> Read<()> {
        let number = self.unsigned(bytes)?;
        self.stack.push(Value::Number(number as f32));
        Ok(())
    }

    fn push_text(&mut self, bytes: usize) -> Read<()> {
        let len = self.unsigned(bytes)?;
        let start = self.at as u64;
        let short = u32::try_from(len).map_err(|_| "a text is longer than 4 GB".to_owned())?;
        let text = self.take(len as usize)?;
        std::str::from_utf8(text).map_err(|_| "a text is not UTF-8".to_owned())?;
        self.texts.push((start, short));
        self.stack.push(Value::Text(self.texts.len() as u32 - 1));
        Ok(())
    }

    fn push_tuple(&mut self, items: Vec<Value>) {
        if let [Value::Text(query), Value::Text(document), Value::Number(label)] = items[..] {
            self.samples.push((query, document, label));
            self.stack.push(Value::Sample(self.samples.len() as u32 - 1));
        } else {
            self.sequences.push(items);
            self.stack.push(Value::Tuple(self.sequences.len() as u32 - 1));
        }
    }

    fn pop(&mut self) -> Read<Value> {
        self.stack.pop().ok_or_else(|| "the pickle is damaged".to_owned())
    }

    fn pop_tuple(&mut self, count: usize) -> Read<()> {
        let start = self.stack.len().checked_sub(count).ok_or("the pickle is damaged")?;
        let items = self.stack.split_off(start);
        self.push_tuple(items);
        Ok(())
    }

    fn pop_to_mark(&mut self) -> Read<Vec<Value>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let mark = mark.ok_or("the pickle is damaged")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn append(&mut self, items: &[Value]) -> Read<()> {
        match self.stack.last() {
            Some(Value::List(list)) => self.sequences[*list as usize].extend_from_slice(items),
            _ => return Err("the pickle is damaged".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Value]) -> Read<()> {
        match self.stack.last() {
            Some(Value::Dict(dict)) if items.len().is_multiple_of(2) => {
                let entries = items.chunks_exact(2).map(|entry| (entry[0], entry[1]));
                self.dicts[*dict as usize].extend(entries);
                Ok(())
            }
            _ => Err("the pickle is damaged".to_owned()),
        }
    }

    fn remember(&mut self, index: usize) -> Read<()> {
        // Every memoised value has at least one byte of its own, so a larger number means that the
        // file is damaged.
        if index > self.bytes.len() {
            return Err("the pickle is damaged".to_owned());
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = self.stack.last().copied();
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Read<()> {
        let index = self.unsigned(bytes)? as usize;
        let value = self.memo.get(index).copied().flatten();
        self.stack.push(value.ok_or("the pickle is damaged")?);
        Ok(())
    }

    /// Returns the samples in the value of the file.
    fn samples(&mut self, root: Value) -> Read<(Vec<PickledQuery>, Vec<Labelled>)> {
        let wrong = "the value is not a pair of two lists";
        let Value::Tuple(root) = root else { return Err(wrong.to_owned()) };
        let [Value::List(eval), Value::List(train)] = self.sequences[root as usize][..] else {
            return Err(wrong.to_owned());
        };
        let eval = self.sequences[eval as usize].iter().map(|value| self.query(*value));
        let eval = eval.collect::<Read<Vec<_>>>()?;
        let train = std::mem::take(&mut self.sequences[train as usize]);
        let samples = train.iter().map(|value| match value {
            Value::Sample(sample) => Ok(self.samples[*sample as usize]),
            _ => Err("a training sample is not of the form (query, document, label)".to_owned()),
        });
        Ok((eval, samples.collect::<Read<_>>()?))
    }

    fn query(&self, value: Value) -> Read<PickledQuery> {
        let Value::Dict(dict) = value else {
            return Err("an evaluation sample is not a dictionary".to_owned());
        };
        let field = |name: &str| {
            let entries = self.dicts[dict as usize].iter();
            let mut found = entries.filter(|(key, _)| match key {
                Value::Text(key) => self.text(*key) == name.as_bytes(),
                _ => false,
            });
            let missing = || format!("an evaluation sample has no key \"{name}\"");
            found.next_back().map(|(_, value)| *value).ok_or_else(missing)
        };
        let texts = |name: &str| match field(name)? {
            Value::Text(text) => Ok(vec![text]),
            Value::List(list) => self.sequences[list as usize]
                .iter()
                .map(|item| match item {
                    Value::Text(text) => Ok(*text),
                    _ => Err(format!("\"{name}\" is not a list of texts")),
                })
                .collect(),
            _ => Err(format!("\"{name}\" is not a list of texts")),
        };
        let Value::Text(query) = field("query")? else {
            return Err("\"query\" is not a text".to_owned());
        };
        Ok(PickledQuery { query, positives: texts("positive")?, negatives: texts("negative")? })
    }

    fn text(&self, number: u32) -> &[u8] {
        let (start, len) = self.texts[number as usize];
        &self.bytes[start as usize..start as usize + len as usize]
    }
}

/// Returns the value of a signed little-endian integer.
fn long(bytes: &[u8]) -> Read<f32> {
    if bytes.len() > 8 {
        return Err("a label is too large".to_owned());
    }
    let mut all = [if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(all) as f32)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use proptest::prelude::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/teacher")
    }

    /// Pickles of each protocol are compared with what Python has written into them
    /// (`scripts/reference/teacher.py`).
    #[test]
    fn reads_what_python_wrote() {
        let expected: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/teacher/pairs.json"))
                .expect("JSON");
        for name in ["pairs-2.pkl.gz", "pairs-4.pkl.gz", "pairs-5.pkl"] {
            let read = Pickled::open(&folder().join(name)).expect(name);
            let text = |number: u32| serde_json::Value::from(read.texts.get(number));
            let train: Vec<_> = read
                .train
                .iter()
                .map(|(q, d, label)| serde_json::json!([text(*q), text(*d), f64::from(*label)]))
                .collect();
            assert_eq!(serde_json::Value::from(train), expected["train"], "{name}");
            let texts = |list: &[u32]| -> Vec<_> { list.iter().map(|t| text(*t)).collect() };
            let eval: Vec<_> = read
                .eval
                .iter()
                .map(|q| {
                    serde_json::json!({"query": text(q.query), "positive": texts(&q.positives),
                        "negative": texts(&q.negatives)})
                })
                .collect();
            assert_eq!(serde_json::Value::from(eval), expected["eval"], "{name}");
        }
    }

    #[test]
    fn code_is_refused() {
        let error = Pickled::open(&folder().join("evil.pkl")).expect_err("refused").to_string();
        assert!(error.contains("other values than lists, texts and numbers (opcode 0x"), "{error}");
        let error = Pickled::open(&folder().join("other.pkl")).expect_err("refused").to_string();
        assert!(error.contains("the value is not a pair of two lists"), "{error}");
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_samples(
            at: prop::sample::Index, bytes in prop::collection::vec(any::<u8>(), 0..4), cut in 0usize..9,
        ) {
            let mut pickle = std::fs::read(folder().join("pairs-5.pkl")).expect("a fixture");
            let at = at.index(pickle.len());
            let end = pickle.len().min(at + cut);
            pickle.splice(at..end, bytes);
            let dir = tempfile::tempdir().expect("a folder");
            let path = dir.path().join("p.pkl");
            std::fs::write(&path, pickle).expect("written");
            _ = Pickled::open(&path).map(drop);
        }
    }
}
