//! What was typed after `vocab`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::numbers::at_least_one;
use super::{InputFormArgs, OverwriteArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum VocabCommand {
    /// Learn a WordPiece vocabulary from texts and write a tokenizer
    #[command(override_usage = "light-splade vocab learn [OPTIONS] --words <WORDS>
                                -o <FOLDER> <INPUTS>...")]
    Learn(VocabLearnArgs),
    /// Add words that a masked language model's tokenizer splits to its vocabulary
    Extend(VocabExtendArgs),
    /// Remove the tokens that texts use least from a masked language model
    Trim(VocabTrimArgs),
    /// Add the vocabulary of another language to a masked language model
    Merge(VocabMergeArgs),
    /// Compute the IDF factor of each term from document vectors, for `encode --idf`
    Idf(VocabIdfArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VocabIdfArgs {
    /// Files or folders of document vectors written by `encode`
    #[arg(required = true)]
    pub(crate) vectors: Vec<PathBuf>,
    /// Model of the vectors [default: the model recorded in them]
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Output file for the factors: a JSON object of tokens and numbers, like OpenSearch's idf.json
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "light-splade vocab extend [OPTIONS] -m <MODEL> -o <FOLDER> <INPUTS>..."
)]
pub(crate) struct VocabExtendArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or one text per line, plain or
    /// compressed as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Masked language model with a WordPiece vocabulary: a folder or a model on the hub
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: PathBuf,
    /// Output folder for the extended model
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Maximum words to add: those that save the most tokens
    #[arg(long, value_name = "N", default_value = "2000", value_parser = at_least_one())]
    pub(crate) words: usize,
    /// Minimum occurrences of a word to add
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) min_count: u64,
    /// JSON field or table column of the text [default: title and text]
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Compiled MeCab dictionary in UTF-8 that replaces the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Do nothing if the folder exists and is complete
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "light-splade vocab trim [OPTIONS] -m <MODEL> --size <SIZE>
                               -o <FOLDER> <INPUTS>...")]
pub(crate) struct VocabTrimArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or one text per line, plain or
    /// compressed as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Masked language model with a WordPiece vocabulary: a folder or a model on the hub
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: PathBuf,
    /// Output folder for the smaller model
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Maximum tokens to keep, special tokens included
    #[arg(long, value_name = "SIZE", value_parser = at_least_one())]
    pub(crate) size: usize,
    /// Minimum occurrences of a token to keep
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) min_count: u64,
    /// JSON field or table column of the text [default: title and text]
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Compiled MeCab dictionary in UTF-8 that replaces the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Do nothing if the folder exists and is complete
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "light-splade vocab merge [OPTIONS] -m <MODEL> -o <FOLDER> <TOKENIZER>")]
pub(crate) struct VocabMergeArgs {
    /// Folder of the WordPiece tokenizer whose tokens are added, such as one written by `vocab
    /// learn`; the new model splits texts into words as it does
    pub(crate) tokenizer: PathBuf,
    /// Masked language model with a WordPiece vocabulary: a folder or a model on the hub
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: PathBuf,
    /// Output folder for the larger model
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Seed of the rows of the new tokens
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Compiled MeCab dictionary in UTF-8 that replaces the tokenizer's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Do nothing if the folder exists and is complete
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VocabLearnArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or one text per line, plain or
    /// compressed as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Output folder for the tokenizer
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// How to split texts into words; mecab is for Japanese, also mixed with other languages
    #[arg(long, value_enum)]
    pub(crate) words: WordsArg,
    /// Size of the vocabulary in tokens, special tokens included
    #[arg(long, default_value_t = 16_000)]
    pub(crate) size: usize,
    /// Number of most frequent characters to keep; words with other characters are unknown
    /// [default: a quarter of the size]
    #[arg(long, value_name = "CHARACTERS", value_parser = at_least_one())]
    pub(crate) alphabet: Option<usize>,
    /// Minimum occurrences of a pair of pieces to join
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(crate) min_frequency: u64,
    /// Lower-case texts and, without MeCab, strip accents
    #[arg(long)]
    pub(crate) lowercase: bool,
    /// Maximum tokens per text of a model with this vocabulary
    #[arg(long, value_name = "TOKENS", default_value = "512", value_parser = at_least_one())]
    pub(crate) max_length: usize,
    /// JSON field or table column of the text [default: title and text]
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Do nothing if the folder exists and is complete
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WordsArg {
    /// MeCab with unidic-lite, like BertJapaneseTokenizer
    Mecab,
    /// Whitespace and punctuation, like BertTokenizer
    Bert,
}
