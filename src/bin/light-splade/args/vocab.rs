//! What was typed after `vocab`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::numbers::at_least_one;
use super::{InputFormArgs, OverwriteArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum VocabCommand {
    /// Learn the WordPiece vocabulary of texts, and write it as a tokenizer's folder
    #[command(override_usage = "light-splade vocab learn [OPTIONS] --words <WORDS>
                                -o <FOLDER> <INPUTS>...")]
    Learn(VocabLearnArgs),
    /// Add the words of texts to a masked language model whose tokenizer splits them into pieces
    Extend(VocabExtendArgs),
    /// Take the tokens out of a masked language model that texts use least
    Trim(VocabTrimArgs),
    /// Tell how rare each term of a model is in the vectors of a corpus: factors for `encode --idf`
    Idf(VocabIdfArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VocabIdfArgs {
    /// Files or folders of document vectors that encode wrote
    #[arg(required = true)]
    pub(crate) vectors: Vec<PathBuf>,
    /// Model of the vectors; the one that they name if not given
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// JSON file for the factors: an object of tokens and numbers, as OpenSearch's idf.json
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
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or a text a line, also as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Masked language model with a WordPiece vocabulary: folder or hub name
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: PathBuf,
    /// Folder for the model with more words
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Words that are added at most: those that save the most tokens
    #[arg(long, value_name = "N", default_value = "2000", value_parser = at_least_one())]
    pub(crate) words: usize,
    /// Words that occur less often are not added
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) min_count: u64,
    /// Field of JSON, or column of a table, with the text
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Compiled MeCab dictionary in UTF-8, in place of the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Do nothing if the folder is there already and whole
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "light-splade vocab trim [OPTIONS] -m <MODEL> --size <SIZE>
                               -o <FOLDER> <INPUTS>...")]
pub(crate) struct VocabTrimArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or a text a line, also as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Masked language model with a WordPiece vocabulary: folder or hub name
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: PathBuf,
    /// Folder for the model with fewer tokens
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Tokens that are kept at most, special tokens included
    #[arg(long, value_name = "SIZE", value_parser = at_least_one())]
    pub(crate) size: usize,
    /// Tokens that the texts use less often are not kept
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(crate) min_count: u64,
    /// Field of JSON, or column of a table, with the text
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Compiled MeCab dictionary in UTF-8, in place of the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Do nothing if the folder is there already
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VocabLearnArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or a text a line, also as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Folder for the tokenizer
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// How texts become words: mecab for Japanese, also mixed with other languages
    #[arg(long, value_enum)]
    pub(crate) words: WordsArg,
    /// Tokens of the vocabulary, special ones included
    #[arg(long, default_value_t = 16_000)]
    pub(crate) size: usize,
    /// Characters kept, the most frequent; words with others are unknown [default: a quarter of
    /// the size]
    #[arg(long, value_name = "CHARACTERS", value_parser = at_least_one())]
    pub(crate) alphabet: Option<usize>,
    /// Pairs of pieces that are seen less often are not joined
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(crate) min_frequency: u64,
    /// Lower-case texts, and without MeCab strip their accents
    #[arg(long)]
    pub(crate) lowercase: bool,
    /// Longest text of a model with this vocabulary, in tokens
    #[arg(long, value_name = "TOKENS", default_value = "512", value_parser = at_least_one())]
    pub(crate) max_length: usize,
    /// Field of JSON, or column of a table, with the text
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Do nothing if the folder is there already and whole
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WordsArg {
    /// MeCab with unidic-lite, as BertJapaneseTokenizer
    Mecab,
    /// Blanks and punctuation, as BertTokenizer
    Bert,
}
