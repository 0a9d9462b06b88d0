//! Adds words to a masked language model, or takes words out of it: rows of its word embeddings and of its decoder.
//!
//! A new word begins as the mean of the pieces that it was split into, so that the model treats it nearly as before and
//! training starts from there (AdaLM, Yao et al., arXiv 2106.13474, section 3; used for sparse retrieval by Iida and
//! Okazaki, arXiv 2211.03988).

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use splade_io::Problem;

use super::save::{config_json, copy_tokenizer, write_json};
use super::start::{find_tensor, lacks_head};
use crate::arch::ArchitectureConfig;
use crate::config::read_json;
use crate::error::ModelError;
use crate::weights::{FloatType, Weights, WeightsWriter};

/// Writes a copy of the masked language model in `folder` with more words into `out`. `words` has the ids of the pieces
/// of each new word; the first one gets the id `first`, which is the number of tokens so far. The files of the tokenizer
/// are copied as they are.
///
/// ```
/// use splade_model::training::add_words;
/// use splade_model::weights::Weights;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let out = tempfile::tempdir()?;
/// // One word of two pieces; its row is made of those of the pieces.
/// add_words(&model, out.path(), 458, &[vec![100, 101]])?;
/// let rows = |folder| -> Result<_, splade_model::ModelError> {
///     let weights = Weights::open(folder)?;
///     Ok(weights.shape("bert.embeddings.word_embeddings.weight").map(|shape| shape[0]))
/// };
/// assert_eq!((rows(&model)?, rows(out.path())?), (Some(458), Some(459)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the model cannot be read, has no masked language modelling head or has fewer rows than tokens,
/// or if the copy cannot be written.
pub fn add_words(
    folder: &Path,
    out: &Path,
    first: usize,
    words: &[Vec<u32>],
) -> Result<(), ModelError> {
    // Rows that no token uses yet, up to a round number, are used first.
    let rows = |rows: usize| rows.max(first + words.len());
    change_rows(folder, out, "add words", first, rows, |numbers, width| {
        extend(numbers, width, first, words);
    })
}

/// Writes a copy of the masked language model in `folder` with `count` more words into `out`, whose meaning is unknown.
/// Each number of their rows is that of a random word at the same place, so that the new rows have the means and the
/// deviations of the present ones. `draw` returns a random number below its argument. The first new word gets the id
/// `first`, which is the number of tokens so far.
///
/// # Errors
/// Returns an error in the same cases as [`add_words`].
pub fn add_drawn_words(
    folder: &Path,
    out: &Path,
    first: usize,
    count: usize,
    draw: &mut dyn FnMut(usize) -> usize,
) -> Result<(), ModelError> {
    let rows = |rows: usize| rows.max(first + count);
    change_rows(folder, out, "add words", first, rows, |numbers, width| {
        numbers.resize(numbers.len().max((first + count) * width), 0.0);
        for at in first * width..(first + count) * width {
            numbers[at] = numbers[draw(first) * width + at % width];
        }
    })
}

/// Writes a copy of the masked language model in `folder` into `out` that has only the words with the ids `kept`, in
/// this order. The files of the tokenizer are copied as they are.
///
/// # Errors
/// Returns an error in the same cases as [`add_words`].
///
/// # Panics
/// Panics if a word has no row.
pub fn keep_words(folder: &Path, out: &Path, kept: &[u32]) -> Result<(), ModelError> {
    let last = kept.iter().max().map_or(0, |id| *id as usize + 1);
    let new: HashMap<u64, usize> = kept.iter().map(|id| u64::from(*id)).zip(0..).collect();
    change_rows(
        folder,
        out,
        "take words out",
        last,
        |_| kept.len(),
        |numbers, width| {
            *numbers = kept
                .iter()
                .flat_map(|id| numbers[*id as usize * width..][..width].iter().copied())
                .collect();
        },
    )?;
    // The settings name special tokens by their ids.
    let path = out.join("config.json");
    let mut settings = read_json(&path)?.unwrap_or_default();
    for (name, value) in settings.as_object_mut().into_iter().flatten() {
        let id = value.as_u64().filter(|_| name.ends_with("_token_id"));
        if let Some(id) = id.and_then(|id| new.get(&id)) {
            *value = Value::from(*id);
        }
    }
    write_json(&path, &settings)
}

/// Writes a copy of a masked language model whose tensors with a row for each word were changed by `change`, which gets
/// the numbers of a tensor and the width of a row. The copy has `new_rows` rows of the present number; `tokens` is the
/// number of rows that the model needs at least.
fn change_rows(
    folder: &Path,
    out: &Path,
    doing: &'static str,
    tokens: usize,
    new_rows: impl Fn(usize) -> usize,
    mut change: impl FnMut(&mut Vec<f32>, usize),
) -> Result<(), ModelError> {
    let config = ArchitectureConfig::open(folder)?;
    let refuse =
        |problem: Problem| ModelError::Unsuitable { path: folder.to_path_buf(), doing, problem };
    if !config.0.is_trained() {
        return Err(refuse(format!("{} models cannot be trained", config.name()).into()));
    }
    if lacks_head(folder)? {
        return Err(refuse(Problem::new("it has no masked language modelling head").with_remedy(
            "start from a masked language model, such as the one that an encoder was made of",
        )));
    }
    let rows = config.vocab();
    if rows < tokens {
        return Err(refuse(
            format!("it has the rows of {rows} tokens, but its tokenizer {tokens}").into(),
        ));
    }
    let new_rows = new_rows(rows);
    let weights = Weights::open(folder)?;
    let (head, prefix) = (config.0.word_head(), config.0.prefix());
    let names = [&[head.embedding, head.decoder][..], head.bias].concat();
    let per_word: Vec<&str> =
        names.into_iter().filter_map(|name| find_tensor(&weights, name, prefix)).collect();
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    for name in weights.names() {
        let mut shape = weights.shape(name).unwrap_or_default().to_vec();
        if per_word.contains(&name) {
            if shape.first() != Some(&rows) {
                let what = format!("the tensor {name} has the shape {shape:?}, not {rows} rows");
                return Err(refuse(what.into()));
            }
            shape[0] = new_rows;
        }
        tensors.push((name.to_owned(), shape));
    }
    let write = |path: &Path, source| ModelError::Write { path: path.into(), source };
    std::fs::create_dir_all(out).map_err(|source| write(out, source))?;
    let mut file = WeightsWriter::create(&out.join("model.safetensors"), &tensors)?;
    for (name, shape) in &tensors {
        let mut numbers = weights.read_f32(name)?;
        if per_word.contains(&name.as_str()) {
            let width: usize = shape[1..].iter().product();
            change(&mut numbers, width);
            numbers.resize(new_rows * width, 0.0);
        }
        file.write(&numbers)?;
    }
    file.finish()?;
    let mut settings = config_json(folder, "MaskedLM", FloatType::F32)?;
    settings["vocab_size"] = Value::from(new_rows);
    write_json(&out.join("config.json"), &settings)?;
    copy_tokenizer(folder, out)
}

/// Puts the mean of its pieces into the row of each word, `first` and those behind it.
fn extend(numbers: &mut Vec<f32>, width: usize, first: usize, words: &[Vec<u32>]) {
    for (place, pieces) in words.iter().enumerate() {
        let mut mean = vec![0.0f64; width];
        for piece in pieces {
            let row = &numbers[*piece as usize * width..][..width];
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
        }
        let count = pieces.len().max(1) as f64;
        let start = (first + place) * width;
        if numbers.len() < start + width {
            numbers.resize(start + width, 0.0);
        }
        let row = &mut numbers[start..start + width];
        row.iter_mut().zip(&mean).for_each(|(to, mean)| *to = (mean / count) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_rows_are_the_means_of_their_pieces() {
        let mut numbers = vec![1.0, 2.0, 3.0, 6.0, 5.0, 7.0, 9.0, 9.0];
        // The last row was unused.
        extend(&mut numbers, 2, 3, &[vec![0, 2], vec![1, 1, 0]]);
        assert_eq!(numbers[..6], [1.0, 2.0, 3.0, 6.0, 5.0, 7.0]);
        assert_eq!(numbers[6..8], [3.0, 4.5]);
        let third = |a: f64, b: f64| [a as f32, b as f32];
        assert_eq!(numbers[8..], third(7.0 / 3.0, 14.0 / 3.0));
        let mut bias = vec![0.5, -1.5];
        extend(&mut bias, 1, 2, &[vec![0, 1]]);
        assert_eq!(bias, [0.5, -1.5, -0.5]);
    }
}
