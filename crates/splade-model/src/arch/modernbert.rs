//! ModernBERT (arXiv 2412.13663): norms before each part, rotary positions, a gated feed-forward
//! part, and layers with a local window between layers that attend to the whole text.

mod config;
mod onnx;
mod training;

use std::sync::Arc;

use rayon::prelude::*;
use splade_nn::{Activation, Attention, LayerNorm, Linear, Rotary, gated_activation};

use super::batch::{PackedTexts, Workspace, add, resize};
use super::family::{
    Architecture, Body, ClassifierHead, ClassifierNames, Family, Graph, Sizes, TrainingBody,
    WordHead,
};
use super::words::Words;
use crate::config::Keys;
use crate::error::ModelError;
use crate::loader::Loader;
use config::{EMBEDDING, ModernBertConfig};

pub(crate) static MODERNBERT: Family = Family {
    model_type: "modernbert",
    class: "ModernBert",
    tokenizer_class: "PreTrainedTokenizerFast",
    trained_as: Some("ModernBERT"),
    without_influence: &[
        "deterministic_flash_attn",
        "hidden_act",
        "layer_norm_eps",
        "position_embedding_type",
        "reference_compile",
        "repad_logits_with_grad",
        "sparse_pred_ignore_index",
        "sparse_prediction",
    ],
    read: |keys| Ok(Arc::new(ModernBertConfig::read(keys)?)),
};

impl Architecture for ModernBertConfig {
    fn name(&self) -> &'static str {
        "ModernBERT"
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            vocab: self.vocab,
            embedding: self.hidden,
            hidden: self.hidden,
            layers: self.global.len(),
            heads: self.heads,
            token_types: 0,
            max_tokens: self.positions,
        }
    }

    fn prefix(&self) -> &'static str {
        "model."
    }

    fn word_head(&self) -> WordHead {
        WordHead {
            embedding: EMBEDDING,
            dense: "head.dense",
            dense_bias: self.biases.head,
            activation: self.head_activation,
            norm: "head.norm",
            norm_bias: self.biases.norm,
            epsilon: self.epsilon,
            decoder: "decoder.weight",
            tied: self.tied,
            bias: &["decoder.bias"],
            has_bias: self.biases.decoder,
        }
    }

    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body> {
        Box::new(ModernBert::load(loader, self))
    }

    fn classifier_names(&self) -> ClassifierNames {
        ClassifierNames { dense: "head.dense", norm: Some("head.norm"), output: "classifier" }
    }

    fn classifier_head(&self, keys: &Keys<'_>) -> Result<ClassifierHead, ModelError> {
        let mean = match keys.text("classifier_pooling", "cls")?.as_str() {
            "cls" => false,
            "mean" => true,
            _ => return Err(keys.unsupported("classifier_pooling", "cls, mean")),
        };
        Ok(ClassifierHead {
            mean,
            activation: self.head_activation,
            dropout: (0.0, keys.rate("classifier_dropout", 0.0)?),
            dense_bias: self.biases.head,
            norm_bias: self.biases.norm,
            epsilon: self.epsilon,
        })
    }

    fn is_trained(&self) -> bool {
        true
    }

    fn graph(&self) -> Option<&dyn Graph> {
        Some(self)
    }

    fn has_even_heads(&self) -> bool {
        true
    }

    fn new_head_setting(&self) -> Option<&'static str> {
        Some("decoder_bias")
    }
}

/// The embedding norm and the layers.
#[derive(Debug)]
pub(crate) struct ModernBert {
    norm: LayerNorm,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    global: Rotary,
    local: Rotary,
    config: ModernBertConfig,
}

#[derive(Debug)]
struct Layer {
    attention: Attention,
    /// The norm before attention. The first layer has none, because the embeddings are normalised
    /// already.
    attention_norm: Option<LayerNorm>,
    qkv: Linear,
    attention_out: Linear,
    norm: LayerNorm,
    /// The projection to the input and the gate, `(2 · intermediate, hidden)`.
    up: Linear,
    down: Linear,
}

impl ModernBert {
    /// Loads everything except the word embeddings.
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
            config: config.clone(),
        }
    }
}

impl Body for ModernBert {
    fn forward(
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
            layer.forward(rotary, self.config.activation, texts, workspace, parallel);
        }
        self.final_norm.forward(isa, &mut workspace.hidden, None);
    }

    fn bytes(&self) -> usize {
        let layer = |layer: &Layer| {
            let Layer { qkv, attention_out, up, down, .. } = layer;
            [qkv, attention_out, up, down].map(Linear::bytes).iter().sum::<usize>()
        };
        self.layers.iter().map(layer).sum()
    }

    fn training(&self) -> Option<&dyn TrainingBody> {
        Some(self)
    }

    fn training_mut(&mut self) -> Option<&mut dyn TrainingBody> {
        Some(self)
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
        texts: &PackedTexts<'_>,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let Workspace { hidden, qkv, context, inner } = workspace;
        let isa = self.qkv.weight.isa();
        let tokens = texts.ids.len();
        let (width, intermediate) = (self.down.weight.outputs(), self.down.weight.inputs());

        context.clone_from(hidden);
        if let Some(norm) = &self.attention_norm {
            norm.forward(isa, context, None);
        }
        resize(qkv, tokens * 3 * width);
        self.qkv.forward(context, Activation::Identity, qkv, parallel);
        let PackedTexts { offsets, attended, .. } = *texts;
        rotary.rotate(qkv, self.attention.heads, offsets);
        self.attention.forward_attended(isa, qkv, offsets, attended, None, context, parallel);
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
