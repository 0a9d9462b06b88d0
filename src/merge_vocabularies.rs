//! Masked language models with the vocabulary of a second language.

use std::path::PathBuf;

use splade_data::random::Random;
use splade_io::{Event, NewFolder, Observer, counted};
use splade_model::training::add_drawn_words;
use splade_text::{ExtensibleVocabulary, Tokenizer, TokenizerOptions};

use crate::error::{Error, advised, invalid};
use crate::learn_vocabulary::is_made;
use crate::model::model_folder;

/// The settings of [`merge_vocabularies`]: which model gets the tokens of which tokenizer.
#[derive(Debug, Clone, Default)]
pub struct MergeVocabulariesOptions {
    /// The masked language model: a folder, or a name at the Hugging Face hub.
    pub model: PathBuf,
    /// The folder of the tokenizer whose tokens are added, such as one that `vocab learn` has written.
    pub tokenizer: PathBuf,
    /// The folder for the model with both vocabularies; it must not exist, or be empty.
    pub output: PathBuf,
    /// A seed of the new rows.
    pub seed: u64,
    /// A MeCab dictionary in place of the tokenizer's.
    pub mecab_dicdir: Option<PathBuf>,
    /// Does nothing if the folder exists already.
    pub resume: bool,
}

/// The size of a vocabulary before and after [`merge_vocabularies`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinedVocabulary {
    /// The number of tokens with the new ones.
    pub tokens: usize,
    /// The number of tokens before.
    pub tokens_before: usize,
}

/// Adds the tokens of another WordPiece tokenizer to a masked language model, which then splits texts into words as that
/// tokenizer does. The tokens of the model keep their ids and rows. The rows of the new tokens are random, with the
/// means and deviations of the others, so the model has to be trained on texts of the new language. New tokens of ASCII
/// characters alone are left out: words in Latin letters keep the tokens that the model knows. The folder is written
/// under a temporary name and renamed once it is complete. Returns nothing where the folder exists already and
/// [`resume`](MergeVocabulariesOptions::resume) is set.
///
/// ```
/// use light_splade::models::{
///     MergeVocabulariesOptions, VocabularyOptions, WordKind, learn_vocabulary, merge_vocabularies,
/// };
///
/// let folder = tempfile::tempdir()?;
/// let japanese = VocabularyOptions {
///     inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo/corpus.jsonl").into()],
///     output: folder.path().join("japanese"),
///     words: WordKind::Mecab,
///     size: 900,
///     lowercase: true,
///     ..VocabularyOptions::default()
/// };
/// learn_vocabulary(&japanese, &mut ())?;
/// let options = MergeVocabulariesOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     tokenizer: japanese.output,
///     output: folder.path().join("both"),
///     ..MergeVocabulariesOptions::default()
/// };
/// let joined = merge_vocabularies(&options, &mut ())?.expect("the folder is new");
/// assert!(joined.tokens > joined.tokens_before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the folder holds something else, the model is not a masked language model with a WordPiece vocabulary, the
/// tokenizer is of another kind or adds nothing, or the model lacks one of its special tokens; then nothing is written.
pub fn merge_vocabularies(
    options: &MergeVocabulariesOptions,
    observer: &mut dyn Observer,
) -> Result<Option<JoinedVocabulary>, Error> {
    let output = &options.output;
    if is_made(output, options.resume && output.join("model.safetensors").is_file(), observer)? {
        return Ok(None);
    }
    let model = model_folder(&options.model, observer)?;
    let reading = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let vocabulary = ExtensibleVocabulary::open(&model, &reading)?;
    let other = ExtensibleVocabulary::open(&options.tokenizer, &reading)?;
    let new = vocabulary.tokens_of(&other)?;
    if new.is_empty() {
        return Err(advised(
            format!("{} has no token that the model lacks", options.tokenizer.display()),
            "give the tokenizer of another language, which `vocab learn` makes from its texts",
        ));
    }
    let first = vocabulary.tokenizer().len();
    let folder = NewFolder::create(output)?;
    let mut random = Random::new(&[options.seed]);
    add_drawn_words(&model, folder.path(), first, new.len(), &mut |bound| random.below(bound))?;
    vocabulary.save_joined(&new, &other, folder.path())?;
    let written = Tokenizer::from_dir(folder.path(), &reading)?;
    if written.len() != first + new.len() {
        return Err(invalid(format!(
            "the tokenizer that was written has {} tokens in place of {}: this is a bug",
            written.len(),
            first + new.len()
        )));
    }
    folder.commit()?;
    observer.event(Event::Note(&format!(
        "added {} to {first}; wrote {}",
        counted(new.len(), "tokens"),
        output.display()
    )));
    Ok(Some(JoinedVocabulary { tokens: written.len(), tokens_before: first }))
}
