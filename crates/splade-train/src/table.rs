//! Query vectors without a model ("inference-free"): one weight for each token, trained or fixed.
//!
//! The vector of a query has each of its tokens once, with the weight that the table gives it
//! (arXiv 2411.04403; `SparseStaticEmbedding` of sentence-transformers). Weights never fall below
//! zero. A token with weight zero is not a term of any vector, and it gets no gradient.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value, json};
use splade_model::ModelError;
use splade_model::training::copy_tokenizer_alone;
use splade_model::weights::WeightsWriter;
use splade_text::Tokenizer;

use crate::engine::{Engine, NamedTensor, ParameterMut, Parameters, TensorSource, Terms};
use crate::error::TrainError;
use splade_data::Texts;

/// The maximum number of documents in which frequencies are counted; out of more documents, evenly
/// spaced ones are used.
pub(crate) const COUNTED_DOCUMENTS: usize = 100_000;

/// Returns the inverse document frequency of every token as BM25 defines it: `ln(1 + (n - df + 1/2)
/// / (df + 1/2))`, counted in complete texts. Special tokens have 0.
///
/// # Errors
/// Returns an error if a document cannot be tokenized.
pub(crate) fn inverse_document_frequencies(
    documents: &Texts,
    tokenizer: &Tokenizer,
) -> Result<Vec<f32>, TrainError> {
    let step = documents.len().div_ceil(COUNTED_DOCUMENTS).max(1);
    let rows: Vec<usize> = (0..documents.len()).step_by(step).collect();
    let count = |rows: &[usize]| -> Result<Vec<u32>, TrainError> {
        let mut counts = vec![0; tokenizer.len()];
        for row in rows {
            let text = documents.get(documents.id_at(*row))?;
            let mut ids = tokenizer.encode_plain(&text).map_err(ModelError::from)?;
            ids.sort_unstable();
            ids.dedup();
            ids.iter().for_each(|id| counts[*id as usize] += 1);
        }
        Ok(counts)
    };
    let sum = |mut a: Vec<u32>, b: Vec<u32>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    let counts = rows
        .par_chunks(1000)
        .map(count)
        .try_reduce(|| vec![0; tokenizer.len()], |a, b| Ok(sum(a, b)))?;
    let n = rows.len() as f64;
    let idf = |df: &u32| libm::log1p((n - f64::from(*df) + 0.5) / (f64::from(*df) + 0.5)) as f32;
    let mut weights: Vec<f32> = counts.iter().map(idf).collect();
    tokenizer.special_ids().iter().for_each(|id| weights[*id as usize] = 0.0);
    Ok(weights)
}

/// The most queries from which the mean weights of tokens are taken; out of more queries, evenly
/// spaced ones are used.
pub(crate) const WEIGHED_QUERIES: usize = 20_000;
/// The number of texts that are encoded at a time.
const WINDOW: usize = 256;

/// Returns the mean weight that an encoder gives to each token in the queries that contain it. The
/// token alone, as a query, counts as one more query, so tokens that no query has get a weight, too.
/// Special tokens have 0.
///
/// # Errors
/// Returns an error if a query cannot be tokenized.
pub(crate) fn mean_weights(
    encoder: &dyn Engine,
    queries: &Texts,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Result<Vec<f32>, TrainError> {
    let tokens = tokenizer.len();
    let special = tokenizer.special_ids();
    let (mut sums, mut counts) = (vec![0.0_f64; tokens], vec![0_u64; tokens]);
    let mut add = |texts: &[Vec<u32>]| {
        let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        for (ids, vector) in texts.iter().zip(encoder.encode(&ids)) {
            let mut own: Vec<u32> =
                ids.iter().copied().filter(|id| !special.contains(id)).collect();
            own.sort_unstable();
            own.dedup();
            for id in own {
                counts[id as usize] += 1;
                if let Ok(place) = vector.terms.binary_search(&id) {
                    sums[id as usize] += f64::from(vector.weights[place]);
                }
            }
        }
    };
    let step = queries.len().div_ceil(WEIGHED_QUERIES).max(1);
    let rows: Vec<usize> = (0..queries.len()).step_by(step).collect();
    for rows in rows.chunks(WINDOW) {
        let ids = |row: &usize| -> Result<Vec<u32>, TrainError> {
            let text = queries.get(queries.id_at(*row))?;
            Ok(tokenizer.encode(&text, Some(max_length)).map_err(ModelError::from)?.ids)
        };
        let texts = rows.par_iter().map(ids).collect::<Result<Vec<_>, _>>()?;
        add(&texts.into_iter().filter(|ids| !ids.is_empty()).collect::<Vec<_>>());
    }
    let (before, after) = tokenizer.around();
    let alone: Vec<u32> = (0..tokens as u32).filter(|id| !special.contains(id)).collect();
    for ids in alone.chunks(WINDOW) {
        let text = |id: &u32| [before, &[*id], after].concat();
        add(&ids.iter().map(text).collect::<Vec<_>>());
    }
    let mean = |(sum, count): (f64, u64)| (sum / count.max(1) as f64) as f32;
    Ok(sums.into_iter().zip(counts).map(mean).collect())
}

/// Returns how many queries have tokens, but none with a weight in a table, and the number of
/// queries that were looked at. Such a query has no terms, and its tokens are never trained.
///
/// # Errors
/// Returns an error if a query cannot be tokenized.
pub(crate) fn queries_without_terms(
    weights: &[f32],
    queries: &Texts,
    tokenizer: &Tokenizer,
) -> Result<(usize, usize), TrainError> {
    let step = queries.len().div_ceil(WEIGHED_QUERIES).max(1);
    let rows: Vec<usize> = (0..queries.len()).step_by(step).collect();
    let lacks = |row: &usize| -> Result<bool, TrainError> {
        let text = queries.get(queries.id_at(*row))?;
        let ids = tokenizer.encode_plain(&text).map_err(ModelError::from)?;
        Ok(!ids.is_empty() && ids.iter().all(|id| weights[*id as usize] == 0.0))
    };
    let lacking = rows.par_iter().map(lacks).collect::<Result<Vec<_>, _>>()?;
    Ok((lacking.into_iter().filter(|lacks| *lacks).count(), rows.len()))
}

/// An engine that encodes queries with a table of weights.
#[derive(Debug)]
pub(crate) struct TableEngine {
    /// The weight of each token, shape `(tokens)`; none is below zero.
    weights: Vec<f32>,
    /// The gradient of each weight, shape `(tokens)`.
    gradients: Vec<f32>,
    /// The vectors of the last forward pass.
    kept: Option<Vec<Terms>>,
    tokenizer: Arc<Tokenizer>,
    /// The folder of the tokenizer's files.
    tokenizer_folder: PathBuf,
    frozen: bool,
}

impl TableEngine {
    /// Creates a table with one weight for every token of a tokenizer, which was read from
    /// `tokenizer_folder`. A saved table records `frozen`, which says that it was not trained.
    pub(crate) fn new(
        weights: Vec<f32>,
        tokenizer: Arc<Tokenizer>,
        tokenizer_folder: &Path,
        frozen: bool,
    ) -> Self {
        Self {
            gradients: vec![0.0; weights.len()],
            weights,
            kept: None,
            tokenizer,
            tokenizer_folder: tokenizer_folder.to_path_buf(),
            frozen,
        }
    }

    /// Writes the table as OpenSearch does: a JSON object from token to weight, without weights
    /// that are zero.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(crate) fn write_json(&self, path: &Path) -> Result<(), TrainError> {
        let weights = (0..).zip(&self.weights).filter(|(_, weight)| **weight > 0.0);
        let named = weights.filter_map(|(id, weight)| Some((self.tokenizer.token(id)?, weight)));
        let table: Map<String, Value> =
            named.map(|(token, weight)| (token.to_owned(), json!(weight))).collect();
        write(path, &Value::Object(table))
    }

    fn vector(&self, ids: &[u32]) -> Terms {
        let mut terms: Vec<u32> =
            ids.iter().copied().filter(|id| self.weights[*id as usize] > 0.0).collect();
        terms.sort_unstable();
        terms.dedup();
        let weights = terms.iter().map(|id| self.weights[*id as usize]).collect();
        Terms { terms, weights }
    }
}

impl Parameters for TableEngine {
    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>)) {
        let (values, gradients) = (&mut self.weights[..], &mut self.gradients[..]);
        visit(ParameterMut { name: "weight", panels: None, values, gradients });
        self.weights.iter_mut().for_each(|weight| *weight = weight.max(0.0));
    }

    fn to_tensors(&self, _: usize, numbers: &[f32]) -> Vec<NamedTensor> {
        let (name, shape) = ("weight".to_owned(), vec![numbers.len()]);
        vec![NamedTensor { name, shape, values: numbers.to_vec() }]
    }

    fn read_tensors(&self, _: usize, tensor: &TensorSource<'_>) -> Result<Vec<f32>, TrainError> {
        tensor("weight", &[self.weights.len()])
    }
}

impl Engine for TableEngine {
    fn vocab(&self) -> usize {
        self.weights.len()
    }

    fn encode(&self, texts: &[&[u32]]) -> Vec<Terms> {
        texts.iter().map(|ids| self.vector(ids)).collect()
    }

    fn forward(&mut self, texts: &[&[u32]], _: &[u64]) -> Vec<Terms> {
        let vectors = self.encode(texts);
        self.kept = Some(vectors.clone());
        vectors
    }

    fn backward(&mut self, gradients: &[Vec<f32>]) {
        let kept = self.kept.take().expect("backward was called without a forward pass");
        assert!(
            kept.len() == gradients.len(),
            "the number of gradients differs from that of the vectors"
        );
        for (vector, gradients) in kept.iter().zip(gradients) {
            assert!(
                vector.terms.len() == gradients.len(),
                "the number of gradients differs from that of the terms"
            );
            for (term, gradient) in vector.terms.iter().zip(gradients) {
                self.gradients[*term as usize] += gradient;
            }
        }
    }

    /// Writes the folder of a `SparseStaticEmbedding`.
    fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        write(&folder.join("config.json"), &json!({ "frozen": self.frozen }))?;
        copy_tokenizer_alone(&self.tokenizer_folder, folder)?;
        let tensors = [("weight".to_owned(), vec![self.weights.len()])];
        let mut file = WeightsWriter::create(&folder.join("model.safetensors"), &tensors)?;
        file.write(&self.weights)?;
        Ok(file.finish()?)
    }
}

fn write(path: &Path, value: &Value) -> Result<(), TrainError> {
    std::fs::write(path, format!("{value:#}\n")).map_err(TrainError::io(path))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use splade_model::folder::Table;
    use splade_model::{Encoder, EncoderOptions, Side};
    use splade_text::TokenizerOptions;

    use super::*;
    use splade_data::TextKind;

    fn demo() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo")
    }

    fn tokenizer() -> Arc<Tokenizer> {
        let tokenizer = Tokenizer::from_dir(&demo(), &TokenizerOptions::default());
        Arc::new(tokenizer.expect("a tokenizer"))
    }

    /// Returns a table with different weights, one of which is zero.
    fn table() -> TableEngine {
        let tokenizer = tokenizer();
        let weights = (0..tokenizer.len()).map(|id| (id % 7) as f32 * 0.3).collect();
        TableEngine::new(weights, tokenizer, &demo(), false)
    }

    /// The reference counts in the slow way: one pass over all documents for every token.
    #[test]
    fn frequencies_are_those_that_a_slow_count_gives() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy/train/doc_master.ndjson");
        let documents = Texts::open(&path, TextKind::Document).expect("documents").0;
        let tokenizer = tokenizer();
        let weights = inverse_document_frequencies(&documents, &tokenizer).expect("counted");
        let texts: Vec<HashSet<u32>> = (0..documents.len())
            .map(|row| documents.text_at(row).expect("a text"))
            .map(|text| tokenizer.encode_plain(&text).expect("ids").into_iter().collect())
            .collect();
        let mut found = 0;
        for id in 0..tokenizer.len() as u32 {
            let df = texts.iter().filter(|ids| ids.contains(&id)).count() as f64;
            let n = texts.len() as f64;
            let special = tokenizer.special_ids().contains(&id);
            let want = if special { 0.0 } else { (1.0 + (n - df + 0.5) / (df + 0.5)).ln() };
            let got = f64::from(weights[id as usize]);
            // The difference is one rounding to 32 bits.
            assert!((got - want).abs() <= 1e-6 * want, "{id}: {got} {want}");
            found += usize::from(df > 0.0);
        }
        assert!(found > 100, "{found} tokens are in the documents");
    }

    /// The reference looks at one token after another: all queries that have it, and itself alone.
    #[test]
    fn means_are_those_that_a_slow_count_gives() {
        use crate::tasks::splade::tests::Bag;
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy/train/query_master.ndjson");
        let queries = Texts::open(&path, TextKind::Query).expect("queries").0;
        let tokenizer = tokenizer();
        let encoder = Bag::new(tokenizer.len(), 5, 0.1);
        let means = mean_weights(&encoder, &queries, &tokenizer, 32).expect("means");
        let encode = |ids: &[u32]| encoder.encode(&[ids]).remove(0);
        let texts: Vec<(Vec<u32>, Terms)> = (0..queries.len())
            .map(|row| queries.text_at(row).expect("a text"))
            .map(|text| tokenizer.encode(&text, Some(32)).expect("ids").ids)
            .map(|ids| (ids.clone(), encode(&ids)))
            .collect();
        let (before, after) = tokenizer.around();
        let mut seen = 0;
        for id in (0..tokenizer.len() as u32).filter(|id| id % 7 == 0 || *id < 20) {
            let weight_of = |vector: &Terms| {
                let place = vector.terms.iter().position(|term| *term == id);
                place.map_or(0.0, |place| f64::from(vector.weights[place]))
            };
            let own = texts.iter().filter(|(ids, _)| ids.contains(&id));
            let mut weights: Vec<f64> = own.map(|(_, vector)| weight_of(vector)).collect();
            seen += usize::from(weights.len() > 1);
            weights.push(weight_of(&encode(&[before, &[id], after].concat())));
            let special = tokenizer.special_ids().contains(&id);
            let want = match special {
                true => 0.0,
                false => weights.iter().sum::<f64>() / weights.len() as f64,
            };
            let got = f64::from(means[id as usize]);
            // The difference is one rounding to 32 bits.
            assert!((got - want).abs() <= 1e-6 * want.max(1e-3), "{id}: {got} {want}");
        }
        assert!(seen > 5, "{seen} tokens are in several queries");
    }

    /// Queries are counted whose tokens all have the weight 0.
    #[test]
    fn queries_without_a_weight_are_counted() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy/train/query_master.ndjson");
        let queries = Texts::open(&path, TextKind::Query).expect("queries").0;
        let tokenizer = tokenizer();
        let mut weights = vec![0.0; tokenizer.len()];
        let count = |weights: &[f32]| {
            queries_without_terms(weights, &queries, &tokenizer).expect("counted")
        };
        assert_eq!(count(&weights), (queries.len(), queries.len()));
        let text = queries.text_at(0).expect("a text");
        weights[tokenizer.encode_plain(&text).expect("ids")[0] as usize] = 1.0;
        let (lacking, all) = count(&weights);
        assert!(lacking < all && all == queries.len(), "{lacking} of {all}");
    }

    /// The loss is the sum of c * weight^2 over all terms; its gradients are compared with central
    /// differences.
    #[test]
    fn gradients_are_those_of_the_vectors() {
        let mut table = table();
        let texts: [&[u32]; 3] = [&[8, 9, 8, 7], &[9, 30], &[14]];
        let noise = [0; 3];
        let factor = |text: usize| (text + 1) as f64;
        let loss = |table: &mut TableEngine, change: (usize, f32)| -> f64 {
            table.weights[change.0] += change.1;
            let vectors = table.forward(&texts, &noise);
            table.weights[change.0] -= change.1;
            let square = |weight: &f32| f64::from(*weight).powi(2);
            let of = |(i, vector): (usize, &Terms)| {
                factor(i) * vector.weights.iter().map(square).sum::<f64>()
            };
            vectors.iter().enumerate().map(of).sum()
        };
        let vectors = table.forward(&texts, &noise);
        assert_eq!(vectors[0].terms, [8, 9], "7 has no weight, 8 stands twice");
        let by_weight = vectors.iter().enumerate().map(|(text, vector)| {
            vector.weights.iter().map(|weight| (2.0 * factor(text)) as f32 * weight).collect()
        });
        table.backward(&by_weight.collect::<Vec<_>>());
        for id in [5, 8, 9, 30] {
            let slope = (loss(&mut table, (id, 0.01)) - loss(&mut table, (id, -0.01))) / 0.02;
            let gradient = f64::from(table.gradients[id]);
            // Central differences of squares are exact, except for rounding to 32 bits.
            assert!((slope - gradient).abs() < 1e-4, "{id}: {slope} {gradient}");
            assert_eq!(gradient != 0.0, id != 5);
        }
        assert_eq!(table.gradients[7], 0.0);
    }

    #[test]
    fn no_weight_falls_below_zero() {
        let mut table = table();
        table.parameters(&mut |parameter| parameter.values[8] = -1.0);
        assert_eq!(table.weights[8], 0.0);
        assert!(table.encode(&[&[8]])[0].terms.is_empty());
    }

    /// Both saved forms give the same vectors when they are loaded as models.
    #[test]
    fn a_saved_table_is_read_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut table, tokenizer) = (table(), tokenizer());
        let folder = dir.path().join("table");
        table.save(&folder).expect("saved");
        assert_eq!(Table::Tensor(folder).read(&tokenizer).expect("read"), table.weights);
        for entry in std::fs::read_dir(demo()).expect("listed") {
            let path = entry.expect("an entry").path();
            let copy = dir.path().join(path.file_name().expect("a name"));
            std::fs::copy(&path, copy).expect("copied");
        }
        table.write_json(&dir.path().join("idf.json")).expect("written");
        let options = EncoderOptions { side: Side::Query, ..EncoderOptions::default() };
        let encoder = Encoder::load(dir.path(), &options).expect("a model");
        let text = "日本の首都は東京です。東京";
        let vector = encoder.encode(&[text]).expect("encoded").remove(0);
        let ids = tokenizer.encode_plain(text).expect("ids");
        let want = table.encode(&[&ids]).remove(0);
        assert_eq!(vector.weights(), want.weights);
        let terms: Vec<u32> = vector.terms().iter().map(|term| term.0).collect();
        assert_eq!(terms, want.terms);
        assert!(terms.len() > 3, "{terms:?}");
    }
}
