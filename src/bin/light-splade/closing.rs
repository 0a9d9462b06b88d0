//! The last line of a command that made something: what it made and where, and the command that comes
//! next.

use std::path::Path;

use crate::log;

/// Says what was made, and the command that comes next, if one does.
pub(crate) fn made(what: &str, next: Option<String>) {
    log::say(&format!("wrote {what}"));
    if let Some(next) = next {
        log::next(&format!("light-splade {next}"));
    }
}

/// A path as a shell reads it.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_path() {
        for (path, want) in
            [("a/b.parquet", "a/b.parquet"), ("my index", "'my index'"), ("it's", "'it'\\''s'")]
        {
            assert_eq!(shown(Path::new(path)), want);
        }
    }
}
