//! Composes a config from YAML files and overrides in the way Hydra 1.3 does (with `version_base`
//! 1.2, which the Python library uses). Values and interpolations follow OmegaConf 2.3.
//!
//! The following features are not implemented, and using one is an error: interpolations in
//! defaults lists, Hydra's plugins and logging groups (`hydra/...`), override functions other than
//! those of sweeps, and the merging of structured configs. A composed config is read into typed
//! structs with the module [`settings`](mod@settings).

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
