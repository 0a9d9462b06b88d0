//! Queries without a model: a trained weight for every token ("inference-free").
//!
//! The vector of a query has each of its tokens once, with the weight that the table gives it
//! (arXiv 2411.04403; sentence-transformers' `SparseStaticEmbedding`). The table starts from inverse
//! document frequencies, `ln(1 + (documents - df + 1/2) / (df + 1/2))` (BM25's), and learns like
//! any parameter; a weight that falls to zero is gone for good.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Value, json};
use splade_model::WeightsWriter;
use splade_text::Tokenizer;

use crate::data::Texts;
use crate::engine::{Engine, NamedTensor, ParameterMut, TensorSource, Terms};
use crate::error::TrainError;

/// Documents that frequencies are counted in, evenly spread where there are more.
const DOCUMENTS: usize = 100_000;

/// A table of weights that is trained.
#[derive(Debug)]
pub struct TableEngine {
    /// `(vocab)`
    weights: Vec<f32>,
    /// `(vocab)`
    gradients: Vec<f32>,
    /// Of the last forward pass.
    kept: Option<Vec<Terms>>,
    /// The text of each token that the tokenizer has.
    tokens: Vec<String>,
    /// Where the tokenizer's files are.
    tokenizer_folder: PathBuf,
    frozen: bool,
}

impl TableEngine {
    /// A table of `vocab` weights from the document frequencies of a master.
    ///
    /// # Errors
    /// If a document cannot be tokenized.
    pub fn from_documents(
        documents: &Texts,
        tokenizer: &Tokenizer,
        folder: &Path,
        vocab: usize,
    ) -> Result<Self, TrainError> {
        let step = documents.len().div_ceil(DOCUMENTS).max(1);
        let rows: Vec<usize> = (0..documents.len()).step_by(step).collect();
        let count = |rows: &[usize]| -> Result<Vec<u32>, TrainError> {
            let mut counts = vec![0; vocab];
            for row in rows {
                let text = documents.text_at(*row).unwrap_or_default();
                let mut ids =
                    tokenizer.encode_plain(&text).map_err(splade_model::ModelError::from)?;
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
        let counts =
            rows.par_chunks(1000).map(count).try_reduce(|| vec![0; vocab], |a, b| Ok(sum(a, b)))?;
        let n = rows.len() as f64;
        let idf = |df: &u32| ((n - f64::from(*df) + 0.5) / (f64::from(*df) + 0.5)).ln_1p() as f32;
        let mut weights: Vec<f32> = counts.iter().map(idf).collect();
        for id in tokenizer.special_ids() {
            weights[*id as usize] = 0.0;
        }
        Ok(Self::new(weights, tokenizer, folder, false))
    }

    /// A table from a JSON object from token to weight; other tokens weigh nothing.
    ///
    /// # Errors
    /// If the file is no such object, or names a token that the tokenizer does not have.
    pub fn from_json(
        path: &Path,
        tokenizer: &Tokenizer,
        folder: &Path,
        vocab: usize,
    ) -> Result<Self, TrainError> {
        let at = |message: String| TrainError::Config {
            at: format!("model.query_table.path: {}", path.display()),
            message,
        };
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let table: BTreeMap<String, f64> = serde_json::from_str(&text)
            .map_err(|error| at(format!("an object from token to weight is expected: {error}")))?;
        let mut weights = vec![0.0; vocab];
        for (token, weight) in table {
            let id = tokenizer
                .id(&token)
                .ok_or_else(|| at(format!("{token:?} is no token of the vocabulary")))?;
            weights[id as usize] = weight as f32;
        }
        Ok(Self::new(weights, tokenizer, folder, false))
    }

    fn new(weights: Vec<f32>, tokenizer: &Tokenizer, folder: &Path, frozen: bool) -> Self {
        let token = |id: u32| tokenizer.token(id).unwrap_or_default().to_owned();
        Self {
            gradients: vec![0.0; weights.len()],
            weights,
            kept: None,
            tokens: (0..tokenizer.len() as u32).map(token).collect(),
            tokenizer_folder: folder.to_path_buf(),
            frozen,
        }
    }

    /// The same table, marked as one that is not trained.
    pub fn frozen(self) -> Self {
        Self { frozen: true, ..self }
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
        let kept = self.kept.take().expect("a forward pass comes before its backward pass");
        assert!(kept.len() == gradients.len(), "gradients of other vectors");
        for (vector, gradients) in kept.iter().zip(gradients) {
            for (term, gradient) in vector.terms.iter().zip(gradients) {
                self.gradients[*term as usize] += gradient;
            }
        }
    }

    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>)) {
        let (values, gradients) = (&mut self.weights[..], &mut self.gradients[..]);
        visit(ParameterMut { name: "weight", values, gradients });
    }

    fn to_tensors(&self, _: usize, numbers: &[f32]) -> Vec<NamedTensor> {
        let (name, shape) = ("weight".to_owned(), vec![numbers.len()]);
        vec![NamedTensor { name, shape, values: numbers.to_vec() }]
    }

    fn read_tensors(&self, _: usize, tensor: &TensorSource<'_>) -> Result<Vec<f32>, TrainError> {
        tensor("weight", &[self.weights.len()])
    }

    /// Writes the folder of a `SparseStaticEmbedding`, and `idf.json` beside it, by which readers
    /// know that the folder around has a table for queries.
    fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        let write = |path: PathBuf, value: &Value| {
            std::fs::write(&path, format!("{value:#}\n")).map_err(TrainError::io(&path))
        };
        write(folder.join("config.json"), &json!({"frozen": self.frozen}))?;
        let shape = vec![self.weights.len()];
        let path = folder.join("model.safetensors");
        let mut file = WeightsWriter::create(&path, &[("weight".to_owned(), shape)])?;
        file.write(&self.weights)?;
        file.finish()?;
        splade_model::copy_tokenizer(&self.tokenizer_folder, folder)?;
        if let Some(model) = folder.parent() {
            let weighs = |(_, weight): &(&String, &f32)| **weight > 0.0;
            let table = self.tokens.iter().zip(&self.weights).filter(weighs);
            let table: serde_json::Map<String, Value> =
                table.map(|(token, weight)| (token.clone(), json!(weight))).collect();
            write(model.join("idf.json"), &Value::Object(table))?;
        }
        Ok(())
    }
}
