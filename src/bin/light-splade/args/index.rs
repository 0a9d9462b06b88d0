//! What was typed after `index`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use splade_index::WeightFormat;

use super::numbers::{parse_b, parse_k1, threads};
use super::{ComputeArgs, InputArgs, JsonArgs, PruneArgs, RunArgs, TextArgs};

/// A command on an index.
#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Begin an index with vectors, or with texts that are encoded on the way
    Build(BuildArgs),
    /// Add documents; one whose id is there already is replaced
    Add(AddArgs),
    /// Delete documents
    Delete(DeleteArgs),
    /// Put all documents into as few files as possible and drop deleted ones
    Merge(MergeArgs),
    /// Read every byte of an index and check it
    Verify(VerifyArgs),
    /// Print what is in an index
    Info(InfoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Folder of the new index
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Model folder, or a model of the Hugging Face hub: org/name or org/name@revision; with
    /// --vectors, their model, whose tokens are the keys of NDJSON (ids if not given) [default:
    /// the built-in mini-ja-en, but with --vectors none]
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) text: TextArgs,
    #[command(flatten)]
    pub(crate) prune: PruneArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// How weights are kept
    #[arg(long, value_enum, default_value = "u8")]
    pub(crate) weights: WeightsArg,
    /// Keep titles and texts, so that search shows them and can re-rank
    #[arg(long, conflicts_with = "vectors")]
    pub(crate) store: bool,
    /// Keep BM25 beside the vectors, for search --bm25 and search --hybrid
    #[arg(long, requires = "store")]
    pub(crate) bm25: bool,
    /// BM25: how soon more of a term adds nothing
    #[arg(
        long,
        value_name = "K1",
        default_value_t = 0.9,
        value_parser = parse_k1,
        hide_short_help = true
    )]
    pub(crate) bm25_k1: f64,
    /// BM25: how much longer documents lose, from 0 to 1
    #[arg(
        long,
        value_name = "B",
        default_value_t = 0.4,
        value_parser = parse_b,
        hide_short_help = true
    )]
    pub(crate) bm25_b: f64,
    /// Go on with an index that an earlier run with the same settings has begun: documents that it
    /// has are not encoded again; nothing is done if it has all
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The index, a folder
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// The model, if it is no longer where the index was built from
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Leave documents that are there as they are, and do not encode them again
    #[arg(long)]
    pub(crate) new_only: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Documents to be indexed.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Files and folders of vectors, in place of texts
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["inputs", "text"])]
    pub(crate) vectors: Vec<PathBuf>,
    /// Take vectors and models other than those of the index or of each other
    #[arg(long, hide_short_help = true)]
    pub(crate) any_model: bool,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Memory for documents that are not written yet: bytes, or with K, M or G
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "512M",
        value_parser = parse_size,
        hide_short_help = true
    )]
    pub(crate) memory: usize,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The index, a folder
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// Ids of documents
    #[arg(value_name = "ID", required_unless_present = "ids")]
    pub(crate) documents: Vec<String>,
    /// File with an id a line
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The index, a folder
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// The model, if the index has BM25 and its model is no longer where the index was built from
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Threads; all cores if not given
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The index, a folder
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The index, a folder
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightsArg {
    /// 8 bits, by a scale of each term
    U8,
    /// 16-bit floats
    F16,
    /// 32-bit floats: exact
    F32,
}

impl From<WeightsArg> for WeightFormat {
    fn from(weights: WeightsArg) -> Self {
        match weights {
            WeightsArg::U8 => Self::U8,
            WeightsArg::F16 => Self::F16,
            WeightsArg::F32 => Self::F32,
        }
    }
}

impl From<WeightFormat> for WeightsArg {
    fn from(weights: WeightFormat) -> Self {
        match weights {
            WeightFormat::U8 => Self::U8,
            WeightFormat::F16 => Self::F16,
            WeightFormat::F32 => Self::F32,
        }
    }
}

/// Bytes, such as `1048576`, `1024K`, `512M` or `2GiB`.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        _ => None,
    };
    let size = number.parse::<usize>().ok().zip(shift);
    size.and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or_else(|| "a size is a number of bytes, or of K, M or G such as 512M".to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_units() {
        for (text, want) in [
            ("7", Some(7)),
            ("3k", Some(3 << 10)),
            ("512M", Some(512 << 20)),
            ("2GiB", Some(2 << 30)),
            ("", None),
            ("M", None),
            ("1.5G", None),
            ("-1", None),
            ("1T", None),
            ("99999999999999999G", None),
        ] {
            assert_eq!(super::parse_size(text).ok(), want, "{text}");
        }
    }
}
