//! Finds the existing name that is nearest to a misspelled one, for error messages.

/// Returns the candidate with the fewest edits, if it is near enough to be the intended name.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Returns `did you mean X?` for the nearest candidate, if one is near.
///
/// ```
/// use hydra_compose::did_you_mean;
///
/// let names = ["learning_rate", "seed"];
/// assert_eq!(did_you_mean("learning_rte", names).as_deref(), Some("did you mean learning_rate?"));
/// assert_eq!(did_you_mean("optimizer", names), None);
/// ```
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(name, candidates).map(|candidate| format!("did you mean {candidate}?"))
}

/// Returns the number of insertions, deletions, substitutions and swaps of neighbours that turn one
/// string into the other, ignoring case (the optimal string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let mut edits =
                (last[j] + usize::from(a[i] != b[j])).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                edits = edits.min(before_last[j - 1] + 1);
            }
            row.push(edits);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, edits) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("wramup", "warmup", 1),
            ("", "abc", 3),
            ("FLOPS", "flops", 0),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn only_slips_are_named() {
        let names = ["warmup_steps", "save_steps", "seed"];
        assert_eq!(nearest("warmpu_steps", names), Some("warmup_steps"));
        assert_eq!(nearest("something_else", names), None);
        assert_eq!(did_you_mean("sed", names).as_deref(), Some("did you mean seed?"));
    }
}
