//! How much room a terminal has, and what fits there.

use std::io::IsTerminal;

use splade_io::display_width;
use terminal_size::{Width, terminal_size_of};

/// The columns where there is no terminal, or it does not say.
const USUAL: usize = 80;

/// The columns of standard output.
pub(crate) fn columns_of_stdout() -> usize {
    columns_of(terminal_size_of(std::io::stdout()).map(|(width, _)| width))
}

/// The columns of standard output where it is a terminal. Files and pipes have room for any line.
pub(crate) fn room_of_stdout() -> Option<usize> {
    std::io::stdout().is_terminal().then(columns_of_stdout)
}

/// The columns of standard error.
pub(crate) fn columns_of_stderr() -> usize {
    columns_of(terminal_size_of(std::io::stderr()).map(|(width, _)| width))
}

fn columns_of(width: Option<Width>) -> usize {
    width.map_or(USUAL, |Width(columns)| usize::from(columns)).max(20)
}

/// The parts that fit into a line, in their order and between commas. Parts of a lower number are more
/// important.
pub(crate) fn fit(parts: &[(u8, String)], width: usize) -> String {
    let mut kept: Vec<&(u8, String)> = parts.iter().filter(|(_, text)| !text.is_empty()).collect();
    loop {
        let texts: Vec<&str> = kept.iter().map(|(_, text)| text.as_str()).collect();
        let line = texts.join(", ");
        let least = kept.iter().map(|(importance, _)| *importance).max().unwrap_or(0);
        if kept.len() <= 1 || display_width(&line) <= width {
            return line;
        }
        let at = kept.iter().rposition(|(importance, _)| *importance == least);
        at.map(|at| kept.remove(at));
    }
}

/// A bar that is full where the share is 1, in eighths of a column.
pub(crate) fn bar(share: f64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// The words between blanks, in lines of at most `width` columns. A word that is wider has a line of its own.
pub(crate) fn wrap<'a>(words: impl IntoIterator<Item = &'a str>, width: usize) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for word in words {
        let columns = display_width(word);
        match used {
            0 => {}
            _ if used + 1 + columns > width => {
                text.push('\n');
                used = 0;
            }
            _ => {
                text.push(' ');
                used += 1;
            }
        }
        text += word;
        used += columns;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_parts_go_first() {
        let parts = [(1, "encoding".to_owned()), (0, "3 texts".to_owned()), (2, "9/s".to_owned())];
        for (width, want) in [
            (80, "encoding, 3 texts, 9/s"),
            (22, "encoding, 3 texts, 9/s"),
            (21, "encoding, 3 texts"),
            (16, "3 texts"),
            (2, "3 texts"),
        ] {
            assert_eq!(fit(&parts, width), want, "{width}");
        }
    }

    #[test]
    fn bars_have_their_length() {
        for (share, want) in [(0.0, ""), (0.5, "██"), (1.0, "████"), (2.0, "████"), (0.3, "█▎")]
        {
            assert_eq!(bar(share, 4), want, "{share}");
        }
    }

    #[test]
    fn lines_break_between_words() {
        let words = ["[CLS]", "夢", "洲", "##博", "[SEP]"];
        for (width, want) in [
            (80, "[CLS] 夢 洲 ##博 [SEP]"),
            (22, "[CLS] 夢 洲 ##博 [SEP]"),
            (21, "[CLS] 夢 洲 ##博\n[SEP]"),
            (8, "[CLS] 夢\n洲 ##博\n[SEP]"),
            (1, "[CLS]\n夢\n洲\n##博\n[SEP]"),
        ] {
            assert_eq!(wrap(words, width), want, "{width}");
        }
        assert_eq!(wrap([], 10), "");
    }
}
