//! The last line of a command that made something: what it made and where, and the command that comes
//! next.

use std::path::Path;

use crate::log;
use crate::quoting::quoted;

/// Says what was made, and the command that comes next, if one does.
pub(crate) fn made(what: &str, next: Option<String>) {
    log::say(&format!("wrote {what}"));
    if let Some(next) = next {
        log::next(&format!("light-splade {next}"));
    }
}

/// A path as a shell reads it.
pub(crate) fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}
