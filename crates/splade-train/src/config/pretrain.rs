//! The settings of masked language modelling, typed. Those of the training itself are
//! [`TrainingConfig`], less what belongs to retrieval.

use std::path::PathBuf;

use super::schema::TrainingConfig;

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainConfig {
    /// `model.*`
    pub model: PretrainModel,
    /// `data.*`
    pub data: PretrainData,
    /// `training.*`
    pub training: TrainingConfig,
}

/// `model.*`
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainModel {
    /// The model that the run starts from.
    pub start: Start,
    /// Tokens of a sequence, special ones included.
    pub max_length: usize,
    /// A compiled MeCab dictionary for Japanese models.
    pub mecab_dicdir: Option<PathBuf>,
}

/// The origin of the first weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// `model_name_or_path`: folder or hub name of a model.
    Model(String),
    /// `new`: random numbers.
    New(NewModel),
}

/// The architecture of a new model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewArchitecture {
    /// BERT: positions are learned, norms come after the layers.
    Bert,
    /// ModernBERT: rotary positions, norms before the layers, every layer sees the whole text.
    ModernBert,
}

impl NewArchitecture {
    /// All architectures.
    pub const ALL: [Self; 2] = [Self::Bert, Self::ModernBert];

    /// `model_type` in transformers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::ModernBert => "modernbert",
        }
    }
}

/// `model.new.*`: a model of these sizes, named as in transformers' `BertConfig`, with its defaults
/// but for the sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct NewModel {
    /// `model_type`.
    pub architecture: NewArchitecture,
    /// Folder of the tokenizer.
    pub tokenizer: String,
    /// Width of the layers.
    pub hidden_size: usize,
    /// The number of layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// The longest text that the model will take.
    pub max_position_embeddings: usize,
    /// The activation of the feed-forward part.
    pub hidden_act: String,
    /// Dropout of embeddings and layers; in ModernBERT of embeddings and inside the feed-forward
    /// part.
    pub hidden_dropout_prob: f64,
    /// Dropout of attention.
    pub attention_probs_dropout_prob: f64,
    /// Deviation of the normal distribution that weights are drawn from; cut at twice of it in
    /// ModernBERT, whose output projections have it divided by the root of twice the layers.
    pub initializer_range: f64,
    /// The epsilon of every layer norm.
    pub layer_norm_eps: f64,
}

/// `data.*`
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainData {
    /// Files or folders of texts, as every command reads them.
    pub train_files: Vec<PathBuf>,
    /// The field of the text in NDJSON.
    pub text_field: Option<String>,
    /// Share of the documents that is held out for evaluations.
    pub eval_share: f64,
    /// Share of the tokens that are to be predicted.
    pub mask_share: f64,
    /// Whether all pieces of a word are hidden together.
    pub whole_words: bool,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
}
