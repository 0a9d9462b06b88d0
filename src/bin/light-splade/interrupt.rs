//! Ctrl-C: long work asks now and then whether to stop, and leaves what it has whole. SIGTERM, and
//! SIGHUP of a terminal that closes, are the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The error of work that was stopped; its text says how to go on.
#[derive(Debug)]
pub(crate) struct Interrupted(pub(crate) String);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted; {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// The exit code of interrupted work, as shells have it.
pub(crate) const EXIT_CODE: u8 = 130;

/// Signals that come together are one: of a terminal that closes both the shell and the system tell.
const TOGETHER: Duration = Duration::from_millis(500);

/// From now on the first Ctrl-C asks, and the second ends the process.
pub(crate) fn listen() -> Result<()> {
    // What waits for a pipe or a terminal stops, too.
    splade_io::stop_reading_when(asked);
    #[cfg(unix)]
    let stays = ignore_hang_up();
    let mut first: Option<Instant> = None;
    let listening = ctrlc::set_handler(move || match first {
        None => {
            first = Some(Instant::now());
            ASKED.store(true, Ordering::Relaxed);
        }
        Some(first) if first.elapsed() < TOGETHER => {}
        Some(_) => std::process::exit(i32::from(EXIT_CODE)),
    });
    listening.context("cannot listen for Ctrl-C")?;
    // What `nohup` started stays when the terminal closes.
    #[cfg(unix)]
    if stays {
        ignore_hang_up();
    }
    Ok(())
}

/// Has SIGHUP ignored; returns whether it was before.
#[cfg(unix)]
fn ignore_hang_up() -> bool {
    // SAFETY: the call sets no function of ours, and involves no memory.
    #[allow(unsafe_code, reason = "a call of the system")]
    let before = unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    before == libc::SIG_IGN
}

/// Whether Ctrl-C was pressed.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
