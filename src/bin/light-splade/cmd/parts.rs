//! A file of a line a query, made part by part.

use std::ops::Range;

use anyhow::Result;
use serde_json::Value;
use splade_data::parts::ResumableParts;

use crate::args::PartsArgs;
use crate::input::Position;
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};

/// Queries of a part.
pub(crate) const QUERIES_AT_A_TIME: usize = 1024;

/// Begins the file, or goes on with it.
pub(crate) fn open(args: &PartsArgs, settings: &Value) -> Result<ResumableParts> {
    Ok(ResumableParts::open(&args.out, settings, args.resume, args.force)?)
}

/// Makes the parts that are not there yet of so many rows, so many of them at once, and puts all
/// together.
pub(crate) fn write(
    args: &PartsArgs,
    mut parts: ResumableParts,
    rows: usize,
    at_once: usize,
    mut lines_of: impl FnMut(Range<usize>) -> Result<Vec<String>>,
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
                return Err(stopped(args));
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

/// Tells how to go on where what comes before the parts was interrupted.
pub(crate) fn or_stopped<T>(result: Result<T>, args: &PartsArgs) -> Result<T> {
    result.map_err(|error| if error.is::<Interrupted>() { stopped(args) } else { error })
}

fn stopped(args: &PartsArgs) -> anyhow::Error {
    let how = if args.force { "--resume in place of --force" } else { "--resume" };
    let message = format!(
        "the parts so far are kept in {}.parts; go on with the same command and {how}",
        args.out.display()
    );
    Interrupted(message).into()
}
