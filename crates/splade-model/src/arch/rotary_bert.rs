//! BERT's layers with rotary positions (arXiv 2104.09864) and a gated feed-forward part (2002.05202):
//! the body of GTE and NomicBERT, whose files say how their tensors are named.

use rayon::prelude::*;
use splade_nn::{Activation, Attention, LayerNorm, Linear, Rotary, gated_activation};

use super::batch::{PackedTexts, Workspace, add, resize};
use super::family::{Body, Sizes};
use super::words::Words;
use crate::loader::Loader;

/// The settings of a body that its family reads from the config.
pub(crate) struct RotaryBertSettings<'a> {
    pub(crate) sizes: Sizes,
    /// The activation of the gate.
    pub(crate) activation: Activation,
    pub(crate) epsilon: f32,
    /// The angle between neighbouring positions for each pair of dimensions of a head.
    pub(crate) frequencies: Vec<f32>,
    /// The prefix of the norm after the embeddings.
    pub(crate) norm: &'a str,
    /// The name of the table of token types.
    pub(crate) token_types: &'a str,
}

/// Returns the angles of rotary positions without a scale, for heads of `dim` dimensions.
pub(crate) fn default_frequencies(dim: usize, theta: f64) -> Vec<f32> {
    let frequency = |i| (1.0 / libm::pow(theta, 2.0 * i as f64 / dim as f64)) as f32;
    (0..dim / 2).map(frequency).collect()
}

/// The embeddings (without the word embeddings) and the layers.
#[derive(Debug)]
pub(crate) struct RotaryBert {
    attention: Attention,
    rotary: Rotary,
    activation: Activation,
    /// The table of token types, `(token types, hidden)`, if the model has token types.
    token_types: Option<Vec<f32>>,
    norm: LayerNorm,
    layers: Vec<RotaryLayer>,
}

/// One layer with its weights.
#[derive(Debug)]
pub(crate) struct RotaryLayer {
    /// The product of queries, keys and values, `(3 · hidden, hidden)`.
    pub(crate) qkv: Linear,
    pub(crate) attention_out: Linear,
    pub(crate) attention_norm: LayerNorm,
    /// The projection to the gate and the values that it multiplies, `(2 · intermediate, hidden)`.
    pub(crate) gate_and_up: Linear,
    pub(crate) down: Linear,
    pub(crate) norm: LayerNorm,
}

impl RotaryBert {
    /// Loads the embeddings (without the word embeddings) and the layers; `layer` loads the layer
    /// with a number.
    pub(crate) fn load(
        loader: &Loader<'_>,
        settings: RotaryBertSettings<'_>,
        layer: impl Fn(usize) -> RotaryLayer + Send + Sync,
    ) -> Self {
        let Sizes { hidden, heads, token_types, layers, .. } = settings.sizes;
        let head_dim = hidden / heads;
        Self {
            attention: Attention {
                heads,
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
                window: None,
            },
            rotary: Rotary::with_frequencies(settings.frequencies),
            activation: settings.activation,
            token_types: (token_types > 0)
                .then(|| loader.matrix_f32(settings.token_types, token_types, hidden)),
            norm: loader.norm(settings.norm, hidden, settings.epsilon, true),
            layers: (0..layers).into_par_iter().map(layer).collect(),
        }
    }
}

impl Body for RotaryBert {
    fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        words.embed(texts.ids, &mut workspace.hidden);
        if let Some(table) = &self.token_types {
            let width = words.width();
            let rows = workspace.hidden.chunks_exact_mut(width).zip(texts.token_types());
            rows.for_each(|(x, kind)| add(x, &table[kind * width..][..width]));
        }
        self.norm.forward(words.isa(), &mut workspace.hidden, None);
        for layer in &self.layers {
            layer.forward(self, texts, workspace, parallel);
        }
    }

    fn bytes(&self) -> usize {
        let layer = |layer: &RotaryLayer| {
            let RotaryLayer { qkv, attention_out, gate_and_up, down, .. } = layer;
            [qkv, attention_out, gate_and_up, down].map(Linear::bytes).iter().sum::<usize>()
        };
        self.layers.iter().map(layer).sum()
    }
}

impl RotaryLayer {
    /// Updates the hidden states, `(tokens, hidden)`, of the workspace.
    fn forward(
        &self,
        body: &RotaryBert,
        texts: &PackedTexts<'_>,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let Workspace { hidden, qkv, context, inner } = workspace;
        let isa = self.qkv.weight.isa();
        let tokens = texts.ids.len();
        let (width, intermediate) = (self.down.weight.outputs(), self.down.weight.inputs());

        resize(qkv, tokens * 3 * width);
        self.qkv.forward(hidden, Activation::Identity, qkv, parallel);
        let PackedTexts { offsets, attended, .. } = *texts;
        body.rotary.rotate(qkv, body.attention.heads, offsets);
        resize(context, tokens * width);
        body.attention.forward_attended(isa, qkv, offsets, attended, None, context, parallel);
        // The queries, keys and values are no longer needed, so their buffer takes the projected
        // contexts.
        let projected = &mut qkv[..tokens * width];
        self.attention_out.forward(context, Activation::Identity, projected, parallel);
        self.attention_norm.forward(isa, hidden, Some(projected));

        resize(inner, tokens * 2 * intermediate);
        self.gate_and_up.forward(hidden, Activation::Identity, inner, parallel);
        resize(qkv, tokens * intermediate);
        gated_activation(isa, inner, qkv, intermediate, body.activation);
        self.down.forward(qkv, Activation::Identity, context, parallel);
        self.norm.forward(isa, hidden, Some(context));
    }
}
