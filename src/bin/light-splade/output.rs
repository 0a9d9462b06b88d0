//! Where output goes: standard output, or a file that takes its name once it is complete.

use std::io::{BufWriter, Stdout, Write};
use std::path::Path;

use anyhow::{Context, Result};
use light_splade::outputs::check_output;
use splade_io::NewFile;

/// An output of bytes.
pub(crate) enum Output {
    Stdout(BufWriter<Stdout>),
    File(NewFile),
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self::Stdout(BufWriter::with_capacity(1 << 16, std::io::stdout()))
    }

    /// Standard output, or a file that is none of the inputs, and replaces another only with
    /// `force`.
    pub(crate) fn create<P: AsRef<Path>>(
        path: Option<&Path>,
        inputs: impl IntoIterator<Item = P>,
        force: bool,
    ) -> Result<Self> {
        match path.filter(|path| !is_stdout(path)) {
            None => Ok(Self::stdout()),
            Some(path) => {
                check_output(path, inputs, force)?;
                Ok(Self::File(NewFile::create(path)?))
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writer: &mut dyn Write = match self {
            Self::Stdout(writer) => writer,
            Self::File(file) => file,
        };
        writer.write_all(bytes).context("cannot write the output")
    }

    /// Flushes, and gives the file its name.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(mut writer) => writer.flush().context("cannot write the output"),
            Self::File(file) => Ok(file.commit()?),
        }
    }
}

/// Whether a path names standard output, which the shell may have sent to a file.
pub(crate) fn is_stdout(path: &Path) -> bool {
    cfg!(unix) && path == Path::new("/dev/stdout")
}

/// Writes a text to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut output = Output::stdout();
    output.write(text.as_bytes())?;
    output.finish()
}
