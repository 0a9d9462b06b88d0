//! `light-splade search`: the best documents of an index for queries.

mod hits;
mod marked;
mod texts;

use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Result, bail};
use light_splade::encode::{Ended, Pruning};
use light_splade::models::Vocabulary;
use light_splade::search::{
    BatchSearch, Provenance, QUERIES_AT_A_TIME, VectorSources, thread_pool,
};
use light_splade::{Searcher, SparseEncoder, SparseEncoderOptions};
use rayon::prelude::*;
use splade_eval::check_trec_id;
use splade_index::{Filter, Index, SearchOptions};
use splade_model::Side;
use splade_sparse::SparseVector;
use splade_sparse::files::VectorReader;
use splade_text::TokenizerOptions;

use super::{advised, hint_at_model, ids, or_any_model};
use crate::args::{HitFormat, SearchArgs};
use crate::input::{InputOptions, Inputs};
use crate::interrupt::{self, Interrupted};
use crate::log::say;
use crate::output::Output;
use crate::progress::Reporter;
use hits::{Found, HitWriter, Query};
use texts::TextSearch;

pub(crate) fn run(args: &SearchArgs) -> Result<()> {
    let format = format(args);
    if args.explain && format == HitFormat::Trec {
        return Err(advised(
            "a TREC run has no place for --explain",
            "give --format table or ndjson",
        ));
    }
    let index = Index::open(&args.index)?;
    if args.verify {
        index.check_sums()?;
    }
    if format == HitFormat::Trec {
        index.ids().try_for_each(|id| check_trec_id("document id", id))?;
    }
    let provenance = Provenance::from_json(index.settings());
    let model = args.model.as_deref().or(provenance.model.as_deref());
    let mut reporter = Reporter::new();
    let filter = args.target_doc_ids.as_deref().map(|path| filter(&index, path)).transpose()?;
    let output = output(args)?;
    // At a prompt, Ctrl-C clears the line.
    if !args.interactive {
        interrupt::listen()?;
    }
    let Prepared { queries, vocabulary, encoder } =
        prepare(args, &provenance, model, &mut reporter)?;
    let searcher = Searcher::with_index(index, encoder);
    let index = searcher.index();
    if format == HitFormat::Trec {
        check_ids(&queries)?;
    }
    let options =
        SearchOptions { k: args.top_k_hits, threshold: args.min_score, filter, mode: args.mode() };
    let pool = thread_pool(args.compute.run.threads)?;
    let mut writer = HitWriter::new(output, format, args, &searcher, vocabulary.as_ref());
    if args.needs_texts() {
        let filter = options.filter.clone();
        let search = TextSearch::new(args, &searcher, filter, &pool, &mut reporter)?;
        if args.interactive {
            return texts::ask(|text| {
                let id = writer.queries().to_string();
                let query = Query { id, text: text.to_owned(), vector: SparseVector::default() };
                writer.write(&query, None, search.search(text)?)?;
                writer.flush()
            });
        }
        for window in queries.chunks(TEXTS_AT_A_TIME) {
            let found: Vec<_> = pool
                .install(|| window.par_iter().map(|query| search.search(&query.text)).collect());
            for (query, hits) in window.iter().zip(found) {
                writer.write(query, (queries.len() > 1).then_some(&query.text), hits?)?;
            }
            if interrupt::asked() {
                return Err(Interrupted("nothing is kept".to_owned()).into());
            }
        }
        return writer.finish();
    }
    let mut search = BatchSearch::new(index, &options, &pool, queries.len());
    for window in queries.chunks(QUERIES_AT_A_TIME) {
        let vectors: Vec<&SparseVector> = window.iter().map(|query| &query.vector).collect();
        for (query, hits) in window.iter().zip(search.search(&vectors, &mut reporter)?) {
            let title = args.query.get(writer.queries()).unwrap_or(&query.id);
            let hits = hits.into_iter().map(Found::from).collect();
            writer.write(query, (queries.len() > 1).then_some(title), hits)?;
        }
    }
    writer.finish()?;
    if queries.len() > 1 {
        say(&search.finish(&mut reporter));
    }
    Ok(())
}

/// The number of queries whose texts are searched between two looks at Ctrl-C.
const TEXTS_AT_A_TIME: usize = 64;

/// Opens the output, which is none of the files that are read.
fn output(args: &SearchArgs) -> Result<Output> {
    let files = [&args.queries, &args.target_doc_ids].into_iter().flatten();
    let inputs = files.chain(&args.vectors).chain([&args.index]);
    Output::create(args.output.as_deref(), inputs, args.overwrite.force)
}

fn format(args: &SearchArgs) -> HitFormat {
    let one = args.query.len() == 1 && args.output.is_none() && std::io::stdout().is_terminal();
    args.hit_format().unwrap_or(match one || args.interactive {
        true => HitFormat::Table,
        false => HitFormat::Ndjson,
    })
}

fn filter(index: &Index, path: &Path) -> Result<Filter> {
    let ids = ids(path)?;
    let (filter, missing) = index.filter(ids.iter().map(String::as_str));
    if missing > 0 {
        say(&format!("{missing} of {} ids of {} are not in the index", ids.len(), path.display()));
    }
    Ok(filter)
}

/// The queries, and what they are searched and shown with.
struct Prepared {
    /// Without vectors if their texts are searched.
    queries: Vec<Query>,
    /// The names of terms where they will be shown.
    vocabulary: Option<Vocabulary>,
    /// Of queries that are texts.
    encoder: Option<SparseEncoder>,
}

/// Reads and encodes the queries.
fn prepare(
    args: &SearchArgs,
    provenance: &Provenance,
    model: Option<&Path>,
    reporter: &mut Reporter,
) -> Result<Prepared> {
    let options = args.compute.run.mecab_dicdir.clone();
    let tokenizer = TokenizerOptions { mecab_dicdir: options };
    let shown = model.filter(|_| args.explain || !args.vectors.is_empty());
    let vocabulary = shown
        .map(|model| Vocabulary::open(model, Side::Document, &tokenizer, reporter))
        .transpose();
    let vocabulary = hint_at_model(vocabulary, args.model.as_ref())?;
    let check = |other: &Provenance, theirs: &str| -> Result<()> {
        let mine = format!("the index {} was made with", args.index.display());
        let checked = provenance.check_model(&mine, other, theirs);
        let remedy = match args.model {
            Some(_) => "leave out --model",
            None => "build the index again, or give its model with --model",
        };
        if args.any_model { Ok(()) } else { or_any_model(checked, remedy) }
    };
    if !args.vectors.is_empty() {
        if let Some(vocabulary) = &vocabulary {
            check(&Provenance::of_vocabulary(vocabulary)?, "--model names")?;
        }
        if let (Some(vectors), false) =
            (VectorSources::read(&args.vectors)?.joined()?, args.any_model)
        {
            check(&vectors, "the queries were made with")?;
        }
        let term = |key: &str| match &vocabulary {
            Some(vocabulary) => vocabulary.term(key),
            None => VectorReader::id(key),
        };
        let rows = VectorReader::open(&args.vectors, &term)?;
        let query = |row: splade_sparse::files::VectorRow| Query {
            id: row.id,
            text: String::new(),
            vector: row.vector,
        };
        let queries = rows.map(|row| Ok(query(row?))).collect::<Result<_>>()?;
        return Ok(Prepared { queries, vocabulary, encoder: None });
    }
    let Some(model) = model else {
        return Err(advised(
            format!("{} was built of vectors and names no model", args.index.display()),
            "give --model, or queries as --vectors",
        ));
    };
    let inputs = args.queries.as_ref();
    let options = InputOptions { format: args.form.form(), ..InputOptions::default() };
    let open = |path| Inputs::open(std::slice::from_ref(path), options);
    let inputs = inputs.map(open).transpose()?;
    let side = args.side.into();
    let mut options = SparseEncoderOptions { only: Some(side), ..args.compute.options() };
    match side {
        Side::Query => options.query_prompt = args.prompt.clone(),
        Side::Document => options.document_prompt = args.prompt.clone(),
    }
    let encoder = SparseEncoder::load_observed(model, &options, reporter);
    let encoder = hint_at_model(encoder, args.model.as_ref())?;
    check(&Provenance::of_encoder(&encoder, side, &Pruning::default())?, "--model names")?;
    let mut queries = Vec::new();
    let unencoded = |id: String, text: String| {
        let vector = SparseVector::default();
        Query { id, text, vector }
    };
    match inputs {
        Some(inputs) if args.needs_texts() => {
            for record in inputs {
                let record = record?;
                queries.push(unencoded(record.id, record.text));
            }
        }
        None if args.needs_texts() => {
            let texts = args.query.iter().enumerate();
            queries.extend(texts.map(|(id, text)| unencoded(id.to_string(), text.clone())));
        }
        Some(inputs) => {
            let position = inputs.position();
            let ended = encoder.encode_each(side, inputs, position, reporter, |id, vector| {
                queries.push(Query { id: id.to_owned(), text: String::new(), vector });
                Ok::<(), light_splade::Error>(())
            })?;
            if ended == Ended::Stopped {
                return Err(Interrupted("nothing is kept".to_owned()).into());
            }
        }
        None => {
            let vectors = encoder.tower(side)?.encode(&args.query)?;
            let pairs = args.query.iter().zip(vectors).enumerate();
            queries.extend(pairs.map(|(id, (text, vector))| Query {
                id: id.to_string(),
                text: text.clone(),
                vector,
            }));
        }
    }
    Ok(Prepared { queries, vocabulary, encoder: Some(encoder) })
}

/// The lines of a TREC run say nothing of their order: one ranking an id.
fn check_ids(queries: &[Query]) -> Result<()> {
    queries.iter().try_for_each(|query| check_trec_id("query id", &query.id))?;
    let mut ids = HashSet::new();
    match queries.iter().find(|query| !ids.insert(query.id.as_str())) {
        Some(query) => bail!("query {:?} is there twice, which a TREC run cannot hold", query.id),
        None => Ok(()),
    }
}
