//! Writes numbers of things and of bytes for messages.

use std::fmt::Display;

/// Returns a number with its noun, which is given in the plural: `1 text`, `2 texts`, `1 query`,
/// `1 file of documents`.
///
/// ```
/// use splade_io::counted;
///
/// assert_eq!(counted(1, "judged queries"), "1 judged query");
/// assert_eq!(counted(2, "batches"), "2 batches");
/// ```
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, nouns: &str) -> String {
    match count == N::from(1) {
        true => format!("1 {}", singular(nouns)),
        false => format!("{count} {nouns}"),
    }
}

/// Returns the singular of a noun in the plural; of a phrase, its last word or that before `of`.
fn singular(nouns: &str) -> String {
    let (noun, rest) = match nouns.find([',', '(']).into_iter().chain(preposition(nouns)).min() {
        Some(end) => nouns.split_at(end),
        None => (nouns, ""),
    };
    let endings =
        [("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("sses", "ss"), ("s", "")];
    let found = endings
        .iter()
        .find_map(|(plural, one)| Some(format!("{}{one}", noun.strip_suffix(plural)?)));
    found.unwrap_or_else(|| noun.to_owned()) + rest
}

/// Returns where the first preposition of a phrase begins, with its blank.
fn preposition(nouns: &str) -> Option<usize> {
    [" of ", " in ", " with ", " without "].iter().filter_map(|word| nouns.find(word)).min()
}

/// Returns a number of bytes in the unit that fits, with three digits: `512 B`, `1.50 kB`,
/// `30.5 MB`, `7.25 GB`. The units are powers of 1000.
///
/// ```
/// assert_eq!(splade_io::size(1_500), "1.50 kB");
/// ```
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.5 would be written as 1000.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_agree_with_their_numbers() {
        for (count, nouns, want) in [
            (0, "texts", "0 texts"),
            (1, "texts", "1 text"),
            (2, "texts", "2 texts"),
            (1, "queries", "1 query"),
            (1, "batches", "1 batch"),
            (1, "indexes", "1 index"),
            (1, "losses", "1 loss"),
            (1, "bytes", "1 byte"),
            (1, "judged queries", "1 judged query"),
            (1, "files of documents", "1 file of documents"),
            (1, "queries in the qrels without documents", "1 query in the qrels without documents"),
            (1, "documents without text", "1 document without text"),
            (7, "documents without text", "7 documents without text"),
        ] {
            assert_eq!(counted::<u64>(count, nouns), want);
        }
    }

    #[test]
    fn sizes_have_units_that_fit() {
        for (bytes, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_996, "10.0 kB"),
            (99_949, "99.9 kB"),
            (99_951, "100 kB"),
            (999_499, "999 kB"),
            (999_501, "1.00 MB"),
            (30_500_000, "30.5 MB"),
            (7_250_000_000, "7.25 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), want);
        }
    }
}
