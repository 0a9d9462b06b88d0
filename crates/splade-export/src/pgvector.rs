//! PostgreSQL with pgvector 0.7 or later: `sparsevec`, whose places count from 1.

use super::json::push;
use super::text::HITS;
use super::text::{TextTarget, number};
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// Terms of a vector that can be stored.
const TERMS: usize = 16_000;
/// Terms of a vector that an HNSW index takes.
const INDEXED_TERMS: usize = 1_000;
/// Dimensions of a vector.
const DIMENSIONS: usize = 1_000_000_000;

/// A table of numbered rows with the document's id and its vector.
#[derive(Debug)]
pub struct Pgvector {
    /// In quotes, as the column.
    table: String,
    column: String,
    dimensions: usize,
    first: u64,
}

impl Pgvector {
    /// Rows numbered from `first` on; `dimensions` is the size of the vocabulary.
    ///
    /// # Errors
    /// If there are more dimensions than pgvector has.
    pub fn new(
        table: String,
        column: String,
        dimensions: usize,
        first: u64,
    ) -> Result<Self, String> {
        if dimensions == 0 || dimensions > DIMENSIONS {
            return Err(format!("a sparsevec has 1 to {DIMENSIONS} dimensions, not {dimensions}"));
        }
        // SQL has reserved words.
        let quoted = |name: String| format!("\"{}\"", name.replace('"', "\"\""));
        Ok(Self { table: quoted(table), column: quoted(column), dimensions, first })
    }

    fn push_vector(&self, out: &mut Vec<u8>, vector: &SparseVector) -> Result<(), String> {
        if vector.len() > TERMS {
            return Err(format!(
                "it has {} terms; a sparsevec has {TERMS} at most: encode with --top-k",
                vector.len()
            ));
        }
        if let Some(term) = vector.terms().last().filter(|term| term.0 as usize >= self.dimensions)
        {
            return Err(format!(
                "it has the term {term}, but the column {} dimensions, from term 0 on; --dimensions \
                 is the size of the vocabulary",
                self.dimensions
            ));
        }
        out.push(b'{');
        for (place, (term, weight)) in vector.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            push!(out, "{comma}{}:{weight}", u64::from(term.0) + 1);
        }
        push!(out, "}}/{}", self.dimensions);
        Ok(())
    }
}

impl TextTarget for Pgvector {
    fn form(&self) -> ShardForm {
        ShardForm {
            format: super::text::EXPORT,
            stem: "documents",
            extension: "tsv",
            rows: 100_000,
        }
    }

    fn document(
        &self,
        row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        push!(out, "{}\t", number(self.first, row)?);
        push_copied(out, id)?;
        out.push(b'\t');
        self.push_vector(out, vector)?;
        out.push(b'\n');
        Ok(())
    }

    fn queries_file(&self) -> &'static str {
        "queries.sql"
    }

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), String> {
        let Self { table, column, .. } = self;
        let quoted = id.replace('\'', "''");
        // Without a backslash, which ends quotes in some settings, and without a line end.
        if id.contains(['\\', '\0', '\n', '\r']) {
            return Err("its id has a backslash or a line end".to_owned());
        }
        let mut literal = Vec::new();
        self.push_vector(&mut literal, vector)?;
        let literal = String::from_utf8_lossy(&literal);
        push!(
            out,
            "SELECT '{quoted}' AS query, docid, -({column} <#> '{literal}'::sparsevec) AS score \
             FROM {table} ORDER BY {column} <#> '{literal}'::sparsevec LIMIT {HITS};\n"
        );
        Ok(())
    }

    fn setup(&self, shards: &[Shard]) -> Vec<(&'static str, String)> {
        let Self { table, column, dimensions, .. } = self;
        let schema = format!(
            "CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE {table} (
  id bigint PRIMARY KEY,
  docid text NOT NULL UNIQUE,
  {column} sparsevec({dimensions}) NOT NULL
);
"
        );
        let index = format!(
            "-- Approximate search. Every vector may have {INDEXED_TERMS} terms: encode with --top-k \
             {INDEXED_TERMS} if this fails.
CREATE INDEX ON {table} USING hnsw ({column} sparsevec_ip_ops);
"
        );
        let load = shards.iter().map(|Shard { file, .. }| {
            format!("\\copy {table} (id, docid, {column}) FROM '{file}'\n")
        });
        vec![("schema.sql", schema), ("load.sql", load.collect()), ("index.sql", index)]
    }
}

/// Appends a text as COPY's text format has it.
fn push_copied(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    for byte in text.bytes() {
        match byte {
            0 => return Err("its id has a zero byte, which PostgreSQL does not store".to_owned()),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
    Ok(())
}
