//! Averages the weights of models that were trained from the same start: a model soup (arXiv
//! 2203.05482), or a spherical interpolation of two.
//!
//! Each tensor is averaged on its own. With weights `a_i`,
//!
//! - linear: `Σ a_i x_i / Σ a_i`;
//! - slerp, of two: `sin((1 - t) θ) / sin θ · x_1 + sin(t θ) / sin θ · x_2` with
//!   `t = a_2 / (a_1 + a_2)` and `θ` the angle between the two tensors as vectors. Where they are
//!   nearly parallel (`|cos θ| > 0.9995`, as in mergekit) or one of them is zero, it is linear.
//!
//! Numbers are read in blocks, summed in f64 and rounded once. What the models are made of must be
//! equal: their configs, their tokens, and the names and shapes of their tensors. Everything besides
//! the weights is copied from the first model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_io::Problem;
use splade_text::{Tokenizer, TokenizerOptions};

use crate::config::read_json;
use crate::error::ModelError;
use crate::folder::ModelFolder;
use crate::identity::tokenizer_content;
use crate::weights::{Weights, WeightsWriter};

/// How the weights of models become one.
///
/// ```
/// use splade_model::{MergeMethod, merge};
/// use splade_text::TokenizerOptions;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let out = tempfile::tempdir()?;
/// // A third of the way from the first model to the second.
/// let models = [(model.clone(), 2.0), (model, 1.0)];
/// merge(&models, MergeMethod::Slerp, &TokenizerOptions::default(), out.path())?;
/// # assert!(out.path().join("model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MergeMethod {
    /// The weighted mean of all models, number by number.
    #[default]
    Linear,
    /// The spherical interpolation of two models.
    Slerp,
}

/// The cosine of two tensors above which they are interpolated in a line.
const PARALLEL: f64 = 0.9995;
/// The number of numbers of a model that are in memory at once.
const BLOCK: usize = 1 << 20;
/// The files of weights in their folders, the first of which is written.
const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];
/// The table of a query encoder as OpenSearch writes it.
const TABLE: &str = "idf.json";
/// The files of a checkpoint that are not those of a model, and checksums of files that change.
const LEFT_OUT: [&str; 5] = [
    "optimizer.safetensors",
    "optimizer.pt",
    "trainer_state.json",
    "training_args.json",
    splade_io::CHECKSUMS,
];
/// The ends of files that hold weights in a form that is not written.
const OTHER_WEIGHTS: [&str; 7] = [".pt", ".pth", ".bin", ".safetensors", ".h5", ".msgpack", ".npz"];
/// The ends and folders of files that other programs made of the weights. They are not copied,
/// since they would be those of the first model.
const DERIVED: [&str; 3] = [".onnx", ".onnx_data", ".gguf"];
/// The keys of `config.json` that say nothing about what the model computes.
const IGNORED: [&str; 12] = [
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "auto_map",
    "classifier_dropout",
    "dropout",
    "dtype",
    "hidden_dropout_prob",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// What [`merge`] has averaged.
///
/// ```
/// use splade_model::{MergeMethod, merge};
/// use splade_text::TokenizerOptions;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let out = tempfile::tempdir()?;
/// let models = [(model.clone(), 1.0), (model, 1.0)];
/// let merged = merge(&models, MergeMethod::Linear, &TokenizerOptions::default(), out.path())?;
/// println!("{} numbers in {} tensors", merged.numbers, merged.tensors);
/// # assert!(merged.numbers > 10_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// The number of tensors.
    pub tensors: usize,
    /// The number of numbers in them.
    pub numbers: u64,
}

/// Averages models with the given weights into the folder `out`, which must exist and be empty.
/// Tensors are written as 32-bit floats.
///
/// ```
/// use splade_model::{Encoder, EncoderOptions, MergeMethod, merge};
/// use splade_text::TokenizerOptions;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let out = tempfile::tempdir()?;
/// let models = [(model.clone(), 0.5), (model, 0.5)];
/// merge(&models, MergeMethod::Linear, &TokenizerOptions::default(), out.path())?;
/// let encoder = Encoder::load(out.path(), &EncoderOptions::default())?;
/// assert!(!encoder.encode(&["東京の天気"])?[0].is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns [`ModelError::Unsuitable`] if the models are not of one kind, and an error if a file
/// cannot be read or written.
pub fn merge(
    models: &[(PathBuf, f64)],
    method: MergeMethod,
    tokenizer: &TokenizerOptions,
    out: &Path,
) -> Result<Merged, ModelError> {
    let Some((first, others)) = models.split_first() else {
        return Err(unsuitable(out, "there is no model"));
    };
    let weights: Vec<f64> = models.iter().map(|(_, weight)| *weight).collect();
    check_weights(&weights, method, out)?;
    let files = listed(&first.0)?;
    for (other, _) in others {
        check_same(&first.0, other, &files, tokenizer)?;
    }
    let mut merged = Merged::default();
    let mut folders = BTreeSet::new();
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = file.parent().unwrap_or(Path::new(""));
        let target = out.join(file);
        if let Some(above) = target.parent() {
            std::fs::create_dir_all(above).map_err(write_error(above))?;
        }
        let paths = || models.iter().map(|(model, _)| model.join(file));
        if is_weights(&name) {
            if folders.insert(folder.to_path_buf()) {
                let folders: Vec<PathBuf> =
                    models.iter().map(|(model, _)| model.join(folder)).collect();
                let target = out.join(folder).join(WEIGHTS[0]);
                merge_tensors(&folders, &weights, method, &target, &mut merged)?;
            }
        } else if name == TABLE {
            merge_table(&paths().collect::<Vec<_>>(), &weights, method, &target)?;
        } else if name == "config.json" || name == "light_splade.json" {
            copy_config(&first.0.join(file), &target)?;
        } else {
            std::fs::copy(first.0.join(file), &target).map_err(write_error(&target))?;
        }
    }
    match merged.tensors {
        0 => Err(unsuitable(&first.0, "there are no weights")),
        _ => Ok(merged),
    }
}

fn check_weights(weights: &[f64], method: MergeMethod, out: &Path) -> Result<(), ModelError> {
    if let Some(weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        return Err(unsuitable(out, format!("{weight} is not a weight of at least 0")));
    }
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 || !sum.is_finite() {
        return Err(unsuitable(out, "the sum of the weights is not a number above 0"));
    }
    if method == MergeMethod::Slerp && weights.len() != 2 {
        let problem = format!("slerp is defined for two models, not for {}", weights.len());
        return Err(unsuitable(out, Problem::new(problem).with_remedy("merge them linearly")));
    }
    Ok(())
}

/// Returns the files of a model that are merged or copied, as paths within it, in order.
fn listed(model: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        let path = model.join(&folder);
        let io = |source| ModelError::Io { path: path.clone(), source };
        for entry in std::fs::read_dir(&path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let within = folder.join(entry.file_name());
            // A link of the hub's cache counts as the file that it leads to.
            let found = std::fs::metadata(entry.path()).map_err(io)?;
            let is_derived = DERIVED.iter().any(|end| name.ends_with(end));
            if name.starts_with('.') || is_derived || LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            match found.is_dir() {
                true if matches!(&*name, "onnx" | "openvino")
                    || name.starts_with("checkpoint-") => {}
                true => folders.push(within),
                false => files.push(within),
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Checks that another model differs from the first one in its weights alone.
fn check_same(
    first: &Path,
    other: &Path,
    files: &[PathBuf],
    tokenizer: &TokenizerOptions,
) -> Result<(), ModelError> {
    let differs = |problem: String| {
        let problem = Problem::new(problem).with_remedy(
            "merge models that were trained from the same start, with the same settings",
        );
        unsuitable(other, problem)
    };
    let theirs = listed(other)?;
    let is_needed = |file: &&PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        is_weights(&name) || name == TABLE || holds_weights(&name) || name == "modules.json"
    };
    let folders = |files: &[PathBuf]| -> BTreeSet<PathBuf> {
        let of = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
            // The weights of a folder may be in one file here and in several there.
            if is_weights(&name) { folder.join(WEIGHTS[0]) } else { file.clone() }
        };
        files.iter().filter(is_needed).map(of).collect()
    };
    let (ours, others) = (folders(files), folders(&theirs));
    if let Some(path) = ours.symmetric_difference(&others).next() {
        let owner = if ours.contains(path) { first } else { other };
        return Err(differs(format!("only {} has {}", owner.display(), path.display())));
    }
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let (one, two) = (first.join(file), other.join(file));
        if name == "config.json" || name == "modules.json" {
            let read = |path: &Path| Ok::<_, ModelError>(read_json(path)?.unwrap_or_default());
            if let Some(difference) = difference(&read(&one)?, &read(&two)?) {
                let (file, first) = (file.display(), first.display());
                return Err(differs(format!("{file} is not that of {first}: {difference}")));
            }
        } else if !is_weights(&name) && name != TABLE && holds_weights(&name) {
            let read = |path: &Path| {
                let io = |source| ModelError::Io { path: path.to_path_buf(), source };
                std::fs::read(path).map_err(io)
            };
            if read(&one)? != read(&two)? {
                return Err(differs(format!(
                    "{} differs, and weights in this form are not averaged",
                    file.display()
                )));
            }
        }
    }
    check_tokens(first, other, tokenizer)
}

/// Checks that the towers of two models have the same tokenizers.
fn check_tokens(first: &Path, other: &Path, options: &TokenizerOptions) -> Result<(), ModelError> {
    let towers = |model: &Path| -> Result<[PathBuf; 2], ModelError> {
        let folder = ModelFolder::open(model)?;
        Ok([folder.document.dir, folder.query.dir])
    };
    let mut names = ["documents", "queries"].iter();
    for (one, two) in towers(first)?.iter().zip(&towers(other)?) {
        let content = |dir: &Path| tokenizer_content(&Tokenizer::from_dir(dir, options)?);
        let side = names.next().unwrap_or(&"texts");
        if content(one)? != content(two)? {
            let problem = format!("its tokenizer of {side} is not that of {}", first.display());
            let problem = Problem::new(problem)
                .with_remedy("merge models with the same vocabulary, whose weights mean the same");
            return Err(unsuitable(other, problem));
        }
    }
    Ok(())
}

/// Returns the first setting that differs between two JSON files, with both values.
fn difference(one: &Value, two: &Value) -> Option<String> {
    let (Some(a), Some(b)) = (one.as_object(), two.as_object()) else {
        return (one != two).then(|| format!("{two}, not {one}"));
    };
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let keys = keys.into_iter().filter(|key| !IGNORED.contains(&key.as_str()));
    let differs = |key: &&String| a.get(*key) != b.get(*key);
    let shown = |value: Option<&Value>| value.map_or("not set".to_owned(), Value::to_string);
    keys.into_iter()
        .find(differs)
        .map(|key| format!("{key} is {}, not {}", shown(b.get(key)), shown(a.get(key))))
}

fn is_weights(name: &str) -> bool {
    WEIGHTS.contains(&name) || is_shard(name)
}

/// Returns whether a file is a shard of weights, such as `model-00001-of-00002.safetensors`.
fn is_shard(name: &str) -> bool {
    (name.starts_with("model-") || name.starts_with("pytorch_model-")) && name.contains("-of-")
}

/// Returns whether a file holds weights by its name, in any form.
fn holds_weights(name: &str) -> bool {
    OTHER_WEIGHTS.iter().any(|end| name.ends_with(end)) && name != "training_args.bin"
}

/// Averages the tensors of one folder of each model into a file.
fn merge_tensors(
    folders: &[PathBuf],
    weights: &[f64],
    method: MergeMethod,
    target: &Path,
    merged: &mut Merged,
) -> Result<(), ModelError> {
    let sources: Vec<Weights> =
        folders.iter().map(|folder| Weights::open(folder)).collect::<Result<_, _>>()?;
    let first = &sources[0];
    // Integers, such as the numbers of positions in files of old versions, are not weights.
    let shapes = |source: &Weights| -> BTreeMap<String, Vec<usize>> {
        let names = source.names().filter(|name| source.is_float(name));
        let shape = |name: &str| source.shape(name).unwrap_or_default().to_vec();
        names.map(|name| (name.to_owned(), shape(name))).collect()
    };
    let tensors = shapes(first);
    for source in &sources[1..] {
        let theirs = shapes(source);
        let both: BTreeSet<&String> = tensors.keys().chain(theirs.keys()).collect();
        if let Some(name) = both.into_iter().find(|name| tensors.get(*name) != theirs.get(*name)) {
            let shown = |shape: Option<&Vec<usize>>| match shape {
                Some(shape) => format!("has shape {shape:?}"),
                None => "is missing".to_owned(),
            };
            let problem = format!(
                "{name} {}, but in {} it {}",
                shown(theirs.get(name)),
                first.path().display(),
                shown(tensors.get(name))
            );
            return Err(unsuitable(source.path(), problem));
        }
    }
    let announced: Vec<(String, Vec<usize>)> = tensors.into_iter().collect();
    let mut writer = WeightsWriter::create(target, &announced)?;
    for (name, shape) in &announced {
        let rows = shape.first().copied().unwrap_or(1);
        let row: usize = shape.iter().skip(1).product();
        let step = (BLOCK / row.max(1)).max(1);
        let blocks = || (0..rows).step_by(step).map(move |start| start..(start + step).min(rows));
        let mut buffers = vec![Vec::new(); sources.len()];
        let read = |block: std::ops::Range<usize>, buffers: &mut Vec<Vec<f32>>| {
            sources.iter().zip(buffers).try_for_each(|(source, numbers)| {
                source.read_rows_f32(name, block.clone(), numbers)
            })
        };
        let mut angle = Angle::default();
        if method == MergeMethod::Slerp {
            for block in blocks() {
                read(block, &mut buffers)?;
                angle.add(&buffers[0], &buffers[1]);
            }
        }
        let factors = factors(weights, method, &angle);
        for block in blocks() {
            read(block, &mut buffers)?;
            writer.write(&mixed(&buffers, &factors))?;
        }
        merged.tensors += 1;
        merged.numbers += (rows * row) as u64;
    }
    writer.finish()
}

/// The products of two tensors as vectors, summed up block by block.
#[derive(Debug, Default)]
struct Angle {
    product: f64,
    squares: [f64; 2],
}

impl Angle {
    fn add(&mut self, one: &[f32], two: &[f32]) {
        for (x, y) in one.iter().zip(two) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            self.product += x * y;
            self.squares[0] += x * x;
            self.squares[1] += y * y;
        }
    }

    /// Returns the cosine, or `None` if a vector is zero.
    fn cosine(&self) -> Option<f64> {
        let lengths = (self.squares[0] * self.squares[1]).sqrt();
        (lengths > 0.0).then(|| (self.product / lengths).clamp(-1.0, 1.0))
    }
}

/// Returns the factor of each model in a tensor.
fn factors(weights: &[f64], method: MergeMethod, angle: &Angle) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    let linear = || weights.iter().map(|weight| weight / sum).collect();
    match (method, angle.cosine()) {
        (MergeMethod::Slerp, Some(cosine)) if cosine.abs() <= PARALLEL => {
            let (angle, t) = (libm::acos(cosine), weights[1] / sum);
            let sine = libm::sin(angle);
            vec![libm::sin((1.0 - t) * angle) / sine, libm::sin(t * angle) / sine]
        }
        _ => linear(),
    }
}

fn mixed(parts: &[Vec<f32>], factors: &[f64]) -> Vec<f32> {
    let sum = |place: usize| {
        let terms = parts.iter().zip(factors);
        terms.map(|(part, factor)| f64::from(part[place]) * factor).sum::<f64>() as f32
    };
    (0..parts[0].len()).map(sum).collect()
}

/// Averages tables from token to weight; a token that a table lacks has the weight 0 there.
fn merge_table(
    paths: &[PathBuf],
    weights: &[f64],
    method: MergeMethod,
    target: &Path,
) -> Result<(), ModelError> {
    let read = |path: &PathBuf| -> Result<BTreeMap<String, f32>, ModelError> {
        let invalid =
            |problem: String| ModelError::Config { path: path.clone(), problem: problem.into() };
        let table = read_json(path)?.unwrap_or_default();
        let table = table
            .as_object()
            .ok_or_else(|| invalid("an object from token to weight is expected".to_owned()))?;
        let entry = |(token, weight): (&String, &Value)| match weight.as_f64() {
            Some(number) => Ok((token.clone(), number as f32)),
            None => Err(invalid(format!("the weight of {token:?} is {weight}, not a number"))),
        };
        table.iter().map(entry).collect()
    };
    let tables: Vec<BTreeMap<String, f32>> = paths.iter().map(read).collect::<Result<_, _>>()?;
    let tokens: BTreeSet<&String> = tables.iter().flat_map(BTreeMap::keys).collect();
    let numbers = |table: &BTreeMap<String, f32>| -> Vec<f32> {
        tokens.iter().map(|token| table.get(*token).copied().unwrap_or(0.0)).collect()
    };
    let parts: Vec<Vec<f32>> = tables.iter().map(numbers).collect();
    let mut angle = Angle::default();
    if method == MergeMethod::Slerp {
        angle.add(&parts[0], &parts[1]);
    }
    let mixed = mixed(&parts, &factors(weights, method, &angle));
    let entries =
        tokens.into_iter().zip(mixed).map(|(token, weight)| (token.clone(), json!(weight)));
    let table: serde_json::Map<String, Value> = entries.collect();
    std::fs::write(target, format!("{:#}\n", Value::Object(table))).map_err(write_error(target))
}

/// Copies a config without what is only true of the first model: the type of its weights, and the
/// state of a run that a checkpoint holds.
fn copy_config(from: &Path, to: &Path) -> Result<(), ModelError> {
    let mut config = read_json(from)?.unwrap_or_default();
    if let Some(config) = config.as_object_mut() {
        config.remove("run");
        for key in ["dtype", "torch_dtype"] {
            if let Some(dtype) = config.get_mut(key) {
                *dtype = Value::from(crate::weights::FloatType::F32.torch_name());
            }
        }
    }
    std::fs::write(to, format!("{config:#}\n")).map_err(write_error(to))
}

fn write_error(path: &Path) -> impl Fn(std::io::Error) -> ModelError {
    move |source| ModelError::Write { path: path.to_path_buf(), source }
}

fn unsuitable(path: &Path, problem: impl Into<Problem>) -> ModelError {
    let (path, doing, problem) = (path.to_path_buf(), "merge", problem.into());
    ModelError::Unsuitable { path, doing, problem }
}
