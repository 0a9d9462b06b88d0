//! The settings of the hub and its cache, read from the environment variables of `huggingface_hub`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::ModelError;

/// The settings of the hub and its cache.
///
/// ```
/// use splade_model::hub::HubOptions;
///
/// let mut options = HubOptions::from_env()?;
/// // A mirror, with a cache of its own.
/// options.endpoint = "https://hub.example.org".to_owned();
/// options.cache = "/srv/models".into();
/// assert!(!format!("{options:?}").contains("hf_"), "the token is not shown");
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// The folder that contains `models--org--name`.
    pub cache: PathBuf,
    /// The URL of the hub, without a slash at its end.
    pub endpoint: String,
    /// The access token. It is sent only to the hub, never to a server that the hub redirects to.
    pub token: Option<String>,
    /// Whether only the cache is used and no request is sent.
    pub offline: bool,
    /// The proxies, the trusted certificates and the retries of requests.
    #[cfg(feature = "hub")]
    pub http: splade_http::HttpOptions,
}

impl HubOptions {
    /// Reads the settings that Python's tools use. The first variable that is set determines a
    /// setting.
    ///
    /// | setting | from |
    /// |---|---|
    /// | cache | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME/hub` |
    /// | endpoint | `HF_ENDPOINT`, `https://huggingface.co` |
    /// | token | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH` or `HF_HOME/token` |
    /// | offline | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`: 1, true, yes or on |
    ///
    /// The default of `HF_HOME` is `XDG_CACHE_HOME/huggingface` or `~/.cache/huggingface`. Proxies and
    /// certificates are read from the variables that `splade_http::HttpOptions` lists.
    ///
    /// # Errors
    /// Returns an error if no variable gives the cache and there is no home folder.
    pub fn from_env() -> Result<Self, ModelError> {
        Self::from_vars(&|name| std::env::var(name).ok(), std::env::home_dir().as_deref())
    }

    fn from_vars(
        var: &dyn Fn(&str) -> Option<String>,
        home: Option<&Path>,
    ) -> Result<Self, ModelError> {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| var(name).filter(|value| !value.trim().is_empty()))
        };
        let path = |names: &[&str]| {
            let value = first(names)?;
            Some(match (value.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(value),
            })
        };
        let huggingface = path(&["HF_HOME"]).or_else(|| {
            let caches = path(&["XDG_CACHE_HOME"]).or_else(|| Some(home?.join(".cache")));
            Some(caches?.join("huggingface"))
        });
        let cache = path(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
            .or_else(|| Some(huggingface.as_ref()?.join("hub")))
            .ok_or(ModelError::NoCache)?;
        let token = first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).or_else(|| {
            let file = path(&["HF_TOKEN_PATH"]).or_else(|| Some(huggingface?.join("token")));
            std::fs::read_to_string(file?).ok()
        });
        let endpoint =
            first(&["HF_ENDPOINT"]).unwrap_or_else(|| "https://huggingface.co".to_owned());
        let offline = first(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]).is_some_and(|value| {
            ["1", "true", "yes", "on"].contains(&value.trim().to_lowercase().as_str())
        });
        Ok(Self {
            cache,
            endpoint: endpoint.trim().trim_end_matches('/').to_owned(),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            offline,
            #[cfg(feature = "hub")]
            http: splade_http::HttpOptions::from_vars(var),
        })
    }
}

/// Prints all fields except the token.
impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(vars: &[(&str, &str)]) -> HubOptions {
        let var = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        HubOptions::from_vars(&var, Some(Path::new("/home/me"))).expect("options")
    }

    /// The expected values are those of huggingface_hub 0.36 (`constants.py`) under the same
    /// variables.
    #[test]
    fn caches() {
        for (vars, expected) in [
            (&[][..], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HF_HOME", "~/h")], "/home/me/h/hub"),
            (&[("HF_HOME", "")], "/home/me/.cache/huggingface/hub"),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new"),
        ] {
            assert_eq!(options(vars).cache, Path::new(expected), "{vars:?}");
        }
        assert!(HubOptions::from_vars(&|_| None, None).is_err());
    }

    #[test]
    fn endpoint_token_and_offline() {
        let none = options(&[("HF_HOME", "/nowhere")]);
        assert_eq!(
            (&*none.endpoint, none.token, none.offline),
            ("https://huggingface.co", None, false)
        );
        let set = options(&[
            ("HF_ENDPOINT", "http://localhost:1/"),
            ("HF_TOKEN", " hf_secret\n"),
            ("HF_HUB_OFFLINE", "True"),
        ]);
        assert_eq!((&*set.endpoint, set.offline), ("http://localhost:1", true));
        assert_eq!(set.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{set:?}").contains("secret"));
        assert!(!options(&[("HF_HUB_OFFLINE", "0")]).offline);
        assert!(options(&[("TRANSFORMERS_OFFLINE", "YES")]).offline);
    }

    #[test]
    fn token_files() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().to_str().expect("UTF-8");
        std::fs::write(home.path().join("token"), "hf_file\n").expect("written");
        assert_eq!(options(&[("HF_HOME", path)]).token.as_deref(), Some("hf_file"));
        std::fs::write(home.path().join("other"), "hf_other").expect("written");
        let other = format!("{path}/other");
        let vars = [("HF_HOME", path), ("HF_TOKEN_PATH", other.as_str())];
        assert_eq!(options(&vars).token.as_deref(), Some("hf_other"));
    }
}
