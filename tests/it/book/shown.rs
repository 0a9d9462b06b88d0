//! The output that a page shows, and how it is compared with what a command printed.
//!
//! A line `…` stands for any number of lines, and `[..]` within a line for any characters: numbers
//! that differ from run to run, such as times, and the middle of long lines.

/// A line that stands for any number of lines.
const ANY_LINES: &str = "…";
/// Stands for any characters of a line.
const ANY_TEXT: &str = "[..]";

/// Returns whether the printed lines are those that are shown. Lines that tell how long something took
/// are printed only if it took long, so they are left out on both sides.
pub(super) fn matches(shown: &[&str], printed: &[&str]) -> bool {
    let [shown, printed] = [shown, printed].map(|lines| -> Vec<&str> {
        lines.iter().copied().filter(|line| !tells_a_time(line)).collect()
    });
    all_match(&shown, &printed)
}

/// Returns whether a line ends like `150 texts in 2.7 s (55 texts/s)`, is shown as `… in [..]`, or tells how
/// far long work is.
fn tells_a_time(line: &str) -> bool {
    if [" texts/s", " tokens/s", " queries/s"].iter().any(|speed| line.contains(speed)) {
        return true;
    }
    let Some((_, time)) = line.rsplit_once(" in ") else { return false };
    let time = time.split(" (").next().unwrap_or_default();
    let is_clock = time.contains(':') && time.chars().all(|c| c.is_ascii_digit() || c == ':');
    let words: Vec<&str> = time.split(' ').collect();
    let is_part = |part: &[&str]| match part {
        [number, unit] => {
            number.parse::<f64>().is_ok() && ["ms", "s", "min", "h", "d"].contains(unit)
        }
        _ => false,
    };
    time == ANY_TEXT || is_clock || words.chunks(2).all(is_part)
}

fn all_match(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&ANY_LINES, rest)) => {
            (0..=printed.len()).any(|from| all_match(rest, &printed[from..]))
        }
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && all_match(rest, others)),
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    match shown.split_once(ANY_TEXT) {
        None => shown.trim_end() == printed.trim_end(),
        Some((start, rest)) => printed.strip_prefix(start).is_some_and(|printed| {
            let ends = printed.char_indices().map(|(at, _)| at).chain([printed.len()]);
            ends.rev().any(|at| line_matches(rest, &printed[at..]))
        }),
    }
}

/// Returns what the page should show instead: the printed lines, with the abbreviations of the
/// present ones where they still fit. `None` if a person has to decide what to leave out.
pub(super) fn renewed(shown: &[&str], printed: &[&str]) -> Option<Vec<String>> {
    let mut parts = shown.split(|line| *line == ANY_LINES);
    let (head, tail) = (parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let keep = |shown: &[&str], printed: &[&str]| -> Vec<String> {
        let line = |(at, line): (usize, &&str)| match shown.get(at) {
            Some(shown) if line_matches(shown, line) => (*shown).to_owned(),
            _ => line.trim_end().to_owned(),
        };
        printed.iter().enumerate().map(line).collect()
    };
    let Some(tail) = tail else {
        return Some(keep(head, printed));
    };
    if printed.len() < head.len() + tail.len() {
        return None;
    }
    let mut lines = keep(head, &printed[..head.len()]);
    lines.push(ANY_LINES.to_owned());
    lines.extend(keep(tail, &printed[printed.len() - tail.len()..]));
    Some(lines)
}

#[test]
fn abbreviations_stand_for_what_they_should() {
    for (shown, printed, same) in [
        (&["a", "b"][..], &["a", "b"][..], true),
        (&["a"], &["a", "b"], false),
        (&["a", "…"], &["a", "b", "c"], true),
        (&["a", "…"], &["a"], true),
        (&["…", "c"], &["a", "c", "c"], true),
        (&["a", "…", "d"], &["a", "b", "c"], false),
        (&["took [..] s"], &["took 1.5 s"], true),
        (&["took [..] s"], &["took 1.5 ms"], false),
        (&["{[..]:[..]}"], &["{a:b:c}"], true),
        (&["a"], &["a  "], true),
        (&["3 texts in 12 ms"], &["3 pairs in 2 min 5 s (9 pairs/s)"], true),
        (&["3 queries in [..]"], &["3 queries in 0.01 s: 300 queries/s, p50 3 ms"], true),
        (&["3 texts in 12 places"], &[], false),
    ] {
        assert_eq!(matches(shown, printed), same, "{shown:?} {printed:?}");
    }
}

#[test]
fn shown_lines_are_renewed_without_losing_their_abbreviations() {
    let renewed = |shown: &[&str], printed: &[&str]| renewed(shown, printed).map(|l| l.join("|"));
    assert_eq!(
        renewed(&["x 1", "in [..] s"], &["x 2", "in 3 s"]).as_deref(),
        Some("x 2|in [..] s")
    );
    assert_eq!(renewed(&["a", "…"], &["b", "c", "d"]).as_deref(), Some("b|…"));
    assert_eq!(renewed(&["a", "…", "z"], &["b", "c", "z"]).as_deref(), Some("b|…|z"));
    assert_eq!(renewed(&["…", "a", "…"], &["b"]), None);
}
