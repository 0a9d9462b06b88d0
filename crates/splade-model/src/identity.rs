//! The identity of a model: hashes of everything in its folder that vectors depend on.
//!
//! The hashes are those of contents and not of files: a copy of a folder, the same model in another
//! layout, and the folder that [`export`](crate::export) writes of it with 32-bit weights have the
//! same hashes. Prompts and the longest text are no part of it; they are settings of an encoder.

use std::path::Path;

use serde_json::Value;
use splade_io::{ContentHash, ContentHasher};
use splade_nn::{Pooling, Saturation};
use splade_text::{Tokenizer, TokenizerOptions};

use crate::config::read;
use crate::encoder::Side;
use crate::error::ModelError;
use crate::folder::{Method, ModelFolder, Tower};
use crate::heads::steps::add_content;
use crate::weights::Weights;

/// The keys of `config.json` that no number depends on. They differ between copies of one model.
const FREE: [&str; 6] =
    ["architectures", "auto_map", "dtype", "_name_or_path", "torch_dtype", "transformers_version"];

/// Texts on which tokenizers differ: upper case, accents, punctuation, digits, several scripts,
/// Japanese, white space, and characters that most vocabularies lack. Tokenizers with the same
/// tokens and the same ids for these texts count as the same.
const PROBES: [&str; 4] = [
    "The Night-Train to Zürich leaves at 22:45, doesn't it? naïve CAFÉ e\u{301} ﬁne Straße",
    "日本の首都は東京です。大阪万博は２０２５年にｶｲｻｲされ、電車で行けますか?",
    "  two  blanks\tand\na line [SEP] </s> <mask> ## @user #tag https://example.org/a_b?c=1.5e-3 ",
    "Москва 서울 北京 กรุงเทพ القاهرة 🚄 \u{200d}\u{feff}x\u{ad}y internationalisation",
];

/// The hashes that identify a model. Two models with equal hashes make the same vectors of the same
/// texts with the same settings.
///
/// ```
/// use splade_model::{ModelContent, ModelFolder};
/// use splade_text::TokenizerOptions;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = ModelFolder::open(&model)?;
/// let content = ModelContent::read(&folder, &TokenizerOptions::default(), None)?;
/// // An index records this, and refuses vectors of another model.
/// println!("{}", content.weights);
/// # assert_ne!(content.weights, content.tokenizer);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelContent {
    /// The hash of the weights of both towers, of the sizes in their configs and of the pooling.
    pub weights: ContentHash,
    /// The hash of the tokens with their ids and of how texts become tokens, of both towers.
    pub tokenizer: ContentHash,
}

impl ModelContent {
    /// Reads a model and returns its hashes. `loaded` is the tokenizer of one side, if it has been
    /// loaded already.
    ///
    /// # Errors
    /// Returns an error if a file of the model cannot be read.
    pub fn read(
        folder: &ModelFolder,
        options: &TokenizerOptions,
        loaded: Option<(Side, &Tokenizer)>,
    ) -> Result<Self, ModelError> {
        let (mut weights, mut tokenizer) = (ContentHasher::new(), ContentHasher::new());
        let mut add = |tower: &Tower, side: Side| {
            let is_loaded = |of: Side| of == side || folder.document.dir == folder.query.dir;
            let own;
            let tokens = match loaded.filter(|(of, _)| is_loaded(*of)) {
                Some((_, loaded)) => loaded,
                None => {
                    own = Tokenizer::from_files(&folder.files().within(&tower.dir), options)?;
                    &own
                }
            };
            add_weights(&mut weights, folder, tower, tokens)?;
            add_tokenizer(&mut tokenizer, tokens)
        };
        add(&folder.document, Side::Document)?;
        if !folder.shares_towers() {
            add(&folder.query, Side::Query)?;
        }
        Ok(Self { weights: weights.finish(), tokenizer: tokenizer.finish() })
    }
}

/// Returns the commit of a model in the cache of the hub, whose folder is `snapshots/<commit>`.
///
/// ```
/// use std::path::Path;
///
/// use splade_model::hub_revision;
///
/// let commit = "0123456789abcdef0123456789abcdef01234567";
/// let cached = Path::new("/cache/models--org--name/snapshots").join(commit);
/// assert_eq!(hub_revision(&cached).as_deref(), Some(commit));
/// assert_eq!(hub_revision(Path::new("/models/name")), None);
/// ```
pub fn hub_revision(folder: &Path) -> Option<String> {
    let parent = folder.parent()?.file_name()?;
    let commit = folder.file_name()?.to_str()?;
    let is_commit = commit.len() == 40 && commit.bytes().all(|digit| digit.is_ascii_hexdigit());
    (parent == "snapshots" && is_commit).then(|| commit.to_owned())
}

/// Returns the hash of the tokens with their ids and of how texts become tokens.
///
/// ```
/// use splade_model::tokenizer_content;
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// # let other = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference/bert");
/// let content = |folder| -> Result<_, splade_model::ModelError> {
///     tokenizer_content(&Tokenizer::from_dir(folder, &TokenizerOptions::default())?)
/// };
/// assert_eq!(content(&model)?, content(&model)?);
/// assert_ne!(content(&model)?, content(&other)?);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
///
/// # Errors
/// Returns an error if the tokenizer fails.
pub fn tokenizer_content(tokenizer: &Tokenizer) -> Result<ContentHash, ModelError> {
    let mut hasher = ContentHasher::new();
    add_tokenizer(&mut hasher, tokenizer)?;
    Ok(hasher.finish())
}

fn add_weights(
    hasher: &mut ContentHasher,
    folder: &ModelFolder,
    tower: &Tower,
    tokenizer: &Tokenizer,
) -> Result<(), ModelError> {
    match &tower.method {
        Method::MaskedLm { pooling, saturation } => {
            hasher.text(match pooling {
                Pooling::Max => "max",
                Pooling::Sum => "sum",
            });
            hasher.text(match saturation {
                Saturation::Log1pRelu => "log1p_relu",
                Saturation::Log1pLog1pRelu => "log1p_log1p_relu",
            });
            add_body(hasher, folder, tower)?;
        }
        Method::TokenWeights(head) => {
            hasher.text("token weights");
            for (name, hash) in Weights::from_torch_file(folder.files(), &head.file)?.content()? {
                hasher.text(name);
                hasher.hash(hash);
            }
            add_body(hasher, folder, tower)?;
        }
        Method::Dense(head) => {
            hasher.text("dense");
            head.pooling.iter().for_each(|pooling| hasher.text(pooling.name()));
            hasher.text(if head.include_prompt { "with prompt" } else { "without prompt" });
            hasher.text(folder.similarity.name());
            add_content(hasher, folder.files(), &head.steps)?;
            add_body(hasher, folder, tower)?;
        }
        Method::LateInteraction(head) => {
            hasher.text("late interaction");
            head.tokens.add_content(hasher);
            hasher.text(folder.similarity.name());
            add_content(hasher, folder.files(), &head.steps)?;
            add_body(hasher, folder, tower)?;
        }
        Method::Classifier => {
            hasher.text("classifier");
            add_body(hasher, folder, tower)?;
        }
        Method::Lookup(table) => {
            hasher.text("table");
            let weights = table.read_from(folder.files(), tokenizer)?;
            hasher.number(weights.len() as u64);
            weights.iter().for_each(|weight| hasher.bytes(&weight.to_le_bytes()));
        }
    }
    Ok(())
}

/// Adds the config and the weights of a tower's transformer.
fn add_body(
    hasher: &mut ContentHasher,
    folder: &ModelFolder,
    tower: &Tower,
) -> Result<(), ModelError> {
    let files = folder.files().within(&tower.dir);
    let mut config = read(&files, &tower.dir.join("config.json"))?;
    if let Some(config) = config.as_object_mut() {
        config.retain(|key, value| !FREE.contains(&key.as_str()) && !value.is_null());
    }
    hasher.text(&sorted(config).to_string());
    for (name, hash) in Weights::from_files(&files)?.content()? {
        hasher.text(name);
        hasher.hash(hash);
    }
    Ok(())
}

fn add_tokenizer(hasher: &mut ContentHasher, tokenizer: &Tokenizer) -> Result<(), ModelError> {
    hasher.number(tokenizer.len() as u64);
    (0..tokenizer.len() as u32).for_each(|id| hasher.text(tokenizer.token(id).unwrap_or("")));
    let (before, after) = tokenizer.around();
    let mut add = |ids: &[u32]| {
        hasher.number(ids.len() as u64);
        ids.iter().for_each(|id| hasher.number(u64::from(*id)));
    };
    add(before);
    add(after);
    for text in PROBES {
        add(&tokenizer.encode_plain(text)?);
    }
    Ok(())
}

/// Returns a value whose objects have their keys in alphabetical order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<(String, Value)> = object.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_those_of_the_cache() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let path = |parent: &str, name: &str| Path::new("hub/m").join(parent).join(name);
        assert_eq!(hub_revision(&path("snapshots", commit)).as_deref(), Some(commit));
        assert_eq!(hub_revision(&path("snapshots", "main")), None);
        assert_eq!(hub_revision(&path("models", commit)), None);
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = serde_json::json!({"b": [{"d": 1, "c": 2}], "a": null});
        assert_eq!(sorted(value).to_string(), r#"{"a":null,"b":[{"c":2,"d":1}]}"#);
    }
}
