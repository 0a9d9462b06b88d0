//! Settings that an output records, so that a resumed command can compare them with its own.
//!
//! Settings are a JSON object. Its key `content` holds hashes of the contents that the output
//! depends on: `{"version": 1, "model": {"weights": …, "tokenizer": …}, …}`. Outputs of earlier
//! versions of the program have no `content`, so for them only names and numbers are compared.
//!
//! ```
//! use serde_json::json;
//! use splade_io::settings::{content, difference};
//!
//! let begun = json!({"k": 10, "content": content([("model", json!("xxh3:1"))])});
//! let now = json!({"k": 20, "content": content([("model", json!("xxh3:1"))])});
//! assert_eq!(difference(&begun, &begun), None);
//! assert_eq!(difference(&begun, &now).as_deref(), Some("\"k\" was 10, now 20"));
//! ```

use std::path::Path;

use serde_json::{Value, json};

/// The version of `content`.
const VERSION: u64 = 1;
/// The keys that only outputs without `content` have: sizes and times of files, in place of hashes.
const STAMPS: [&str; 5] =
    ["data_files", "model_files", "pairs_file", "teacher_files", "model_weights"];

/// Returns the value of `content` for hashes by name. Hashes that are not known are left out.
///
/// ```
/// use serde_json::json;
/// use splade_io::settings::{content, records_content};
///
/// let hashes = [("documents", json!("xxh3:1")), ("teacher", json!(null))];
/// let settings = json!({"k": 10, "content": content(hashes)});
/// assert!(records_content(&settings));
/// assert!(settings["content"].get("teacher").is_none(), "there is no teacher");
/// ```
pub fn content<K: Into<String>>(hashes: impl IntoIterator<Item = (K, Value)>) -> Value {
    let mut content = json!({ "version": VERSION });
    for (name, hash) in hashes.into_iter().filter(|(_, hash)| !hash.is_null()) {
        content[name.into()] = hash;
    }
    content
}

/// Returns whether settings record hashes of contents.
///
/// ```
/// use serde_json::json;
/// use splade_io::settings::records_content;
///
/// assert!(records_content(&json!({"content": {"version": 1}})));
/// assert!(!records_content(&json!({"data_files": ["corpus.jsonl"]})), "of an earlier version");
/// ```
pub fn records_content(settings: &Value) -> bool {
    settings["content"].is_object()
}

/// Returns a description of the first setting in which an output that was begun differs from what
/// the command would write now, or `None` if the output may be continued.
///
/// A model is compared by its content if that is recorded, so it may lie in another folder now.
///
/// ```
/// use serde_json::json;
/// use splade_io::settings::{content, difference};
///
/// let settings = |documents: &str| json!({"content": content([("documents", json!(documents))])});
/// assert_eq!(difference(&settings("xxh3:1"), &settings("xxh3:1")), None);
/// assert!(difference(&settings("xxh3:1"), &settings("xxh3:2")).is_some());
/// ```
pub fn difference(begun: &Value, now: &Value) -> Option<String> {
    let (Value::Object(old), Value::Object(new)) = (begun, now) else {
        return (begun != now).then(|| format!("{begun}, now {now}"));
    };
    let known = records_content(begun);
    if known && let Some(difference) = content_difference(begun, now) {
        return Some(difference);
    }
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.retain(|key| *key != "content" && (known || !STAMPS.contains(&key.as_str())));
    keys.into_iter().find_map(|key| {
        let (old, new) = (&begun[key], &now[key]);
        let is_same = old == new
            || (key == "model" && known && begun["content"]["model"].is_object())
            || (key == "model" && !known && is_end(old, new))
            // An earlier version did not record the setting.
            || (!known && !begun.as_object().is_some_and(|begun| begun.contains_key(key)));
        (!is_same).then(|| format!("\"{key}\" was {old}, now {new}"))
    })
}

/// Returns whether a path is the end of another one: earlier versions recorded models as they were
/// named.
fn is_end(end: &Value, path: &Value) -> bool {
    let end = end.as_str().map(|end| end.strip_prefix("./").unwrap_or(end));
    end.zip(path.as_str()).is_some_and(|(end, path)| Path::new(path).ends_with(end))
}

fn content_difference(begun: &Value, now: &Value) -> Option<String> {
    let (old, new) = (&begun["content"], &now["content"]);
    let mut keys: Vec<&String> =
        [old, new].into_iter().filter_map(Value::as_object).flat_map(|all| all.keys()).collect();
    keys.sort();
    keys.dedup();
    let key = keys.into_iter().find(|key| old[key.as_str()] != new[key.as_str()])?;
    if key == "model" {
        return Some(model_difference(begun, now));
    }
    if key == "version" {
        return Some(format!("its hashes have version {}, now {}", old[key], new[key]));
    }
    let part =
        leaf(&old[key], &new[key]).map_or_else(|| key.clone(), |leaf| format!("{key}.{leaf}"));
    Some(format!("the content of {part} has changed since"))
}

fn model_difference(begun: &Value, now: &Value) -> String {
    let (old, new) = (&begun["content"]["model"], &now["content"]["model"]);
    let part = leaf(old, new).unwrap_or_else(|| "weights".to_owned());
    let short = |hash: &Value| match hash[&part].as_str() {
        Some(hash) => hash.chars().take("xxh3:".len() + 8).collect(),
        None => "unknown".to_owned(),
    };
    let (was, is): (String, String) = (short(old), short(new));
    let name = |settings: &Value| settings["model"].as_str().unwrap_or("unknown").to_owned();
    match (name(begun), name(now)) {
        (a, b) if a == b => {
            format!("the model {a} has changed since ({part} {was}, now {is})")
        }
        (a, b) => format!("the model was {a} ({part} {was}), now {b} ({part} {is})"),
    }
}

/// Returns the dotted name of the first value in which two objects differ.
fn leaf(old: &Value, new: &Value) -> Option<String> {
    let keys = [old, new].into_iter().filter_map(Value::as_object).flat_map(|all| all.keys());
    let mut keys: Vec<&String> = keys.collect();
    keys.sort();
    let key = keys.into_iter().find(|key| old[key.as_str()] != new[key.as_str()])?;
    let rest = leaf(&old[key.as_str()], &new[key.as_str()]);
    Some(rest.map_or_else(|| key.clone(), |rest| format!("{key}.{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_compared() {
        let model = |weights: &str| json!({"weights": weights, "tokenizer": "xxh3:t"});
        let with = |name: &str, weights: &str, length: u64| {
            json!({
                "model": name, "max_length": length,
                "content": content([("model", model(weights)), ("none", Value::Null)]),
            })
        };
        let old = |name: &str, length: u64| json!({"model": name, "max_length": length});
        let cases = [
            (with("/a", "xxh3:1", 9), with("/a", "xxh3:1", 9), None),
            // The folder was moved.
            (with("/a", "xxh3:1", 9), with("/b", "xxh3:1", 9), None),
            (
                with("/a", "xxh3:1", 9),
                with("/a", "xxh3:2", 9),
                Some("the model /a has changed since (weights xxh3:1, now xxh3:2)"),
            ),
            (
                with("/a", "xxh3:1", 9),
                with("/b", "xxh3:2", 9),
                Some("the model was /a (weights xxh3:1), now /b (weights xxh3:2)"),
            ),
            (with("/a", "xxh3:1", 9), with("/a", "xxh3:1", 8), Some("\"max_length\" was 9, now 8")),
            // Earlier versions did not record contents.
            (old("./m/a", 9), with("/home/m/a", "xxh3:1", 9), None),
            (
                old("b", 9),
                with("/home/m/a", "xxh3:1", 9),
                Some("\"model\" was \"b\", now \"/home/m/a\""),
            ),
            (old("/a", 9), with("/a", "xxh3:1", 8), Some("\"max_length\" was 9, now 8")),
            (json!({"model": "/a", "data_files": [1]}), with("/a", "xxh3:1", 8), None),
            (json!(1), json!(2), Some("1, now 2")),
        ];
        for (begun, now, want) in cases {
            assert_eq!(difference(&begun, &now).as_deref(), want, "{begun} {now}");
        }
        let data =
            |hash: u64| json!({"content": content([("data", json!({"docs": [hash], "x": 1}))])});
        assert!(records_content(&data(1)) && !records_content(&json!({})));
        let found = difference(&data(1), &data(2));
        assert_eq!(found.as_deref(), Some("the content of data.docs has changed since"));
    }
}
