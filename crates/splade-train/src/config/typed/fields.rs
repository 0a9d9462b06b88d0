//! Reads one mapping of a config: values by name and type, and then an error for unknown names.

use serde_json::{Map, Value};

use super::names::{is_variable, unknown_beside};
use crate::error::TrainError;
use hydra_compose::did_you_mean;

/// A mapping of a config, with the names that were read so far.
pub(crate) struct Fields<'a> {
    at: String,
    object: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Opens the mapping at the path `at`. `None` counts as an empty mapping.
    pub(crate) fn new(at: impl Into<String>, value: Option<&'a Value>) -> Result<Self, TrainError> {
        let at = at.into();
        let object = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(object),
            Some(other) => return Err(wrong_type(&at, other, "a mapping")),
        };
        Ok(Fields { at, object, known: Vec::new() })
    }

    /// Returns the full path of a field, such as `training.optim`.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// Returns an error about a field.
    pub(crate) fn error(&self, name: &str, message: impl Into<String>) -> TrainError {
        TrainError::Config { at: self.path(name), message: message.into() }
    }

    /// Returns whether a field is present, even if it is null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.is_some_and(|object| object.contains_key(name))
    }

    /// Returns a value without conversion, null included; `None` if the field is missing.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object?.get(name)
    }

    /// Returns a value that is present and not null.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// Opens a nested mapping.
    pub(crate) fn fields(&mut self, name: &'static str) -> Result<Fields<'a>, TrainError> {
        let value = self.value(name);
        Fields::new(self.path(name), value)
    }

    /// Returns the value of a field whose default is not null, and refuses an explicit null.
    fn given(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<&'a Value>, TrainError> {
        match self.raw(name) {
            Some(value @ Value::Null) => Err(wrong_type(&self.path(name), value, expected)),
            other => Ok(other),
        }
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, TrainError> {
        let value = self.value(name);
        match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong_type(&self.path(name), other, "a string")),
        }
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<String, TrainError> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.error(name, "this setting is required"))
    }

    pub(crate) fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, TrainError> {
        const EXPECTED: &str = "true or false";
        match self.given(name, EXPECTED)? {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(wrong_type(&self.path(name), other, EXPECTED)),
        }
    }

    pub(crate) fn optional_flag(&mut self, name: &'static str) -> Result<Option<bool>, TrainError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong_type(&self.path(name), other, "true or false")),
        }
    }

    /// Reads an integer of at least `least`. A float without a fraction, such as `1e5`, is
    /// accepted.
    pub(crate) fn count(
        &mut self,
        name: &'static str,
        default: u64,
        least: u64,
    ) -> Result<u64, TrainError> {
        let expected = whole(least);
        match self.given(name, &expected)? {
            None => Ok(default),
            Some(value) => self.whole(name, value, least),
        }
    }

    pub(crate) fn optional_count(
        &mut self,
        name: &'static str,
        least: u64,
    ) -> Result<Option<u64>, TrainError> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => self.whole(name, value, least).map(Some),
        }
    }

    fn whole(&self, name: &str, value: &Value, least: u64) -> Result<u64, TrainError> {
        // Above 2^53, an f64 cannot represent every integer.
        let exact = |f: f64| f.fract() == 0.0 && (0.0..9e15).contains(&f);
        value
            .as_u64()
            .or_else(|| value.as_f64().filter(|f| exact(*f)).map(|f| f as u64))
            .filter(|n| *n >= least)
            .ok_or_else(|| wrong_type(&self.path(name), value, &whole(least)))
    }

    /// Reads a finite number in a range; `expected` describes the range in error messages.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        default: f64,
        range: impl std::ops::RangeBounds<f64>,
        expected: &str,
    ) -> Result<f64, TrainError> {
        match self.given(name, expected)? {
            None => Ok(default),
            Some(value) => number(&self.path(name), value, range, expected),
        }
    }

    pub(crate) fn optional_number(
        &mut self,
        name: &'static str,
        range: impl std::ops::RangeBounds<f64>,
        expected: &str,
    ) -> Result<Option<f64>, TrainError> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => number(&self.path(name), value, range, expected).map(Some),
        }
    }

    /// Reads a list of strings, or a single string.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, TrainError> {
        const EXPECTED: &str = "a list of strings";
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(one)) => Ok(Some(vec![one.clone()])),
            Some(Value::Array(list)) => list
                .iter()
                .map(|value| match value {
                    Value::String(text) => Ok(text.clone()),
                    other => Err(wrong_type(&self.path(name), other, EXPECTED)),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(wrong_type(&self.path(name), other, EXPECTED)),
        }
    }

    /// Reads one of the words of a table.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> Result<T, TrainError> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let text = match self.value(name) {
            None => return Ok(default),
            Some(Value::String(text)) => text.clone(),
            // YAML reads `no` without quotes as false, and nothing else can have been meant.
            Some(Value::Bool(false)) if names.contains(&"no") => "no".to_owned(),
            Some(other) => {
                let expected = format!("a string, one of {}", names.join(", "));
                return Err(wrong_type(&self.path(name), other, &expected));
            }
        };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => {
                let hint = did_you_mean(&text, names.iter().copied());
                Err(self.error(name, format!("`{text}` is not one of {}{hint}", names.join(", "))))
            }
        }
    }

    /// Returns the entries of this mapping, for mappings with arbitrary names.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.object.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns an error for a name that was not read. Names in capitals are variables for
    /// interpolations and are allowed.
    pub(crate) fn finish(self) -> Result<(), TrainError> {
        let is_known = |name: &str| self.known.contains(&name) || is_variable(name);
        match self.names().find(|(name, _)| !is_known(name)) {
            Some((name, _)) => Err(unknown_beside(&self.path(name), name, &self.known)),
            None => Ok(()),
        }
    }
}

fn whole(least: u64) -> String {
    match least {
        0 => "a whole number, 0 or more".to_owned(),
        least => format!("a whole number of at least {least}"),
    }
}

fn number(
    at: &str,
    value: &Value,
    range: impl std::ops::RangeBounds<f64>,
    expected: &str,
) -> Result<f64, TrainError> {
    value
        .as_f64()
        .filter(|number| number.is_finite() && range.contains(number))
        .ok_or_else(|| wrong_type(at, value, expected))
}

/// Returns an error that names the value and what was expected.
pub(crate) fn wrong_type(at: &str, value: &Value, expected: &str) -> TrainError {
    let is_bool = |text: &str| ["true", "false", "yes", "no", "on", "off"].contains(&text);
    let wants_text = expected.contains("string");
    let hint = match value {
        Value::String(text) if text.parse::<f64>().is_ok() && expected.contains("number") => {
            "\nhint: write it without quotes; of an environment variable: \
             ${oc.decode:${oc.env:NAME}}"
        }
        Value::String(text) if is_bool(&text.to_lowercase()) && expected.contains("true") => {
            "\nhint: write true or false without quotes"
        }
        Value::Bool(_) if wants_text => {
            "\nhint: YAML reads yes, no, on and off as true and false; write such a word in quotes, \
             as \"no\""
        }
        Value::Number(_) if wants_text => "\nhint: write it in quotes",
        _ => "",
    };
    TrainError::Config {
        at: at.to_owned(),
        message: format!("expected {expected}, got {value}{hint}"),
    }
}
