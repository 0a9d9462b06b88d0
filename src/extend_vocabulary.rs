//! Masked language models with more words, for the texts of a field.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use splade_io::{Event, NewFolder, Observer, counted, write_file};
use splade_model::training::add_words;
use splade_sparse::files::TextForm;
use splade_text::{ExtensibleVocabulary, NewWord, Tokenizer, TokenizerOptions, WordCounts};

use crate::count_words::{count_words_of, stopped};
use crate::error::{Error, advised, invalid};
use crate::learn_vocabulary::is_made;
use crate::model::model_folder;
use crate::texts::{TextOptions, Texts};

/// The file that lists the new words, which marks a folder that is complete.
const LIST: &str = "new_words.tsv";

/// Settings of [`extend_vocabulary`].
///
/// ```
/// use light_splade::models::{ExtendOptions, extend_vocabulary};
///
/// let folder = tempfile::tempdir()?;
/// let options = ExtendOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train/doc_master.ndjson").into()],
///     output: folder.path().join("extended"),
///     most: 5,
///     min_count: 2,
///     ..ExtendOptions::default()
/// };
/// let extended = extend_vocabulary(&options, &mut ())?.expect("the folder is new");
/// assert!(extended.words.len() <= 5 && options.output.join("model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExtendOptions {
    /// The masked language model: a folder, or a name at the Hugging Face hub.
    pub model: PathBuf,
    /// The files and folders of texts of the field; see [`Texts`].
    pub inputs: Vec<PathBuf>,
    /// The field of the text in NDJSON; `title` and `text` if none is named.
    pub text_field: Option<String>,
    /// The form of the inputs; by their first bytes and names if none is given.
    pub format: Option<TextForm>,
    /// The folder for the model with more words; it must not exist, or be empty.
    pub output: PathBuf,
    /// The largest number of words that are added.
    pub most: usize,
    /// Words that occur less often are not added.
    pub min_count: u64,
    /// A MeCab dictionary in place of the model's.
    pub mecab_dicdir: Option<PathBuf>,
    /// Does nothing if the folder exists already and is complete.
    pub resume: bool,
}

impl Default for ExtendOptions {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            inputs: Vec::new(),
            text_field: None,
            format: None,
            output: PathBuf::new(),
            most: 2000,
            min_count: 10,
            mecab_dicdir: None,
            resume: false,
        }
    }
}

/// What [`extend_vocabulary`] added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtendedVocabulary {
    /// The number of tokens with the new words.
    pub tokens: usize,
    /// The new words, the one that saves the most tokens first.
    pub words: Vec<NewWord>,
    /// The number of tokens of the texts before, without special tokens.
    pub tokens_before: u64,
    /// The number of tokens of the texts that the new words save.
    pub tokens_saved: u64,
}

/// Adds the words of texts that a model's tokenizer splits into several pieces to its vocabulary, and writes the model
/// with rows for them, which begin as the means of their pieces. The folder appears once it is complete. Returns
/// nothing where the folder was complete already and [`resume`](ExtendOptions::resume) is set.
///
/// ```
/// use light_splade::models::{ExtendOptions, extend_vocabulary};
///
/// let folder = tempfile::tempdir()?;
/// let options = ExtendOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train/doc_master.ndjson").into()],
///     output: folder.path().join("extended"),
///     min_count: 2,
///     ..ExtendOptions::default()
/// };
/// let extended = extend_vocabulary(&options, &mut ())?.expect("the folder is new");
/// assert!(extended.tokens_saved <= extended.tokens_before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the folder holds something else, the model is not a masked language model with a WordPiece vocabulary, a text
/// cannot be read, no word is worth a token, or the observer asks to stop; then nothing is written.
pub fn extend_vocabulary(
    options: &ExtendOptions,
    observer: &mut dyn Observer,
) -> Result<Option<ExtendedVocabulary>, Error> {
    let output = &options.output;
    if is_made(output, options.resume && output.join(LIST).is_file(), observer)? {
        return Ok(None);
    }
    let model = model_folder(&options.model, observer)?;
    let reading = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let vocabulary = ExtensibleVocabulary::open(&model, &reading)?;
    let fields = TextOptions {
        text_field: options.text_field.clone(),
        no_ids: true,
        format: options.format,
        ..TextOptions::default()
    };
    let texts = Texts::open(&options.inputs, fields)?;
    let tokenizer = vocabulary.tokenizer();
    let counts = count_words_of(tokenizer, texts, observer)?;
    let tokens_before = tokens_of(tokenizer, counts.clone())?;
    let words = vocabulary.choose(counts, options.most, options.min_count)?;
    if words.is_empty() {
        return Err(advised(
            format!("no word that occurs {} times is split into several pieces", options.min_count),
            "the vocabulary fits these texts; lower --min-count for rarer words",
        ));
    }
    let folder = NewFolder::create(output)?;
    let pieces: Vec<Vec<u32>> = words.iter().map(|word| word.pieces.clone()).collect();
    let first = tokenizer.len();
    add_words(&model, folder.path(), first, &pieces)?;
    vocabulary.save(&words, folder.path())?;
    check(folder.path(), &reading, first, &words)?;
    write_file(&folder.path().join(LIST), list(first, &words).as_bytes())?;
    if observer.stop() {
        return Err(stopped());
    }
    folder.commit()?;
    let saved = |word: &NewWord| word.count * (word.pieces.len() as u64 - 1);
    let tokens_saved = words.iter().map(saved).sum();
    let share = 100.0 * tokens_saved as f64 / tokens_before.max(1) as f64;
    observer.event(Event::Note(&format!(
        "added {}, which save {tokens_saved} of {tokens_before} tokens of the texts ({share:.1} %); wrote {}",
        counted(words.len(), "words"),
        output.display()
    )));
    Ok(Some(ExtendedVocabulary { tokens: first + words.len(), words, tokens_before, tokens_saved }))
}

/// The number of tokens of all words.
fn tokens_of(tokenizer: &Tokenizer, counts: WordCounts) -> Result<u64, Error> {
    let mut tokens = 0;
    for (word, count) in counts {
        tokens += count * tokenizer.pieces_of(&word)?.len() as u64;
    }
    Ok(tokens)
}

/// Reads the tokenizer that was written: each new word must be its own token.
fn check(
    folder: &Path,
    options: &TokenizerOptions,
    first: usize,
    words: &[NewWord],
) -> Result<(), Error> {
    let tokenizer = Tokenizer::from_dir(folder, options)?;
    for (place, NewWord { word, .. }) in words.iter().enumerate() {
        let pieces = tokenizer.pieces_of(word)?;
        if pieces != [(first + place) as u32] {
            return Err(invalid(format!(
                "the new word {word:?} has the tokens {pieces:?} in place of {}: this is a bug",
                first + place
            )));
        }
    }
    Ok(())
}

/// The new words with their ids, their counts and the numbers of their former pieces.
fn list(first: usize, words: &[NewWord]) -> String {
    let mut text = "id\tword\tcount\tpieces\n".to_owned();
    for (place, NewWord { word, pieces, count }) in words.iter().enumerate() {
        _ = writeln!(text, "{}\t{word}\t{count}\t{}", first + place, pieces.len());
    }
    text
}
