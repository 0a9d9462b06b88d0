//! Writes TensorBoard event files, byte for byte as torch's `SummaryWriter` does.
//!
//! A file is a sequence of TFRecords: the length of the data (u64), its masked CRC-32C (u32), the
//! data, and their masked CRC-32C (u32), all little-endian. The data of each record are an `Event`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::crc32c::masked_crc32c;
use super::protobuf;
use crate::error::LogError;

/// The number of files that this process has created, which is the last part of a file name.
static FILES: AtomicUsize = AtomicUsize::new(0);

/// An event file that records are appended to.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// Creates a new file in `folder`, and the folder if it is missing. If the run continues after
    /// `resumed_step`, TensorBoard drops what older files of the folder contain for later steps.
    pub(super) fn create(
        folder: &Path,
        resumed_step: Option<u64>,
        now: f64,
    ) -> Result<Self, LogError> {
        let error = |source| LogError::Io { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(error)?;
        let path = folder.join(format!(
            "events.out.tfevents.{:010}.{}.{}.{}",
            now as u64,
            host_name(),
            std::process::id(),
            FILES.fetch_add(1, Ordering::Relaxed)
        ));
        let file = File::create_new(&path)
            .map_err(|source| LogError::Io { path: path.clone(), source })?;
        let mut events = Self { path, file: BufWriter::new(file) };
        events.write(protobuf::first(now))?;
        if let Some(step) = resumed_step {
            events.write(protobuf::version(now, step + 1))?;
            events.write(protobuf::session_start(now, step + 1))?;
        }
        events.flush()?;
        Ok(events)
    }

    /// Appends a number, which the file stores in 32 bits.
    pub(super) fn scalar(
        &mut self,
        tag: &str,
        step: u64,
        value: f64,
        now: f64,
    ) -> Result<(), LogError> {
        self.write(protobuf::scalar(now, step, tag, value as f32))
    }

    /// Appends a text, which TensorBoard shows as Markdown.
    pub(super) fn text(&mut self, tag: &str, text: &str, now: f64) -> Result<(), LogError> {
        self.write(protobuf::text(now, tag, text))
    }

    /// Hands all buffered records to the operating system.
    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        self.file.flush().map_err(|source| self.error(source))
    }

    /// Waits until all records are on the disk.
    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        self.flush()?;
        self.file.get_ref().sync_data().map_err(|source| self.error(source))
    }

    /// Appends an event as a TFRecord.
    fn write(&mut self, event: Vec<u8>) -> Result<(), LogError> {
        let length = (event.len() as u64).to_le_bytes();
        let parts: [&[u8]; 4] = [
            &length,
            &masked_crc32c(&length).to_le_bytes(),
            &event,
            &masked_crc32c(&event).to_le_bytes(),
        ];
        self.file.write_all(&parts.concat()).map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> LogError {
        LogError::Io { path: self.path.clone(), source }
    }
}

/// Returns the name of the machine for use in file names, or `localhost` if it cannot be
/// determined.
///
/// ```
/// let name = splade_logs::host_name();
/// assert!(!name.is_empty() && !name.contains('/'));
/// ```
pub fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The time that scripts/reference/tensorboard_events.py uses.
    const CLOCK: f64 = 1_700_000_000.25;

    fn written(resumed_step: Option<u64>, fill: impl Fn(&mut EventFile)) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), resumed_step, CLOCK).unwrap();
        fill(&mut events);
        events.sync().unwrap();
        fs::read(&events.path).unwrap()
    }

    #[test]
    fn bytes_are_those_of_summary_writer() {
        let bytes = written(None, |events| {
            events.text("args", r#"{"seed": 42, "文": "text"}"#, CLOCK).unwrap();
            events.text("long", &"x".repeat(300), CLOCK).unwrap();
            for (i, loss) in [3.5, -1.25e-7, 0.0, f64::INFINITY, f64::NAN].into_iter().enumerate() {
                events.scalar("train/loss", i as u64 * 100, loss, CLOCK).unwrap();
            }
            events.scalar("eval/MRR@10", 1 << 40, 0.1, CLOCK).unwrap();
        });
        let expected = include_bytes!("../tests/fixtures/tensorboard/fresh.tfevents");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_resumed_run_voids_later_steps() {
        let bytes = written(Some(20), |events| {
            events.scalar("train/loss", 21, 2.0, CLOCK).unwrap();
        });
        let expected = include_bytes!("../tests/fixtures/tensorboard/resumed.tfevents");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn two_files_of_a_process_have_different_names() {
        let folder = tempfile::tempdir().unwrap();
        let names = [(); 2].map(|()| {
            let events = EventFile::create(folder.path(), None, CLOCK).unwrap();
            let name = events.path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.starts_with("events.out.tfevents.1700000000."), "{name}");
            name
        });
        assert_ne!(names[0], names[1]);
    }
}
