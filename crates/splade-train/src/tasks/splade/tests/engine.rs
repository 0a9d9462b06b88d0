//! A small encoder whose gradients can be checked by hand: the mean of embeddings, a decoder and
//! `log(1 + relu(x))`. It has dropout on the embeddings, so that the noise matters.

use std::path::Path;

use splade_model::weights::WeightsWriter;

use crate::engine::{Engine, NamedTensor, ParameterMut, Parameters, TensorSource, Terms};
use crate::error::TrainError;
use splade_data::random::hash;

pub(crate) const DIM: usize = 6;

/// The parameters: embeddings (vocab, dim), decoder (vocab, dim), bias (vocab).
#[derive(Debug, Clone)]
pub(crate) struct Bag {
    pub(crate) vocab: usize,
    pub(crate) dropout: f32,
    pub(crate) values: [Vec<f32>; 3],
    pub(crate) gradients: [Vec<f32>; 3],
    kept: Option<Vec<Kept>>,
    /// The maximum number of tokens that were kept at once.
    pub(crate) most_kept: usize,
}

/// The state of a text that the backward pass needs.
#[derive(Debug, Clone)]
struct Kept {
    ids: Vec<u32>,
    /// The dropout mask, shape (tokens, dim), with 0 for a dropped entry.
    masks: Vec<f32>,
    hidden: Vec<f32>,
    /// The logit of every term of the vector.
    logits: Vec<(u32, f32)>,
}

const NAMES: [&str; 3] = ["embeddings.weight", "decoder.weight", "decoder.bias"];

impl Bag {
    pub(crate) fn new(vocab: usize, seed: u64, dropout: f32) -> Self {
        let mut count = 0;
        let mut random = |scale: f32| {
            count += 1;
            ((hash(&[seed, count]) >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        let values = [
            (0..vocab * DIM).map(|_| random(1.0)).collect(),
            (0..vocab * DIM).map(|_| random(1.0)).collect(),
            (0..vocab).map(|_| random(0.5)).collect::<Vec<f32>>(),
        ];
        let gradients = values.clone().map(|v: Vec<f32>| vec![0.0; v.len()]);
        Self { vocab, dropout, values, gradients, kept: None, most_kept: 0 }
    }

    fn shape(&self, index: usize) -> Vec<usize> {
        if index == 2 { vec![self.vocab] } else { vec![self.vocab, DIM] }
    }

    fn text(&self, ids: &[u32], noise_of: Option<u64>) -> (Terms, Kept) {
        let masks: Vec<f32> = (0..ids.len() * DIM)
            .map(|at| match noise_of {
                Some(seed) if self.dropout > 0.0 => {
                    let share = (hash(&[seed, at as u64]) >> 40) as f32 / (1 << 24) as f32;
                    if share < self.dropout { 0.0 } else { 1.0 / (1.0 - self.dropout) }
                }
                _ => 1.0,
            })
            .collect();
        let mut hidden = vec![0.0_f32; DIM];
        for (token, id) in ids.iter().enumerate() {
            for d in 0..DIM {
                let embedding = self.values[0][*id as usize * DIM + d];
                hidden[d] += embedding * masks[token * DIM + d] / ids.len() as f32;
            }
        }
        let (mut terms, mut logits) = (Terms::default(), Vec::new());
        for v in 0..self.vocab {
            let decoder = &self.values[1][v * DIM..(v + 1) * DIM];
            let product: f32 = decoder.iter().zip(&hidden).map(|(a, b)| a * b).sum();
            let logit = product + self.values[2][v];
            let weight = logit.max(0.0).ln_1p();
            if weight > 0.0 {
                terms.terms.push(v as u32);
                terms.weights.push(weight);
                logits.push((v as u32, logit));
            }
        }
        (terms, Kept { ids: ids.to_vec(), masks, hidden, logits })
    }
}

impl Parameters for Bag {
    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>)) {
        for ((name, values), gradients) in
            NAMES.iter().zip(&mut self.values).zip(&mut self.gradients)
        {
            visit(ParameterMut { name, panels: None, values, gradients });
        }
    }

    fn to_tensors(&self, index: usize, numbers: &[f32]) -> Vec<NamedTensor> {
        let (name, shape) = (NAMES[index].to_owned(), self.shape(index));
        vec![NamedTensor { name, shape, values: numbers.to_vec() }]
    }

    fn read_tensors(
        &self,
        index: usize,
        tensor: &TensorSource<'_>,
    ) -> Result<Vec<f32>, TrainError> {
        tensor(NAMES[index], &self.shape(index))
    }
}

impl Engine for Bag {
    fn vocab(&self) -> usize {
        self.vocab
    }

    fn encode(&self, texts: &[&[u32]]) -> Vec<Terms> {
        texts.iter().map(|ids| self.text(ids, None).0).collect()
    }

    fn forward(&mut self, texts: &[&[u32]], noise: &[u64]) -> Vec<Terms> {
        assert!(!texts.is_empty() && texts.iter().all(|ids| !ids.is_empty()));
        assert_eq!(texts.len(), noise.len());
        let pairs = texts.iter().zip(noise);
        let (terms, kept) = pairs.map(|(ids, noise)| self.text(ids, Some(*noise))).unzip();
        self.kept = Some(kept);
        self.most_kept = self.most_kept.max(texts.iter().map(|ids| ids.len()).sum());
        terms
    }

    fn backward(&mut self, gradients: &[Vec<f32>]) {
        let kept = self.kept.take().expect("a forward before");
        assert_eq!(kept.len(), gradients.len());
        let [embeddings, decoder, bias] = &mut self.gradients;
        for (text, gradients) in kept.iter().zip(gradients) {
            assert_eq!(text.logits.len(), gradients.len());
            let mut by_hidden = [0.0; DIM];
            for ((term, logit), gradient) in text.logits.iter().zip(gradients) {
                let by_logit = gradient / (1.0 + logit);
                let v = *term as usize;
                bias[v] += by_logit;
                for (d, sum) in by_hidden.iter_mut().enumerate() {
                    decoder[v * DIM + d] += by_logit * text.hidden[d];
                    *sum += by_logit * self.values[1][v * DIM + d];
                }
            }
            for (token, id) in text.ids.iter().enumerate() {
                for (d, sum) in by_hidden.iter().enumerate() {
                    embeddings[*id as usize * DIM + d] +=
                        sum * text.masks[token * DIM + d] / text.ids.len() as f32;
                }
            }
        }
    }

    fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        let tensors: Vec<_> = (0..3).map(|i| (NAMES[i].to_owned(), self.shape(i))).collect();
        let mut writer = WeightsWriter::create(&folder.join("model.safetensors"), &tensors)?;
        for values in &self.values {
            writer.write(values)?;
        }
        Ok(writer.finish()?)
    }
}
