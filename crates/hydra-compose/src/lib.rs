//! Composes a config from YAML files and overrides in the way Hydra 1.3 does (with `version_base`
//! 1.2, which the Python library uses). Values and interpolations follow OmegaConf 2.3.
//!
//! The following features are not implemented, and using one is an error: interpolations in
//! defaults lists, Hydra's plugins and logging groups (`hydra/...`), override functions other than
//! those of sweeps, and the merging of structured configs. A composed config is read into typed
//! structs with the module [`settings`](mod@settings).
//!
//! ```
//! use hydra_compose::{ComposeOptions, compose};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::create_dir(folder.path().join("model"))?;
//! std::fs::write(folder.path().join("model/small.yaml"), "layers: 2\nwidth: 64\n")?;
//! std::fs::write(folder.path().join("run.yaml"), "defaults: [model: small, _self_]\nseed: 42\n")?;
//!
//! let overrides = vec!["model.layers=4".to_owned(), "+name=run-${seed}".to_owned()];
//! let composed = compose(&ComposeOptions::new(folder.path(), "run", overrides))?;
//! let value = composed.value()?;
//! assert_eq!((&value["model"]["layers"], &value["name"]), (&4.into(), &"run-42".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod compose;
mod defaults;
mod emit;
mod entry;
mod error;
mod interpolate;
mod nearest;
mod node;
mod overrides;
mod repository;
mod runtime;
mod scalar;
pub mod settings;
mod suggest;
mod sweep;
mod template;
mod time;
mod value;
mod yaml;

pub use compose::{ComposeOptions, Composed, compose};
pub use error::ComposeError;
pub use nearest::did_you_mean;
pub use sweep::sweep;
