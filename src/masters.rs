//! The texts of training data: its masters of documents and queries.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_data::contents::file_content;
use splade_data::{TextKind, Texts};
use splade_eval::Dataset;
use splade_io::{Event, Observer};

use crate::error::{Error, advised};
use crate::record::Record;
use crate::stream::Records;

/// Opened masters.
pub(crate) struct Masters {
    pub(crate) docs: Texts,
    pub(crate) queries: Texts,
}

impl Masters {
    pub(crate) fn open(data: &Path, observer: &mut dyn Observer) -> Result<Self, Error> {
        data.metadata().map_err(Error::io("open", data))?;
        if Dataset::open(data).is_ok_and(|dataset| dataset.splits().next().is_some()) {
            return Err(advised(
                format!("{} is a folder of BEIR, whose ids are texts", data.display()),
                "make training data of it first: light-splade convert beir",
            ));
        }
        let mut open = |name, kind| -> Result<Texts, Error> {
            let (texts, warnings) = Texts::open(&part_of(data, name)?, kind)?;
            warnings.iter().for_each(|warning| observer.event(Event::Warning(warning)));
            Ok(texts)
        };
        let docs = open("doc_master", TextKind::Document)?;
        let queries = open("query_master", TextKind::Query)?;
        Ok(Self { docs, queries })
    }

    /// The documents in the order of their file.
    pub(crate) fn documents(&self) -> Records<'_> {
        let record = |row| {
            let id = self.docs.id_at(row);
            Ok(Record::new(id.to_string(), self.docs.get(id)?))
        };
        Records::counted((0..self.docs.len()).map(record), self.docs.len() as u64)
    }
}

/// The hashes of parts of the data by their names.
pub(crate) fn contents(data: &Path, names: &[&str]) -> Result<Value, Error> {
    let hash = |name: &&str| Ok(((*name).to_owned(), file_content(&part_of(data, name)?)?));
    names.iter().map(hash).collect()
}

/// A file of the data, or a folder of such.
fn part_of(data: &Path, name: &str) -> Result<PathBuf, Error> {
    let names = [format!("{name}.ndjson"), format!("{name}.ndjson.gz"), name.to_owned()];
    let mut paths = names.into_iter().map(|name| data.join(name));
    let path = paths.find(|path| path.exists());
    path.ok_or_else(|| Error::NoPart { name: name.to_owned(), folder: data.to_path_buf() })
}
