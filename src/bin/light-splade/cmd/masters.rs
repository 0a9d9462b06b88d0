//! The texts of training data: its masters of documents and queries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use splade_data::stamps::file_stamp;
use splade_data::{TextKind, Texts};
use splade_eval::Dataset;

use super::Records;
use crate::input::Record;
use crate::progress::say;

/// Opened masters.
pub(crate) struct Masters {
    pub(crate) docs: Arc<Texts>,
    pub(crate) queries: Texts,
}

impl Masters {
    pub(crate) fn open(data: &Path) -> Result<Self> {
        data.metadata().with_context(|| format!("cannot open {}", data.display()))?;
        if Dataset::open(data).is_ok_and(|dataset| dataset.splits().next().is_some()) {
            bail!(
                "{} is a folder of BEIR, whose ids are texts; make training data of it first: \
                 light-splade convert beir",
                data.display()
            );
        }
        let open = |name, kind| -> Result<Texts> {
            let (texts, warnings) = Texts::open(&part_of(data, name)?, kind)?;
            warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
            Ok(texts)
        };
        let docs = Arc::new(open("doc_master", TextKind::Document)?);
        let queries = open("query_master", TextKind::Query)?;
        Ok(Self { docs, queries })
    }

    /// The documents in the order of their file.
    pub(crate) fn documents(&self) -> Records {
        let docs = Arc::clone(&self.docs);
        let record = move |row| {
            let id = docs.id_at(row);
            Ok(Record { id: id.to_string(), text: docs.get(id)?.into_owned() })
        };
        Box::new((0..self.docs.len()).map(record))
    }
}

/// What tells parts of the data from others of the same names.
pub(crate) fn stamps(data: &Path, names: &[&str]) -> Result<Vec<Value>> {
    names.iter().map(|name| Ok(file_stamp(&part_of(data, name)?)?)).collect()
}

/// A file of the data, or a folder of such.
fn part_of(data: &Path, name: &str) -> Result<PathBuf> {
    let names = [format!("{name}.ndjson"), format!("{name}.ndjson.gz"), name.to_owned()];
    let mut paths = names.into_iter().map(|name| data.join(name));
    let path = paths.find(|path| path.exists());
    path.with_context(|| format!("there is no {name} in {}", data.display()))
}
