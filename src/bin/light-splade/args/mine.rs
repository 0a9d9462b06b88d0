//! What was typed after `mine` and `score`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use light_splade::data::{
    Join, NegativeFormat, NegativeSource, PartsOptions, RankerKind, RankerOptions, Scorer, Teacher,
};
use splade_data::mine::{Margins, MineSource};

use super::ComputeArgs;

#[derive(Debug, Args)]
pub(crate) struct MineArgs {
    /// Folder in light-splade format: doc_master, query_master, positive_lists
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) parts: PartsArgs,
    /// Source of negatives: bm25, splade, dense, colbert or random, optionally followed by ,skip=N,
    /// ,depth=N, ,take=N and ,random (draw instead of taking the best), and by ,model=MODEL for
    /// dense and colbert. Can be repeated
    #[arg(
        long,
        value_name = "SOURCE",
        default_value = "bm25,depth=100,take=30",
        value_parser = parse_source
    )]
    pub(crate) source: Vec<NegativeSource>,
    /// Teacher scores in light-splade format, which are written and which the margins compare.
    /// Documents without a score are dropped
    #[arg(long, value_name = "PATH")]
    pub(crate) teacher_scores: Option<PathBuf>,
    /// Drop negatives that score less than this below the worst positive
    #[arg(long, value_name = "SCORE", requires = "teacher_scores", value_parser = parse_margin)]
    pub(crate) absolute_margin: Option<f32>,
    /// Drop negatives with more than 1 - SHARE of the worst positive's score
    #[arg(long, value_name = "SHARE", requires = "teacher_scores", value_parser = parse_share)]
    pub(crate) relative_margin: Option<f32>,
    /// Drop negatives with more than this percentage of the worst positive's score
    #[arg(
        long,
        value_name = "PERCENT",
        requires = "teacher_scores",
        conflicts_with = "relative_margin",
        value_parser = parse_percentage
    )]
    pub(crate) max_percentage: Option<f32>,
    /// Drop negatives with a higher score
    #[arg(long, value_name = "SCORE", requires = "teacher_scores", allow_negative_numbers = true)]
    pub(crate) max_score: Option<f32>,
    /// Drop negatives with a lower score
    #[arg(long, value_name = "SCORE", requires = "teacher_scores", allow_negative_numbers = true)]
    pub(crate) min_score: Option<f32>,
    /// Format of the output
    #[arg(long, value_enum, default_value = "scores")]
    pub(crate) format: MineFormat,
    /// Seed of random draws
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) ranker: RankerArgs,
}

/// A file that is made in parts.
#[derive(Debug, Args)]
pub(crate) struct PartsArgs {
    /// Output file, .ndjson or .ndjson.gz. It is written under a temporary name and renamed once
    /// complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Continue where an earlier run stopped
    #[arg(long)]
    pub(crate) resume: bool,
    /// Replace an existing file, or start again instead of continuing
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
}

/// What compares queries with the documents of training data.
#[derive(Debug, Args)]
pub(crate) struct RankerArgs {
    /// Model that encodes for splade, dense and colbert, and whose tokens BM25 counts [default: the
    /// model of --index, or the built-in mini-ja-en]
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Folder of an index of the documents for splade; if it does not exist, it is built and kept
    #[arg(long, value_name = "FOLDER")]
    pub(crate) index: Option<PathBuf>,
    /// Cache folder for the vectors of dense and colbert, so that every text is embedded once
    /// [default: no cache]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) vectors: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Pairs to score, in light-splade's format of scores: .ndjson, .ndjson.gz, or a folder of such
    /// files
    #[arg(value_name = "PAIRS")]
    pub(crate) pairs: PathBuf,
    /// Folder with the texts of the pairs, in light-splade format: doc_master, query_master
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// Teacher that scores the pairs: bm25, splade, dense, colbert, bge-m3 or cross-encoder,
    /// optionally followed by ,model=MODEL and ,weight=NUMBER. Can be repeated; the scores are
    /// joined
    #[arg(long, value_name = "TEACHER", required = true, value_parser = parse_teacher)]
    pub(crate) by: Vec<Teacher>,
    /// How to join the scores of several teachers, separately for each query
    #[arg(long, value_enum, default_value = "standardize")]
    pub(crate) join: JoinArg,
    #[command(flatten)]
    pub(crate) parts: PartsArgs,
    #[command(flatten)]
    pub(crate) ranker: RankerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JoinArg {
    /// Weighted sum of scores with mean 0 and standard deviation 1
    Standardize,
    /// Weighted sum of scores between 0 and 1
    MinMax,
    /// Weighted sum of the scores as they are
    Sum,
}

impl From<JoinArg> for Join {
    fn from(join: JoinArg) -> Self {
        match join {
            JoinArg::Standardize => Self::Standardize,
            JoinArg::MinMax => Self::MinMax,
            JoinArg::Sum => Self::Sum,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MineFormat {
    /// {"qid", "scores"} with scores of positives and negatives; all are 1 without a teacher
    Scores,
    /// {"qid", "pos_doc_id", "neg_doc_id"}, one row per negative, with the query's positives in
    /// turn
    Triplets,
}

impl From<MineFormat> for NegativeFormat {
    fn from(format: MineFormat) -> Self {
        match format {
            MineFormat::Scores => Self::Scores,
            MineFormat::Triplets => Self::Triplets,
        }
    }
}

impl PartsArgs {
    pub(crate) fn options(&self) -> PartsOptions {
        PartsOptions { out: self.output.clone(), resume: self.resume, force: self.force }
    }
}

impl RankerArgs {
    pub(crate) fn options(&self) -> RankerOptions {
        RankerOptions {
            model: self.model.clone(),
            index: self.index.clone(),
            vectors: self.vectors.clone(),
            encoder: self.compute.options(),
        }
    }
}

impl MineArgs {
    pub(crate) fn margins(&self) -> Margins {
        let percentage = self.max_percentage.map(|percent| 1.0 - percent / 100.0);
        Margins {
            absolute: self.absolute_margin,
            relative: self.relative_margin.or(percentage),
            max_score: self.max_score,
            min_score: self.min_score,
        }
    }
}

/// `splade,skip=5,depth=100,take=20,random`
fn parse_source(text: &str) -> Result<NegativeSource, String> {
    let mut fields = text.split(',');
    let ranker = named("sources", RankerKind::NAMED, fields.next().unwrap_or_default())?;
    let mut model = None;
    let mut options = MineSource { skip: 0, depth: 100, take: None, at_random: false };
    for field in fields {
        let number = |value: &str| {
            let number = value.parse::<usize>().ok().filter(|number| *number <= 1_000_000);
            number.ok_or_else(|| format!("\"{value}\" is not a number up to 1000000"))
        };
        match field.split_once('=') {
            Some(("skip", value)) => options.skip = number(value)?,
            Some(("depth", value)) => options.depth = number(value)?,
            Some(("take", value)) => match number(value)? {
                0 => return Err("take=0 leaves no negatives; the least is 1".to_owned()),
                take => options.take = Some(take),
            },
            Some(("model", path)) if matches!(ranker, RankerKind::Dense | RankerKind::Colbert) => {
                model = Some(path.into());
            }
            Some(("model", _)) => {
                return Err("model= is for dense and colbert; name the others' with --model".into());
            }
            None if field == "random" => options.at_random = true,
            _ => {
                return Err(format!(
                    "skip=, depth=, take=, model= or random are expected, not \"{field}\""
                ));
            }
        }
    }
    match options.skip < options.depth {
        true => Ok(NegativeSource { ranker, model, options }),
        false => Err("skip must be less than depth, which is 100 if not given".to_owned()),
    }
}

/// `dense,model=FOLDER,weight=0.5`
pub(super) fn parse_teacher(text: &str) -> Result<Teacher, String> {
    let mut fields = text.split(',');
    let by = named("teachers", Scorer::NAMED, fields.next().unwrap_or_default())?;
    let mut teacher = Teacher::from(by);
    for field in fields {
        match field.split_once('=') {
            Some(("model", path)) => teacher.model = Some(path.into()),
            Some(("weight", value)) => {
                let weight = value.parse().ok().filter(|w: &f32| w.is_finite() && *w != 0.0);
                teacher.weight = weight.ok_or_else(|| format!("\"{value}\" is not a weight"))?;
            }
            _ => return Err(format!("model= or weight= are expected, not \"{field}\"")),
        }
    }
    Ok(teacher)
}

/// The value of a name in a list of all names.
pub(super) fn named<T: Copy, const N: usize>(
    what: &str,
    all: [(&str, T); N],
    name: &str,
) -> Result<T, String> {
    let found = all.iter().find(|(own, _)| *own == name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names = all.map(|(name, _)| name);
        let (last, first) = names.split_last().unwrap_or((&"", &[]));
        format!("the {what} are {} and {last}, not \"{name}\"", first.join(", "))
    })
}

fn parse_margin(text: &str) -> Result<f32, String> {
    let margin = text.parse().ok().filter(|margin: &f32| margin.is_finite() && *margin >= 0.0);
    margin.ok_or_else(|| "a number from 0".to_owned())
}

pub(super) fn parse_share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share from 0 to 1".to_owned())
}

fn parse_percentage(text: &str) -> Result<f32, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "a number from 0 to 100".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let source = |text| parse_source(text).map(|source| (source.ranker, source.options));
        let options = |skip, depth, take, at_random| MineSource { skip, depth, take, at_random };
        for (text, ranker, want) in [
            ("bm25", RankerKind::Bm25, options(0, 100, None, false)),
            (
                "splade,skip=5,depth=20,take=3,random",
                RankerKind::Splade,
                options(5, 20, Some(3), true),
            ),
            ("random,take=1", RankerKind::Random, options(0, 100, Some(1), false)),
        ] {
            assert_eq!(source(text), Ok((ranker, want)), "{text}");
        }
        let source = parse_source("dense,model=a/b,take=2").expect("a source");
        assert_eq!(source.model, Some("a/b".into()));
        for (text, want) in [
            ("chance", "the sources are bm25, splade, dense, colbert and random, not \"chance\""),
            ("bm25,depth", "skip=, depth=, take=, model= or random are expected, not \"depth\""),
            ("bm25,model=m", "model= is for dense and colbert; name the others' with --model"),
            ("bm25,depth=-1", "\"-1\" is not a number up to 1000000"),
            ("bm25,take=0", "take=0 leaves no negatives; the least is 1"),
            ("bm25,skip=100", "skip must be less than depth, which is 100 if not given"),
        ] {
            let source = parse_source(text).map(|source| source.ranker);
            assert_eq!(source, Err(want.to_owned()));
        }
    }

    #[test]
    fn teachers() {
        let teacher = parse_teacher("dense,model=a/b,weight=0.5").expect("a teacher");
        let model = Some("a/b".into());
        assert_eq!(teacher, Teacher { by: Scorer::Dense, model, weight: 0.5 });
        assert_eq!(parse_teacher("bm25"), Ok(Scorer::Bm25.into()));
        for (text, want) in [
            (
                "bert",
                "the teachers are bm25, splade, dense, colbert, bge-m3 and cross-encoder, not \"bert\"",
            ),
            ("dense,weight=0", "\"0\" is not a weight"),
            ("dense,depth=3", "model= or weight= are expected, not \"depth=3\""),
        ] {
            assert_eq!(parse_teacher(text), Err(want.to_owned()));
        }
    }
}
