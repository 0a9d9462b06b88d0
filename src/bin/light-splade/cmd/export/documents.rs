//! The documents of an export, one after another: those that are done are passed over, ids that are
//! there twice are found, and some vectors are kept to measure quantisation by.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use splade_export::Sample;
use splade_sparse::SparseVector;
use splade_sparse::files::VectorReader;

use super::terms::TermsOf;
use crate::args::VectorsArgs;
use crate::input::Position;
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};
use light_splade::Ended;

/// Documents between two looks at progress and Ctrl-C.
const AT_A_TIME: u64 = 1000;
/// Documents that scores are compared on.
const SAMPLE: usize = 1000;

/// The documents of a call.
pub(super) struct Documents<'a> {
    args: &'a VectorsArgs,
    terms: &'a TermsOf,
    /// Rows at which a finished part ends, and the id of the last one.
    done: Vec<(u64, String)>,
    /// Hashes of the ids so far; two of 10 million ids have the same with a chance of 1 in 370,000.
    ids: HashSet<u64>,
    sample: Sample,
    example: Option<SparseVector>,
}

impl<'a> Documents<'a> {
    /// `done` are the parts that an earlier run finished.
    pub(super) fn open(
        args: &'a VectorsArgs,
        terms: &'a TermsOf,
        done: Vec<(u64, String)>,
    ) -> Self {
        let (ids, sample) = (HashSet::new(), Sample::new(SAMPLE));
        Self { args, terms, done, ids, sample, example: None }
    }

    /// Hands over the documents that are not done, with their numbers.
    pub(super) fn each(
        &mut self,
        mut take: impl FnMut(u64, &str, &SparseVector) -> Result<()>,
    ) -> Result<Ended> {
        let passed = self.done.last().map_or(0, |(rows, _)| *rows);
        if passed > 0 {
            say(&format!("{passed} documents are done already"));
        }
        let mut done = std::mem::take(&mut self.done).into_iter().peekable();
        let term = |key: &str| self.terms.term(key);
        let mut progress = Progress::start(Position::default(), "documents");
        let (mut rows, mut ended) = (0, Ended::Whole);
        for row in VectorReader::open(&self.args.vectors, &term)? {
            let row = row.context(self.terms.hint())?;
            self.terms.check(&row)?;
            if !self.args.no_id_check && !self.ids.insert(hash(&row.id)) {
                bail!(
                    "document {:?} is there twice; leave one out, or give --no-id-check if the \
                     engine may take both",
                    row.id
                );
            }
            self.sample.offer(&row.vector);
            if self.example.is_none() && !row.vector.is_empty() {
                self.example = Some(row.vector.clone());
            }
            if rows >= passed {
                take(rows, &row.id, &row.vector)?;
            }
            rows += 1;
            if let Some((_, last)) = done.next_if(|(until, _)| *until == rows)
                && last != row.id
            {
                bail!(
                    "the vectors have changed since the export was begun: number {rows} had the id \
                     {last:?}, now {:?}",
                    row.id
                );
            }
            if rows % AT_A_TIME == 0 {
                progress.add(AT_A_TIME as usize, 0);
                if interrupt::asked() {
                    ended = Ended::Stopped;
                    break;
                }
            }
        }
        if let Some((until, _)) = done.peek().filter(|_| ended == Ended::Whole) {
            bail!(
                "the vectors have changed since the export was begun: they end before number {until}"
            );
        }
        progress.add((rows % AT_A_TIME) as usize, 0);
        progress.finish();
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

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Opens the inputs and looks at the first row of each kind, so that wrong ones leave no trace.
pub(super) fn check_inputs(args: &VectorsArgs, terms: &TermsOf) -> Result<()> {
    let term = |key: &str| terms.term(key);
    for paths in [&args.vectors, &args.queries] {
        if let Some(row) = VectorReader::open(paths, &term)?.next() {
            terms.check(&row.context(terms.hint())?)?;
        }
    }
    Ok(())
}

/// The largest weight of vectors, for targets that need it before the first.
pub(super) fn largest_weight(paths: &[PathBuf], terms: &TermsOf) -> Result<f32> {
    say("looking for the largest weight");
    let term = |key: &str| terms.term(key);
    let (mut largest, mut rows) = (0.0f32, 0u64);
    let mut progress = Progress::start(Position::default(), "vectors");
    for row in VectorReader::open(paths, &term)? {
        let row = row.context(terms.hint())?;
        largest = row.vector.weights().iter().fold(largest, |a, b| a.max(*b));
        rows += 1;
        if rows % AT_A_TIME == 0 {
            progress.add(AT_A_TIME as usize, 0);
            if interrupt::asked() {
                return Err(Interrupted("this call has written nothing".to_owned()).into());
            }
        }
    }
    progress.clear();
    match largest > 0.0 {
        true => Ok(largest),
        false => bail!("no vector has a weight above zero"),
    }
}
