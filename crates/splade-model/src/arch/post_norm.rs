//! The layer of BERT (arXiv 1810.04805) and its relatives: attention and a feed-forward part. The
//! input of each part is added to its output, and the sum is normalised.

mod training;

pub(crate) use training::LayerPass;

use splade_nn::{Activation, Attention, Isa, LayerNorm, Linear, RelativePositions, SavedNorm};

use super::batch::{PackedTexts, Workspace, resize};
use crate::loader::Loader;

/// The names of a layer's tensors, all under one prefix.
pub(crate) struct LayerNames {
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    pub(crate) attention_out: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    pub(crate) norm: &'static str,
}

/// The sizes of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerShape {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) epsilon: f32,
}

/// One layer with its weights.
#[derive(Debug)]
pub(crate) struct PostNormLayer {
    /// The product of queries, keys and values, `(3 · hidden, hidden)`.
    qkv: Linear,
    attention_out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

impl PostNormLayer {
    /// Loads the layer whose tensors start with `prefix`.
    pub(crate) fn load(
        loader: &Loader<'_>,
        prefix: &str,
        names: &LayerNames,
        shape: LayerShape,
    ) -> Self {
        let LayerShape { hidden, intermediate, epsilon } = shape;
        let name = |part: &str| format!("{prefix}.{part}");
        let qkv = [names.query, names.key, names.value].map(name);
        Self {
            qkv: loader.stacked(&qkv, hidden, hidden, true),
            attention_out: loader.linear(&name(names.attention_out), hidden, hidden, true),
            attention_norm: loader.norm(&name(names.attention_norm), hidden, epsilon, true),
            up: loader.linear(&name(names.up), intermediate, hidden, true),
            down: loader.linear(&name(names.down), hidden, intermediate, true),
            norm: loader.norm(&name(names.norm), hidden, epsilon, true),
        }
    }

    /// Updates the hidden states, `(tokens, hidden)`, of the workspace.
    pub(crate) fn forward(
        &self,
        attention: &Attention,
        activation: Activation,
        texts: &PackedTexts<'_>,
        relative: Option<&RelativePositions>,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let Workspace { hidden, qkv, context, inner } = workspace;
        let isa = self.qkv.weight.isa();
        let tokens = texts.ids.len();
        let width = self.down.weight.outputs();

        resize(qkv, tokens * 3 * width);
        self.qkv.forward(hidden, Activation::Identity, qkv, parallel);
        resize(context, tokens * width);
        let PackedTexts { offsets, attended, .. } = *texts;
        attention.forward_attended(isa, qkv, offsets, attended, relative, context, parallel);
        // The queries, keys and values are no longer needed, so their buffer takes the projected
        // contexts.
        let projected = &mut qkv[..tokens * width];
        self.attention_out.forward(context, Activation::Identity, projected, parallel);
        self.attention_norm.forward(isa, hidden, Some(projected));

        resize(inner, tokens * self.up.weight.outputs());
        self.up.forward(hidden, activation, inner, parallel);
        self.down.forward(inner, Activation::Identity, context, parallel);
        self.norm.forward(isa, hidden, Some(context));
    }

    /// Computes the output of a training pass again.
    pub(crate) fn restore_output(&self, isa: Isa, saved: &SavedNorm, out: &mut Vec<f32>) {
        self.norm.restore(isa, saved, out);
    }

    /// Returns the memory of the weights in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.qkv.bytes() + self.attention_out.bytes() + self.up.bytes() + self.down.bytes()
    }
}
