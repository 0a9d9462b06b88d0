//! Reads triples of a query, a positive and a negative: one in each line, as ids or texts separated
//! by tabs.

use std::io::BufRead;
use std::path::Path;

use splade_io::open_text;

use super::inputs::error;
use super::pairs::Triple;
use super::steps::Steps;
use crate::error::DataError;

/// Reads a file, compressed or not. The first line decides whether the file contains ids or texts.
/// Triples that `by_ids` or `by_texts` does not know are skipped and counted.
pub(super) fn read(
    path: &Path,
    by_ids: impl Fn([i64; 3]) -> Option<Triple>,
    mut by_texts: impl FnMut([&str; 3], &mut Steps<'_>) -> Result<Option<Triple>, DataError>,
    steps: &mut Steps<'_>,
) -> Result<(Vec<Triple>, u64), DataError> {
    let mut reader = open_text(path)?;
    let (mut triples, mut left_out) = (Vec::new(), 0);
    let (mut line, mut number, mut are_ids) = (Vec::new(), 0, None);
    while reader.read_until(b'\n', &mut line).map_err(DataError::io(path))? > 0 {
        steps.count("triples read", number, None)?;
        number += 1;
        let here = |message: &str| {
            let (path, message) = (path.to_path_buf(), message.to_owned());
            DataError::Line { path, line: number, message }
        };
        let text = std::str::from_utf8(&line).map_err(|_| here("it is not UTF-8"))?;
        let mut fields = text.trim_end().split('\t');
        let (Some(query), Some(positive), Some(negative), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(here("expected a query, a positive and a negative, separated by tabs"));
        };
        let fields = [query, positive, negative];
        let is_id = |field: &str| field.parse::<i64>().is_ok();
        let triple = match *are_ids.get_or_insert_with(|| fields.into_iter().all(is_id)) {
            true => {
                let [Ok(query), Ok(positive), Ok(negative)] = fields.map(str::parse) else {
                    return Err(here("three ids are expected, as on the first line"));
                };
                by_ids([query, positive, negative])
            }
            false => by_texts(fields, steps)?,
        };
        match triple {
            Some(triple) => triples.push(triple),
            None => left_out += 1,
        }
        line.clear();
    }
    match triples.len() {
        0 => Err(error(path, "no triple has a query and documents that are known")),
        count if count >= u32::MAX as usize => {
            Err(error(path, "it has 4,294,967,295 triples or more"))
        }
        _ => Ok((triples, left_out)),
    }
}
