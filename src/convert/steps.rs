//! One conversion of files, with its progress.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_data::DataError;
use splade_data::convert::{Conversion, Converted};
use splade_io::{Event, Observer, Progress};

use crate::error::Error;

/// Converts into a folder, with the progress of a conversion, and tells what there is to say.
pub(super) fn convert_into(
    source: &Conversion,
    out: &Path,
    settings: &Value,
    force: bool,
    observer: &mut dyn Observer,
) -> Result<Converted, Error> {
    let mut steps = Steps { now: None, observer };
    let converted = splade_data::convert::convert(source, out, settings, force, &mut steps);
    steps.end();
    match converted {
        Ok(converted) => {
            converted.notes.iter().for_each(|note| observer.event(Event::Note(note)));
            Ok(converted)
        }
        Err(DataError::Stopped) => Err(Error::stopped()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn full(path: &Path) -> Result<PathBuf, Error> {
    std::fs::canonicalize(path).map_err(Error::io("open", path))
}

/// Files with their sizes: of others the result would be another.
pub(super) fn sizes<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Result<Value, Error> {
    let mut sizes = json!({});
    for file in files {
        let path = full(file)?;
        let size = std::fs::metadata(&path).map(|data| data.len());
        let size = size.map_err(Error::io("open", &path))?;
        sizes[path.to_string_lossy().as_ref()] = size.into();
    }
    Ok(sizes)
}

/// Tells an observer of one kind of work after the other, and when each is finished.
struct Steps<'a> {
    /// The kind that goes on, how much of it is done, and of how much.
    now: Option<(String, u64, Option<u64>)>,
    observer: &'a mut dyn Observer,
}

impl Observer for Steps<'_> {
    fn event(&mut self, event: Event<'_>) {
        let Event::Progress(told) = event else { return self.observer.event(event) };
        if self.now.as_ref().is_some_and(|(unit, ..)| unit != told.unit) {
            self.end();
        }
        self.now = Some((told.unit.to_owned(), told.done, told.total));
        self.tell(false);
    }

    fn stop(&mut self) -> bool {
        self.observer.stop()
    }
}

impl Steps<'_> {
    fn end(&mut self) {
        self.tell(true);
        self.now = None;
    }

    fn tell(&mut self, finished: bool) {
        let Some((unit, done, total)) = &self.now else { return };
        let share =
            total.filter(|total| *total > 0).map(|total| (*done as f64 / total as f64).min(1.0));
        self.observer.event(Event::Progress(Progress {
            doing: "converting",
            unit,
            done: *done,
            total: *total,
            share,
            finished,
            ..Progress::default()
        }));
    }
}
