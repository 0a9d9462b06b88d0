//! The interface of an architecture to the rest of the crate.
//!
//! The file of an architecture has a [`Family`] for each `model_type` that it implements, a config
//! with the sizes, which implements [`Architecture`], and the layers, which implement [`Body`]. The
//! list in `list.rs` names the families; no other part of the crate names them.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use splade_nn::Activation;

use super::batch::{PackedTexts, Workspace};
use super::training::{Pass, Saved, Work};
use super::words::Words;
use crate::config::Keys;
use crate::error::ModelError;
use crate::graph::{Builder, Inputs, Value};
use crate::loader::Loader;
use crate::parameter::Parameter;

/// A family of models, as the `model_type` in `config.json` names it.
#[derive(Debug)]
pub(crate) struct Family {
    /// The value of `model_type`.
    pub(crate) model_type: &'static str,
    /// The start of the names of the transformers classes: `Bert` of `BertForMaskedLM`.
    pub(crate) class: &'static str,
    /// The transformers class of the tokenizer, for folders that do not name one.
    pub(crate) tokenizer_class: &'static str,
    /// The name in the list of architectures that can be trained. It is `None` for families that
    /// cannot be trained and for those that another name covers.
    pub(crate) trained_as: Option<&'static str>,
    /// The keys of `config.json` that are peculiar to the family and on which no vector depends.
    pub(crate) without_influence: &'static [&'static str],
    /// Reads the architecture from the keys of `config.json`.
    pub(crate) read: fn(&Keys<'_>) -> Result<Arc<dyn Architecture>, ModelError>,
}

/// An architecture with its sizes, read from a `config.json`.
pub(crate) trait Architecture: Debug + Send + Sync {
    /// Returns the usual name of the architecture.
    fn name(&self) -> &'static str;

    fn sizes(&self) -> Sizes;

    /// Returns the prefix that the encoder's tensors have inside a larger model.
    fn prefix(&self) -> &'static str;

    /// Returns another prefix that files may have in place of the first.
    fn other_prefix(&self) -> Option<&'static str> {
        None
    }

    /// Returns the names and settings of the head over the vocabulary.
    fn word_head(&self) -> WordHead;

    /// Loads the embeddings (without the word embeddings) and the layers.
    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body>;

    /// Returns the names of a classifier's tensors.
    fn classifier_names(&self) -> ClassifierNames;

    /// Reads the settings of a classifier from the config.
    fn classifier_head(&self, keys: &Keys<'_>) -> Result<ClassifierHead, ModelError>;

    /// Returns whether the bodies of the architecture have training passes.
    fn is_trained(&self) -> bool;

    /// Returns the writer of the ONNX graph, if the export to ONNX is implemented.
    fn graph(&self) -> Option<&dyn Graph> {
        None
    }

    /// Returns whether attention heads must have an even width, as rotary positions need.
    fn has_even_heads(&self) -> bool {
        false
    }

    /// Returns whether readers expect the decoder and its bias under all of their names in a file,
    /// even if the decoder is tied to the word embeddings.
    fn repeats_decoder(&self) -> bool {
        false
    }

    /// Returns the config key that must be true for a head that this crate created, besides an
    /// untied decoder.
    fn new_head_setting(&self) -> Option<&'static str> {
        None
    }
}

/// The sizes that all architectures have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// The number of terms in the model's vocabulary. It may be larger than the tokenizer's.
    pub(crate) vocab: usize,
    /// The width of the word embeddings.
    pub(crate) embedding: usize,
    /// The width of the layers.
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    /// The number of attention heads.
    pub(crate) heads: usize,
    /// The number of rows of the token-type table, 0 if the model has no token types.
    pub(crate) token_types: usize,
    /// The longest text in tokens, special tokens included.
    pub(crate) max_tokens: usize,
}

/// The names and settings of the head over the vocabulary: `decoder(norm(activation(dense(x))))`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WordHead {
    /// The name of the word embeddings.
    pub(crate) embedding: &'static str,
    /// The prefix of the dense layer's tensors.
    pub(crate) dense: &'static str,
    pub(crate) dense_bias: bool,
    pub(crate) activation: Activation,
    /// The prefix of the norm's tensors.
    pub(crate) norm: &'static str,
    pub(crate) norm_bias: bool,
    pub(crate) epsilon: f32,
    /// The name of the decoder's weight if the decoder is not tied.
    pub(crate) decoder: &'static str,
    pub(crate) tied: bool,
    /// The names under which files have the decoder's bias. The first name that a file has is read,
    /// and the first name of the list is written.
    pub(crate) bias: &'static [&'static str],
    pub(crate) has_bias: bool,
}

impl WordHead {
    /// Returns the names of the decoder's bias, or none if the decoder has no bias.
    pub(crate) fn bias_names(&self) -> &'static [&'static str] {
        if self.has_bias { self.bias } else { &[] }
    }
}

/// The names of a classifier's tensors, without `.weight` and `.bias`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClassifierNames {
    pub(crate) dense: &'static str,
    pub(crate) norm: Option<&'static str>,
    pub(crate) output: &'static str,
}

/// The settings of a classifier on top of an architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClassifierHead {
    /// Whether the mean of all tokens is pooled instead of the first token.
    pub(crate) mean: bool,
    /// The activation after the dense layer.
    pub(crate) activation: Activation,
    /// The dropout rates of the pooled states and of the input of the last layer.
    pub(crate) dropout: (f64, f64),
    /// Whether the dense layer has a bias. The norm has its own flag, and the last layer always has
    /// a bias.
    pub(crate) dense_bias: bool,
    pub(crate) norm_bias: bool,
    /// The epsilon of the norm, 0 if the head has no norm.
    pub(crate) epsilon: f32,
}

impl ClassifierHead {
    /// Returns the head of BERT's relatives: the first token, biases in all layers, no norm.
    pub(crate) fn first_token(activation: Activation, dropout: (f64, f64)) -> Self {
        let (mean, epsilon) = (false, 0.0);
        Self { mean, activation, dropout, dense_bias: true, norm_bias: true, epsilon }
    }
}

/// The embeddings (without the word embeddings) and the layers.
pub(crate) trait Body: Any + Debug + Send + Sync {
    /// Computes the hidden states, `(tokens, hidden)`, in the workspace.
    ///
    /// With `parallel`, every layer is computed on all threads of the current rayon pool.
    fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    );

    /// Returns the memory of the weights in bytes.
    fn bytes(&self) -> usize;

    /// Returns the training passes, if the architecture has them.
    fn training(&self) -> Option<&dyn TrainingBody> {
        None
    }

    /// Returns the training passes for changing the parameters, if the architecture has them.
    fn training_mut(&mut self) -> Option<&mut dyn TrainingBody> {
        None
    }
}

/// A body with training passes. Its gradients are a body of the same type.
pub(crate) trait TrainingBody {
    /// Computes the hidden states like `forward`, with dropout, into `work.hidden`, and keeps what
    /// `backward` needs.
    fn forward_saved(&self, pass: &Pass<'_>, words: &dyn Words, saved: &mut Saved, work: &mut Work);

    /// Propagates the gradient of the hidden states, in `work.hidden`, and adds to the gradients of
    /// all weights: to `d_words` for the word embeddings and to `gradients` for the others.
    ///
    /// # Panics
    /// Panics if `gradients` is the body of another architecture.
    fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut dyn Body,
        d_words: &mut dyn Words,
        work: &mut Work,
    );

    /// Returns zeros of the same shapes.
    fn zeros_like(&self) -> Box<dyn Body>;

    /// Appends all parameters except the decoder's to the list.
    fn parameters<'a>(&'a mut self, list: &mut Vec<Parameter<'a>>);
}

impl dyn Body {
    /// Returns the training passes of a body that can be trained. Bodies without training passes
    /// are rejected during loading.
    pub(crate) fn trained(&self) -> &dyn TrainingBody {
        self.training().expect("a model that is not trained was refused: this is a bug")
    }

    /// Returns the training passes as `trained` does, for changing the parameters.
    pub(crate) fn trained_mut(&mut self) -> &mut dyn TrainingBody {
        self.training_mut().expect("a model that is not trained was refused: this is a bug")
    }

    /// Returns the gradients as their concrete type.
    pub(crate) fn gradients_of<B: Body>(&mut self) -> &mut B {
        let body: &mut dyn Any = self;
        body.downcast_mut().expect("gradients are of their model's type: this is a bug")
    }
}

/// An architecture with an ONNX graph.
pub(crate) trait Graph {
    /// Appends all nodes from the token ids to the decoder's logits, `(batch, sequence, vocab)`,
    /// and returns the logits.
    fn build(&self, b: &mut Builder<'_>, inputs: &Inputs) -> Result<Value, ModelError>;
}
