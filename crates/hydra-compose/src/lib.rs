//! Composes a config from files and overrides as Hydra 1.3 does (`version_base` 1.2, which the
//! Python library uses), with the values of OmegaConf 2.3.
//!
//! Not implemented, each an error: interpolations in defaults lists, Hydra's plugins and logging
//! (`hydra/...`), functions in overrides other than those of sweeps, structured configs.

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
mod sweep;
mod template;
mod time;
mod value;
mod yaml;

pub use compose::{ComposeOptions, Composed, compose};
pub use error::ComposeError;
pub use nearest::did_you_mean;
pub use sweep::sweep;
