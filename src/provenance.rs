//! How vectors were made: the identity of their model and the settings of the encoder. It travels
//! with the vectors into the index, the report of an evaluation and the model card, so that what
//! does not belong together is not mixed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_io::ContentHash;
use splade_io::settings::content;
use splade_model::{Encoder, EncoderOptions, ModelContent, Precision, Side};
#[cfg(feature = "tools")]
use splade_sparse::files::{Manifest, ParquetReader, manifest_path, vector_files};

use crate::encoder::{SparseEncoder, SparseEncoderOptions};
use crate::error::Error;
use crate::model::{Identity, Vocabulary, full};
use crate::pruning::Pruning;

/// The key of a Parquet file's footer under which the settings of its vectors are.
#[cfg(feature = "tools")]
pub(crate) const FOOTER: &str = "light-splade";
/// The key of the settings of an export under which the provenance of its vectors is.
#[cfg(feature = "tools")]
pub(crate) const VECTORS_OF: &str = "vectors_of";

/// The model that made vectors, and how. Of vectors that come from another program nothing is known.
///
/// ```
/// use light_splade::encode::{Pruning, Side};
/// use light_splade::search::Provenance;
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let provenance = Provenance::of_encoder(&encoder, Side::Document, &Pruning::default())?;
/// assert_eq!(Provenance::from_json(&provenance.to_json()), provenance);
/// assert_eq!(provenance.is_same_model(&provenance), Some(true));
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// A folder, as a full path, or a name at the hub.
    pub model: Option<PathBuf>,
    /// The commit of a model of the hub.
    pub revision: Option<String>,
    /// The hashes of the model; none in files of earlier versions.
    pub content: Option<ModelContent>,
    /// The number of terms of the model's vocabulary.
    pub vocab: Option<usize>,
    /// The number of tokens that its tokenizer knows.
    pub tokens: Option<usize>,
    /// How texts were encoded; none where only the model is known.
    pub encoding: Option<Encoding>,
}

/// What the vector of a text depends on besides the model.
///
/// ```
/// use light_splade::encode::{Pruning, Side};
/// use light_splade::search::Provenance;
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let options = SparseEncoderOptions { max_length: Some(64), ..SparseEncoderOptions::default() };
/// let encoder = SparseEncoder::load("mini-ja-en", &options)?;
/// let provenance = Provenance::of_encoder(&encoder, Side::Query, &Pruning::default())?;
/// let encoding = provenance.encoding.expect("an encoder is known");
/// assert_eq!((encoding.side, encoding.max_length), (Side::Query, 64));
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// The tower that encoded the documents.
    pub side: Side,
    /// The arithmetic.
    pub precision: Precision,
    /// The longest text in tokens.
    pub max_length: usize,
    /// The prompt that was put before every text.
    pub prompt: String,
    /// Which weights of a vector were kept.
    pub pruning: Pruning,
    /// The hash of the factors with which weights were multiplied, if any were.
    pub idf: Option<ContentHash>,
}

impl Provenance {
    /// The provenance of vectors of a model.
    pub(crate) fn model(model: &Path, identity: Identity, vocab: usize, tokens: usize) -> Self {
        Self {
            // A folder must be found from elsewhere too; a name at the hub stays as it is.
            model: Some(full(model)),
            revision: identity.revision,
            content: Some(identity.content),
            vocab: Some(vocab),
            tokens: Some(tokens),
            encoding: None,
        }
    }

    /// The provenance of vectors that a tower of a model makes.
    pub(crate) fn of(
        name: &Path,
        identity: Identity,
        encoder: &Encoder,
        options: &EncoderOptions,
        pruning: &Pruning,
    ) -> Self {
        let encoding = Some(Encoding::of(encoder, options, pruning));
        let model = Self::model(name, identity, encoder.vocab(), encoder.tokenizer().len());
        Self { encoding, ..model }
    }

    /// The provenance of vectors that an encoder makes of the texts of one side.
    ///
    /// # Errors
    /// If the model was loaded for the other side only, or its files cannot be read.
    pub fn of_encoder(
        encoder: &SparseEncoder,
        side: Side,
        pruning: &Pruning,
    ) -> Result<Self, Error> {
        let (tower, options) = (encoder.tower(side)?, encoder.options().tower(side));
        Ok(Self::of(encoder.name(), encoder.identity()?, tower, &options, pruning))
    }

    /// The provenance of vectors whose terms are those of a vocabulary; nothing is known of how they
    /// were encoded.
    ///
    /// # Errors
    /// If the files of the model cannot be read.
    pub fn of_vocabulary(vocabulary: &Vocabulary) -> Result<Self, Error> {
        let (size, tokens) = (vocabulary.size(), vocabulary.tokenizer().len());
        Ok(Self::model(vocabulary.name(), vocabulary.identity()?, size, tokens))
    }

    /// Which weights of a vector were kept.
    pub(crate) fn pruning(&self) -> Pruning {
        self.encoding.as_ref().map_or_else(Pruning::default, |encoding| encoding.pruning)
    }

    /// The settings of an index or of a folder of vectors that say this.
    pub fn to_json(&self) -> Value {
        let model = self.model.as_deref().map(Path::to_string_lossy);
        let mut json = json!({"model": model, "vocab": self.vocab, "tokens": self.tokens});
        if let Some(revision) = &self.revision {
            json["revision"] = revision.as_str().into();
        }
        if let Some(found) = &self.content {
            json["content"] = content([("model", content_json(found))]);
        }
        if let Some(encoding) = &self.encoding {
            json["as"] = side_name(encoding.side).into();
            json["precision"] = encoding.precision.to_string().into();
            json["max_length"] = encoding.max_length.into();
            json["prompt"] = encoding.prompt.as_str().into();
            for (key, value) in encoding.pruning.named() {
                // Vectors of earlier versions have only the first two, which may be null.
                if value.is_some() || matches!(key, "top_k" | "threshold") {
                    json[key] = json!(value);
                }
            }
            if let Some(idf) = &encoding.idf {
                json["idf"] = idf.to_string().into();
            }
        }
        json
    }

    /// Reads the settings of an index or of vectors; what is not understood counts as unknown.
    pub fn from_json(json: &Value) -> Self {
        let size = |key: &str| json[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let encoding = || {
            Some(Encoding {
                side: side_named(json["as"].as_str()?)?,
                precision: precision_named(json["precision"].as_str()?)?,
                max_length: size("max_length")?,
                prompt: json["prompt"].as_str()?.to_owned(),
                pruning: Pruning::from_json(json),
                idf: json["idf"].as_str().and_then(|hash| hash.parse().ok()),
            })
        };
        let content = || {
            let hash = |name: &str| -> Option<ContentHash> {
                json["content"]["model"][name].as_str()?.parse().ok()
            };
            Some(ModelContent { weights: hash("weights")?, tokenizer: hash("tokenizer")? })
        };
        Self {
            model: json["model"].as_str().map(PathBuf::from),
            revision: json["revision"].as_str().map(str::to_owned),
            content: content(),
            vocab: size("vocab"),
            tokens: size("tokens"),
            encoding: encoding(),
        }
    }

    /// Whether two models are the same, as far as that is known: by their hashes, or else only that
    /// they are different because their tokenizers have different sizes.
    pub fn is_same_model(&self, other: &Self) -> Option<bool> {
        let differ = |a: Option<usize>, b: Option<usize>| a.zip(b).is_some_and(|(a, b)| a != b);
        match self.content.zip(other.content) {
            Some((a, b)) => Some(a == b),
            None if differ(self.tokens, other.tokens) => Some(false),
            None => None,
        }
    }

    /// Refuses another model than the one of these vectors. `mine` and `theirs` say where each of the
    /// two is from, as `the index i was made with` and `--model names`. Where hashes are not known,
    /// only the numbers of tokens are compared.
    ///
    /// # Errors
    /// If the models are different; the message names both.
    pub fn check_model(&self, mine: &str, other: &Self, theirs: &str) -> Result<(), Error> {
        if self.is_same_model(other) != Some(false) {
            return Ok(());
        }
        let what = match (&self.model, &other.model) {
            (Some(a), Some(b)) if a == b => format!(
                "the model {} has changed: {mine} one of {}, but {theirs} one of {}",
                a.display(),
                self.hashes(),
                other.hashes()
            ),
            _ => format!(
                "{mine} the model {}, but {theirs} the model {}",
                self.shown(),
                other.shown()
            ),
        };
        Err(Error::OtherModel { what })
    }

    /// Refuses vectors that were made with another model or other settings.
    ///
    /// # Errors
    /// If model or settings are different; the message names both.
    pub fn check_vectors(&self, mine: &str, other: &Self, theirs: &str) -> Result<(), Error> {
        self.check_model(mine, other, theirs)?;
        let (Some(a), Some(b)) = (&self.encoding, &other.encoding) else { return Ok(()) };
        match a.difference(b) {
            None => Ok(()),
            Some((name, a, b)) => {
                let what = format!("{mine} {name} {a}, but {theirs} {name} {b}");
                Err(Error::OtherModel { what })
            }
        }
    }

    /// The model with the beginnings of its hashes, for messages.
    pub fn shown(&self) -> String {
        let name = self.model.as_deref().unwrap_or("(unknown)".as_ref());
        format!("{} ({})", name.display(), self.hashes())
    }

    fn hashes(&self) -> String {
        match (&self.content, self.tokens) {
            (Some(ModelContent { weights, tokenizer }), _) => {
                format!("weights {}, tokenizer {}", weights.short(), tokenizer.short())
            }
            (None, Some(tokens)) => format!("{tokens} tokens"),
            (None, None) => "of unknown content".to_owned(),
        }
    }
}

/// The hashes of a model as settings have them.
pub(crate) fn content_json(content: &ModelContent) -> Value {
    let ModelContent { weights, tokenizer } = content;
    json!({"weights": weights.to_string(), "tokenizer": tokenizer.to_string()})
}

/// What files and folders of vectors say of how they were made.
///
/// ```
/// use light_splade::encode::{EncodeOptions, encode_files};
/// use light_splade::input::Position;
/// use light_splade::search::VectorSources;
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let output = folder.path().join("vectors.parquet");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let options = EncodeOptions { output: output.clone(), ..EncodeOptions::default() };
/// encode_files(&encoder, [("1", "東京")], Position::default(), &options, &mut ())?;
/// let provenance = VectorSources::read(&[output])?.joined()?.expect("the file names its model");
/// assert_eq!(provenance.model.as_deref(), Some("mini-ja-en".as_ref()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "tools")]
#[derive(Debug, Clone, Default)]
pub struct VectorSources {
    /// The provenance of each file or folder that says something.
    known: Vec<(PathBuf, Provenance)>,
    /// The first file or folder that says nothing, if any.
    unknown: Option<PathBuf>,
    /// Whether the keys of NDJSON are tokens, as the manifest of a folder says.
    have_tokens: bool,
}

#[cfg(feature = "tools")]
impl VectorSources {
    /// Reads manifests and the footers of Parquet files. Single files of NDJSON and files of other
    /// programs say nothing.
    ///
    /// # Errors
    /// If a file cannot be read, or a folder is not complete.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut this = Self::default();
        for path in paths {
            let files = vector_files(path)?;
            if path.is_dir() && manifest_path(path).is_some() {
                this.add(path, &Manifest::read(path)?.settings);
                continue;
            }
            for file in files {
                let is_parquet = file.extension().is_some_and(|end| end == "parquet");
                let settings = match is_parquet {
                    true => {
                        let reader = ParquetReader::open(&file)?;
                        let settings = reader.about(FOOTER).map(serde_json::from_str::<Value>);
                        settings.and_then(Result::ok).unwrap_or_default()
                    }
                    false => Value::Null,
                };
                this.add(&file, &settings);
            }
        }
        Ok(this)
    }

    fn add(&mut self, path: &Path, settings: &Value) {
        self.have_tokens |= settings["terms"] == "tokens" && settings[VECTORS_OF].is_null();
        let of = &settings[VECTORS_OF];
        let found = Provenance::from_json(if of.is_object() { of } else { settings });
        match found.encoding.is_some() || found.content.is_some() {
            true => self.known.push((path.to_path_buf(), found)),
            false if self.unknown.is_none() => self.unknown = Some(path.to_path_buf()),
            false => {}
        }
    }

    /// Checks that all vectors were made alike, and returns how; none if nothing is known.
    ///
    /// # Errors
    /// If two files were made with different models or settings; the message names both.
    pub fn joined(&self) -> Result<Option<Provenance>, Error> {
        let Some((first, provenance)) = self.known.first() else { return Ok(None) };
        for (path, other) in &self.known[1..] {
            let made = |path: &Path| format!("{} was made with", path.display());
            let (mine, theirs) = (made(first), made(path));
            provenance.check_vectors(&mine, other, &theirs)?;
        }
        Ok(Some(provenance.clone()))
    }

    /// Whether the keys of NDJSON are known to be tokens of the model.
    pub fn have_tokens(&self) -> bool {
        self.have_tokens
    }

    /// A file or folder that does not say how it was made, where others do.
    pub fn unknown(&self) -> Option<&Path> {
        self.unknown.as_deref().filter(|_| !self.known.is_empty())
    }
}

/// The name of a side in the settings of an index and on the command line.
pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Query => "query",
        Side::Document => "document",
    }
}

fn side_named(name: &str) -> Option<Side> {
    [Side::Query, Side::Document].into_iter().find(|side| side_name(*side) == name)
}

fn precision_named(name: &str) -> Option<Precision> {
    [Precision::F32, Precision::Int8, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.to_string() == name)
}

impl Encoding {
    /// How an encoder was loaded.
    pub fn of(encoder: &Encoder, options: &EncoderOptions, pruning: &Pruning) -> Self {
        Self {
            side: options.side,
            precision: options.precision,
            max_length: encoder.max_length(),
            prompt: encoder.prompt().to_owned(),
            pruning: *pruning,
            idf: None,
        }
    }

    /// The first setting that differs: its name and both values.
    fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let rows = |this: &Self| {
            let Self { side, precision, max_length, prompt, pruning, idf } = this;
            let pruning = pruning.named().map(|(name, value)| {
                let value = value.map_or_else(|| "none".to_owned(), |value| value.to_string());
                (name, value)
            });
            let idf = idf.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
            let others = [
                ("idf factors", idf),
                ("side", side_name(*side).to_owned()),
                ("precision", precision.to_string()),
                ("max length", max_length.to_string()),
                ("prompt", format!("{prompt:?}")),
            ];
            others.into_iter().chain(pruning)
        };
        let both = rows(self).zip(rows(other));
        let mut different = both.filter(|((_, a), (_, b))| a != b);
        different.next().map(|((name, a), (_, b))| (name, a, b))
    }

    /// The settings that load the same model again for the same texts, on threads and kernels of
    /// `run`.
    pub fn model_options(&self, run: &SparseEncoderOptions) -> SparseEncoderOptions {
        let mut options = SparseEncoderOptions {
            precision: self.precision,
            max_length: Some(self.max_length),
            only: Some(self.side),
            ..run.clone()
        };
        match self.side {
            Side::Query => options.query_prompt = Some(self.prompt.clone()),
            Side::Document => options.document_prompt = Some(self.prompt.clone()),
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, weights: &[u8]) -> Provenance {
        let tokenizer = ContentHash::of(b"tokens");
        Provenance {
            model: Some(name.into()),
            revision: Some("c0ffee".into()),
            content: Some(ModelContent { weights: ContentHash::of(weights), tokenizer }),
            vocab: Some(9),
            tokens: Some(8),
            encoding: Some(Encoding {
                side: Side::Query,
                precision: Precision::Int8,
                max_length: 256,
                prompt: "query: ".into(),
                pruning: Pruning {
                    top_k: Some(5),
                    threshold: Some(0.5),
                    max_ratio: Some(0.1),
                    alpha_mass: None,
                },
                idf: Some(ContentHash::of(b"factors")),
            }),
        }
    }

    #[test]
    fn settings_come_back() {
        let back = |provenance: &Provenance| Provenance::from_json(&provenance.to_json());
        let provenance = model("org/name@v1", b"a");
        assert_eq!(back(&provenance), provenance);
        assert_eq!(back(&Provenance::default()), Provenance::default());
        let other = json!({"model": 7, "as": "neither", "threshold": 1, "content": {"model": 1}});
        assert_eq!(Provenance::from_json(&other), Provenance::default());
    }

    #[test]
    fn models_are_compared_by_content() {
        let a = model("/m/a", b"a");
        let check = |b: &Provenance| {
            a.check_vectors("the index i was made with", b, "--model names")
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(&Provenance { model: Some("/moved".into()), ..a.clone() }), Ok(()));
        let changed = check(&model("/m/a", b"b")).expect_err("changed");
        assert!(
            changed
                .contains("the model /m/a has changed: the index i was made with one of weights"),
            "{changed}"
        );
        let other = check(&model("/m/b", b"b")).expect_err("other");
        for part in
            ["the index i was made with the model /m/a (weights", "--model names the model /m/b"]
        {
            assert!(other.contains(part), "{other}");
        }
        // Earlier versions did not record hashes.
        let old = Provenance { content: None, model: Some("/m/b".into()), ..a.clone() };
        assert_eq!(check(&old), Ok(()));
        let tokens = Provenance { tokens: Some(7), ..old };
        assert!(check(&tokens).is_err_and(|error| error.contains("7 tokens")));
        assert_eq!(check(&Provenance::default()), Ok(()));
        let mut settings = a.clone();
        settings.encoding.as_mut().expect("an encoding").max_length = 128;
        let error = check(&settings).expect_err("other settings");
        let want = "the index i was made with max length 256, but --model names max length 128";
        assert!(error.starts_with(want), "{error}");
    }
}
