//! A tower with a masked language model and the SPLADE head, computed in micro-batches.
//!
//! Beside the packed weights, the peak memory is `threads · tokens · (5 hidden + intermediate) · 4`
//! bytes for micro-batches of `tokens` tokens (and at most one text more), plus the terms.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Mutex;

use rayon::prelude::*;
use splade_nn::{Isa, PooledTerm, Pooling, Precision, Saturation, splade_head};
use splade_text::ModelFiles;

use crate::arch::{ArchitectureConfig, MaskedLm, PackedTexts, Workspace};
use crate::error::ModelError;

/// A masked language model with its head, which computes the terms of texts.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) model: MaskedLm,
    /// The longest text in tokens, by the position embeddings of the model.
    pub(crate) max_tokens: usize,
    pooling: Pooling,
    saturation: Saturation,
    batch_tokens: usize,
    workspaces: Mutex<Vec<Workspace>>,
}

impl Network {
    /// Loads the weights of a model. Micro-batches will have about `batch_tokens` tokens.
    pub(crate) fn load(
        files: &ModelFiles,
        (pooling, saturation): (Pooling, Saturation),
        (isa, precision): (Isa, Precision),
        batch_tokens: usize,
    ) -> Result<Self, ModelError> {
        let config = ArchitectureConfig::from_files(files)?;
        Ok(Self {
            model: MaskedLm::load(files, &config, isa, precision)?,
            max_tokens: config.max_tokens(),
            pooling,
            saturation,
            batch_tokens: batch_tokens.max(1),
            workspaces: Mutex::default(),
        })
    }

    /// Computes the pooled terms of every text on the threads of the current pool.
    pub(crate) fn run<T: AsRef<[u32]> + Sync>(&self, texts: &[T]) -> Vec<Vec<PooledTerm>> {
        self.run_with(texts, (self.pooling, self.saturation))
    }

    /// Computes the pooled terms of every text like `run`, or returns the index of the first text
    /// for which the model gives numbers that are not finite.
    pub(crate) fn run_checked<T: AsRef<[u32]> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Vec<PooledTerm>>, usize> {
        let outcomes = self.outcomes(texts, (self.pooling, self.saturation));
        match outcomes.iter().position(|outcome| outcome.is_broken) {
            Some(text) => Err(text),
            None => Ok(outcomes.into_iter().map(|outcome| outcome.terms).collect()),
        }
    }

    fn run_with<T: AsRef<[u32]> + Sync>(
        &self,
        texts: &[T],
        head: (Pooling, Saturation),
    ) -> Vec<Vec<PooledTerm>> {
        self.outcomes(texts, head).into_iter().map(|outcome| outcome.terms).collect()
    }

    fn outcomes<T: AsRef<[u32]> + Sync>(
        &self,
        texts: &[T],
        head: (Pooling, Saturation),
    ) -> Vec<Outcome> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.as_ref().len()).collect();
        in_micro_batches(&lengths, self.batch_tokens, |batch, parallel| {
            self.run_batch(texts, batch, head, parallel)
        })
    }

    /// Returns for every text the largest logit of each term that has a logit above zero.
    pub(crate) fn largest_logits<T: AsRef<[u32]> + Sync>(&self, texts: &[T]) -> Vec<Vec<f32>> {
        let logit = |weight: f32| match self.saturation {
            Saturation::Log1pRelu => libm::expm1f(weight),
            Saturation::Log1pLog1pRelu => libm::expm1f(libm::expm1f(weight)),
        };
        let head = (Pooling::Max, self.saturation);
        let pooled = self.run_with(texts, head);
        pooled.iter().map(|terms| terms.iter().map(|term| logit(term.weight)).collect()).collect()
    }

    /// Computes the pooled terms of one micro-batch.
    fn run_batch<T: AsRef<[u32]>>(
        &self,
        texts: &[T],
        batch: &[usize],
        (pooling, saturation): (Pooling, Saturation),
        parallel: bool,
    ) -> Vec<Outcome> {
        let texts: Vec<&[u32]> = batch.iter().map(|text| texts[*text].as_ref()).collect();
        let (ids, offsets) = (texts.concat(), offsets(&texts));
        let mut workspace =
            self.workspaces.lock().ok().and_then(|mut w| w.pop()).unwrap_or_default();
        let packed = PackedTexts { ids: &ids, types: &[], offsets: &offsets, attended: &[] };
        let hidden = self.model.forward(&packed, &mut workspace, parallel);
        let output = &self.model.decoder.output;
        let pooled = splade_head(output, hidden, &offsets, pooling, saturation, parallel);
        // The maximum of the head passes over NaN, so its input is looked at as well.
        let width = hidden.len() / ids.len().max(1);
        let rows = offsets.windows(2).map(|text| &hidden[text[0] * width..text[1] * width]);
        let is_broken = rows.map(|rows| !are_finite(rows));
        let outcome = |(terms, is_broken): (Vec<PooledTerm>, bool)| {
            let is_broken = is_broken || terms.iter().any(|term| !term.weight.is_finite());
            Outcome { terms, is_broken }
        };
        let outcomes = pooled.into_iter().zip(is_broken).map(outcome).collect();
        if let Ok(mut workspaces) = self.workspaces.lock() {
            workspaces.push(workspace);
        }
        outcomes
    }
}

/// The terms of a text.
#[derive(Debug, Clone, Default)]
struct Outcome {
    terms: Vec<PooledTerm>,
    /// Whether a number of the text is not finite.
    is_broken: bool,
}

/// Returns whether no number is infinite or NaN.
pub(crate) fn are_finite(numbers: &[f32]) -> bool {
    // This loop has no exit, so that it is computed with vectors.
    numbers.iter().fold(true, |finite, x| finite & x.is_finite())
}

/// Returns the start of every packed text, followed by the end of the last.
pub(crate) fn offsets(texts: &[&[u32]]) -> Vec<usize> {
    let mut offsets = vec![0];
    offsets.extend(texts.iter().scan(0, |end, text| {
        *end += text.len();
        Some(*end)
    }));
    offsets
}

/// Splits texts of these lengths into micro-batches, calls `run` for each on the threads of the
/// current pool and returns the results in the order of the texts. The second argument of `run`
/// says whether it should use all threads for its batch. A text without tokens gets the default
/// value.
pub(crate) fn in_micro_batches<R: Clone + Default + Send>(
    lengths: &[usize],
    budget: usize,
    run: impl Fn(&[usize], bool) -> Vec<R> + Sync,
) -> Vec<R> {
    let threads = rayon::current_num_threads();
    let batches = micro_batches(lengths, budget, threads);
    let results: Vec<Vec<R>> = if batches.len() < threads {
        batches.iter().map(|batch| run(batch, true)).collect()
    } else {
        let batches = batches.par_iter().with_max_len(1);
        batches.map(|batch| run(batch, false)).collect()
    };
    let mut all = vec![R::default(); lengths.len()];
    for (batch, results) in batches.iter().zip(results) {
        for (text, result) in batch.iter().zip(results) {
            all[*text] = result;
        }
    }
    all
}

/// Returns batches of text indices with about `budget` tokens each, at most one text more. The
/// number of batches is a multiple of the number of threads, and their sizes are as equal as the
/// texts allow, so that all threads end at about the same time. If there are fewer texts than that,
/// every batch has one text. Texts without tokens are in no batch.
fn micro_batches(lengths: &[usize], budget: usize, threads: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|text| lengths[*text] > 0).collect();
    order.sort_by_key(|text| Reverse(lengths[*text]));
    let total: usize = lengths.iter().sum();
    let rounds = total.div_ceil(budget.saturating_mul(threads));
    let mut batches = vec![Vec::new(); (rounds * threads).min(order.len())];
    // Each text, from the longest to the shortest, goes to the batch with the fewest tokens (Graham
    // 1969).
    let mut by_tokens: BinaryHeap<_> = (0..batches.len()).map(|i| Reverse((0, i))).collect();
    for text in order {
        let mut fewest = by_tokens.peek_mut().expect("a text has a batch");
        let Reverse((tokens, batch)) = &mut *fewest;
        batches[*batch].push(text);
        *tokens += lengths[text];
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_hold_every_text_once_and_are_equal() {
        for (count, budget, threads) in
            [(0, 512, 2), (1, 512, 4), (3, 512, 2), (32, 512, 2), (64, 512, 3), (500, 1, 2)]
        {
            // The texts have 0 to 128 tokens.
            let texts: Vec<usize> = (0..count).map(|i| i * 37 % 129).collect();
            let batches = micro_batches(&texts, budget, threads);
            let case = format!("{count} texts, budget {budget}, {threads} threads");
            let mut all: Vec<usize> = batches.concat();
            all.sort_unstable();
            let wanted: Vec<usize> = (0..count).filter(|i| texts[*i] > 0).collect();
            assert_eq!(all, wanted, "{case}");
            let tokens = |batch: &Vec<usize>| batch.iter().map(|i| texts[*i]).sum::<usize>();
            let sizes: Vec<usize> = batches.iter().map(tokens).collect();
            let longest = texts.iter().copied().max().unwrap_or(0);
            let (most, least) = (sizes.iter().max(), sizes.iter().min());
            assert!(most.copied().unwrap_or(0) <= budget + longest, "{case}: {sizes:?}");
            assert!(sizes.iter().all(|size| *size > 0), "{case}: {sizes:?}");
            if budget > 1 && count > threads {
                assert_eq!(batches.len() % threads, 0, "{case}: {sizes:?}");
                assert!(
                    most.zip(least).is_some_and(|(m, l)| m - l <= longest),
                    "{case}: {sizes:?}"
                );
            }
        }
    }
}
