//! WordPiece vocabularies that are learned from texts.

use std::path::{Path, PathBuf};

use splade_io::{Event, NewFolder, Observer, counted, is_free};
use splade_sparse::files::TextForm;
use splade_text::{Vocabulary, WordKind, WordSplitter};

use crate::count_words::{count_words, stopped};
use crate::error::{Error, advised, invalid};
use crate::texts::{TextOptions, Texts};

/// Settings of [`learn_vocabulary`].
///
/// ```
/// use light_splade::models::{VocabularyOptions, WordKind, learn_vocabulary};
///
/// let folder = tempfile::tempdir()?;
/// let options = VocabularyOptions {
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl").into()],
///     output: folder.path().join("tokenizer"),
///     words: WordKind::Bert,
///     size: 300,
///     ..VocabularyOptions::default()
/// };
/// learn_vocabulary(&options, &mut ())?;
/// assert!(options.output.join("vocab.txt").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct VocabularyOptions {
    /// The files and folders of texts; see [`Texts`].
    pub inputs: Vec<PathBuf>,
    /// The field of the text in NDJSON; `title` and `text` if none is named.
    pub text_field: Option<String>,
    /// The form of the inputs; by their first bytes and names if none is given.
    pub format: Option<TextForm>,
    /// The folder for the tokenizer; it must not exist, or be empty.
    pub output: PathBuf,
    /// How texts become words.
    pub words: WordKind,
    /// The number of tokens of the vocabulary, special ones included.
    pub size: usize,
    /// The number of characters that are kept, the most frequent ones; words with others are
    /// unknown. A quarter of the size if none is given.
    pub alphabet: Option<usize>,
    /// Pairs of pieces that are seen less often are not joined.
    pub min_frequency: u64,
    /// Lower-cases texts, and without MeCab strips their accents.
    pub lowercase: bool,
    /// The longest text of a model with this vocabulary, in tokens.
    pub max_length: usize,
    /// Does nothing if the folder exists already and is complete.
    pub resume: bool,
}

impl Default for VocabularyOptions {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            text_field: None,
            format: None,
            output: PathBuf::new(),
            words: WordKind::Mecab,
            size: 16_000,
            alphabet: None,
            min_frequency: 2,
            lowercase: false,
            max_length: 512,
            resume: false,
        }
    }
}

/// What [`learn_vocabulary`] learned.
///
/// ```
/// use light_splade::models::{VocabularyOptions, WordKind, learn_vocabulary};
///
/// let folder = tempfile::tempdir()?;
/// let options = VocabularyOptions {
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl").into()],
///     output: folder.path().join("tokenizer"),
///     words: WordKind::Bert,
///     size: 300,
///     ..VocabularyOptions::default()
/// };
/// let learned = learn_vocabulary(&options, &mut ())?.expect("the folder is new");
/// assert!(learned.tokens <= 300 && learned.words > learned.left_out);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LearnedVocabulary {
    /// The number of tokens.
    pub tokens: usize,
    /// The number of different words of the texts.
    pub words: usize,
    /// The number of words that were left out for rare characters or their length.
    pub left_out: usize,
}

/// Learns a WordPiece vocabulary from texts and writes it as a tokenizer's folder, which appears once
/// it is complete. Returns nothing where the folder was complete already and
/// [`resume`](VocabularyOptions::resume) is set.
///
/// ```
/// use light_splade::models::{VocabularyOptions, WordKind, learn_vocabulary};
///
/// let folder = tempfile::tempdir()?;
/// let options = VocabularyOptions {
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl").into()],
///     output: folder.path().join("tokenizer"),
///     words: WordKind::Bert,
///     size: 300,
///     ..VocabularyOptions::default()
/// };
/// let learned = learn_vocabulary(&options, &mut ())?.expect("the folder is new");
/// assert!(learned.tokens <= 300);
/// assert!(options.output.join("vocab.txt").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the folder holds something else, a text cannot be read, the texts have no word that can be
/// used, or the observer asks to stop; then nothing is written.
pub fn learn_vocabulary(
    options: &VocabularyOptions,
    observer: &mut dyn Observer,
) -> Result<Option<LearnedVocabulary>, Error> {
    let output = &options.output;
    if is_made(output, options.resume && is_tokenizer(output), observer)? {
        return Ok(None);
    }
    let reading = TextOptions {
        text_field: options.text_field.clone(),
        no_ids: true,
        format: options.format,
        ..TextOptions::default()
    };
    let texts = Texts::open(&options.inputs, reading)?;
    let folder = NewFolder::create(output)?;
    let splitter = WordSplitter::new(options.words, options.lowercase)?;
    let counts = count_words(texts, observer, &|text, counts| Ok(splitter.count(text, counts)?))?;
    if counts.is_empty() {
        return Err(invalid("there is no word in the inputs"));
    }
    let settings = splade_text::VocabularyOptions {
        size: options.size,
        alphabet: options.alphabet.unwrap_or(options.size / 4),
        min_frequency: options.min_frequency,
    };
    let vocabulary = Vocabulary::learn(&counts, &settings)?;
    if vocabulary.left_out == counts.len() {
        return Err(advised("all words have rare characters", "raise --alphabet"));
    }
    vocabulary.save(folder.path(), &splitter, options.max_length)?;
    // Joining pairs takes a while in which nothing asks.
    if observer.stop() {
        return Err(stopped());
    }
    folder.commit()?;
    let (tokens, words, left_out) = (vocabulary.tokens.len(), counts.len(), vocabulary.left_out);
    observer.event(Event::Note(&format!(
        "{} of {words} different words, {left_out} of which were left out for rare \
         characters or their length",
        counted(tokens, "tokens")
    )));
    if tokens < options.size {
        observer.event(Event::Note(
            "note: there were no more pairs to join; the vocabulary is smaller than --size",
        ));
    }
    Ok(Some(LearnedVocabulary { tokens, words, left_out }))
}

/// Whether a folder is what is written here: it appears whole.
fn is_tokenizer(folder: &Path) -> bool {
    folder.join("vocab.txt").is_file() && folder.join("tokenizer_config.json").is_file()
}

/// Returns whether an earlier run has made the folder, of which a note tells: `resumed` says that it is complete and that
/// this may be so.
///
/// # Errors
/// If it has not, and the folder cannot be made.
pub(crate) fn is_made(
    output: &Path,
    resumed: bool,
    observer: &mut dyn Observer,
) -> Result<bool, Error> {
    if resumed {
        let note = format!("{} is complete; nothing is to be done", output.display());
        observer.event(Event::Note(&note));
        return Ok(true);
    }
    if output.file_name().is_none() {
        return Err(invalid(format!("--output {}: a folder is expected", output.display())));
    }
    if !is_free(output) {
        return Err(Error::FolderExists { path: output.to_path_buf() });
    }
    Ok(false)
}
