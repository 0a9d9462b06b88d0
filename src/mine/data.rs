//! The data set that negatives are mined from: its documents, its queries and their positives.

use splade_eval::{Dataset, Qrels};
use splade_io::Observer;

use super::options::MineOptions;
use crate::error::{Error, invalid};
use crate::masters::Masters;

/// What is mined out of.
pub(super) struct Data {
    pub(super) masters: Masters,
    positives: Qrels,
}

impl Data {
    pub(super) fn open(options: &MineOptions, observer: &mut dyn Observer) -> Result<Self, Error> {
        let masters = Masters::open(&options.data, observer)?;
        let positives = Dataset::open(&options.data)?.qrels(None)?;
        Ok(Self { masters, positives })
    }

    /// The positives of a query, ascending. Those that are no documents here cannot be found.
    pub(super) fn positives(&self, query: i64) -> Result<Vec<i64>, Error> {
        let grades = self.positives.get(&query.to_string());
        let grades = grades.ok_or_else(|| {
            invalid(format!(
                "qid {query} from the query master does not exist in the positive list"
            ))
        })?;
        let id = |doc: &str| -> Result<i64, Error> {
            let id = doc.parse().ok().filter(|id| self.masters.docs.row(*id).is_some());
            id.ok_or_else(|| {
                invalid(format!(
                    "doc_id {doc} from positive list does not exist in document master"
                ))
            })
        };
        let mut ids = grades.keys().map(|doc| id(doc)).collect::<Result<Vec<_>, Error>>()?;
        ids.sort_unstable();
        Ok(ids)
    }
}
