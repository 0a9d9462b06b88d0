//! A file of a line a query, made part by part.

use std::ops::Range;
use std::path::PathBuf;

use serde_json::Value;
use splade_data::parts::ResumableParts;
use splade_io::{Event, MadeWith, Observer};

use crate::error::{Error, advised};
use crate::record::Position;
use crate::stream::Counts;

/// Where a file that is made in parts goes.
///
/// ```
/// use light_splade::data::{MineOptions, NegativeFormat, PartsOptions, mine};
///
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("negatives.ndjson");
/// let options = MineOptions {
///     data: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train").into(),
///     format: NegativeFormat::Triplets,
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..MineOptions::default()
/// };
/// let mined = mine(&options, &mut ())?;
/// // What exists is not overwritten; a file that is complete is resumed with nothing to do.
/// assert!(mine(&options, &mut ()).is_err());
/// let output = PartsOptions { resume: true, ..options.output.clone() };
/// assert_eq!(mine(&MineOptions { output, ..options }, &mut ())?.queries, 0);
/// assert!(mined.queries > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PartsOptions {
    /// The file, `.ndjson` or `.ndjson.gz`; it takes its name once it is complete.
    pub out: PathBuf,
    /// Goes on where an earlier run was stopped.
    pub resume: bool,
    /// Replaces the file, or begins anew in place of going on.
    pub force: bool,
}

/// Queries of a part.
pub(crate) const QUERIES_AT_A_TIME: usize = 1024;

/// Returns whether a resumed run has nothing to do, and tells the observer so.
///
/// # Errors
/// If the file was made with other settings than these.
pub(crate) fn is_complete(
    options: &PartsOptions,
    settings: impl FnOnce(&mut dyn Observer) -> Result<Value, Error>,
    observer: &mut dyn Observer,
) -> Result<bool, Error> {
    if !options.resume || options.force || !ResumableParts::is_complete(&options.out) {
        return Ok(false);
    }
    let out = options.out.display();
    let unknown = match MadeWith::compare(&options.out, &settings(observer)?)? {
        MadeWith::Same => "",
        MadeWith::Unknown => ". Whether it was made with other settings is not known",
        MadeWith::Other(difference) => {
            return Err(advised(
                format!("{out} is complete, but was made with other settings: {difference}"),
                "make it anew with --force, or name another output",
            ));
        }
    };
    observer
        .event(Event::Note(&format!("{out} is complete already; nothing is to be done{unknown}")));
    Ok(true)
}

/// Begins the file, or goes on with it.
pub(crate) fn open(
    options: &PartsOptions,
    settings: &Value,
    observer: &mut dyn Observer,
) -> Result<ResumableParts, Error> {
    let parts = ResumableParts::open(&options.out, settings, options.resume, options.force)?;
    if parts.lacks_content() {
        observer.event(Event::Note(
            "the parts were begun by an earlier version of light-splade, which did not record what \
             the model and the data were: whether they have changed since is not checked",
        ));
    }
    Ok(parts)
}

/// Makes the parts that are not there yet of so many rows, so many of them at once, and puts all
/// together.
pub(crate) fn write(
    options: &PartsOptions,
    mut parts: ResumableParts,
    rows: usize,
    at_once: usize,
    observer: &mut dyn Observer,
    mut lines_of: impl FnMut(Range<usize>) -> Result<Vec<String>, Error>,
) -> Result<(), Error> {
    let begin = parts.done() * QUERIES_AT_A_TIME;
    if begin > 0 {
        let before = format!("{} of {rows} queries were done before", begin.min(rows));
        observer.event(Event::Note(&before));
    }
    let position = Position::of(rows as u64);
    position.read(begin.min(rows) as u64);
    let mut done = Counts::new("queries", position.share());
    observer.event(done.event(false));
    for begin in (begin..rows).step_by(QUERIES_AT_A_TIME) {
        let end = rows.min(begin + QUERIES_AT_A_TIME);
        for begin in (begin..end).step_by(at_once) {
            if observer.stop() {
                return Err(stopped(options));
            }
            let window = begin..end.min(begin + at_once);
            parts.write(&lines_of(window.clone())?)?;
            position.read(window.len() as u64);
            done.add(window.len(), 0, position.share());
            observer.event(done.event(false));
        }
        parts.end_part()?;
    }
    observer.event(done.event(true));
    Ok(parts.finish()?)
}

/// Tells how to go on where what comes before the parts was stopped.
pub(crate) fn or_stopped<T>(result: Result<T, Error>, options: &PartsOptions) -> Result<T, Error> {
    result.map_err(|error| match error {
        Error::Stopped { .. } => stopped(options),
        error => error,
    })
}

fn stopped(options: &PartsOptions) -> Error {
    let how = if options.force { "--resume in place of --force" } else { "--resume" };
    Error::Stopped {
        kept: format!(
            "the parts so far are kept in {}.parts; go on with the same command and {how}",
            options.out.display()
        ),
    }
}
