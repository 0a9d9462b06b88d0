//! The queries of an export, and what quantisation does to their scores.

use anyhow::{Context, Result};
use splade_export::{Effect, Quantisation, Target};
use splade_sparse::SparseVector;
use splade_sparse::files::{RowWriter, VectorReader, aside, sync_and_rename};

use super::documents::Documents;
use super::terms::TermsOf;
use crate::args::VectorsArgs;
use crate::interrupt::{self, Interrupted};
use crate::progress::say;

/// Queries that scores are compared for.
const SAMPLE: usize = 100;
/// Terms of the query that is made of a document where none is given.
const EXAMPLE_TERMS: usize = 5;

/// Writes the queries, and gives the first of them.
pub(super) fn write(
    args: &VectorsArgs,
    terms: &TermsOf,
    target: &Target,
) -> Result<Vec<SparseVector>> {
    let mut first = Vec::new();
    if args.queries.is_empty() {
        return Ok(first);
    }
    let term = |key: &str| terms.term(key);
    let mut empty = 0;
    write_file(args, target, |file| {
        for row in VectorReader::open(&args.queries, &term)? {
            let row = row.context(terms.hint())?;
            terms.check(&row)?;
            file.write(&row.id, &row.vector).context("cannot write the queries")?;
            empty += usize::from(row.vector.is_empty());
            if first.len() < SAMPLE {
                first.push(row.vector);
            }
            if interrupt::asked() {
                // The folder is begun.
                return Err(Interrupted("go on with --resume".to_owned()).into());
            }
        }
        Ok(())
    })?;
    if empty > 0 && target.leaves_empty_queries_out() {
        say(&format!("{empty} queries without terms are left out"));
    }
    Ok(first)
}

/// Writes a query of the largest terms of a document, to try the engine by.
pub(super) fn write_example(
    args: &VectorsArgs,
    target: &Target,
    document: &SparseVector,
) -> Result<()> {
    let query = document.top_k(EXAMPLE_TERMS);
    write_file(args, target, |file| Ok(file.write("example", &query)?))
}

fn write_file(
    args: &VectorsArgs,
    target: &Target,
    rows: impl FnOnce(&mut dyn RowWriter) -> Result<()>,
) -> Result<()> {
    let path = args.out.join(target.queries_file());
    let mut file = target.queries(&aside(&path))?;
    rows(&mut *file)?;
    file.finish()?;
    Ok(sync_and_rename(&path)?)
}

/// Says what becomes of weights and of the best scores.
pub(super) fn say_effect(
    quantisation: &Quantisation,
    queries: &[SparseVector],
    documents: &Documents,
) {
    say(&quantisation.to_string());
    if *quantisation == Quantisation::Exact {
        return;
    }
    match Effect::measure(quantisation, queries, documents.sample()) {
        Some(effect) => say(&effect.to_string()),
        None => say("no query finds any of the documents that scores were compared on"),
    }
}
