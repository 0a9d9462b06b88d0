//! ModernBERT (arXiv 2412.13663): norms before each part, rotary positions, gated feed-forward,
//! and layers that see a window only between those that see the whole text.

mod training;

pub(crate) use training::decoder_parameters;

use rayon::prelude::*;
use splade_nn::{Activation, Attention, LayerNorm, Linear, Rotary, gated_activation};

use super::batch::{PackedTexts, Workspace, resize};
use super::bert::add;
use super::head::{Decoder, DecoderNames, Transform};
use super::words::Words;
use crate::config::{DropoutRates, ModernBertConfig};
use crate::loader::Loader;

/// The tensor of the word embedding.
pub(crate) const EMBEDDING: &str = "model.embeddings.tok_embeddings.weight";

/// Embedding norm and layers.
#[derive(Debug)]
pub(crate) struct ModernBert {
    norm: LayerNorm,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    global: Rotary,
    local: Rotary,
    activation: Activation,
    /// Whose embedding a text's tokens do not train.
    pad: u32,
    dropout: DropoutRates,
}

#[derive(Debug)]
struct Layer {
    attention: Attention,
    /// The first layer has none: the embeddings are normalised already.
    attention_norm: Option<LayerNorm>,
    qkv: Linear,
    attention_out: Linear,
    norm: LayerNorm,
    /// `(2 · intermediate, hidden)`: input and gate.
    up: Linear,
    down: Linear,
}

/// Loads the head and the word embedding.
pub(crate) fn load_decoder(loader: &Loader<'_>, config: &ModernBertConfig) -> Decoder {
    let hidden = config.hidden;
    let transform = Transform {
        dense: loader.linear("head.dense", hidden, hidden, config.biases.head),
        activation: config.head_activation,
        norm: loader.norm("head.norm", hidden, config.epsilon, config.biases.norm),
    };
    Decoder::load(loader, &decoder_names(config), transform, config.vocab, hidden, config.tied)
}

pub(crate) fn decoder_names(config: &ModernBertConfig) -> DecoderNames<'static> {
    DecoderNames {
        embedding: EMBEDDING,
        weight: "decoder.weight",
        bias: if config.biases.decoder { &["decoder.bias"] } else { &[] },
    }
}

impl ModernBert {
    /// Loads everything but the word embedding.
    pub(crate) fn load(loader: &Loader<'_>, config: &ModernBertConfig) -> Self {
        let (hidden, epsilon) = (config.hidden, config.epsilon);
        let norm = |name: &str| loader.norm(name, hidden, epsilon, config.biases.norm);
        let head_dim = hidden / config.heads;
        Self {
            norm: norm("model.embeddings.norm"),
            layers: (0..config.global.len())
                .into_par_iter()
                .map(|layer| Layer::load(loader, config, layer))
                .collect(),
            final_norm: norm("model.final_norm"),
            global: Rotary::new(head_dim, config.global_theta),
            local: Rotary::new(head_dim, config.local_theta),
            activation: config.activation,
            pad: config.pad,
            dropout: config.dropout,
        }
    }

    /// Token ids to hidden states, `(tokens, hidden)`, in the workspace.
    pub(crate) fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let isa = words.isa();
        words.embed(texts.ids, &mut workspace.hidden);
        self.norm.forward(isa, &mut workspace.hidden, None);
        for layer in &self.layers {
            let rotary = if layer.attention.window.is_some() { &self.local } else { &self.global };
            layer.forward(rotary, self.activation, texts.offsets, workspace, parallel);
        }
        self.final_norm.forward(isa, &mut workspace.hidden, None);
    }

    /// Bytes of memory that it holds.
    pub(crate) fn bytes(&self) -> usize {
        let layer = |layer: &Layer| {
            let Layer { qkv, attention_out, up, down, .. } = layer;
            [qkv, attention_out, up, down].map(Linear::bytes).iter().sum::<usize>()
        };
        self.layers.iter().map(layer).sum()
    }
}

impl Layer {
    fn load(loader: &Loader<'_>, config: &ModernBertConfig, layer: usize) -> Self {
        let (hidden, biases) = (config.hidden, config.biases);
        let head_dim = hidden / config.heads;
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let norm = |part: &str| loader.norm(&name(part), hidden, config.epsilon, biases.norm);
        let linear =
            |part: &str, outputs, inputs, bias| loader.linear(&name(part), outputs, inputs, bias);
        Self {
            attention: Attention {
                heads: config.heads,
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
                window: (!config.global[layer]).then_some(config.window),
            },
            attention_norm: (layer > 0).then(|| norm("attn_norm")),
            qkv: linear("attn.Wqkv", 3 * hidden, hidden, biases.attention),
            attention_out: linear("attn.Wo", hidden, hidden, biases.attention),
            norm: norm("mlp_norm"),
            up: linear("mlp.Wi", 2 * config.intermediate, hidden, biases.mlp),
            down: linear("mlp.Wo", hidden, config.intermediate, biases.mlp),
        }
    }

    fn forward(
        &self,
        rotary: &Rotary,
        activation: Activation,
        offsets: &[usize],
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let Workspace { hidden, qkv, context, inner } = workspace;
        let isa = self.qkv.weight.isa();
        let tokens = *offsets.last().expect("offsets have at least one entry");
        let (width, intermediate) = (self.down.weight.outputs(), self.down.weight.inputs());

        context.clone_from(hidden);
        if let Some(norm) = &self.attention_norm {
            norm.forward(isa, context, None);
        }
        resize(qkv, tokens * 3 * width);
        self.qkv.forward(context, Activation::Identity, qkv, parallel);
        rotary.rotate(qkv, self.attention.heads, offsets);
        self.attention.forward(isa, qkv, offsets, None, context, parallel);
        let projected = &mut qkv[..tokens * width];
        self.attention_out.forward(context, Activation::Identity, projected, parallel);
        add(hidden, projected);

        context.clone_from(hidden);
        self.norm.forward(isa, context, None);
        resize(inner, tokens * 2 * intermediate);
        self.up.forward(context, Activation::Identity, inner, parallel);
        resize(qkv, tokens * intermediate);
        gated_activation(isa, inner, qkv, intermediate, activation);
        self.down.forward(qkv, Activation::Identity, context, parallel);
        add(hidden, context);
    }
}
