//! What an architecture is to the rest of the crate.
//!
//! A file of an architecture has a [`Family`] for each `model_type` that it serves, a config with
//! its sizes, which is the [`Architecture`], and its layers, which are the [`Body`]. The list in
//! `list.rs` names the families; nothing else in the crate knows which there are.

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

/// A kind of models that `config.json` names.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its `model_type`.
    pub(crate) model_type: &'static str,
    /// The start of the names of transformers' classes: `Bert` of `BertForMaskedLM`.
    pub(crate) class: &'static str,
    /// transformers' class of its tokenizers, where a folder names none.
    pub(crate) tokenizer_class: &'static str,
    /// Its name where those that can be trained are listed; none for those that cannot, and those
    /// that another name covers.
    pub(crate) trained_as: Option<&'static str>,
    /// Reads its sizes.
    pub(crate) read: fn(&Keys<'_>) -> Result<Arc<dyn Architecture>, ModelError>,
}

/// An architecture with its sizes: what a `config.json` says.
pub(crate) trait Architecture: Debug + Send + Sync {
    /// The usual name.
    fn name(&self) -> &'static str;

    fn sizes(&self) -> Sizes;

    /// What the names of an encoder's tensors start with within a larger model.
    fn prefix(&self) -> &'static str;

    /// The head over the vocabulary.
    fn word_head(&self) -> WordHead;

    /// Loads embeddings (but the words') and layers.
    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body>;

    /// The names of a classifier's tensors.
    fn classifier_names(&self) -> ClassifierNames;

    /// Reads what the config says of a classifier.
    fn classifier_head(&self, keys: &Keys<'_>) -> Result<ClassifierHead, ModelError>;

    /// Whether its bodies have training passes.
    fn is_trained(&self) -> bool;

    /// What writes its graph, where ONNX is written for it.
    fn graph(&self) -> Option<&dyn Graph> {
        None
    }

    /// Whether heads must have an even width, as rotary positions need.
    fn has_even_heads(&self) -> bool {
        false
    }

    /// Whether readers want the decoder and its bias in files under all of their names, even where
    /// the decoder is the words' embedding.
    fn repeats_decoder(&self) -> bool {
        false
    }

    /// A setting that a config needs, beside an untied decoder, for a head that was made here.
    fn new_head_setting(&self) -> Option<&'static str> {
        None
    }
}

/// Sizes that all architectures have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Terms of the model's vocabulary; may be more than the tokenizer's.
    pub(crate) vocab: usize,
    /// Width of the words' embeddings.
    pub(crate) embedding: usize,
    /// Width of the layers.
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    /// Heads of attention.
    pub(crate) heads: usize,
    /// Rows of the table of token types; 0 where tokens have no types.
    pub(crate) token_types: usize,
    /// The longest text in tokens, special tokens included.
    pub(crate) max_tokens: usize,
}

/// The head over the vocabulary: `decoder(norm(activation(dense(x))))`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WordHead {
    /// The tensor of the word embedding.
    pub(crate) embedding: &'static str,
    /// Prefix of the dense layer's tensors.
    pub(crate) dense: &'static str,
    pub(crate) dense_bias: bool,
    pub(crate) activation: Activation,
    /// Prefix of the norm's tensors.
    pub(crate) norm: &'static str,
    pub(crate) norm_bias: bool,
    pub(crate) epsilon: f32,
    /// The decoder's weight where it is not the word embedding.
    pub(crate) decoder: &'static str,
    pub(crate) tied: bool,
    /// Names under which files have the decoder's bias: the first that is there is read, and the
    /// first of all is written.
    pub(crate) bias: &'static [&'static str],
    pub(crate) has_bias: bool,
}

impl WordHead {
    /// The names of the decoder's bias; none where it has no bias.
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

/// A classifier on top of an architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClassifierHead {
    /// Whether the mean of all tokens is pooled, not the first token.
    pub(crate) mean: bool,
    /// After the first layer.
    pub(crate) activation: Activation,
    /// Shares that training drops: of what is pooled, and before the last layer.
    pub(crate) dropout: (f64, f64),
    /// Whether the dense layer and the norm have a bias; the last layer always has.
    pub(crate) dense_bias: bool,
    pub(crate) norm_bias: bool,
    /// Of the norm, where there is one.
    pub(crate) epsilon: f32,
}

impl ClassifierHead {
    /// The head of BERT's relatives: the first token, biases everywhere, no norm.
    pub(crate) fn first_token(activation: Activation, dropout: (f64, f64)) -> Self {
        let (mean, epsilon) = (false, 0.0);
        Self { mean, activation, dropout, dense_bias: true, norm_bias: true, epsilon }
    }
}

/// Embeddings (but the words') and layers.
pub(crate) trait Body: Any + Debug + Send + Sync {
    /// Token ids to hidden states, `(tokens, hidden)`, in the workspace.
    ///
    /// With `parallel`, every layer is shared out over the current rayon pool.
    fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    );

    /// Bytes of memory that it holds.
    fn bytes(&self) -> usize;

    /// The training passes, of architectures that are trained.
    fn training(&self) -> Option<&dyn TrainingBody> {
        None
    }

    /// The training passes, to change numbers.
    fn training_mut(&mut self) -> Option<&mut dyn TrainingBody> {
        None
    }
}

/// A body with training passes. Its gradients are a body of the same type.
pub(crate) trait TrainingBody {
    /// As `forward`, with dropout, into `work.hidden`, keeping what `backward` needs.
    fn forward_saved(&self, pass: &Pass<'_>, words: &dyn Words, saved: &mut Saved, work: &mut Work);

    /// The gradient by the hidden states, in `work.hidden`, to those of all weights, which are
    /// added to `gradients` and, of the words' embeddings, `d_words`.
    ///
    /// # Panics
    /// If `gradients` is the body of another architecture.
    fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut dyn Body,
        d_words: &mut dyn Words,
        work: &mut Work,
    );

    /// Zeros of the same shapes.
    fn zeros_like(&self) -> Box<dyn Body>;

    /// Lists all parameters but the decoder's.
    fn parameters<'a>(&'a mut self, list: &mut Vec<Parameter<'a>>);
}

impl dyn Body {
    /// The training passes of a body that is trained: others are refused when they are loaded.
    pub(crate) fn trained(&self) -> &dyn TrainingBody {
        self.training().expect("a model that is not trained was refused: this is a bug")
    }

    /// As [`trained`](Self::trained).
    pub(crate) fn trained_mut(&mut self) -> &mut dyn TrainingBody {
        self.training_mut().expect("a model that is not trained was refused: this is a bug")
    }

    /// The gradients as what they are.
    pub(crate) fn gradients_of<B: Body>(&mut self) -> &mut B {
        let body: &mut dyn Any = self;
        body.downcast_mut().expect("gradients are of their model's type: this is a bug")
    }
}

/// An architecture that is written as an ONNX graph.
pub(crate) trait Graph {
    /// Appends all nodes from token ids to the decoder's logits, `(batch, sequence, vocab)`, and
    /// returns these.
    fn build(&self, b: &mut Builder<'_>, inputs: &Inputs) -> Result<Value, ModelError>;
}
