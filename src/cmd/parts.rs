//! A file of a line a query, made part by part.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use splade_train::parts::Parts;

use crate::input::Position;
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};

/// Queries of a part.
pub(crate) const QUERIES_AT_A_TIME: usize = 1024;

/// Makes the parts that are not there yet of so many rows, so many of them at once, and puts all
/// together.
pub(crate) fn write(
    mut parts: Parts,
    rows: usize,
    at_once: usize,
    mut lines_of: impl FnMut(Range<usize>) -> Result<Vec<String>>,
    stopped: impl Fn() -> anyhow::Error,
) -> Result<()> {
    let begin = parts.done() * QUERIES_AT_A_TIME;
    if begin > 0 {
        say(&format!("{} of {rows} queries were done before", begin.min(rows)));
    }
    let position = Position::of(rows as u64);
    position.read(begin.min(rows) as u64);
    let mut progress = Progress::start(position.clone(), "queries");
    for begin in (begin..rows).step_by(QUERIES_AT_A_TIME) {
        let end = rows.min(begin + QUERIES_AT_A_TIME);
        for begin in (begin..end).step_by(at_once) {
            if interrupt::asked() {
                progress.clear();
                return Err(stopped());
            }
            let window = begin..end.min(begin + at_once);
            parts.write(&lines_of(window.clone())?)?;
            position.read(window.len() as u64);
            progress.add(window.len(), 0);
        }
        parts.end_part()?;
    }
    progress.finish();
    Ok(parts.finish()?)
}

/// What a person is told who has stopped it.
pub(crate) fn stopped(out: &Path, force: bool) -> anyhow::Error {
    let how = if force { "--resume in place of --force" } else { "--resume" };
    let message = format!(
        "the parts so far are kept in {}.parts; go on with the same command and {how}",
        out.display()
    );
    Interrupted(message).into()
}
