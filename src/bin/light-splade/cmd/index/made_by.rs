//! How the documents of an index were encoded: kept in the index, so that what is added later and
//! queries fit them.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};
use splade_model::{Encoder, EncoderOptions};

use crate::args::{PrecisionArg, PruneArgs, RunArgs, SideArg};
use crate::cmd::full;

/// The model of an index. Nothing is known of it where an index was built of vectors alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct MadeBy {
    /// A folder, as a full path, or a name at the hub.
    pub(crate) model: Option<PathBuf>,
    /// Terms of the model's vocabulary.
    pub(crate) vocab: Option<usize>,
    /// Tokens of its tokenizer.
    pub(crate) tokens: Option<usize>,
    /// None where vectors were given.
    pub(crate) encoding: Option<Encoding>,
}

/// What the vector of a text depends on besides the model.
#[derive(Debug, Clone)]
pub(crate) struct Encoding {
    pub(crate) side: SideArg,
    pub(crate) precision: PrecisionArg,
    pub(crate) max_length: usize,
    pub(crate) prompt: String,
    pub(crate) prune: PruneArgs,
}

impl MadeBy {
    /// By a model of which the tokenizer alone was read, or more.
    pub(crate) fn model(model: &Path, vocab: usize, tokens: usize) -> Self {
        // A folder must be found from elsewhere too; a name at the hub stays as it is.
        let model = full(model);
        Self { model: Some(model), vocab: Some(vocab), tokens: Some(tokens), encoding: None }
    }

    pub(crate) fn to_json(&self) -> Value {
        let model = self.model.as_deref().map(Path::to_string_lossy);
        let mut json = json!({"model": model, "vocab": self.vocab, "tokens": self.tokens});
        if let Some(encoding) = &self.encoding {
            json["as"] = encoding.side.to_string().into();
            json["precision"] = encoding.precision.to_string().into();
            json["max_length"] = encoding.max_length.into();
            json["prompt"] = encoding.prompt.as_str().into();
            json["top_k"] = json!(encoding.prune.top_k);
            json["threshold"] = json!(encoding.prune.threshold);
        }
        json
    }

    /// Reads the settings of an index; what is not understood counts as unknown.
    pub(crate) fn from_json(json: &Value) -> Self {
        let size = |key: &str| json[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let encoding = || {
            Some(Encoding {
                side: SideArg::from_str(json["as"].as_str()?, false).ok()?,
                precision: PrecisionArg::from_str(json["precision"].as_str()?, false).ok()?,
                max_length: size("max_length")?,
                prompt: json["prompt"].as_str()?.to_owned(),
                prune: PruneArgs {
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
    pub(crate) fn check(&self, model: &Path, tokens: usize) -> Result<()> {
        match self.tokens {
            Some(want) if want != tokens => bail!(
                "the index was built with a tokenizer of {want} tokens, that of {} has {tokens}; \
                 give the model of the index",
                model.display()
            ),
            _ => Ok(()),
        }
    }
}

impl Encoding {
    /// How an encoder was loaded.
    pub(crate) fn of(encoder: &Encoder, options: &EncoderOptions, prune: &PruneArgs) -> Self {
        Self {
            side: options.side.into(),
            precision: options.precision.into(),
            max_length: encoder.max_length(),
            prompt: encoder.prompt().to_owned(),
            prune: prune.clone(),
        }
    }

    /// To load the same encoder again.
    pub(crate) fn options(&self, run: &RunArgs) -> EncoderOptions {
        EncoderOptions {
            side: self.side.into(),
            precision: self.precision.into(),
            max_length: Some(self.max_length),
            prompt: Some(self.prompt.clone()),
            ..run.options()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back() {
        let made_by = MadeBy {
            model: Some("org/name@v1".into()),
            vocab: Some(9),
            tokens: Some(8),
            encoding: Some(Encoding {
                side: SideArg::Query,
                precision: PrecisionArg::Int8,
                max_length: 256,
                prompt: "query: ".into(),
                prune: PruneArgs { top_k: Some(5), threshold: Some(0.1) },
            }),
        };
        let back = |made_by: &MadeBy| format!("{:?}", MadeBy::from_json(&made_by.to_json()));
        assert_eq!(back(&made_by), format!("{made_by:?}"));
        assert_eq!(back(&MadeBy::default()), format!("{:?}", MadeBy::default()));
        assert!(made_by.check(Path::new("m"), 8).is_ok());
        assert!(made_by.check(Path::new("m"), 7).is_err());
        let other = serde_json::json!({"model": 7, "as": "neither", "threshold": 1});
        assert_eq!(back(&MadeBy::from_json(&other)), format!("{:?}", MadeBy::default()));
    }
}
