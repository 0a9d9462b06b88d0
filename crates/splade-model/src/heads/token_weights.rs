//! Token weights of BGE-M3 (arXiv 2402.03216): the weight of a term is the largest
//! `relu(w · hidden + b)` of the tokens with its id. Special tokens have none.

use std::path::{Path, PathBuf};

use splade_nn::{Isa, PooledTerm, Precision};
use splade_text::{ModelFiles, Tokenizer};

use super::network::{HiddenBatch, HiddenNetwork, Prepared};
use crate::error::ModelError;
use crate::loader::Loader;
use crate::weights::Weights;

/// The settings of a head of token weights.
///
/// ```
/// use splade_model::folder::Method;
/// use splade_model::{HeadKind, ModelFiles, ModelFolder};
///
/// # let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
/// # let mut files = Vec::new();
/// # for (folder, below) in [("reference/xlm-roberta", ""), ("heads/bge-m3", ""), ("heads/bge-m3/1_Pooling", "1_Pooling/"), ("heads/bge-m3/2_Normalize", "2_Normalize/")] {
/// #     for entry in std::fs::read_dir(base.join(folder)).into_iter().flatten().flatten().filter(|entry| entry.path().is_file()) {
/// #         files.push((format!("{below}{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path())?));
/// #     }
/// # }
/// // A model such as BGE-M3, here in memory.
/// let files = ModelFiles::memory("bge-m3", files);
/// let folder = ModelFolder::with_head(&files, HeadKind::Sparse)?;
/// let Method::TokenWeights(head) = folder.document.method else { panic!("another head") };
/// assert!(head.file.ends_with("sparse_linear.pt"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWeights {
    /// The file of `torch.save` with the layer: the tensors `weight`, `(1, hidden)`, and `bias`,
    /// `(1)`.
    pub file: PathBuf,
}

/// A body with a head of token weights.
#[derive(Debug)]
pub(crate) struct TokenWeightNetwork {
    pub(crate) network: HiddenNetwork,
    weight: Vec<f32>,
    bias: f32,
    /// The ids that have no weight, ascending.
    special: Vec<u32>,
}

impl TokenWeightNetwork {
    /// Loads the body in the folder `files` and the layer.
    pub(crate) fn load(
        files: &ModelFiles,
        layer: &Path,
        kernels: (Isa, Precision),
        batch_tokens: usize,
        tokenizer: &Tokenizer,
    ) -> Result<Self, ModelError> {
        let network = HiddenNetwork::load(files, kernels, batch_tokens, &[])?;
        let weights = Weights::from_torch_file(files, layer)?;
        let loader = Loader::new(&weights, kernels.0, kernels.1);
        let weight = loader.matrix_f32("weight", 1, network.hidden);
        let bias = loader.vector("bias", 1);
        loader.finish()?;
        let mut special = tokenizer.special_ids().to_vec();
        special.sort_unstable();
        Ok(Self { network, weight, bias: bias.first().copied().unwrap_or(0.0), special })
    }

    /// Returns the terms of every text, or the index of the first text for which the model gives
    /// numbers that are not finite.
    pub(crate) fn run<T: AsRef<[u32]>>(&self, texts: &[T]) -> Result<Vec<Vec<PooledTerm>>, usize> {
        let plain = |ids: &T| Prepared::plain(ids.as_ref().to_vec());
        let texts: Vec<Prepared> = texts.iter().map(plain).collect();
        self.network.run(&texts, |batch| self.terms(batch))
    }

    fn terms(&self, batch: &HiddenBatch<'_>) -> Vec<Vec<PooledTerm>> {
        let width = self.network.hidden;
        let of = |(text, prepared): (&[usize], &&Prepared)| {
            let rows = batch.hidden[text[0] * width..text[1] * width].chunks_exact(width);
            let mut terms: Vec<PooledTerm> = Vec::new();
            for (position, (id, row)) in prepared.ids.iter().zip(rows).enumerate() {
                let product = row.iter().zip(&self.weight).map(|(x, w)| x * w).sum::<f32>();
                let weight = product + self.bias;
                if weight > 0.0 && self.special.binary_search(id).is_err() {
                    terms.push(PooledTerm { term: *id, weight, position: position as u32 });
                }
            }
            // Of equal terms, that with the largest weight comes first, and of equal weights the
            // first position.
            terms.sort_by(|a, b| {
                let weights = b.weight.total_cmp(&a.weight);
                a.term.cmp(&b.term).then(weights).then(a.position.cmp(&b.position))
            });
            terms.dedup_by_key(|term| term.term);
            terms
        };
        batch.offsets.windows(2).zip(&batch.texts).map(of).collect()
    }
}
