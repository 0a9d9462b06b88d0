//! Masked language models with fewer tokens: those that texts use.

use std::path::PathBuf;

use splade_io::{Event, NewFolder, Observer, counted};
use splade_model::training::keep_words;
use splade_sparse::files::TextForm;
use splade_text::{ExtensibleVocabulary, Tokenizer, TokenizerOptions};

use crate::count_words::{count_words_of, stopped};
use crate::error::{Error, invalid};
use crate::learn_vocabulary::is_made;
use crate::model::model_folder;
use crate::texts::{TextOptions, Texts};

/// Settings of [`trim_vocabulary`].
///
/// ```
/// use light_splade::models::{TrimOptions, trim_vocabulary};
///
/// let folder = tempfile::tempdir()?;
/// let options = TrimOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo/corpus.jsonl").into()],
///     output: folder.path().join("smaller"),
///     min_count: 3,
///     ..TrimOptions::default()
/// };
/// let trimmed = trim_vocabulary(&options, &mut ())?.expect("the folder is new");
/// assert!(trimmed.tokens < trimmed.tokens_before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TrimOptions {
    /// The masked language model: a folder, or a name at the Hugging Face hub.
    pub model: PathBuf,
    /// The files and folders of texts whose tokens are kept; see [`Texts`].
    pub inputs: Vec<PathBuf>,
    /// The field of the text in NDJSON; `title` and `text` if none is named.
    pub text_field: Option<String>,
    /// The form of the inputs; by their first bytes and names if none is given.
    pub format: Option<TextForm>,
    /// The folder for the model with fewer tokens; it must not exist, or be empty.
    pub output: PathBuf,
    /// The largest number of tokens that are kept, special tokens included.
    pub size: usize,
    /// Tokens that the texts use less often are not kept.
    pub min_count: u64,
    /// A MeCab dictionary in place of the model's.
    pub mecab_dicdir: Option<PathBuf>,
    /// Does nothing if the folder exists already.
    pub resume: bool,
}

impl Default for TrimOptions {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            inputs: Vec::new(),
            text_field: None,
            format: None,
            output: PathBuf::new(),
            size: 16_000,
            min_count: 10,
            mecab_dicdir: None,
            resume: false,
        }
    }
}

/// What [`trim_vocabulary`] kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrimmedVocabulary {
    /// The number of tokens that were kept.
    pub tokens: usize,
    /// The number of tokens before.
    pub tokens_before: usize,
}

/// Takes the tokens out of a masked language model that texts use least, with their rows of the weights. Words that
/// lose their token are split into shorter pieces, down to single characters, which are kept where the texts use them.
/// The folder is written under a temporary name and renamed once it is complete. Returns nothing where the folder
/// exists already and [`resume`](TrimOptions::resume) is set.
///
/// The method is that of Abdaoui et al., "Load What You Need: Smaller Versions of Multilingual BERT" (arXiv 2010.05609).
///
/// ```
/// use light_splade::models::{TrimOptions, trim_vocabulary};
///
/// let folder = tempfile::tempdir()?;
/// let options = TrimOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo/corpus.jsonl").into()],
///     output: folder.path().join("smaller"),
///     size: 300,
///     ..TrimOptions::default()
/// };
/// trim_vocabulary(&options, &mut ())?;
/// assert!(options.output.join("model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the folder holds something else, the model is not a masked language model with a WordPiece vocabulary, a text
/// cannot be read, `size` is less than the number of special tokens and characters, or the observer asks to stop; then
/// nothing is written.
pub fn trim_vocabulary(
    options: &TrimOptions,
    observer: &mut dyn Observer,
) -> Result<Option<TrimmedVocabulary>, Error> {
    let output = &options.output;
    if is_made(output, options.resume && output.join("model.safetensors").is_file(), observer)? {
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
    let kept = vocabulary.choose_kept(counts, options.size, options.min_count)?;
    let folder = NewFolder::create(output)?;
    keep_words(&model, folder.path(), &kept)?;
    vocabulary.save_kept(&kept, folder.path())?;
    let written = Tokenizer::from_dir(folder.path(), &reading)?;
    if written.len() != kept.len() {
        return Err(invalid(format!(
            "the tokenizer that was written has {} tokens in place of {}: this is a bug",
            written.len(),
            kept.len()
        )));
    }
    if observer.stop() {
        return Err(stopped());
    }
    folder.commit()?;
    let (tokens, tokens_before) = (kept.len(), tokenizer.len());
    observer.event(Event::Note(&format!(
        "kept {tokens} of {}; wrote {}",
        counted(tokens_before, "tokens"),
        output.display()
    )));
    Ok(Some(TrimmedVocabulary { tokens, tokens_before }))
}
