//! What the training passes of all architectures share.

use splade_nn::{Dropout, Isa, KeyedTexts, LayerNorm, Linear, Matrix, SavedNorm, Scratch};

use super::batch::PackedTexts;
use crate::parameter::Parameter;

/// Shares of numbers that training drops.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct DropoutRates {
    /// Of the embeddings.
    pub(crate) embedding: f64,
    /// Of attention's probabilities.
    pub(crate) attention: f64,
    /// Of what attention gives, before it is added.
    pub(crate) attention_out: f64,
    /// Inside the feed-forward part, before its second layer.
    pub(crate) inner: f64,
    /// Of what the feed-forward part gives, before it is added.
    pub(crate) out: f64,
}

/// A batch of a training pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) texts: PackedTexts<'a>,
    /// One a text: of its dropout.
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

    /// Drops numbers of `x`, `(tokens, width)`, in place; on gradients it is the way back.
    pub(crate) fn drop(&self, rate: f64, place: Place, x: &mut [f32]) {
        if let Some(dropout) = Dropout::new(rate) {
            dropout.apply(self.isa, &self.keyed(), place.number(), x);
        }
    }
}

/// Where in a model something is dropped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Embedding,
    /// Attention's probabilities of a layer.
    Attention(usize),
    AttentionOut(usize),
    Inner(usize),
    Out(usize),
    /// What a classifier pools.
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

/// What a forward pass keeps of a layer: ten times the hidden size a token.
#[derive(Debug, Default)]
pub(crate) struct SavedLayer {
    /// `(tokens, hidden)`: what `qkv` is computed of, where it is no norm's output.
    pub(crate) input: Vec<f32>,
    /// The norm before attention, of layers that have it there.
    pub(crate) input_norm: SavedNorm,
    /// `(tokens, 3 · hidden)`, rotated where positions are rotary.
    pub(crate) qkv: Vec<f32>,
    /// `(tokens, hidden)`
    pub(crate) context: Vec<f32>,
    /// Between attention and the feed-forward part.
    pub(crate) middle_norm: SavedNorm,
    /// `(tokens, intermediate)`, twice that where it is gated: before the activation.
    pub(crate) up: Vec<f32>,
    /// After the feed-forward part, of layers that have it there.
    pub(crate) output_norm: SavedNorm,
}

/// What a forward pass keeps of a model.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(crate) embedding_norm: SavedNorm,
    /// `(tokens, hidden)`: the first layer's input.
    pub(crate) embedded: Vec<f32>,
    pub(crate) layers: Vec<SavedLayer>,
    /// Of models that have one.
    pub(crate) final_norm: SavedNorm,
    /// `(tokens, hidden)`: the head's input.
    pub(crate) hidden: Vec<f32>,
    /// `(tokens, embedding)`: before the head's activation.
    pub(crate) dense: Vec<f32>,
    pub(crate) head_norm: SavedNorm,
    /// `(tokens, embedding)`: the decoder's input.
    pub(crate) output: Vec<f32>,
}

impl Saved {
    /// A place for every layer.
    pub(crate) fn with_layers(&mut self, layers: usize) {
        self.layers.resize_with(layers, SavedLayer::default);
    }
}

/// Buffers that are used for a moment, kept from pass to pass.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// `(tokens, hidden)`: hidden states, and in backward the gradient by them.
    pub(crate) hidden: Vec<f32>,
    /// `(tokens, hidden)`, several uses.
    pub(crate) a: Vec<f32>,
    pub(crate) b: Vec<f32>,
    /// `(tokens, intermediate)`
    pub(crate) inner: Vec<f32>,
    /// `(tokens, intermediate)`, twice that where it is gated.
    pub(crate) d_inner: Vec<f32>,
    /// `(tokens, 3 · hidden)`
    pub(crate) d_qkv: Vec<f32>,
    pub(crate) scratch: Scratch,
}

/// The gradient by what was added to the residual: that by the sum, dropped as it was.
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

/// Probabilities of attention that are dropped.
pub(crate) fn attention_dropout(rates: &DropoutRates) -> Option<Dropout> {
    Dropout::new(rates.attention)
}

/// Lists the weight and the bias of linear layers that are kept as one.
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

/// Lists a norm's weight and, where the model has it, bias.
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
