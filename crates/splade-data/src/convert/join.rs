//! Joins several folders of training data into one, part by part.
//!
//! The ids of the first folder are kept. In each other folder one number is added to all ids of
//! documents and queries, so that they follow the ids of the previous folders. Triplets and scores
//! are not copied, because negatives should be mined among all documents.

use std::path::{Path, PathBuf};

use splade_io::counted;

use super::inputs::error;
use super::output::{Master, Output};
use super::steps::Steps;
use crate::error::DataError;
use crate::{PositivesLine, Schema, Table, TextKind, Texts, find_files, needed_part, read_record};

/// The names of the parts of a folder of training data.
const PARTS: [&str; 2] = ["train", "validation"];

/// Options for joining folders.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// The folders to join, each with `train`, `validation` or both, as conversions write them.
    pub dirs: Vec<PathBuf>,
}

/// One part, `train` or `validation`, of a folder.
struct Joined {
    documents: Texts,
    queries: Texts,
    positives: Table,
    /// The number that is added to every id.
    raise: i64,
}

impl Joined {
    fn open(dir: &Path) -> Result<Self, DataError> {
        let path = |name: &str| needed_part(dir, name);
        let positives = path("positive_lists")?;
        Ok(Self {
            documents: Texts::open(&path("doc_master")?, TextKind::Document)?.0,
            queries: Texts::open(&path("query_master")?, TextKind::Query)?.0,
            positives: Table::of(find_files(&positives)?, &positives)?,
            raise: 0,
        })
    }

    fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.documents.ids().chain(self.queries.ids())
    }

    fn positives(&self, line: usize) -> Result<(i64, Vec<i64>), DataError> {
        let bytes = self.positives.line(line).trim_ascii_end();
        let wrong = |message: &str| {
            let place = self.positives.place(line);
            DataError::Record { message: message.to_owned(), place }
        };
        let row: PositivesLine =
            read_record(Schema::Positives, bytes).map_err(|message| wrong(&message))?;
        // The ids in positive lists may be larger than those of the texts, which are known to fit.
        let raised =
            |id: i64| id.checked_add(self.raise).ok_or_else(|| wrong("an id is too large"));
        let positives = row.positive_doc_ids.into_iter().map(raised).collect::<Result<_, _>>()?;
        Ok((raised(row.qid)?, positives))
    }
}

pub(super) fn convert(
    options: &JoinOptions,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let mut notes = Vec::new();
    let mut parts: [Vec<Joined>; 2] = Default::default();
    let mut behind: Option<i64> = None;
    for (count, dir) in options.dirs.iter().enumerate() {
        steps.at("folders read", count, options.dirs.len())?;
        let mut opened: Vec<(usize, Joined)> = Vec::new();
        for (index, name) in PARTS.into_iter().enumerate() {
            let part = dir.join(name);
            if part.is_dir() {
                opened.push((index, Joined::open(&part)?));
            }
        }
        let ids = || opened.iter().flat_map(|(_, part)| part.ids());
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else {
            return Err(error(dir, "it contains no folder train or validation"));
        };
        let raise = behind.map_or(0, |behind| behind.saturating_sub(first));
        behind =
            Some(raise.checked_add(last).and_then(|last| last.checked_add(1)).ok_or_else(
                || error(dir, "its ids do not fit after those of the previous folders"),
            )?);
        notes.push(format!("{}: ids are raised by {raise}", dir.display()));
        for (index, part) in opened {
            parts[index].push(Joined { raise, ..part });
        }
    }
    for (name, joined) in PARTS.into_iter().zip(&parts).filter(|(_, joined)| !joined.is_empty()) {
        let part = output.split(name)?;
        let mut counts = [0, 0];
        let masters = [Master::Documents, Master::Queries];
        for (count, kind) in counts.iter_mut().zip(masters) {
            let rows = joined.iter().flat_map(|from| {
                let texts = if kind == Master::Documents { &from.documents } else { &from.queries };
                (0..texts.len()).map(move |row| {
                    let id = texts.id_at(row);
                    let text = texts
                        .text_at(row)
                        .ok_or_else(|| DataError::Changed { what: format!("{id} is gone") })?;
                    Ok((id + from.raise, text))
                })
            });
            *count = part.texts(kind, rows, steps)?;
        }
        let mut lists = Vec::new();
        for from in joined {
            for line in 0..from.positives.len() {
                lists.push(from.positives(line)?);
            }
        }
        part.positives(lists)?;
        let [documents, queries] = counts;
        let (queries, documents) = (counted(queries, "queries"), counted(documents, "documents"));
        notes.push(format!("{name}: {queries}, {documents}"));
        notes.extend(part.check(None)?);
    }
    Ok(notes)
}
