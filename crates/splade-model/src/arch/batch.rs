//! The inputs and buffers of one forward pass: texts packed one after another, and a workspace.

use splade_nn::{Activation, Linear};

/// The token ids of several texts, packed without padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedTexts<'a> {
    /// The token ids, `(tokens)`.
    pub(crate) ids: &'a [u32],
    /// The token types, `(tokens)`. The slice is empty if all tokens have the type 0.
    pub(crate) types: &'a [u8],
    /// The index of the first token of each text, followed by the number of tokens. No text is
    /// empty.
    pub(crate) offsets: &'a [usize],
    /// The number of tokens at the start of each text that are attended to. The slice is empty if
    /// all tokens are attended to.
    pub(crate) attended: &'a [usize],
}

impl PackedTexts<'_> {
    /// Returns the type of every token.
    pub(crate) fn token_types(&self) -> impl Iterator<Item = usize> {
        (0..self.ids.len()).map(|token| self.types.get(token).map_or(0, |kind| usize::from(*kind)))
    }

    /// Returns the position of every token in its text, from 0.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).flat_map(|text| 0..text[1] - text[0])
    }

    /// Returns the position of every token where positions are numbered from `pad + 1`, as in
    /// RoBERTa. Padding ids, even those inside a text, get the position `pad` (fairseq's
    /// `make_positions`).
    pub(crate) fn positions_after(&self, pad: u32) -> Vec<usize> {
        let mut positions = Vec::with_capacity(self.ids.len());
        for text in self.offsets.windows(2) {
            let mut last = pad as usize;
            positions.extend(self.ids[text[0]..text[1]].iter().map(|id| {
                if *id == pad {
                    return pad as usize;
                }
                last += 1;
                last
            }));
        }
        positions
    }
}

/// The buffers of a forward pass, reused from batch to batch.
///
/// For `tokens` tokens it holds `tokens · (5 hidden + intermediate)` floats. Models with gated
/// layers need twice the `intermediate`.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// The hidden states, `(tokens, hidden)`, which every layer updates.
    pub(crate) hidden: Vec<f32>,
    /// The queries, keys and values of attention, `(tokens, 3 · hidden)`.
    pub(crate) qkv: Vec<f32>,
    /// The contexts of attention and the normalised inputs, `(tokens, hidden)`.
    pub(crate) context: Vec<f32>,
    /// The inner states of the feed-forward part, `(tokens, intermediate)`, or twice as wide for
    /// gated layers.
    pub(crate) inner: Vec<f32>,
}

impl Workspace {
    /// Projects the hidden states to another width.
    pub(crate) fn project(&mut self, projection: &Linear, parallel: bool) {
        let tokens = self.hidden.len() / projection.weight.inputs();
        resize(&mut self.context, tokens * projection.weight.outputs());
        projection.forward(&self.hidden, Activation::Identity, &mut self.context, parallel);
        std::mem::swap(&mut self.hidden, &mut self.context);
    }
}

/// Sets the length of a buffer whose contents are written before they are read.
pub(crate) fn resize(buffer: &mut Vec<f32>, len: usize) {
    buffer.resize(len, 0.0);
}

/// Adds `y` to `x`, element by element.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
