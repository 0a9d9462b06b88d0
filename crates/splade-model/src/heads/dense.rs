//! Dense vectors as in sentence-transformers (arXiv 1908.10084): the hidden states of a text are
//! pooled to one vector, to which projections and a normalisation may follow.

use super::network::HiddenBatch;
use super::steps::{LoadedSteps, Step};

/// The settings of a dense head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenseHead {
    /// The poolings, whose vectors are put one behind another.
    pub pooling: Vec<TokenPooling>,
    /// Whether the tokens of the prompt are pooled, too.
    pub include_prompt: bool,
    /// The steps after the pooling.
    pub steps: Vec<Step>,
}

/// A way to make one vector of the hidden states of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenPooling {
    /// The first token.
    Cls,
    /// The largest value of each dimension.
    Max,
    /// The mean.
    Mean,
    /// The sum, divided by the square root of the number of tokens.
    MeanSqrtLen,
    /// The mean, in which the weight of a token is its number in the text, from 1 on.
    WeightedMean,
    /// The last token.
    LastToken,
}

impl TokenPooling {
    /// All poolings with their names in sentence-transformers, in the order in which it puts them
    /// one behind another.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("cls", Self::Cls),
        ("max", Self::Max),
        ("mean", Self::Mean),
        ("mean_sqrt_len_tokens", Self::MeanSqrtLen),
        ("weightedmean", Self::WeightedMean),
        ("lasttoken", Self::LastToken),
    ];

    /// Returns the name in sentence-transformers.
    pub fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(_, pooling)| *pooling == self);
        own.map_or("", |(name, _)| name)
    }

    /// Pools hidden states, `(tokens, width)`, into `out`, `(width)`. `before` is the number of
    /// tokens of the text before the first of them. There is at least one token.
    fn pool(self, rows: &[f32], width: usize, before: usize, out: &mut [f32]) {
        let count = (rows.len() / width) as f32;
        let scaled_sum = |out: &mut [f32], scale: &dyn Fn(usize) -> f32, divisor: f32| {
            out.fill(0.0);
            for (token, row) in rows.chunks_exact(width).enumerate() {
                let scale = scale(token);
                out.iter_mut().zip(row).for_each(|(sum, x)| *sum += scale * x);
            }
            out.iter_mut().for_each(|x| *x /= divisor);
        };
        match self {
            Self::Cls => out.copy_from_slice(&rows[..width]),
            Self::LastToken => out.copy_from_slice(&rows[rows.len() - width..]),
            Self::Max => {
                out.copy_from_slice(&rows[..width]);
                for row in rows.chunks_exact(width).skip(1) {
                    out.iter_mut().zip(row).for_each(|(most, x)| *most = most.max(*x));
                }
            }
            Self::Mean => scaled_sum(out, &|_| 1.0, count),
            Self::MeanSqrtLen => scaled_sum(out, &|_| 1.0, count.sqrt()),
            Self::WeightedMean => {
                let weight = |token: usize| (before + token + 1) as f32;
                let total = (0..rows.len() / width).map(weight).sum();
                scaled_sum(out, &weight, total);
            }
        }
    }
}

impl DenseHead {
    /// Returns the width of the pooled vector for hidden states of a width.
    pub(crate) fn pooled_width(&self, hidden: usize) -> usize {
        self.pooling.len() * hidden
    }

    /// Returns the vector of every text of a batch.
    pub(crate) fn vectors(
        &self,
        batch: &HiddenBatch<'_>,
        hidden: usize,
        steps: &LoadedSteps,
    ) -> Vec<Vec<f32>> {
        let width = self.pooled_width(hidden);
        let mut pooled = vec![0.0; batch.texts.len() * width];
        let texts = batch.offsets.windows(2).zip(&batch.texts);
        for ((text, prepared), out) in texts.zip(pooled.chunks_exact_mut(width.max(1))) {
            let tokens = text[1] - text[0];
            // A prompt that fills the text is pooled, as there is nothing else.
            let before = if self.include_prompt { 0 } else { prepared.prompt };
            let before = if before < tokens { before } else { 0 };
            let rows = &batch.hidden[(text[0] + before) * hidden..text[1] * hidden];
            for (pooling, out) in self.pooling.iter().zip(out.chunks_exact_mut(hidden)) {
                pooling.pool(rows, hidden, before, out);
            }
        }
        let rows = steps.apply(pooled, width, batch.parallel);
        let width = steps.width(width);
        rows.chunks_exact(width.max(1)).map(<[f32]>::to_vec).collect()
    }
}
