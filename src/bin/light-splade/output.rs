//! Where output goes: standard output, or a file that is written aside and renamed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use splade_sparse::files::{aside, sync_and_rename};

/// An output of bytes.
pub(crate) struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    /// The file's name when it is whole.
    path: Option<PathBuf>,
}

impl Output {
    /// Standard output, or a file beside `path` until [`finish`](Self::finish).
    pub(crate) fn create(path: Option<&Path>) -> Result<Self> {
        let sink: Box<dyn Write + Send> = match path {
            None => Box::new(std::io::stdout()),
            Some(path) => {
                let aside = aside(path);
                let file = File::create(&aside);
                Box::new(file.with_context(|| format!("cannot write {}", aside.display()))?)
            }
        };
        let writer = BufWriter::with_capacity(1 << 16, sink);
        Ok(Self { writer, path: path.map(Path::to_path_buf) })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).context("cannot write the output")
    }

    /// Flushes, and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.writer.flush().context("cannot write the output")?;
        // An open file cannot be renamed on every system.
        self.writer = BufWriter::new(Box::new(std::io::sink()));
        match self.path.take() {
            Some(path) => Ok(sync_and_rename(&path)?),
            None => Ok(()),
        }
    }
}

/// Of a file that is not whole nothing is left.
impl Drop for Output {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            _ = std::fs::remove_file(aside(&path));
        }
    }
}

/// Writes a text to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut output = Output::create(None)?;
    output.write(text.as_bytes())?;
    output.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out.txt");
        let mut output = Output::create(Some(&path)).expect("created");
        output.write(b"x").expect("written");
        assert!(!path.exists());
        drop(output);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
        let mut output = Output::create(Some(&path)).expect("created");
        output.write(b"x").expect("written");
        output.finish().expect("finished");
        assert_eq!(std::fs::read(&path).expect("read"), b"x");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
