//! A factor on the weights of documents: how rare a term is in the vectors of a corpus.
//!
//! The model gives a term the same weight in whatever corpus it stands. A term that half of the vectors of a corpus
//! have tells documents apart less than a rare one does; Iida and Okazaki (arXiv 2211.03988, section 3.3) multiply
//! weights by the inverse document frequency for this reason. The table is a file of OpenSearch's form, `idf.json`: an
//! object of tokens and factors.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use splade_index::bm25::idf;
use splade_io::{ContentHash, ContentHasher, Observer, write_file};
use splade_sparse::SparseVector;
use splade_sparse::files::VectorReader;

use crate::error::{Error, advised, invalid};
use crate::model::Vocabulary;
use crate::output_guard::check_output;
use crate::stream::Counts;

/// Factors for the terms of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Idf {
    /// The factor of each term of the vocabulary, by its id.
    factors: Vec<f32>,
    content: ContentHash,
}

impl Idf {
    /// Computes the factors of a corpus from its vectors: `ln(1 + (N - df + .5) / (df + .5))` for a term that `df` of
    /// `N` vectors have.
    ///
    /// # Errors
    /// If a vector cannot be read or has a term that the model does not have, there is none, or the observer asks to
    /// stop.
    pub fn of_vectors(
        paths: &[PathBuf],
        vocabulary: &Vocabulary,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let mut frequencies = vec![0u64; vocabulary.size()];
        let (mut documents, mut counts) = (0u64, Counts::new("vectors", None));
        let term = |key: &str| vocabulary.term(key);
        for row in VectorReader::open(paths, &term)? {
            let row = row?;
            for term in row.vector.terms() {
                match frequencies.get_mut(term.0 as usize) {
                    Some(frequency) => *frequency += 1,
                    None => {
                        let vocab = vocabulary.size();
                        return Err(Error::UnknownTerm { id: row.id, term: *term, vocab });
                    }
                }
            }
            documents += 1;
            if documents.is_multiple_of(1000) {
                counts.add(1000, 0, None);
                observer.event(counts.event(false));
                if observer.stop() {
                    return Err(Error::stopped());
                }
            }
        }
        counts.add((documents % 1000) as usize, 0, None);
        observer.event(counts.event(true));
        if documents == 0 {
            return Err(invalid("there is no vector to count the terms of"));
        }
        let factors = frequencies.iter().map(|df| idf(documents, *df) as f32);
        Ok(Self::new(factors.collect()))
    }

    fn new(factors: Vec<f32>) -> Self {
        let mut hasher = ContentHasher::new();
        factors.iter().for_each(|factor| hasher.bytes(&factor.to_le_bytes()));
        Self { factors, content: hasher.finish() }
    }

    /// Reads a table for the terms of a model. A term that the table lacks gets its largest factor, as a term that no
    /// document has.
    ///
    /// # Errors
    /// If the file cannot be read, is not an object of tokens and factors above zero, or has no token of the model.
    pub fn open(path: &Path, vocabulary: &Vocabulary) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let json = |source| Error::Json { path: path.to_path_buf(), source };
        let table: Map<String, Value> = serde_json::from_str(&text).map_err(json)?;
        let mut factors = vec![None; vocabulary.size()];
        for (token, factor) in &table {
            let factor = factor.as_f64().map(|factor| factor as f32);
            let factor = factor.filter(|factor| factor.is_finite() && *factor > 0.0);
            let factor = factor.ok_or_else(|| {
                invalid(format!("{}: the factor of {token:?} is not above zero", path.display()))
            })?;
            if let Some(place) = vocabulary.term(token).and_then(|t| factors.get_mut(t.0 as usize))
            {
                *place = Some(factor);
            }
        }
        let largest = factors.iter().flatten().copied().reduce(f32::max).ok_or_else(|| {
            advised(
                format!("{} has no token of the model", path.display()),
                "give the table that was made with this model: light-splade vocab idf",
            )
        })?;
        Ok(Self::new(factors.into_iter().map(|factor| factor.unwrap_or(largest)).collect()))
    }

    /// Writes the table.
    ///
    /// # Errors
    /// If the file exists and `force` is not set, or it cannot be written.
    pub fn write(&self, path: &Path, vocabulary: &Vocabulary, force: bool) -> Result<(), Error> {
        check_output::<&Path>(path, [], force)?;
        let tokens = vocabulary.tokens().into_iter().zip(&self.factors);
        let table: Map<String, Value> =
            tokens.map(|(token, factor)| (token, Value::from(*factor))).collect();
        Ok(write_file(path, format!("{:#}\n", Value::Object(table)).as_bytes())?)
    }

    /// The hash of the factors, by which vectors that were made with them are compared.
    pub fn content(&self) -> ContentHash {
        self.content
    }

    /// Returns a document's vector with each weight multiplied by the factor of its term.
    ///
    /// # Errors
    /// If a product is too large or too small for a weight, or the vector has a term that the model does not have.
    pub fn apply(&self, vector: &SparseVector) -> Result<SparseVector, Error> {
        let factor = |term: u32| self.factors.get(term as usize).copied().unwrap_or(f32::NAN);
        let weights = vector.iter().map(|(term, weight)| weight * factor(term.0));
        Ok(SparseVector::new(vector.terms().to_vec(), weights.collect())?)
    }
}

#[cfg(test)]
mod tests {
    use splade_model::Side;
    use splade_sparse::TermId;

    use super::*;

    #[test]
    fn rare_terms_weigh_more() {
        let vocabulary =
            Vocabulary::open("models/demo".as_ref(), Side::Document, &Default::default(), &mut ());
        let vocabulary = vocabulary.expect("a model");
        let dir = tempfile::tempdir().expect("a folder");
        let rows = [
            r#"{"id": "a", "vector": {"7": 1.0, "9": 2.0}}"#,
            r#"{"id": "b", "vector": {"7": 1.0}}"#,
            r#"{"id": "c", "vector": {"7": 3.0, "11": 1.0}}"#,
        ];
        let path = dir.path().join("v.ndjson");
        let token = |term: usize| vocabulary.tokens()[term].to_string();
        let named = |row: &str| {
            [7, 9, 11].iter().fold(row.to_owned(), |row, term| {
                row.replace(&format!("\"{term}\":"), &format!("{:?}:", token(*term)))
            })
        };
        std::fs::write(&path, rows.map(named).join("\n")).expect("written");
        let table = Idf::of_vectors(&[path], &vocabulary, &mut ()).expect("counted");
        // By hand: ln(1 + (3 - 3 + .5) / 3.5), ln(1 + 2.5 / 1.5), and ln(1 + 3.5 / .5) for a term of none.
        for (term, want) in [(7, 0.133_531), (9, 0.980_829), (11, 0.980_829), (12, 2.079_442)] {
            assert!((table.factors[term] - want).abs() < 1e-5, "{term}: {}", table.factors[term]);
        }
        let vector =
            SparseVector::new(vec![TermId(7), TermId(9)], vec![2.0, 2.0]).expect("a vector");
        let weighted = table.apply(&vector).expect("weighted");
        assert!((weighted.weights()[1] - 2.0 * 0.980_829).abs() < 1e-5);
        // A table comes back from its file, and another one has another hash.
        let file = dir.path().join("idf.json");
        table.write(&file, &vocabulary, false).expect("written");
        assert_eq!(Idf::open(&file, &vocabulary).expect("read"), table);
        assert!(table.write(&file, &vocabulary, false).is_err(), "nothing is overwritten");
        std::fs::write(&file, format!("{{{:?}: 2.0}}", token(7))).expect("written");
        let small = Idf::open(&file, &vocabulary).expect("read");
        assert_ne!(small.content(), table.content());
        assert_eq!(small.factors[9], 2.0);
        for (text, part) in
            [("{\"no such token\": 1}", "no token of the model"), ("{\"a\": 0}", "above zero")]
        {
            std::fs::write(&file, text).expect("written");
            let error = Idf::open(&file, &vocabulary).expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
