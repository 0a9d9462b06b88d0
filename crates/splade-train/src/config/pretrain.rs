//! The typed settings of masked language modelling. The settings of the training itself are
//! [`TrainingConfig`], without those that belong to retrieval.

use std::path::PathBuf;

use super::schema::TrainingConfig;

/// All settings of a run of masked language modelling.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainConfig {
    /// The settings under `model.*`: where the run starts and how long a sequence is.
    pub model: PretrainModel,
    /// The settings under `data.*`: the texts and how their tokens are masked.
    pub data: PretrainData,
    /// The settings under `training.*`, shared with SPLADE training.
    pub training: TrainingConfig,
}

/// The settings under `model.*` of masked language modelling.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainModel {
    /// The model that the run starts from.
    pub start: Start,
    /// The number of tokens in a sequence, special tokens included.
    pub max_length: usize,
    /// The path of a compiled MeCab dictionary; needed for Japanese models only.
    pub mecab_dicdir: Option<PathBuf>,
}

/// The origin of the initial weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// `model_name_or_path`: the folder or hub name of a model.
    Model(String),
    /// `model.new`: a new model with random weights.
    New(NewModel),
}

/// The architecture of a new model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewArchitecture {
    /// BERT: learned positions, and norms after the layers.
    Bert,
    /// ModernBERT: rotary positions, norms before the layers, and global attention in every layer.
    ModernBert,
}

impl NewArchitecture {
    /// All architectures from which a new model can be made.
    pub const ALL: [Self; 2] = [Self::Bert, Self::ModernBert];

    /// Returns the architecture's `model_type` in transformers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::ModernBert => "modernbert",
        }
    }
}

/// The sizes of a new model (`model.new.*`). The names are those of transformers' `BertConfig`, and
/// so are the defaults, except for the sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct NewModel {
    /// The architecture (`model_type`).
    pub architecture: NewArchitecture,
    /// The folder of the tokenizer.
    pub tokenizer: String,
    /// The width of the hidden layers.
    pub hidden_size: usize,
    /// The number of layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads; it must divide `hidden_size`.
    pub num_attention_heads: usize,
    /// The width of the hidden layer of the feed-forward block.
    pub intermediate_size: usize,
    /// The maximum length of a text in tokens.
    pub max_position_embeddings: usize,
    /// The activation function of the feed-forward block.
    pub hidden_act: String,
    /// The dropout probability after the embeddings and the layers; in ModernBERT, after the
    /// embeddings and inside the feed-forward block.
    pub hidden_dropout_prob: f64,
    /// The dropout probability of the attention weights.
    pub attention_probs_dropout_prob: f64,
    /// The standard deviation of the normal distribution from which weights are drawn. In
    /// ModernBERT the distribution is truncated at two standard deviations, and the deviation of
    /// the output projections is divided by the square root of twice the number of layers.
    pub initializer_range: f64,
    /// The epsilon of every layer norm.
    pub layer_norm_eps: f64,
}

/// The settings under `data.*` of masked language modelling.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainData {
    /// The files or folders of texts, in the formats that every command reads.
    pub train_files: Vec<PathBuf>,
    /// The NDJSON field that holds the text.
    pub text_field: Option<String>,
    /// The share of the documents that is held out for evaluations, at least 0 and below 1.
    pub eval_share: f64,
    /// The share of the tokens that the model has to predict, between 0 and 1.
    pub mask_share: f64,
    /// Whether all pieces of a word are masked together.
    pub whole_words: bool,
    /// Whether each epoch has its own random order.
    pub shuffle: bool,
}
