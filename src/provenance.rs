//! How the documents of an index were encoded: kept in the index, so that what is added later and
//! queries fit them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_model::{Encoder, EncoderOptions, Precision, Side};

use crate::encoder::SparseEncoderOptions;
use crate::error::Error;
use crate::model::full;
use crate::pruning::Pruning;

/// The model that an index was built with. Nothing is known of it where the index was built from
/// vectors alone.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// A folder, as a full path, or a name at the hub.
    pub model: Option<PathBuf>,
    /// The number of terms of the model's vocabulary.
    pub vocab: Option<usize>,
    /// The number of tokens that its tokenizer knows.
    pub tokens: Option<usize>,
    /// How texts were encoded; none where vectors were given.
    pub encoding: Option<Encoding>,
}

/// What the vector of a text depends on besides the model.
#[derive(Debug, Clone)]
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
}

impl Provenance {
    /// The provenance of vectors of a model.
    pub fn model(model: &Path, vocab: usize, tokens: usize) -> Self {
        // A folder must be found from elsewhere too; a name at the hub stays as it is.
        let model = full(model);
        Self { model: Some(model), vocab: Some(vocab), tokens: Some(tokens), encoding: None }
    }

    /// The provenance of vectors that a tower of a model makes.
    pub fn of(name: &Path, encoder: &Encoder, options: &EncoderOptions, pruning: &Pruning) -> Self {
        let encoding = Some(Encoding::of(encoder, options, pruning));
        Self { encoding, ..Self::model(name, encoder.vocab(), encoder.tokenizer().len()) }
    }

    /// The settings of an index that say this.
    pub fn to_json(&self) -> Value {
        let model = self.model.as_deref().map(Path::to_string_lossy);
        let mut json = json!({"model": model, "vocab": self.vocab, "tokens": self.tokens});
        if let Some(encoding) = &self.encoding {
            json["as"] = side_name(encoding.side).into();
            json["precision"] = encoding.precision.to_string().into();
            json["max_length"] = encoding.max_length.into();
            json["prompt"] = encoding.prompt.as_str().into();
            json["top_k"] = json!(encoding.pruning.top_k);
            json["threshold"] = json!(encoding.pruning.threshold);
        }
        json
    }

    /// Reads the settings of an index; what is not understood counts as unknown.
    pub fn from_json(json: &Value) -> Self {
        let size = |key: &str| json[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let encoding = || {
            Some(Encoding {
                side: side_named(json["as"].as_str()?)?,
                precision: precision_named(json["precision"].as_str()?)?,
                max_length: size("max_length")?,
                prompt: json["prompt"].as_str()?.to_owned(),
                pruning: Pruning {
                    top_k: size("top_k"),
                    threshold: json["threshold"].as_f64().map(|threshold| threshold as f32),
                },
            })
        };
        Self {
            model: json["model"].as_str().map(PathBuf::from),
            vocab: size("vocab"),
            tokens: size("tokens"),
            encoding: encoding(),
        }
    }

    /// Refuses a model whose tokens are not those of the index.
    pub fn check(&self, model: &Path, tokens: usize) -> Result<(), Error> {
        match self.tokens {
            Some(expected) if expected != tokens => {
                Err(Error::OtherTokenizer { model: model.to_path_buf(), expected, got: tokens })
            }
            _ => Ok(()),
        }
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
    [Precision::F32, Precision::Int8].into_iter().find(|precision| precision.to_string() == name)
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
        }
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

    #[test]
    fn settings_come_back() {
        let provenance = Provenance {
            model: Some("org/name@v1".into()),
            vocab: Some(9),
            tokens: Some(8),
            encoding: Some(Encoding {
                side: Side::Query,
                precision: Precision::Int8,
                max_length: 256,
                prompt: "query: ".into(),
                pruning: Pruning { top_k: Some(5), threshold: Some(0.1) },
            }),
        };
        let back =
            |provenance: &Provenance| format!("{:?}", Provenance::from_json(&provenance.to_json()));
        assert_eq!(back(&provenance), format!("{provenance:?}"));
        assert_eq!(back(&Provenance::default()), format!("{:?}", Provenance::default()));
        assert!(provenance.check(Path::new("m"), 8).is_ok());
        assert!(provenance.check(Path::new("m"), 7).is_err());
        let other = serde_json::json!({"model": 7, "as": "neither", "threshold": 1});
        assert_eq!(back(&Provenance::from_json(&other)), format!("{:?}", Provenance::default()));
    }
}
