//! Where output goes: standard output, or a file that takes its name once it is complete.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use light_splade::outputs::check_output;
use splade_io::{NewFile, printable_lines};

use crate::style;

/// An output of bytes.
pub(crate) enum Output {
    Stdout(BufWriter<Screen<io::Stdout>>),
    File(NewFile),
}

/// Standard output. On a terminal the control characters of ids, tokens and texts are escaped, which
/// could change what it shows or does; elsewhere every byte is written as it is.
pub(crate) struct Screen<W> {
    out: W,
    escapes: bool,
    /// Whether the last byte was the first of a character from U+0080 to U+00BF, of which those below
    /// U+00A0 are control characters. It has not been written yet.
    after_c2: bool,
}

impl Screen<io::Stdout> {
    pub(crate) fn stdout() -> Self {
        let out = io::stdout();
        let escapes = out.is_terminal();
        Self { out, escapes, after_c2: false }
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.escapes {
            return self.out.write(bytes);
        }
        let mut escaped = Vec::with_capacity(bytes.len() + 16);
        for byte in bytes {
            if std::mem::take(&mut self.after_c2) {
                match byte {
                    0x80..0xa0 => {
                        write!(escaped, "\\u00{byte:02x}")?;
                        continue;
                    }
                    _ => escaped.push(0xc2),
                }
            }
            match byte {
                b'\n' | b'\t' => escaped.push(*byte),
                0..0x20 | 0x7f => write!(escaped, "\\u00{byte:02x}")?,
                0xc2 => self.after_c2 = true,
                _ => escaped.push(*byte),
            }
        }
        self.out.write_all(&escaped)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.after_c2) {
            self.out.write_all(&[0xc2])?;
        }
        self.out.flush()
    }
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self::Stdout(BufWriter::with_capacity(1 << 16, Screen::stdout()))
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

    /// Writes a text for people that is styled; what is not of this program is escaped already.
    pub(crate) fn write_styled(&mut self, text: &str) -> Result<()> {
        let Self::Stdout(writer) = self else { return self.write(text.as_bytes()) };
        writer.flush().context("cannot write the output")?;
        print_styled(text)
    }

    /// Whether the output is standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout(_))
    }

    /// Whether the output is a terminal that shows styles.
    pub(crate) fn has_styles(&self) -> bool {
        self.is_stdout() && style::on_stdout()
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

/// Writes a text in a form for programs to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut output = Output::stdout();
    output.write(text.as_bytes())?;
    output.finish()
}

/// Writes a text for people to standard output. Its control characters are escaped wherever it goes,
/// because a pager or a log shows it later.
pub(crate) fn print_text(text: &str) -> Result<()> {
    print(&printable_lines(text))
}

/// Writes a text for people that is styled; what is not of this program is escaped already.
pub(crate) fn print_styled(text: &str) -> Result<()> {
    let mut out = io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("cannot write the output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let shown = |escapes, parts: &[&[u8]]| {
            let mut screen = Screen { out: Vec::new(), escapes, after_c2: false };
            parts.iter().for_each(|part| screen.write_all(part).expect("written"));
            screen.flush().expect("written");
            String::from_utf8(screen.out).expect("UTF-8")
        };
        let text = "a\u{1b}[2J\t東\u{9b}1m\u{a9}\u{7f}\n";
        let want = "a\\u001b[2J\t東\\u009b1m\u{a9}\\u007f\n";
        assert_eq!(shown(true, &[text.as_bytes()]), want);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(shown(true, &bytes), want, "characters may be written in parts");
        assert_eq!(shown(false, &[text.as_bytes()]), text);
    }
}
