//! Text in columns of a terminal, where characters of Chinese and Japanese take two.

use unicode_width::UnicodeWidthChar;

/// The columns between two cells.
const GAP: usize = 2;

/// Returns the columns that a text takes on a terminal. Styles (`ESC [ … m`) take none.
///
/// ```
/// assert_eq!(splade_io::display_width("tea"), 3);
/// assert_eq!(splade_io::display_width("お茶"), 4);
/// assert_eq!(splade_io::display_width("\x1b[1mお茶\x1b[0m"), 4);
/// ```
pub fn display_width(text: &str) -> usize {
    let (mut width, mut characters) = (0, text.chars());
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => {
                characters.find(|character| character.is_ascii_alphabetic());
            }
            _ => width += character.width().unwrap_or(0),
        }
    }
    width
}

/// Returns a text without styles as it is where it fits, and else its beginning and an ellipsis.
///
/// ```
/// assert_eq!(splade_io::cut_to_width("tea", 3), "tea");
/// assert_eq!(splade_io::cut_to_width("お茶の水", 5), "お茶…");
/// ```
pub fn cut_to_width(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |character: &char| match left.checked_sub(character.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let cut: String = text.chars().take_while(fits).collect();
    if width == 0 { cut } else { cut + "…" }
}

/// Returns rows with their cells one below the other, a line each. `right` tells of each column
/// whether its cells end below each other, as numbers do; columns beyond it begin below each other.
///
/// ```
/// let rows = [["お茶", "2"], ["tea", "10"]].map(|row| row.map(str::to_owned).to_vec());
/// assert_eq!(splade_io::columns(&rows, &[false, true]), "お茶   2\ntea   10\n");
/// ```
pub fn columns(rows: &[Vec<String>], right: &[bool]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| display_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let blanks = " ".repeat(widths[column] - display_width(cell));
            let gap = if column > 0 { GAP } else { 0 };
            line.extend(std::iter::repeat_n(' ', gap));
            match right.get(column) {
                Some(true) => line.extend([blanks.as_str(), cell.as_str()]),
                _ => line.extend([cell.as_str(), blanks.as_str()]),
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
