//! The target PostgreSQL with pgvector 0.7 or later: a column of type `sparsevec`, whose indices
//! count from 1.

use super::json::push;
use super::text::HITS;
use super::text::{TextTarget, number};
use splade_io::Problem;
use splade_sparse::SparseVector;
use splade_sparse::files::{Shard, ShardForm};

/// The largest number of terms of a stored vector.
const TERMS: usize = 16_000;
/// The largest number of terms of a vector in an HNSW index.
const INDEXED_TERMS: usize = 1_000;
/// The largest number of dimensions of a `sparsevec`.
const DIMENSIONS: usize = 1_000_000_000;

/// The target pgvector: a table of numbered rows with the id and the vector of a document.
///
/// ```
/// use splade_export::targets::Pgvector;
/// use splade_export::TextTarget;
/// use splade_sparse::{SparseVector, TermId};
///
/// let target = Pgvector::new("texts".to_owned(), "splade".to_owned(), 32_768, 0)?;
/// let (mut out, vector) = (Vec::new(), SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?);
/// target.document(0, "d1", &vector, &mut out)?;
/// let document = String::from_utf8(out)?;
/// assert!(document.contains("1:1.25"), "{document}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pgvector {
    /// The name of the table in SQL quotes.
    table: String,
    /// The name of the column in SQL quotes.
    column: String,
    dimensions: usize,
    /// The number of the first row.
    first: u64,
}

impl Pgvector {
    /// Makes the target of a table whose rows are numbered from `first` on. `dimensions` is the
    /// size of the vocabulary.
    ///
    /// # Errors
    /// Returns a message if `dimensions` is 0 or more than the 1,000,000,000 of pgvector.
    pub fn new(
        table: String,
        column: String,
        dimensions: usize,
        first: u64,
    ) -> Result<Self, Problem> {
        if dimensions == 0 || dimensions > DIMENSIONS {
            return Err(
                format!("a sparsevec has 1 to {DIMENSIONS} dimensions, not {dimensions}").into()
            );
        }
        // Quotes allow reserved words of SQL as names.
        let quoted = |name: String| format!("\"{}\"", name.replace('"', "\"\""));
        Ok(Self { table: quoted(table), column: quoted(column), dimensions, first })
    }

    /// Appends a vector as the text of a `sparsevec`.
    fn push_vector(&self, out: &mut Vec<u8>, vector: &SparseVector) -> Result<(), Problem> {
        if vector.len() > TERMS {
            let what = format!("it has {} terms; a sparsevec has at most {TERMS}", vector.len());
            return Err(Problem::new(what).with_remedy(format!("encode with --top-k {TERMS}")));
        }
        if let Some(term) = vector.terms().last().filter(|term| term.0 as usize >= self.dimensions)
        {
            let what = format!(
                "it has the term {term}, but the column {} dimensions, from term 0 on",
                self.dimensions
            );
            let remedy = "set --dimensions to the size of the vocabulary";
            return Err(Problem::new(what).with_remedy(remedy));
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
    ) -> Result<(), Problem> {
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

    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
        let Self { table, column, .. } = self;
        let quoted = id.replace('\'', "''");
        // A backslash may end a quoted string, depending on a setting of PostgreSQL, and a line end
        // would split the query.
        if id.contains(['\\', '\0', '\n', '\r']) {
            return Err("its id has a backslash, a line end or a zero byte".into());
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

/// Appends a string in the text format of `COPY`.
fn push_copied(out: &mut Vec<u8>, text: &str) -> Result<(), Problem> {
    for byte in text.bytes() {
        match byte {
            0 => return Err("its id has a zero byte, which PostgreSQL does not store".into()),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
    Ok(())
}
