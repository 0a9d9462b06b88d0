//! Tables of the words that stand for values in a config.

/// Returns the first word of a table that stands for a value.
pub(super) fn word<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, of)| of == value)
        .map(|(word, _)| *word)
        .expect("the table lacks a value: this is a bug")
}
