//! Finds the keys of a JSON file that this program does not know.
//!
//! A key that is not known may change vectors, so passing over it could give other vectors than
//! the library that wrote the file. The lists of known keys are beside the code that reads the
//! files.

use serde_json::Value;

/// Returns the first key of an object that is in none of the lists of known keys, with its value.
/// Values that stand for "nothing" or "off" (`null`, `false`, and empty texts, lists and objects)
/// are passed over. An entry of a list may begin or end with `*`, which stands for any text.
///
/// ```
/// use serde_json::json;
///
/// let config = json!({"hidden_size": 32, "layer_scale": 0.5, "dropout_head": 0.1, "cache": false});
/// let known: &[&[&str]] = &[&["hidden_size"], &["dropout_*"]];
/// let Some((key, value)) = splade_text::unknown_key(&config, known) else { panic!() };
/// assert_eq!((key, value.as_f64()), ("layer_scale", Some(0.5)));
/// ```
pub fn unknown_key<'a>(object: &'a Value, known: &[&[&str]]) -> Option<(&'a str, &'a Value)> {
    let is_known = |key: &str| known.iter().copied().flatten().any(|known| matches(known, key));
    let mut entries = object.as_object().into_iter().flatten();
    entries
        .find(|(key, value)| !is_off(value) && !is_known(key))
        .map(|(key, value)| (&**key, value))
}

/// Returns a value as JSON for a message, cut after 80 characters.
///
/// ```
/// use serde_json::json;
///
/// assert_eq!(splade_text::shown_value(&json!({"type": "NFKC"})), r#"{"type":"NFKC"}"#);
/// assert!(splade_text::shown_value(&json!(vec![0; 1000])).chars().count() < 100);
/// ```
pub fn shown_value(value: &Value) -> String {
    let json = value.to_string();
    match json.char_indices().nth(80) {
        None => json,
        Some((end, _)) => format!("{}…", &json[..end]),
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

fn matches(known: &str, key: &str) -> bool {
    match (known.strip_prefix('*'), known.strip_suffix('*')) {
        (None, None) => key == known,
        (Some(end), None) => key.ends_with(end),
        (None, Some(start)) => key.starts_with(start),
        (Some(_), Some(_)) => key.contains(known.trim_matches('*')),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_keys_are_those_that_are_on() {
        let known: &[&[&str]] = &[&["a", "_*"], &["*_token_id", "*dropout*"]];
        for (object, wanted) in [
            (json!({"a": 1, "_name": 2, "x_token_id": 3, "my_dropout_rate": 4}), None),
            (json!({"b": null, "c": false, "d": "", "e": [], "f": {}}), None),
            (json!({"a": 1, "a_": 0}), Some("a_")),
            (json!({"b": true}), Some("b")),
            (json!({"token_id": 1}), Some("token_id")),
            (json!([1]), None),
        ] {
            let found = unknown_key(&object, known).map(|(key, _)| key);
            assert_eq!(found, wanted, "{object}");
        }
        assert_eq!(shown_value(&json!("x".repeat(200))).chars().count(), 81);
    }
}
