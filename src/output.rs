//! Where rows go: standard output, or a file that is written aside and renamed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use splade_sparse::{SparseVector, TermId};

/// An output of bytes.
pub(crate) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    /// The file as it is written, and its name when it is whole.
    names: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// Standard output, or a file beside `path` until [`finish`](Self::finish).
    pub(crate) fn create(path: Option<&Path>) -> Result<Self> {
        let (sink, names): (Box<dyn Write>, _) = match path {
            None => (Box::new(std::io::stdout()), None),
            Some(path) => {
                let mut aside = path.as_os_str().to_owned();
                aside.push(".partial");
                let aside = PathBuf::from(aside);
                let file = File::create(&aside)
                    .with_context(|| format!("cannot write {}", aside.display()))?;
                (Box::new(file), Some((aside, path.to_path_buf())))
            }
        };
        Ok(Self { writer: BufWriter::with_capacity(1 << 16, sink), names })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).context("cannot write the output")
    }

    /// Flushes, and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.writer.flush().context("cannot write the output")?;
        drop(self.writer);
        if let Some((aside, path)) = self.names {
            File::open(&aside)?.sync_all()?;
            std::fs::rename(&aside, &path).with_context(|| {
                format!("cannot rename {} to {}", aside.display(), path.display())
            })?;
        }
        Ok(())
    }
}

/// Appends `{"id":…,"vector":{…}}` and a line end; weights descend, ties by term. Weights are
/// rounded to `decimals` and left out where that makes them zero.
pub(crate) fn push_row(
    out: &mut Vec<u8>,
    id: &str,
    vector: &SparseVector,
    push_key: &mut dyn FnMut(TermId, &mut Vec<u8>),
    decimals: u8,
) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(serde_json::Value::from(id).to_string().as_bytes());
    out.extend_from_slice(b",\"vector\":{");
    let mut first = true;
    for (term, weight) in vector.by_weight() {
        let number = format!("{:.*}", usize::from(decimals), weight);
        let number = number.trim_end_matches('0');
        if number == "0." {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        push_key(term, out);
        out.push(b':');
        out.extend_from_slice(number.as_bytes());
        if number.ends_with('.') {
            out.push(b'0');
        }
    }
    out.extend_from_slice(b"}}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_json_in_descending_weight() {
        let pairs =
            vec![(TermId(3), 0.5), (TermId(1), 2.33336), (TermId(2), 2.0), (TermId(9), 0.00004)];
        let vector = SparseVector::from_pairs(pairs).expect("a vector");
        let mut out = Vec::new();
        let mut key = |term: TermId, out: &mut Vec<u8>| out.extend(format!("\"{term}\"").bytes());
        push_row(&mut out, "a\"\n", &vector, &mut key, 4);
        let want = "{\"id\":\"a\\\"\\n\",\"vector\":{\"1\":2.3334,\"2\":2.0,\"3\":0.5}}\n";
        assert_eq!(String::from_utf8(out).expect("UTF-8"), want);
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out.ndjson");
        let mut output = Output::create(Some(&path)).expect("created");
        output.write(b"x").expect("written");
        assert!(!path.exists());
        output.finish().expect("finished");
        assert_eq!(std::fs::read(&path).expect("read"), b"x");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
