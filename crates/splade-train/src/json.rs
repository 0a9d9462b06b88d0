//! JSON as Python writes it.

use serde::Serialize;
use serde_json::{Value, json};

/// A number, without a point where it is whole.
pub(crate) fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 1e15 {
        true => json!(value as i64),
        false => json!(value),
    }
}

/// Two spaces, and a line end.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string_pretty(value).expect("JSON of strings and numbers: this is a bug");
    text.push('\n');
    text
}
