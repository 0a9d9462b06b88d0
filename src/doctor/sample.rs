//! Documents and queries to try a search engine with: the first of the user's own vectors, or invented ones.
//!
//! The invented ones have what search engines stumble over: names with reserved characters, weights over
//! four orders of magnitude, and terms of nearly every document that weigh little in queries, which
//! are what token pruning drops.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use splade_export::{Quantisation, TermNames};
use splade_io::Observer;
use splade_model::Side;
use splade_sparse::files::VectorReader;
use splade_sparse::{SparseVector, TermId};
use splade_text::TokenizerOptions;

use super::options::DoctorOptions;
use crate::error::{Error, invalid};
use crate::model::Vocabulary;

/// What a server is given, and asked.
pub(super) struct Sample {
    /// Vectors of documents by their ids.
    pub(super) documents: Vec<(String, SparseVector)>,
    /// Vectors of queries.
    pub(super) queries: Vec<SparseVector>,
    /// What terms are called.
    pub(super) terms: TermNames,
    /// Terms whose names have characters that are reserved somewhere.
    pub(super) odd: Vec<(TermId, String)>,
}

const DOCUMENTS: usize = 300;
const QUERIES: usize = 25;
const VOCABULARY: usize = 1024;
/// Parts of real vocabularies that have been reserved somewhere: in field names, queries, payloads.
const ODD_NAMES: [&str; 16] = [
    ".", "3.14", "u.s.", "##ing", "東京", "##ます", "▁the", "\"", "\\", "|", "é", "-", "*",
    "[CLS]", "_id", "%2E",
];
/// Of the user's own vectors.
const MOST_DOCUMENTS: usize = 1000;
const MOST_QUERIES: usize = 50;

impl Sample {
    pub(super) fn open(
        options: &DoctorOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        match options.vectors.is_empty() {
            true => Ok(Self::invented()),
            false => Self::read(options, observer),
        }
    }

    /// Invented vectors, the same ones always.
    fn invented() -> Self {
        let plain = (ODD_NAMES.len()..VOCABULARY).map(|term| format!("token{term}"));
        let tokens = ODD_NAMES.iter().map(|name| (*name).to_owned()).chain(plain).collect();
        let mut random = Random(0);
        let documents = (0..DOCUMENTS).map(|id| (format!("d{id}"), random.vector(60))).collect();
        let queries = (0..QUERIES).map(|_| random.vector(25)).collect();
        let terms = TermNames::tokens(tokens).expect("different names: this is a bug");
        let odd = (0..).zip(ODD_NAMES).map(|(term, name)| (TermId(term), name.to_owned()));
        Self { documents, queries, terms, odd: odd.collect() }
    }

    /// The first of the user's vectors.
    fn read(options: &DoctorOptions, observer: &mut dyn Observer) -> Result<Self, Error> {
        let open = |model: &PathBuf| {
            Vocabulary::open(model, Side::Document, &TokenizerOptions::default(), observer)
        };
        let vocabulary = options.model.as_ref().map(open).transpose()?;
        let term = |key: &str| match &vocabulary {
            Some(vocabulary) => vocabulary.term(key),
            None => VectorReader::id(key),
        };
        let rows = |paths: &[PathBuf], most| -> Result<Vec<(String, SparseVector)>, Error> {
            let reader = VectorReader::open(paths, &term)?;
            let rows = reader.take(most).map(|row| {
                let row =
                    row.map_err(|error| Error::during("cannot read the vectors")(error.into()))?;
                Ok((row.id, row.vector))
            });
            let rows: Vec<_> = rows.collect::<Result<_, Error>>()?;
            match rows.iter().any(|(_, vector)| !vector.is_empty()) {
                true => Ok(rows),
                false => Err(invalid(format!("{} has no terms", display(paths)))),
            }
        };
        let documents = rows(&options.vectors, MOST_DOCUMENTS)?;
        let mut ids = HashSet::new();
        for (id, _) in &documents {
            if !ids.insert(id) {
                return Err(Error::DuplicateDocument { id: id.clone() });
            }
        }
        let queries = rows(&options.queries, MOST_QUERIES)?;
        let tokens = vocabulary.map(|vocabulary| vocabulary.tokens());
        let terms = match tokens {
            Some(tokens) => TermNames::tokens(tokens).map_err(Error::Invalid)?,
            None => TermNames::ids(),
        };
        let queries = queries.into_iter().map(|(_, vector)| vector).collect();
        Ok(Self { documents, queries, terms, odd: Vec::new() })
    }

    /// The scores of all documents in a search engine that keeps weights so.
    pub(super) fn scores(&self, query: &SparseVector, kept: Quantisation) -> Vec<f64> {
        let query = kept.query(query);
        let score = |(_, document): &(String, SparseVector)| {
            let document = kept.document(document);
            query.iter().map(|(t, w)| f64::from(w) * f64::from(document.weight(t))).sum()
        };
        self.documents.iter().map(score).collect()
    }
}

fn display(paths: &[PathBuf]) -> String {
    paths.first().map_or(Path::new(""), PathBuf::as_path).display().to_string()
}

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Up to `terms` terms, low ones more often than high ones, with weights from .0005 to 30, the
    /// smaller the more frequent the term.
    fn vector(&mut self, terms: usize) -> SparseVector {
        let vocabulary = VOCABULARY as f64;
        let mut pairs: Vec<(TermId, f32)> = Vec::new();
        for _ in 0..terms {
            let term = TermId((vocabulary.powf(self.next()) - 1.0) as u32);
            let weight = 30.0 * 1e-3f64.powf(self.next()) * (f64::from(term.0) + 20.0) / vocabulary;
            if pairs.iter().all(|pair| pair.0 != term) {
                pairs.push((term, weight as f32));
            }
        }
        SparseVector::from_pairs(pairs).expect("different terms above zero: this is a bug")
    }
}
