//! JSON values and texts in the form in which Python writes them.

use serde::Serialize;
use serde_json::{Value, json};

/// Returns a JSON number, without a decimal point if the value is an integer.
pub(crate) fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 1e15 {
        true => json!(value as i64),
        false => json!(value),
    }
}

/// Returns JSON with an indentation of two spaces and a newline at the end.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value)
        .expect("a value cannot be written as JSON: this is a bug");
    text.push('\n');
    text
}
