//! Hits as a table, as NDJSON, or as a TREC run.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use light_splade::Searcher;
use light_splade::models::Vocabulary;
use light_splade::search::{HybridHit, Place};
use serde_json::Value;
use splade_eval::{Run, Scored};
use splade_index::{Hit, Share};
use splade_io::{columns, counted, cut_to_width, printable};
use splade_sparse::SparseVector;

use super::marked::{Marking, title_and_passage};
use crate::args::{HitFormat, SearchArgs};
use crate::closing;
use crate::log;
use crate::output::{Output, is_stdout};
use crate::screen::{bar, columns_of_stdout, room_of_stdout, wrap};
use crate::style::Style;

/// The terms of a hit that are shown, those with the largest shares of its score.
const SHARES: usize = 5;

/// The columns before what belongs to a hit.
const INDENT: usize = 17;

/// The columns that a line of an explanation takes beside the term and its bar.
const WITHOUT_BAR: usize = 38;

/// The columns of the longest bar of an explanation.
const LONGEST_BAR: usize = 20;

/// A query that is ready to be searched.
pub(super) struct Query {
    pub(super) id: String,
    /// Empty if it is not needed or not known.
    pub(super) text: String,
    pub(super) vector: SparseVector,
}

/// A hit of any kind of search.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) score: f32,
    /// The place among the hits of the model and of BM25, in a hybrid search.
    pub(super) places: [Option<Place>; 2],
    /// The place before re-ranking.
    pub(super) before: Option<Place>,
}

impl From<Hit> for Found {
    fn from(hit: Hit) -> Self {
        Self { id: hit.id, score: hit.score, places: [None, None], before: None }
    }
}

impl From<HybridHit> for Found {
    fn from(hit: HybridHit) -> Self {
        let HybridHit { id, score, splade, bm25 } = hit;
        Self { id, score, places: [splade, bm25], before: None }
    }
}

impl Found {
    /// The places with their names.
    fn named_places(&self) -> impl Iterator<Item = (&'static str, Place)> {
        let [splade, bm25] = self.places;
        let all = [("splade", splade), ("bm25", bm25), ("before", self.before)];
        all.into_iter().filter_map(|(name, place)| Some((name, place?)))
    }
}

/// Writes the hits of one query after another.
pub(super) struct HitWriter<'a> {
    output: Output,
    format: HitFormat,
    args: &'a SearchArgs,
    searcher: &'a Searcher,
    vocabulary: Option<&'a Vocabulary>,
    queries: usize,
    /// Of `HitFormat::Trec` until the end: its queries are in the order of their ids.
    run: Run,
}

impl<'a> HitWriter<'a> {
    pub(super) fn new(
        output: Output,
        format: HitFormat,
        args: &'a SearchArgs,
        searcher: &'a Searcher,
        vocabulary: Option<&'a Vocabulary>,
    ) -> Self {
        Self { output, format, args, searcher, vocabulary, queries: 0, run: Run::default() }
    }

    /// Writes what is waiting to be written.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.output.write_styled("")
    }

    /// How many queries are written.
    pub(super) fn queries(&self) -> usize {
        self.queries
    }

    /// Writes the hits of a query; the title stands above a table.
    pub(super) fn write(
        &mut self,
        query: &Query,
        title: Option<&String>,
        hits: Vec<Found>,
    ) -> Result<()> {
        self.queries += 1;
        match self.format {
            HitFormat::Trec => {
                let scored = |hit: Found| Scored { document: hit.id, score: hit.score };
                Ok(self.run.insert(&query.id, hits.into_iter().map(scored).collect())?)
            }
            HitFormat::Table => {
                let table = self.table(query, title, &hits)?;
                self.output.write_styled(&table)
            }
            HitFormat::Ndjson => {
                let row = self.row(query, &hits);
                self.output.write(row.as_bytes())
            }
        }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if self.format == HitFormat::Trec {
            let mut text = Vec::new();
            self.run.write_trec(&mut text, &self.args.tag).context("cannot write the run")?;
            self.output.write(&text)?;
        }
        self.output.finish()?;
        if let Some(path) = self.args.output.as_deref().filter(|path| !is_stdout(path)) {
            let hits = format!("the hits of {}", counted(self.queries, "queries"));
            let next = format!("evaluate DATA --run {}", closing::shown(path));
            let is_run = self.format != HitFormat::Table;
            closing::made(&format!("{hits} to {}", path.display()), is_run.then_some(next));
        }
        Ok(())
    }

    fn table(&self, query: &Query, title: Option<&String>, hits: &[Found]) -> Result<String> {
        let mut text = title.map_or_else(String::new, |title| printable(title).into_owned() + "\n");
        // Of queries in files, only a search that needs it has the text.
        let shows_texts = self.searcher.index().stores() && !query.text.is_empty();
        let terms = shows_texts.then(|| self.searcher.query_terms(&query.text)).transpose()?;
        let room = self.output.is_stdout().then(room_of_stdout).flatten();
        let marking = if self.output.has_styles() { Marking::COLOUR } else { Marking::PLAIN };
        for (rank, hit) in (1..).zip(hits) {
            let (name, passage) = match &terms {
                Some(terms) => title_and_passage(self.searcher, terms, &hit.id, marking)?,
                None => (None, None),
            };
            let _ = write!(text, "{rank:4}  {:9.4}  {}", hit.score, printable(&hit.id));
            let _ = match name {
                Some(name) => writeln!(text, "  {name}"),
                None => writeln!(text),
            };
            if let Some(passage) = passage {
                let columns = room.map_or(usize::MAX, |room| room.saturating_sub(INDENT));
                for line in wrap(passage.split(' '), columns).lines() {
                    let _ = writeln!(text, "{:INDENT$}{line}", "");
                }
            }
            let places: Vec<String> = hit
                .named_places()
                .map(|(name, Place { rank, score })| match name {
                    "before" => format!("rank {rank} before, {score:.4}"),
                    name => format!("{name} rank {rank}, {score:.4}"),
                })
                .collect();
            if !places.is_empty() {
                let _ = writeln!(text, "{:INDENT$}{}", "", places.join("; "));
            }
            if let Some(shares) = self.shares(query, hit) {
                text += &self.explanation(&shares);
            }
        }
        if hits.is_empty() {
            text += "nothing found\n";
        }
        Ok(text)
    }

    /// What the terms give to a score: the largest ones each on a line, the others together.
    fn explanation(&self, shares: &[Share]) -> String {
        let mut shares: Vec<&Share> = shares.iter().collect();
        shares.sort_by(|a, b| b.score.total_cmp(&a.score));
        // A single other term takes the line that the sum would take.
        let most =
            if log::wants_details() || shares.len() == SHARES + 1 { usize::MAX } else { SHARES };
        let (shown, others) = shares.split_at(shares.len().min(most));
        let sum =
            |shares: &[&Share]| shares.iter().map(|share| f64::from(share.score)).sum::<f64>();
        let largest = shown.first().map_or(1.0, |share| f64::from(share.score));
        let room = columns_of_stdout().saturating_sub(WITHOUT_BAR);
        let (colour, name_columns) = (self.output.has_styles(), room / 2);
        let bar_columns = (room - name_columns).min(LONGEST_BAR);
        let mut rows: Vec<Vec<String>> = Vec::new();
        for share in shown {
            let Share { query_weight, document_weight, score, .. } = **share;
            rows.push(vec![
                String::new(),
                // The scores end below those of the hits.
                format!("{score:>13.4}"),
                cut_to_width(&printable(&self.name(share)), name_columns),
                Style::Green.paint(colour, bar(f64::from(score) / largest, bar_columns)),
                format!("{query_weight:.4} x {document_weight:.4}"),
            ]);
        }
        // The sums are no part of the table, whose terms may be shorter than they.
        let line = |score: f64, what: String| format!("  {score:>13.4}  {what}\n");
        let mut text = columns(&rows, &[]);
        if !others.is_empty() {
            let more = Style::Dim.paint(colour, format!("+{} more", others.len()));
            text += &line(sum(others), more);
        }
        let all = Style::Bold.paint(colour, format!("total of {}", counted(shares.len(), "terms")));
        text + &line(sum(&shares), all)
    }

    fn row(&self, query: &Query, hits: &[Found]) -> String {
        let mut row = format!("{{\"qid\":{},\"results\":[", Value::from(query.id.as_str()));
        for (i, hit) in hits.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let id = Value::from(hit.id.as_str());
            let _ = write!(row, "{comma}{{\"doc_id\":{id},\"score\":{}", hit.score);
            for (name, Place { rank, score }) in hit.named_places() {
                let _ = write!(row, ",\"{name}\":{{\"rank\":{rank},\"score\":{score}}}");
            }
            if let Some(shares) = self.shares(query, hit) {
                let term = |share: &Share| {
                    let Share { query_weight, document_weight, score, .. } = share;
                    format!(
                        "{{\"term\":{},\"score\":{score},\"query_weight\":{query_weight},\
                         \"document_weight\":{document_weight}}}",
                        Value::from(self.name(share))
                    )
                };
                let terms: Vec<String> = shares.iter().map(term).collect();
                let _ = write!(row, ",\"terms\":[{}]", terms.join(","));
            }
            row += "}";
        }
        row + "]}\n"
    }

    /// The shares of a score, where they are asked for.
    fn shares(&self, query: &Query, hit: &Found) -> Option<Vec<Share>> {
        let index = self.args.explain.then(|| self.searcher.index())?;
        index.explain(&query.vector, &hit.id)
    }

    /// The token of a term, or its id where no model is known.
    fn name(&self, share: &Share) -> String {
        let token =
            self.vocabulary.and_then(|vocabulary| vocabulary.tokenizer().token(share.term.0));
        token.map_or_else(|| share.term.to_string(), str::to_owned)
    }
}
