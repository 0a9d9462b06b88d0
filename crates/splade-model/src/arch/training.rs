//! Types and functions that the training passes of all architectures share.

use splade_nn::{Dropout, Isa, KeyedTexts, LayerNorm, Linear, Matrix, SavedNorm, Scratch};

use super::batch::PackedTexts;
use crate::parameter::Parameter;

/// The dropout rates of training: the share of numbers that are dropped, from 0 to below 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct DropoutRates {
    /// The rate for the embeddings.
    pub(crate) embedding: f64,
    /// The rate for the attention probabilities.
    pub(crate) attention: f64,
    /// The rate for the output of attention, before it is added to its input.
    pub(crate) attention_out: f64,
    /// The rate for the inner states of the feed-forward part, before its second layer.
    pub(crate) inner: f64,
    /// The rate for the output of the feed-forward part, before it is added to its input.
    pub(crate) out: f64,
}

/// A batch of a training pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) texts: PackedTexts<'a>,
    /// The dropout keys, one for each text.
    pub(crate) keys: &'a [u64],
    pub(crate) isa: Isa,
}

impl<'a> Pass<'a> {
    pub(crate) fn keyed(&self) -> KeyedTexts<'a> {
        KeyedTexts { offsets: self.texts.offsets, keys: self.keys }
    }

    pub(crate) fn tokens(&self) -> usize {
        self.texts.ids.len()
    }

    /// Applies dropout to `x`, `(tokens, width)`, in place. The same call on gradients is the
    /// backward pass.
    pub(crate) fn drop(&self, rate: f64, place: Place, x: &mut [f32]) {
        if let Some(dropout) = Dropout::new(rate) {
            dropout.apply(self.isa, &self.keyed(), place.number(), x);
        }
    }
}

/// The place in a model where dropout is applied.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Embedding,
    /// The attention probabilities of a layer.
    Attention(usize),
    AttentionOut(usize),
    Inner(usize),
    Out(usize),
    /// The pooled states of a classifier.
    Pooled,
    /// The input of a classifier's last layer.
    Classified,
}

impl Place {
    pub(crate) fn number(self) -> u32 {
        match self {
            Place::Embedding => 0,
            Place::Attention(layer) => 4 * layer as u32 + 1,
            Place::AttentionOut(layer) => 4 * layer as u32 + 2,
            Place::Inner(layer) => 4 * layer as u32 + 3,
            Place::Out(layer) => 4 * layer as u32 + 4,
            Place::Pooled => u32::MAX - 1,
            Place::Classified => u32::MAX,
        }
    }
}

/// The states of a layer that a forward pass keeps: ten times the hidden size for each token.
#[derive(Debug, Default)]
pub(crate) struct SavedLayer {
    /// The input of `qkv`, `(tokens, hidden)`, if it is not the output of a norm.
    pub(crate) input: Vec<f32>,
    /// The norm before attention, in layers that have it there.
    pub(crate) input_norm: SavedNorm,
    /// The queries, keys and values, `(tokens, 3 · hidden)`, rotated if positions are rotary.
    pub(crate) qkv: Vec<f32>,
    /// The contexts of attention, `(tokens, hidden)`.
    pub(crate) context: Vec<f32>,
    /// The norm between attention and the feed-forward part.
    pub(crate) middle_norm: SavedNorm,
    /// The inner states before the activation, `(tokens, intermediate)`, or twice as wide for gated
    /// layers.
    pub(crate) up: Vec<f32>,
    /// The norm after the feed-forward part, in layers that have it there.
    pub(crate) output_norm: SavedNorm,
}

/// The states of a model that a forward pass keeps.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(crate) embedding_norm: SavedNorm,
    /// The input of the first layer, `(tokens, hidden)`.
    pub(crate) embedded: Vec<f32>,
    pub(crate) layers: Vec<SavedLayer>,
    /// The norm after the last layer, in models that have one.
    pub(crate) final_norm: SavedNorm,
    /// The input of the head, `(tokens, hidden)`.
    pub(crate) hidden: Vec<f32>,
    /// The states before the activation of the head, `(tokens, embedding)`.
    pub(crate) dense: Vec<f32>,
    pub(crate) head_norm: SavedNorm,
    /// The input of the decoder, `(tokens, embedding)`.
    pub(crate) output: Vec<f32>,
}

impl Saved {
    /// Resizes the list of layers, so that every layer has an entry.
    pub(crate) fn with_layers(&mut self, layers: usize) {
        self.layers.resize_with(layers, SavedLayer::default);
    }
}

/// Temporary buffers, reused from pass to pass.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The hidden states, `(tokens, hidden)`. In a backward pass, it holds their gradient.
    pub(crate) hidden: Vec<f32>,
    /// A buffer with several uses, `(tokens, hidden)`, like `b`.
    pub(crate) a: Vec<f32>,
    pub(crate) b: Vec<f32>,
    /// The inner states of the feed-forward part, `(tokens, intermediate)`.
    pub(crate) inner: Vec<f32>,
    /// The gradient of the inner states, `(tokens, intermediate)`, or twice as wide for gated
    /// layers.
    pub(crate) d_inner: Vec<f32>,
    /// The gradient of queries, keys and values, `(tokens, 3 · hidden)`.
    pub(crate) d_qkv: Vec<f32>,
    pub(crate) scratch: Scratch,
}

/// Returns the gradient of a term that was added to the residual: the gradient of the sum after the
/// dropout of the forward pass.
pub(crate) fn dropped<'a>(
    pass: &Pass<'_>,
    rate: f64,
    place: Place,
    d: &'a [f32],
    copy: &'a mut Vec<f32>,
) -> &'a [f32] {
    if rate == 0.0 {
        return d;
    }
    copy.clear();
    copy.extend_from_slice(d);
    pass.drop(rate, place, copy);
    copy
}

/// Returns the dropout of the attention probabilities, or `None` if the rate is zero.
pub(crate) fn attention_dropout(rates: &DropoutRates) -> Option<Dropout> {
    Dropout::new(rates.attention)
}

/// Appends the weight and the bias of linear layers that are packed as one.
pub(crate) fn linear_parameters<'a>(
    prefixes: &[String],
    linear: &'a mut Linear,
    list: &mut Vec<Parameter<'a>>,
) {
    let Matrix::F32(matrix) = &mut linear.weight else { panic!("only 32-bit floats are trained") };
    let name = |part: &str| prefixes.iter().map(|prefix| format!("{prefix}.{part}")).collect();
    list.push(Parameter::packed(name("weight"), matrix));
    if let Some(bias) = &mut linear.bias {
        let width = bias.len() / prefixes.len();
        list.push(Parameter::plain(name("bias"), &[width], bias));
    }
}

/// Appends the weight of a norm and, with `biased`, its bias.
pub(crate) fn norm_parameters<'a>(
    prefix: &str,
    norm: &'a mut LayerNorm,
    biased: bool,
    list: &mut Vec<Parameter<'a>>,
) {
    let width = [norm.weight.len()];
    list.push(Parameter::plain(vec![format!("{prefix}.weight")], &width, &mut norm.weight));
    if biased {
        list.push(Parameter::plain(vec![format!("{prefix}.bias")], &width, &mut norm.bias));
    }
}
