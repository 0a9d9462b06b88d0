//! The files of a data set, with the rules that hold between them.
//!
//! The rules and their messages are those of the data set classes of the Python library, with two
//! additional checks for triplets: that their queries exist, and that their positives are in the
//! positive list. The documentation of the Python library requires the latter, but its code does
//! not check it.

use std::path::Path;

use super::lists::{Lists, Pushed};
use super::problems::Findings;
use super::record::{self, PositivesLine, Schema, ScoresLine, TripletLine};
use super::table::Table;
use super::texts::{TextKind, Texts};
use crate::error::DataError;

/// The paths of the files of a data set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetPaths<'a> {
    pub(crate) docs: &'a Path,
    pub(crate) queries: &'a Path,
    pub(crate) positives: &'a Path,
    pub(crate) triplets: Option<&'a Path>,
    pub(crate) scores: Option<&'a Path>,
}

/// A data set whose ids are all resolved to rows of the masters.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) queries: Texts,
    pub(super) docs: Texts,
    /// The rows of the positive documents of each query, in the order of the file.
    pub(super) positives: Lists<u32>,
    pub(super) triplets: Option<Vec<Triplet>>,
    /// The teacher scores of each query, in ascending order of the document ids. Scores of unknown
    /// documents are dropped.
    pub(super) scores: Option<Lists<Scored>>,
}

/// The rows of a query, a positive document and a negative document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Triplet {
    pub(super) query: u32,
    pub(super) positive: u32,
    pub(super) negative: u32,
}

/// The row of a document and its teacher score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    pub(super) doc: u32,
    pub(super) score: f32,
}

const REPEATED: &str = "repeated lines, skipped";

impl Set {
    /// Reads all files as far as possible and records the problems and warnings in `findings`.
    pub(super) fn read(paths: SetPaths<'_>, findings: &mut Findings) -> Result<Self, DataError> {
        // A wrong path is reported before any file is read.
        let others = [Some(paths.positives), paths.triplets, paths.scores];
        for path in others.into_iter().flatten() {
            super::files::find(path)?;
        }
        for path in others.into_iter().chain([Some(paths.docs), Some(paths.queries)]).flatten() {
            for name in super::files::left_out(path) {
                findings
                    .warning("files of folders, not .ndjson or .ndjson.gz and not read", || {
                        path.join(name).display().to_string()
                    });
            }
        }
        let [mut in_docs, mut in_queries] = [Findings::default(), Findings::default()];
        let (docs, queries) = rayon::join(
            || Texts::read(paths.docs, TextKind::Document, &mut in_docs),
            || Texts::read(paths.queries, TextKind::Query, &mut in_queries),
        );
        let (docs, queries) = (docs?, queries?);
        findings.append(in_docs);
        findings.append(in_queries);
        let positives = Lists::new(queries.len());
        let mut set = Self { queries, docs, positives, triplets: None, scores: None };
        set.positives = set.read_positives(paths.positives, findings)?;
        if let Some(path) = paths.triplets {
            set.triplets = Some(set.read_triplets(path, findings)?);
        }
        if let Some(path) = paths.scores {
            set.scores = Some(set.read_scores(path, findings)?);
        }
        Ok(set)
    }

    fn read_positives(
        &self,
        path: &Path,
        findings: &mut Findings,
    ) -> Result<Lists<u32>, DataError> {
        let table = open(path, Schema::Positives)?;
        let visit = |part: &mut ListsOfThread<u32>, line, bytes: &[u8]| {
            let Some(PositivesLine { qid, positive_doc_ids: ids }) =
                part.record(&table, Schema::Positives, line, bytes)
            else {
                return;
            };
            let place = || table.place(line);
            if ids.is_empty() {
                part.findings.line(|| format!("qid {qid} has no positive document {}", place()));
            }
            let Some(query) = self.queries.row(qid) else {
                return part.findings.reference(|| {
                    let place = place();
                    format!("qid {qid} from the positive list does not exist in the query master {place}")
                });
            };
            let start = part.items.len();
            for id in ids {
                match self.docs.row(id) {
                    Some(row) if part.items[start..].contains(&(row as u32)) => {
                        let message = || format!("doc_id {id} of qid {qid} {}", place());
                        part.findings.warning("positive documents in a list twice", message);
                    }
                    Some(row) => part.items.push(row as u32),
                    None => part.findings.reference(|| {
                        let place = place();
                        format!("doc_id {id} from positive list does not exist in document master {place}")
                    }),
                }
            }
            part.close(line, query, start);
        };
        let parts = table.scan(visit);
        let lists = self.collect(&table, parts, "other positive documents", findings);
        for row in 0..self.queries.len() {
            if lists.get(row as u32).is_none() {
                findings.reference(|| {
                    let (qid, place) = (self.queries.id_at(row), self.queries.place(row));
                    format!("qid {qid} from the query master does not exist in the positive list {place}")
                });
            }
        }
        Ok(lists)
    }

    fn read_triplets(
        &self,
        path: &Path,
        findings: &mut Findings,
    ) -> Result<Vec<Triplet>, DataError> {
        let table = open(path, Schema::Triplet)?;
        Ok(table.map(findings, |found, line, bytes| {
            let read = record::read(Schema::Triplet, bytes);
            let TripletLine { qid, pos_doc_id, neg_doc_id } = match read {
                Ok(triplet) => triplet,
                Err(message) => {
                    found.line(|| format!("{message} {}", table.place(line)));
                    return Triplet::default();
                }
            };
            let shown = || format!("{:?}", (qid, pos_doc_id, neg_doc_id));
            let query = self.queries.row(qid);
            if query.is_none() {
                found.reference(|| {
                    let (shown, place) = (shown(), table.place(line));
                    format!("qid {qid} from triplet {shown} does not exist in query master {place}")
                });
            }
            let docs = [pos_doc_id, neg_doc_id].map(|id| {
                let row = self.docs.row(id);
                if row.is_none() {
                    found.reference(|| {
                        let (shown, place) = (shown(), table.place(line));
                        format!("doc_id {id} from triplet {shown} does not exist in document master {place}")
                    });
                }
                row
            });
            let (Some(query), [Some(positive), Some(negative)]) = (query, docs) else {
                return Triplet::default();
            };
            let [query, positive, negative] = [query, positive, negative].map(|row| row as u32);
            let place = || format!("{} {}", shown(), table.place(line));
            let positives = self.positives.get(query).unwrap_or_default();
            if !positives.contains(&positive) {
                let about = "triplets with a positive that is not in the query's positive list";
                found.warning(about, place);
            }
            if positives.contains(&negative) {
                found.warning("triplets with a negative that is in the query's positive list", place);
            }
            Triplet { query, positive, negative }
        }))
    }

    fn read_scores(
        &self,
        path: &Path,
        findings: &mut Findings,
    ) -> Result<Lists<Scored>, DataError> {
        let table = open(path, Schema::Scores)?;
        let visit = |part: &mut ListsOfThread<Scored>, line, bytes: &[u8]| {
            let Some(ScoresLine { qid, scores }) = part.record(&table, Schema::Scores, line, bytes)
            else {
                return;
            };
            // Scores of unknown queries are ignored, as in Python.
            let Some(query) = self.queries.row(qid) else { return };
            let positives = self.positives.get(query as u32).unwrap_or_default();
            let start = part.items.len();
            part.items.extend(scores.0.iter().filter_map(|&(id, score)| {
                self.docs.row(id).map(|row| Scored { doc: row as u32, score })
            }));
            let items = &part.items[start..];
            if items.iter().all(|item| positives.contains(&item.doc)) {
                part.findings.reference(|| {
                    format!("qid {qid} has no available negative document {}", table.place(line))
                });
            }
            for positive in positives {
                if !items.iter().any(|item| item.doc == *positive) {
                    let id = self.docs.id_at(*positive as usize);
                    part.findings.reference(|| {
                        let place = table.place(line);
                        format!("The pair ({qid}, {id}) (qid, doc_id) has no hard-negative score {place}")
                    });
                }
            }
            part.close(line, query, start);
        };
        let parts = table.scan(visit);
        let lists = self.collect(&table, parts, "other scores", findings);
        for row in 0..self.queries.len() {
            if lists.get(row as u32).is_none() {
                findings.reference(|| {
                    let (qid, place) = (self.queries.id_at(row), self.queries.place(row));
                    format!("The qid {qid} does not exist in hard-negative scores {place}")
                });
            }
        }
        Ok(lists)
    }

    /// Joins the lists that the threads have read.
    fn collect<T: PartialEq + Copy>(
        &self,
        table: &Table,
        parts: Vec<ListsOfThread<T>>,
        other: &str,
        findings: &mut Findings,
    ) -> Lists<T> {
        let mut lists = Lists::new(self.queries.len());
        for part in parts {
            findings.append(part.findings);
            let mut start = 0;
            for (line, query, end) in part.ends {
                let place = || {
                    let qid = self.queries.id_at(query as usize);
                    (qid, table.place(line as usize))
                };
                match lists.push(query, &part.items[start..end]) {
                    Pushed::New => {}
                    Pushed::Again => findings.warning(REPEATED, || {
                        let (qid, place) = place();
                        format!("qid {qid} {place}")
                    }),
                    Pushed::Differs => findings.line(|| {
                        let (qid, place) = place();
                        format!("qid {qid} has {other} in an earlier line {place}")
                    }),
                }
                start = end;
            }
        }
        lists.shrink()
    }

    /// Returns the bytes of memory in use, without the mapped files.
    pub(super) fn heap_bytes(&self) -> usize {
        self.docs.heap_bytes()
            + self.queries.heap_bytes()
            + self.positives.heap_bytes()
            + self.triplets.as_ref().map_or(0, |list| list.capacity() * size_of::<Triplet>())
            + self.scores.as_ref().map_or(0, Lists::heap_bytes)
    }
}

/// The lists that one thread has read.
struct ListsOfThread<T> {
    findings: Findings,
    /// For each list, its line, the row of its query and its end in `items`.
    ends: Vec<(u32, u32, usize)>,
    items: Vec<T>,
}

impl<T> Default for ListsOfThread<T> {
    fn default() -> Self {
        Self { findings: Findings::default(), ends: Vec::new(), items: Vec::new() }
    }
}

impl<T> ListsOfThread<T> {
    fn record<'a, R: serde::Deserialize<'a>>(
        &mut self,
        table: &Table,
        schema: Schema,
        line: usize,
        bytes: &'a [u8],
    ) -> Option<R> {
        let read = record::read(schema, bytes);
        read.map_err(|message| self.findings.line(|| format!("{message} {}", table.place(line))))
            .ok()
    }

    /// Completes a list whose items were pushed before.
    fn close(&mut self, line: usize, query: usize, start: usize) {
        debug_assert_eq!(self.ends.last().map_or(0, |(_, _, end)| *end), start);
        self.ends.push((line as u32, query as u32, self.items.len()));
    }
}

fn open(path: &Path, schema: Schema) -> Result<Table, DataError> {
    let table = Table::open(path)?;
    match table.len() {
        0 => Err(DataError::Empty { name: schema.name(), path: path.to_path_buf() }),
        _ => Ok(table),
    }
}
