//! Words of commands that this program prints, as a POSIX shell reads them.

/// A word as a shell reads it: in single quotes unless it is plain.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%=,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_word() {
        for (word, want) in [
            ("a/b.parquet", "a/b.parquet"),
            ("training.seed=1,2", "training.seed=1,2"),
            ("海", "海"),
            ("my index", "'my index'"),
            ("it's", "'it'\\''s'"),
            ("\"$HOME\"", "'\"$HOME\"'"),
            ("a=${b}", "'a=${b}'"),
            ("~a", "'~a'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), want);
        }
    }
}
