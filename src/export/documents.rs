//! The documents of an export, one after another: those that are done are passed over, ids that are
//! there twice are found, and some vectors are kept to measure quantisation by.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use splade_export::Sample;
use splade_io::{ContentHasher, Event, Observer, Progress, counted};
use splade_sparse::SparseVector;
use splade_sparse::files::{VectorReader, chained_hash, row_hash};

use super::options::ExportOptions;
use super::terms::TermsOf;
use crate::error::{Error, advised, invalid};
use crate::stream::{Counts, Ended};

/// Documents between two calls of the observer.
const AT_A_TIME: u64 = 1000;
/// Documents that scores are compared on.
const SAMPLE: usize = 1000;

/// A part of an export that an earlier run finished.
pub(super) struct Done {
    /// The number of rows of all parts up to this one.
    pub(super) rows: u64,
    pub(super) last_id: String,
    /// The hash of the part's rows, where it is known.
    pub(super) content: Option<Content>,
}

/// A hash of rows.
pub(super) enum Content {
    /// Of the rows of a part, all at once.
    Rows(String),
    /// Of all rows so far, as [`chained_hash`] makes it.
    #[cfg_attr(not(feature = "push"), expect(dead_code, reason = "only pushes keep it"))]
    Chain(String),
}

/// The documents of a call.
pub(super) struct Documents<'a> {
    options: &'a ExportOptions,
    terms: &'a TermsOf,
    done: Vec<Done>,
    /// Hashes of the ids so far; two of 10 million ids have the same with a chance of 1 in 370,000.
    ids: HashSet<u64>,
    sample: Sample,
    example: Option<SparseVector>,
}

impl<'a> Documents<'a> {
    /// `done` are the parts that an earlier run finished.
    pub(super) fn open(options: &'a ExportOptions, terms: &'a TermsOf, done: Vec<Done>) -> Self {
        let (ids, sample) = (HashSet::new(), Sample::new(SAMPLE));
        Self { options, terms, done, ids, sample, example: None }
    }

    /// Hands over the documents that are not done, with their numbers.
    pub(super) fn each(
        &mut self,
        observer: &mut dyn Observer,
        mut take: impl FnMut(u64, &str, &SparseVector, &mut dyn Observer) -> Result<(), Error>,
    ) -> Result<Ended, Error> {
        let passed = self.done.last().map_or(0, |done| done.rows);
        if passed > 0 {
            observer.event(Event::Note(&format!(
                "keeping {} of an earlier run",
                counted(passed, "documents")
            )));
        }
        let mut done = std::mem::take(&mut self.done).into_iter().peekable();
        let term = |key: &str| self.terms.term(key);
        let mut progress = Counts::new("documents", None);
        observer.event(progress.event(false));
        let (mut rows, mut ended) = (0, Ended::Whole);
        let (mut content, mut chain) = (ContentHasher::new(), String::new());
        for row in VectorReader::open(&self.options.vectors, &term)? {
            let row = row.map_err(self.terms.unreadable())?;
            self.terms.check(&row)?;
            if self.options.check_ids && !self.ids.insert(hash(&row.id)) {
                return Err(advised(
                    format!("document {:?} is there twice", row.id),
                    "leave one out, or give --no-id-check if the search engine may take both",
                ));
            }
            self.sample.offer(&row.vector);
            if self.example.is_none() && !row.vector.is_empty() {
                self.example = Some(row.vector.clone());
            }
            if rows >= passed {
                take(rows, &row.id, &row.vector, observer)?;
            }
            rows += 1;
            if rows <= passed {
                let hash = row_hash(&row.id, &row.vector);
                content.hash(hash);
                chain = chained_hash(&chain, hash);
            }
            if let Some(part) = done.next_if(|part| part.rows == rows) {
                part.check(&row.id, &std::mem::take(&mut content), &chain)?;
            }
            if rows.is_multiple_of(AT_A_TIME) {
                progress.add(AT_A_TIME as usize, 0, None);
                observer.event(progress.event(false));
                if observer.stop() {
                    ended = Ended::Stopped;
                    break;
                }
            }
        }
        if let Some(part) = done.peek().filter(|_| ended == Ended::Whole) {
            return Err(Error::InputChanged(format!(
                "the vectors have changed since the export was begun: they end before number {}",
                part.rows
            )));
        }
        progress.add((rows % AT_A_TIME) as usize, 0, None);
        observer.event(progress.event(true));
        Ok(ended)
    }

    /// The first vector that has a term.
    pub(super) fn example(&self) -> Option<&SparseVector> {
        self.example.as_ref()
    }

    /// Vectors that stand for all.
    pub(super) fn sample(&self) -> &[SparseVector] {
        self.sample.vectors()
    }
}

impl Done {
    /// Checks that the last row and the rows of the part are those of the earlier run.
    fn check(&self, id: &str, content: &ContentHasher, chain: &str) -> Result<(), Error> {
        let Self { rows, last_id, content: was } = self;
        let is_other = match was {
            None => false,
            Some(Content::Rows(was)) => *was != content.finish().to_string(),
            Some(Content::Chain(was)) => was != chain,
        };
        let changed = match is_other {
            _ if last_id != id => format!("number {rows} had the id {last_id:?}, now {id:?}"),
            true => format!("there are other weights in the part that ends with number {rows}"),
            false => return Ok(()),
        };
        Err(Error::InputChanged(format!(
            "the vectors have changed since the export was begun: {changed}"
        )))
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Opens the inputs and looks at the first row of each kind, so that wrong ones leave no trace.
pub(super) fn check_inputs(options: &ExportOptions, terms: &TermsOf) -> Result<(), Error> {
    let term = |key: &str| terms.term(key);
    for paths in [&options.vectors, &options.queries] {
        if let Some(row) = VectorReader::open(paths, &term)?.next() {
            terms.check(&row.map_err(terms.unreadable())?)?;
        }
    }
    Ok(())
}

/// The largest weight of vectors, for targets that need it before the first.
pub(super) fn largest_weight(
    paths: &[PathBuf],
    terms: &TermsOf,
    observer: &mut dyn Observer,
) -> Result<f32, Error> {
    let doing = "looking for the largest weight";
    observer.event(Event::Begins(doing));
    let term = |key: &str| terms.term(key);
    let mut largest = 0.0f32;
    let mut progress = Progress { doing, unit: "vectors", ..Progress::default() };
    for row in VectorReader::open(paths, &term)? {
        let row = row.map_err(terms.unreadable())?;
        largest = row.vector.weights().iter().fold(largest, |a, b| a.max(*b));
        progress.done += 1;
        if progress.done.is_multiple_of(AT_A_TIME) {
            observer.event(Event::Progress(progress));
            if observer.stop() {
                return Err(Error::Stopped { kept: "this call has written nothing".to_owned() });
            }
        }
    }
    observer.event(Event::Progress(Progress { finished: true, ..progress }));
    match largest > 0.0 {
        true => Ok(largest),
        false => Err(invalid("no vector has a weight above zero")),
    }
}
