//! The queries of an export, and what quantisation does to their scores.

use splade_export::{Effect, Quantisation, Target};
use splade_io::{Event, NewFile, Observer, counted};
use splade_sparse::SparseVector;
use splade_sparse::files::{RowWriter, VectorReader};

use super::documents::Documents;
use super::options::ExportOptions;
use super::terms::TermsOf;
use crate::error::Error;

/// Queries that scores are compared for.
const SAMPLE: usize = 100;
/// Terms of the query that is made of a document where none is given.
const EXAMPLE_TERMS: usize = 5;

/// Writes the queries, and gives the first of them.
pub(super) fn write(
    options: &ExportOptions,
    terms: &TermsOf,
    target: &Target,
    observer: &mut dyn Observer,
) -> Result<Vec<SparseVector>, Error> {
    let mut first = Vec::new();
    if options.queries.is_empty() {
        return Ok(first);
    }
    let term = |key: &str| terms.term(key);
    let mut empty = 0;
    write_file(options, target, |file| {
        for row in VectorReader::open(&options.queries, &term)? {
            let row = row.map_err(terms.unreadable())?;
            terms.check(&row)?;
            file.write(&row.id, &row.vector)
                .map_err(Error::from)
                .map_err(Error::during("cannot write the queries"))?;
            empty += usize::from(row.vector.is_empty());
            if first.len() < SAMPLE {
                first.push(row.vector);
            }
            if observer.stop() {
                // The folder is begun.
                return Err(Error::Stopped { kept: "go on with --resume".to_owned() });
            }
        }
        Ok(())
    })?;
    if empty > 0 && target.leaves_empty_queries_out() {
        let note = format!("left out {}", counted(empty, "queries without terms"));
        observer.event(Event::Note(&note));
    }
    Ok(first)
}

/// Writes a query of the largest terms of a document, to try the search engine by.
pub(super) fn write_example(
    options: &ExportOptions,
    target: &Target,
    document: &SparseVector,
) -> Result<(), Error> {
    let query = document.top_k(EXAMPLE_TERMS);
    write_file(options, target, |file| Ok(file.write("example", &query)?))
}

fn write_file(
    options: &ExportOptions,
    target: &Target,
    rows: impl FnOnce(&mut dyn RowWriter) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = NewFile::create(&options.out.join(target.queries_file()))?;
    let mut writer = target.queries(file.temporary_path())?;
    rows(&mut *writer)?;
    writer.finish()?;
    Ok(file.commit()?)
}

/// Tells what becomes of weights and of the best scores.
pub(super) fn tell_effect(
    quantisation: &Quantisation,
    queries: &[SparseVector],
    documents: &Documents,
    observer: &mut dyn Observer,
) {
    let mut tell = |sentence: &str| observer.event(Event::Note(sentence));
    tell(&quantisation.to_string());
    if *quantisation == Quantisation::Exact {
        return;
    }
    match Effect::measure(quantisation, queries, documents.sample()) {
        Some(effect) => tell(&effect.to_string()),
        None => tell("no query finds any of the documents that scores were compared on"),
    }
}
