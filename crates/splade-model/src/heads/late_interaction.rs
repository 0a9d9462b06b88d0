//! Late interaction (ColBERT, arXiv 2004.12832): every token of a text has a vector. The score of a
//! query and a document is the sum over the tokens of the query of the largest dot product with a
//! token of the document.

use splade_io::ContentHasher;
use splade_text::Tokenizer;

use super::network::{HiddenBatch, Prepared};
use super::steps::{LoadedSteps, Step};
use crate::error::ModelError;

/// The settings of a late-interaction head for one side.
///
/// ```
/// use splade_model::folder::{Method, Step};
/// use splade_model::{HeadKind, ModelFiles, ModelFolder};
///
/// # let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
/// # let mut files = Vec::new();
/// # for (folder, below) in [("reference/bert", ""), ("heads/pylate", ""), ("heads/pylate/1_Dense", "1_Dense/")] {
/// #     for entry in std::fs::read_dir(base.join(folder))?.flatten().filter(|entry| entry.path().is_file()) {
/// #         files.push((format!("{below}{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path())?));
/// #     }
/// # }
/// // A model of PyLate, here in memory.
/// let files = ModelFiles::memory("pylate", files);
/// let folder = ModelFolder::with_head(&files, HeadKind::MultiVector)?;
/// let Method::LateInteraction(head) = folder.document.method else { panic!("another head") };
/// assert!(matches!(head.steps[0], Step::Project(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateInteraction {
    /// The steps that turn hidden states into vectors.
    pub steps: Vec<Step>,
    /// Which tokens a text has, and which of them have a vector.
    pub tokens: TokenRules,
}

/// Which tokens a text has, and which of them have a vector.
///
/// ```
/// use splade_model::folder::{Method};
/// use splade_model::{HeadKind, ModelFiles, ModelFolder};
///
/// # let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
/// # let mut files = Vec::new();
/// # for (folder, below) in [("reference/bert", ""), ("heads/pylate", ""), ("heads/pylate/1_Dense", "1_Dense/")] {
/// #     for entry in std::fs::read_dir(base.join(folder))?.flatten().filter(|entry| entry.path().is_file()) {
/// #         files.push((format!("{below}{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path())?));
/// #     }
/// # }
/// // A model of PyLate, here in memory.
/// let files = ModelFiles::memory("pylate", files);
/// let folder = ModelFolder::with_head(&files, HeadKind::MultiVector)?;
/// let Method::LateInteraction(head) = folder.document.method else { panic!("another head") };
/// // Punctuation of documents has no vectors.
/// assert!(head.tokens.skip.contains(&".".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenRules {
    /// The token that is put behind the first one, to tell queries and documents apart.
    pub marker: Option<String>,
    /// The mask tokens that are appended to short texts.
    pub expansion: Option<Expansion>,
    /// The tokens that have no vector, such as punctuation. Tokens that the vocabulary lacks are
    /// passed over.
    pub skip: Vec<String>,
    /// Whether the first token has no vector.
    pub drops_first: bool,
}

/// The mask tokens that are appended to short texts, whose vectors take part in the score.
///
/// ```
/// use splade_model::folder::{Method};
/// use splade_model::{HeadKind, ModelFiles, ModelFolder};
///
/// # let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
/// # let mut files = Vec::new();
/// # for (folder, below) in [("reference/bert", ""), ("heads/pylate", ""), ("heads/pylate/1_Dense", "1_Dense/")] {
/// #     for entry in std::fs::read_dir(base.join(folder))?.flatten().filter(|entry| entry.path().is_file()) {
/// #         files.push((format!("{below}{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path())?));
/// #     }
/// # }
/// // A model of PyLate, here in memory.
/// let files = ModelFiles::memory("pylate", files);
/// let folder = ModelFolder::with_head(&files, HeadKind::MultiVector)?;
/// let Method::LateInteraction(head) = folder.query.method else { panic!("another head") };
/// // Short queries are filled with mask tokens.
/// assert!(head.tokens.expansion.is_some_and(|expansion| expansion.length > 8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The number of tokens up to which a text is filled.
    pub length: usize,
    /// Whether longer texts are cut off at that length.
    pub truncates: bool,
    /// Whether the other tokens attend to the appended ones.
    pub attend: bool,
    /// The appended token; the mask token of the tokenizer if none is named.
    pub token: Option<String>,
}

/// The rules of a side with the ids of its tokens.
#[derive(Debug, Clone)]
pub(crate) struct TokenIds {
    marker: Option<u32>,
    expansion: Option<(Expansion, u32)>,
    /// The ids without a vector, ascending.
    skip: Vec<u32>,
    drops_first: bool,
}

/// The names under which tokenizers have their mask token.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

impl TokenRules {
    /// Adds everything that the vectors depend on to a hash.
    pub(crate) fn add_content(&self, hasher: &mut ContentHasher) {
        hasher.text(self.marker.as_deref().unwrap_or(""));
        if let Some(Expansion { length, truncates, attend, token }) = &self.expansion {
            hasher.text(token.as_deref().unwrap_or("mask"));
            hasher.number(*length as u64);
            hasher.number(u64::from(*truncates) + 2 * u64::from(*attend));
        }
        hasher.number(self.skip.len() as u64);
        self.skip.iter().for_each(|word| hasher.text(word));
        hasher.number(u64::from(self.drops_first));
    }

    /// Finds the ids of the tokens.
    pub(crate) fn resolve(&self, tokenizer: &Tokenizer) -> Result<TokenIds, ModelError> {
        let missing = |needed_as: &'static str, token: &str| ModelError::MissingToken {
            token: token.to_owned(),
            needed_as,
        };
        let marker = match self.marker.as_deref() {
            None => None,
            Some(marker) => Some(tokenizer.id(marker).ok_or_else(|| missing("marker", marker))?),
        };
        let expansion = match &self.expansion {
            None => None,
            Some(expansion) => {
                let id = match &expansion.token {
                    Some(token) => tokenizer.id(token),
                    None => MASKS.iter().find_map(|token| tokenizer.id(token)),
                };
                let named = expansion.token.as_deref().unwrap_or(MASKS[0]);
                let id = id.ok_or_else(|| missing("the mask of query expansion", named))?;
                Some((expansion.clone(), id))
            }
        };
        let mut skip: Vec<u32> = self.skip.iter().filter_map(|word| tokenizer.id(word)).collect();
        skip.sort_unstable();
        Ok(TokenIds { marker, expansion, skip, drops_first: self.drops_first })
    }
}

impl TokenIds {
    /// Returns the ids of a text of at most `max_length` tokens.
    pub(crate) fn prepare(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        max_length: usize,
    ) -> Result<Prepared, ModelError> {
        let limit = match &self.expansion {
            Some((expansion, _)) if expansion.truncates => expansion.length.min(max_length),
            _ => max_length,
        };
        let room = limit - usize::from(self.marker.is_some());
        let encoded = tokenizer.encode(text, Some(room))?;
        let mut ids = encoded.ids;
        if let Some(marker) = self.marker {
            ids.insert(1.min(ids.len()), marker);
        }
        let (own, mut attended) = (ids.len(), ids.len());
        if let Some((expansion, mask)) = &self.expansion {
            let length = expansion.length.min(max_length).max(ids.len());
            ids.resize(length, *mask);
            if expansion.attend {
                attended = length;
            }
        }
        Ok(Prepared { ids, own, attended, prompt: 0, truncated: encoded.truncated })
    }

    /// Returns the numbers of the tokens of a text that have a vector. Appended tokens always have
    /// one.
    fn kept(&self, text: &Prepared) -> Vec<usize> {
        let is_kept = |token: &usize| {
            let skipped = self.skip.binary_search(&text.ids[*token]).is_ok();
            !(*token < text.own && skipped || *token == 0 && self.drops_first)
        };
        (0..text.ids.len()).filter(is_kept).collect()
    }

    /// Returns the rows of every text of a batch, `(kept tokens, dim)`.
    pub(crate) fn matrices(
        &self,
        batch: &HiddenBatch<'_>,
        hidden: usize,
        steps: &LoadedSteps,
    ) -> Vec<Vec<f32>> {
        let kept: Vec<Vec<usize>> = batch.texts.iter().map(|text| self.kept(text)).collect();
        let mut rows = Vec::new();
        for (text, kept) in batch.offsets.windows(2).zip(&kept) {
            for token in kept {
                rows.extend_from_slice(&batch.hidden[(text[0] + token) * hidden..][..hidden]);
            }
        }
        let rows = steps.apply(rows, hidden, batch.parallel);
        let (width, mut rows) = (steps.width(hidden), &rows[..]);
        let mut take = |count: usize| {
            let (own, rest) = rows.split_at(count * width);
            rows = rest;
            own.to_vec()
        };
        kept.iter().map(|kept| take(kept.len())).collect()
    }

    /// Returns the shortest length of a text in tokens that leaves room for one token of it, with
    /// `special` tokens around it.
    pub(crate) fn shortest(&self, special: usize) -> usize {
        special + usize::from(self.marker.is_some()) + 1
    }
}
