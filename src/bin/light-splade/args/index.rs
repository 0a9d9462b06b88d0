//! What was typed after `index`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use splade_index::WeightFormat;

use super::numbers::{parse_b, parse_k1, threads};
use super::{ComputeArgs, InputArgs, JsonArgs, PruneArgs, RunArgs, TextArgs};

/// A command on an index.
#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Build an index from texts or vectors
    Build(BuildArgs),
    /// Add documents; those with an existing id are replaced
    Add(AddArgs),
    /// Delete documents
    Delete(DeleteArgs),
    /// Merge the files of an index and drop deleted documents
    Merge(MergeArgs),
    /// Read and check every byte of an index
    Verify(VerifyArgs),
    /// Print the contents and settings of an index
    Info(InfoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Output folder for the new index
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Model folder, or a model on the Hugging Face hub: org/name or org/name@revision. With
    /// --vectors, the model whose tokens are the keys in NDJSON; without it the keys must be ids
    /// [default: the built-in mini-ja-en; none with --vectors]
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
    /// Format of the weights in the index
    #[arg(long, value_enum, default_value = "u8")]
    pub(crate) weights: WeightsArg,
    /// Store titles and texts, which search can show and re-rank
    #[arg(long, conflicts_with = "vectors")]
    pub(crate) store: bool,
    /// Store BM25 weights beside the vectors, for search --bm25 and search --hybrid
    #[arg(long, requires = "store")]
    pub(crate) bm25: bool,
    /// BM25's k1: how slowly repetitions of a term saturate
    #[arg(
        long,
        value_name = "K1",
        default_value_t = 0.9,
        value_parser = parse_k1,
        hide_short_help = true
    )]
    pub(crate) bm25_k1: f64,
    /// BM25's b: how strongly long documents are penalized, from 0 to 1
    #[arg(
        long,
        value_name = "B",
        default_value_t = 0.4,
        value_parser = parse_b,
        hide_short_help = true
    )]
    pub(crate) bm25_b: f64,
    /// Continue an index that an earlier run with the same settings began. Documents already in it
    /// are not encoded again
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Folder of the index
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// Model of the index, if it has moved since the index was built
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Skip documents whose id is already in the index
    #[arg(long)]
    pub(crate) new_only: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Documents to be indexed.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Files and folders of vectors to index instead of texts
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["inputs", "text"])]
    pub(crate) vectors: Vec<PathBuf>,
    /// Accept vectors of other models than the index's, or of different models
    #[arg(long, hide_short_help = true)]
    pub(crate) any_model: bool,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Memory for documents that are not written yet, such as 512M or 2G
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
    /// Folder of the index
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// Ids of the documents to delete
    #[arg(value_name = "ID", required_unless_present = "ids")]
    pub(crate) documents: Vec<String>,
    /// File with ids, one per line
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Folder of the index
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// Model of the index, if the index has BM25 and the model has moved since
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Number of threads [default: all cores]
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Folder of the index
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Folder of the index
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightsArg {
    /// 8 bits, with one scale per term
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
