//! What goes through a model at once: texts packed one after another, and the buffers they need.

use splade_nn::{Activation, Linear};

/// Token ids of several texts, packed without padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedTexts<'a> {
    /// `(tokens)`
    pub(crate) ids: &'a [u32],
    /// `(tokens)`: their types; none where all are of the first.
    pub(crate) types: &'a [u8],
    /// The first token of each text and, last, the number of tokens; no text is empty.
    pub(crate) offsets: &'a [usize],
}

impl PackedTexts<'_> {
    /// The type of every token.
    pub(crate) fn token_types(&self) -> impl Iterator<Item = usize> {
        (0..self.ids.len()).map(|token| self.types.get(token).map_or(0, |kind| usize::from(*kind)))
    }

    /// The position of every token in its text.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).flat_map(|text| 0..text[1] - text[0])
    }
}

/// Buffers of a forward pass, kept from batch to batch.
///
/// For `tokens` tokens it holds `tokens · (5 hidden + intermediate)` floats, twice the
/// `intermediate` for gated layers.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// `(tokens, hidden)`: the hidden states, which every layer updates.
    pub(crate) hidden: Vec<f32>,
    /// `(tokens, 3 · hidden)`: queries, keys and values.
    pub(crate) qkv: Vec<f32>,
    /// `(tokens, hidden)`: contexts of attention, and normalised inputs.
    pub(crate) context: Vec<f32>,
    /// `(tokens, intermediate)`, or twice that where layers are gated.
    pub(crate) inner: Vec<f32>,
}

impl Workspace {
    /// Hidden states of one width to those of another.
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

/// `x += y`
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
