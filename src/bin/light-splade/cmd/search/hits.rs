//! Hits as a table, as NDJSON, or as a TREC run.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use light_splade::models::Vocabulary;
use light_splade::search::ranking;
use serde_json::Value;
use splade_eval::Run;
use splade_index::{Hit, Index, Share};
use splade_io::printable;
use splade_sparse::SparseVector;

use crate::args::HitFormat;
use crate::output::Output;

/// A query that is ready to be searched.
pub(super) struct Query {
    pub(super) id: String,
    pub(super) vector: SparseVector,
}

/// Writes the hits of one query after another.
pub(super) struct HitWriter<'a> {
    output: Output,
    format: HitFormat,
    tag: &'a str,
    /// Where shares of scores are asked for.
    explain: Option<&'a Index>,
    vocabulary: Option<&'a Vocabulary>,
    queries: usize,
    /// Of `HitFormat::Trec` until the end: its queries are in the order of their ids.
    run: Run,
}

impl<'a> HitWriter<'a> {
    pub(super) fn new(
        output: Output,
        format: HitFormat,
        tag: &'a str,
        explain: Option<&'a Index>,
        vocabulary: Option<&'a Vocabulary>,
    ) -> Self {
        Self { output, format, tag, explain, vocabulary, queries: 0, run: Run::default() }
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
        hits: Vec<Hit>,
    ) -> Result<()> {
        self.queries += 1;
        let text = match self.format {
            HitFormat::Trec => return Ok(self.run.insert(&query.id, ranking(hits))?),
            HitFormat::Table => self.table(query, title, &hits),
            HitFormat::Ndjson => self.row(query, &hits),
        };
        self.output.write(text.as_bytes())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if self.format == HitFormat::Trec {
            let mut text = Vec::new();
            self.run.write_trec(&mut text, self.tag).context("cannot write the run")?;
            self.output.write(&text)?;
        }
        self.output.finish()
    }

    fn table(&self, query: &Query, title: Option<&String>, hits: &[Hit]) -> String {
        let mut text = title.map_or_else(String::new, |title| printable(title).into_owned() + "\n");
        for (rank, hit) in (1..).zip(hits) {
            let _ = writeln!(text, "{rank:4}  {:9.4}  {}", hit.score, printable(&hit.id));
            let Some(shares) = self.shares(query, hit) else { continue };
            let mut total = 0.0;
            for share in &shares {
                total += f64::from(share.score);
                let Share { query_weight, document_weight, score, .. } = share;
                let name = self.name(share);
                let name = printable(&name);
                let _ = writeln!(
                    text,
                    "      {score:9.4}    {name}: {query_weight:.4} x {document_weight:.4}"
                );
            }
            let _ = writeln!(text, "      {total:9.4}    total of {} terms", shares.len());
        }
        if hits.is_empty() {
            text += "nothing found\n";
        }
        text
    }

    fn row(&self, query: &Query, hits: &[Hit]) -> String {
        let mut row = format!("{{\"qid\":{},\"results\":[", Value::from(query.id.as_str()));
        for (i, hit) in hits.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let id = Value::from(hit.id.as_str());
            let _ = write!(row, "{comma}{{\"doc_id\":{id},\"score\":{}", hit.score);
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

    fn shares(&self, query: &Query, hit: &Hit) -> Option<Vec<Share>> {
        self.explain.and_then(|index| index.explain(&query.vector, &hit.id))
    }

    /// The token of a term, or its id where no model is known.
    fn name(&self, share: &Share) -> String {
        let token =
            self.vocabulary.and_then(|vocabulary| vocabulary.tokenizer().token(share.term.0));
        token.map_or_else(|| share.term.to_string(), str::to_owned)
    }
}
