//! The kinds of settings: how a setting is read, checked and written, and what its default is.

use std::fmt;
use std::ops::Bound;
use std::ops::RangeBounds;

use serde::Serialize;
use serde_json::{Value, json};

use super::describe::Descriptions;
use super::error::{Problem, SettingError};
use super::fields::{Fields, Kind, Settings, Written};
use super::names::Names;
use crate::nearest::did_you_mean;

/// The conversion of a single value. [`required`], [`optional`] and the method `or` make a kind of
/// it.
pub trait Parse<T> {
    /// Whether null is the same as a setting that is not there.
    const NULL_IS_UNSET: bool = false;

    /// Says which values are accepted, in errors and in documentation.
    fn expected(&self) -> String;

    /// Converts a value of a config; `at` is the path of the setting.
    ///
    /// # Errors
    /// Returns an error if the value has a wrong type or is outside of its range.
    fn parse(&self, at: &str, value: &Value) -> Result<T, SettingError>;

    /// Converts a value back.
    fn json(&self, value: &T) -> Value;
}

/// A setting that must be given; see [`required`].
#[derive(Debug, Clone, Copy)]
pub struct Required<P>(P);

/// Makes a setting required: null, and a setting that is not there, are errors.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, count, required};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The number of steps.
///         steps: u64 = required(count(1));
///     }
/// }
/// let error = Run::from_value(&serde_json::json!({})).expect_err("no steps");
/// assert_eq!(error.to_string(), "steps: this setting is required");
/// ```
pub fn required<P>(parse: P) -> Required<P> {
    Required(parse)
}

impl<T: Default, P: Parse<T>> Kind<T> for Required<P> {
    fn unset(&self) -> T {
        T::default()
    }

    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<T, SettingError> {
        match fields.value(name) {
            Some(value) => self.0.parse(&fields.path(name), value),
            None => Err(fields.missing(name)),
        }
    }

    fn write(&self, name: &'static str, value: &T, written: &mut Written) {
        written.set(name, self.0.json(value));
    }

    fn values(&self) -> String {
        self.0.expected()
    }

    fn is_required(&self) -> bool {
        true
    }
}

/// A setting with a default; see the method `or` of the kinds.
#[derive(Debug, Clone, Copy)]
pub struct Or<P, T> {
    parse: P,
    default: T,
}

impl<T: Clone, P: Parse<T>> Kind<T> for Or<P, T> {
    fn unset(&self) -> T {
        self.default.clone()
    }

    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<T, SettingError> {
        let value = if P::NULL_IS_UNSET { fields.value(name) } else { fields.raw(name) };
        match value {
            Some(value) => self.parse.parse(&fields.path(name), value),
            None => Ok(self.unset()),
        }
    }

    fn write(&self, name: &'static str, value: &T, written: &mut Written) {
        written.set(name, self.parse.json(value));
    }

    fn values(&self) -> String {
        self.parse.expected()
    }
}

/// A setting that may be null or left out; see [`optional`].
#[derive(Debug, Clone, Copy)]
pub struct Optional<P>(P);

/// Makes a setting optional: null, and a setting that is not there, are `None`.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, count, optional};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The number of steps; all if none is given.
///         steps: Option<u64> = optional(count(1));
///     }
/// }
/// assert_eq!(Run::from_value(&serde_json::json!({}))?.steps, None);
/// assert_eq!(Run::from_value(&serde_json::json!({"steps": 3}))?.steps, Some(3));
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn optional<P>(parse: P) -> Optional<P> {
    Optional(parse)
}

impl<T, P: Parse<T>> Kind<Option<T>> for Optional<P> {
    fn unset(&self) -> Option<T> {
        None
    }

    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<Option<T>, SettingError> {
        let value = fields.value(name);
        value.map(|value| self.0.parse(&fields.path(name), value)).transpose()
    }

    fn write(&self, name: &'static str, value: &Option<T>, written: &mut Written) {
        written.set(name, value.as_ref().map_or(Value::Null, |value| self.0.json(value)));
    }

    fn values(&self) -> String {
        format!("{}, or null", self.0.expected())
    }
}

/// Gives a kind the method `or`.
macro_rules! with_default {
    ($($kind:ident $(<$($parameter:ident),*>)?),*) => { $(
        impl $(<$($parameter),*>)? $kind $(<$($parameter),*>)? {
            /// Gives the setting a default.
            pub fn or<Value>(self, default: Value) -> Or<Self, Value> {
                Or { parse: self, default }
            }
        }
    )* };
}

with_default!(Text, Flag, Count, Number, Texts, Choice<C>);

/// The kind of [`text`].
#[derive(Debug, Clone, Copy)]
pub struct Text;

/// Returns the kind of a text, for strings and paths.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, text};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The name of the run.
///         name: String = text().or("run".to_owned());
///     }
/// }
/// assert_eq!(Run::default().name, "run");
/// assert!(Run::from_value(&serde_json::json!({"name": 7})).is_err());
/// ```
pub fn text() -> Text {
    Text
}

impl<T: From<String> + Serialize> Parse<T> for Text {
    const NULL_IS_UNSET: bool = true;

    fn expected(&self) -> String {
        "a string".to_owned()
    }

    fn parse(&self, at: &str, value: &Value) -> Result<T, SettingError> {
        match value {
            Value::String(text) => Ok(text.clone().into()),
            other => Err(SettingError::wrong_type(at, other, &Parse::<T>::expected(self))),
        }
    }

    fn json(&self, value: &T) -> Value {
        json!(value)
    }
}

/// A text that is not empty; see [`required_text`].
#[derive(Debug, Clone, Copy)]
pub struct NonEmptyText;

/// Returns the kind of a text that is required and not empty.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, required_text};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The folder of the results.
///         output: std::path::PathBuf = required_text();
///     }
/// }
/// assert!(Run::from_value(&serde_json::json!({"output": ""})).is_err());
/// let run = Run::from_value(&serde_json::json!({"output": "out"}))?;
/// assert!(run.output.ends_with("out"));
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn required_text() -> Required<NonEmptyText> {
    required(NonEmptyText)
}

impl<T: From<String> + Serialize> Parse<T> for NonEmptyText {
    fn expected(&self) -> String {
        Parse::<T>::expected(&Text)
    }

    fn parse(&self, at: &str, value: &Value) -> Result<T, SettingError> {
        if value == "" {
            return Err(SettingError::of(at, Problem::Missing));
        }
        Text.parse(at, value)
    }

    fn json(&self, value: &T) -> Value {
        json!(value)
    }
}

/// The kind of [`flag`].
#[derive(Debug, Clone, Copy)]
pub struct Flag;

/// Returns the kind of `true` and `false`.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, flag};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// Whether progress is hidden.
///         quiet: bool = flag().or(false);
///     }
/// }
/// assert!(Run::from_value(&serde_json::json!({"quiet": true}))?.quiet);
/// assert!(Run::from_value(&serde_json::json!({"quiet": "yes"})).is_err());
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn flag() -> Flag {
    Flag
}

impl Parse<bool> for Flag {
    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn parse(&self, at: &str, value: &Value) -> Result<bool, SettingError> {
        value.as_bool().ok_or_else(|| SettingError::wrong_type(at, value, &self.expected()))
    }

    fn json(&self, value: &bool) -> Value {
        json!(value)
    }
}

/// The kind of [`count`].
#[derive(Debug, Clone, Copy)]
pub struct Count {
    least: u64,
}

/// Returns the kind of a whole number of at least `least`. A float without a fraction, such as
/// `1e5`, is accepted.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, count};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The number of steps, at least 1.
///         steps: u64 = count(1).or(100);
///     }
/// }
/// assert_eq!(Run::from_value(&serde_json::json!({"steps": 1e5}))?.steps, 100_000);
/// let error = Run::from_value(&serde_json::json!({"steps": 0})).expect_err("no step");
/// assert_eq!(error.at, "steps");
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn count(least: u64) -> Count {
    Count { least }
}

impl<T: TryFrom<u64> + Serialize> Parse<T> for Count {
    fn expected(&self) -> String {
        match self.least {
            0 => "a whole number, 0 or more".to_owned(),
            least => format!("a whole number of at least {least}"),
        }
    }

    fn parse(&self, at: &str, value: &Value) -> Result<T, SettingError> {
        // Above 2^53, an f64 cannot represent every integer.
        let exact = |f: f64| f.fract() == 0.0 && (0.0..9e15).contains(&f);
        let whole = value
            .as_u64()
            .or_else(|| value.as_f64().filter(|f| exact(*f)).map(|f| f as u64))
            .filter(|n| *n >= self.least);
        let number = whole.and_then(|whole| T::try_from(whole).ok());
        number.ok_or_else(|| SettingError::wrong_type(at, value, &Parse::<T>::expected(self)))
    }

    fn json(&self, value: &T) -> Value {
        json!(value)
    }
}

/// The kind of [`number`].
#[derive(Debug, Clone, Copy)]
pub struct Number {
    least: Bound<f64>,
    most: Bound<f64>,
    expected: &'static str,
    is_plain: bool,
}

/// Returns the kind of a finite number in a range; `expected` describes the range in errors.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, number};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The share of texts that are held out.
///         share: f64 = number(0.0..1.0, "a share below 1").or(0.0);
///     }
/// }
/// assert_eq!(Run::from_value(&serde_json::json!({"share": 0.25}))?.share, 0.25);
/// let error = Run::from_value(&serde_json::json!({"share": 1.5})).expect_err("too much");
/// assert_eq!(error.to_string(), "share: expected a share below 1, got 1.5");
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn number(range: impl RangeBounds<f64>, expected: &'static str) -> Number {
    let (least, most) = (range.start_bound().cloned(), range.end_bound().cloned());
    Number { least, most, expected, is_plain: false }
}

impl Number {
    /// Writes a number without a fraction as an integer.
    pub fn plain(self) -> Self {
        Self { is_plain: true, ..self }
    }
}

impl Parse<f64> for Number {
    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn parse(&self, at: &str, value: &Value) -> Result<f64, SettingError> {
        value
            .as_f64()
            .filter(|number| number.is_finite() && (self.least, self.most).contains(number))
            .ok_or_else(|| SettingError::wrong_type(at, value, self.expected))
    }

    fn json(&self, value: &f64) -> Value {
        match self.is_plain && value.fract() == 0.0 && value.abs() < 1e15 {
            true => json!(*value as i64),
            false => json!(value),
        }
    }
}

/// The kind of [`texts`].
#[derive(Debug, Clone, Copy)]
pub struct Texts;

/// Returns the kind of a list of strings; a single string is a list of one.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, texts};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The tags of the run.
///         tags: Vec<String> = texts().or(Vec::new());
///     }
/// }
/// assert_eq!(Run::from_value(&serde_json::json!({"tags": ["a", "b"]}))?.tags, ["a", "b"]);
/// assert_eq!(Run::from_value(&serde_json::json!({"tags": "a"}))?.tags, ["a"]);
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn texts() -> Texts {
    Texts
}

impl<T: From<String> + Serialize> Parse<Vec<T>> for Texts {
    const NULL_IS_UNSET: bool = true;

    fn expected(&self) -> String {
        "a list of strings".to_owned()
    }

    fn parse(&self, at: &str, value: &Value) -> Result<Vec<T>, SettingError> {
        let list = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone().into()),
            other => Err(SettingError::wrong_type(at, other, &Parse::<Vec<T>>::expected(self))),
        };
        list.iter().map(text).collect()
    }

    fn json(&self, value: &Vec<T>) -> Value {
        json!(value)
    }
}

/// The kind of [`choice`].
#[derive(Clone, Copy)]
pub struct Choice<T: 'static> {
    words: &'static [(&'static str, T)],
}

impl<T> fmt::Debug for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.words.iter().map(|(word, _)| word)).finish()
    }
}

/// Returns the kind of a setting whose value is one of a table of words. Of two words for one
/// value, the first is written.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, choice};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The order of the samples.
///         shuffled: bool = choice(&[("random", true), ("file", false)]).or(true);
///     }
/// }
/// assert!(!Run::from_value(&serde_json::json!({"shuffled": "file"}))?.shuffled);
/// let error = Run::from_value(&serde_json::json!({"shuffled": "sorted"})).expect_err("no such word");
/// assert_eq!(error.to_string(), "shuffled: `sorted` is not one of random, file");
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn choice<T>(words: &'static [(&'static str, T)]) -> Choice<T> {
    Choice { words }
}

impl<T: Clone + PartialEq> Parse<T> for Choice<T> {
    const NULL_IS_UNSET: bool = true;

    fn expected(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|(word, _)| *word).collect();
        format!("a string, one of {}", words.join(", "))
    }

    fn parse(&self, at: &str, value: &Value) -> Result<T, SettingError> {
        let words = || self.words.iter().map(|(word, _)| *word);
        let text = match value {
            Value::String(text) => text.clone(),
            // YAML reads `no` without quotes as false, and nothing else can have been meant.
            Value::Bool(false) if words().any(|word| word == "no") => "no".to_owned(),
            other => return Err(SettingError::wrong_type(at, other, &self.expected())),
        };
        if let Some((_, value)) = self.words.iter().find(|(word, _)| *word == text) {
            return Ok(value.clone());
        }
        let remedy = did_you_mean(&text, words());
        let problem = Problem::Word { got: text, words: words().map(str::to_owned).collect() };
        Err(SettingError { remedy, ..SettingError::of(at, problem) })
    }

    fn json(&self, value: &T) -> Value {
        let word = self.words.iter().find(|(_, of)| of == value).map(|(word, _)| *word);
        json!(word.expect("the table of words lacks a value: this is a bug"))
    }
}

/// The kind of [`group`].
#[derive(Debug, Clone, Copy)]
pub struct Group;

/// Returns the kind of settings in a mapping of their own.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, group, number};
///
/// settings! {
///     /// The settings of the optimizer.
///     pub struct Optimizer {
///         /// The learning rate.
///         rate: f64 = number(0.0.., "a positive number").or(1e-4);
///     }
/// }
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The optimizer.
///         optimizer: Optimizer = group();
///     }
/// }
/// let run = Run::from_value(&serde_json::json!({"optimizer": {"rate": 0.5}}))?;
/// assert_eq!(run.optimizer.rate, 0.5);
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn group() -> Group {
    Group
}

impl<T: Settings + Default> Kind<T> for Group {
    fn unset(&self) -> T {
        T::default()
    }

    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<T, SettingError> {
        let mut inner = fields.fields(name)?;
        let settings = T::read(&mut inner)?;
        inner.finish()?;
        Ok(settings)
    }

    fn write(&self, name: &'static str, value: &T, written: &mut Written) {
        written.set(name, value.to_value_of(written.scope()));
    }

    fn describe(&self, name: &'static str, _: &str, descriptions: &mut Descriptions) {
        descriptions.within(name, T::describe);
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        names.add_mapping(name, T::names(names.scope()));
    }
}

/// The kind of [`flat`].
#[derive(Debug, Clone, Copy)]
pub struct Flat;

/// Returns the kind of settings that are a struct of their own but stand in the same mapping as the
/// others.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, flat, number};
///
/// settings! {
///     /// The settings of the optimizer.
///     pub struct Optimizer {
///         /// The learning rate.
///         rate: f64 = number(0.0.., "a positive number").or(1e-4);
///     }
/// }
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The optimizer.
///         optimizer: Optimizer = flat();
///     }
/// }
/// let run = Run::from_value(&serde_json::json!({"rate": 0.5}))?;
/// assert_eq!(run.optimizer.rate, 0.5);
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn flat() -> Flat {
    Flat
}

impl<T: Settings + Default> Kind<T> for Flat {
    fn unset(&self) -> T {
        T::default()
    }

    fn read(&self, fields: &mut Fields<'_>, _: &'static str) -> Result<T, SettingError> {
        T::read(fields)
    }

    fn write(&self, _: &'static str, value: &T, written: &mut Written) {
        value.write(written);
    }

    fn describe(&self, _: &'static str, _: &str, descriptions: &mut Descriptions) {
        T::describe(descriptions);
    }

    fn declare(&self, _: &'static str, names: &mut Names) {
        T::declare(names);
    }
}

/// The kind of [`optional_group`].
#[derive(Debug, Clone, Copy)]
pub struct OptionalGroup;

/// Returns the kind of settings in a mapping of their own, which may be null or left out.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, number, optional_group};
///
/// settings! {
///     /// The settings of the optimizer.
///     pub struct Optimizer {
///         /// The learning rate.
///         rate: f64 = number(0.0.., "a positive number").or(1e-4);
///     }
/// }
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The optimizer, if the run has one.
///         optimizer: Option<Optimizer> = optional_group();
///     }
/// }
/// assert_eq!(Run::from_value(&serde_json::json!({"optimizer": null}))?.optimizer, None);
/// let run = Run::from_value(&serde_json::json!({"optimizer": {}}))?;
/// assert_eq!(run.optimizer.map(|optimizer| optimizer.rate), Some(1e-4));
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn optional_group() -> OptionalGroup {
    OptionalGroup
}

impl<T: Settings + Default> Kind<Option<T>> for OptionalGroup {
    fn unset(&self) -> Option<T> {
        None
    }

    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<Option<T>, SettingError> {
        match fields.value(name) {
            Some(_) => Group.read(fields, name).map(Some),
            None => Ok(None),
        }
    }

    fn write(&self, name: &'static str, value: &Option<T>, written: &mut Written) {
        match value {
            Some(value) => Group.write(name, value, written),
            None => written.set(name, Value::Null),
        }
    }

    fn describe(&self, name: &'static str, meaning: &str, descriptions: &mut Descriptions) {
        descriptions.add(name, meaning, "a mapping, or null", Some(Value::Null));
        Kind::<T>::describe(&Group, name, meaning, descriptions);
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        Kind::<T>::declare(&Group, name, names);
    }
}

/// The kind of [`own`].
#[derive(Debug, Clone, Copy)]
pub struct Own<T> {
    read: Read<T>,
    write: fn(&T) -> Value,
}

/// A function that reads a setting and knows its default.
type Read<T> = fn(&mut Fields<'_>, &'static str) -> Result<T, SettingError>;

/// Returns the kind of a setting with its own functions. The setting must have a default, which
/// `read` returns if the setting is not there.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Fields, SettingError, Settings, own};
///
/// fn read_size(fields: &mut Fields<'_>, name: &'static str) -> Result<u64, SettingError> {
///     let Some(value) = fields.value(name) else { return Ok(1 << 20) };
///     let kilobytes = value.as_str().and_then(|text| text.strip_suffix('k')?.parse::<u64>().ok());
///     let size = kilobytes.map(|size| size << 10).or(value.as_u64());
///     size.ok_or_else(|| fields.wrong_type(name, value, "a size such as 64k"))
/// }
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The largest size, as a number of bytes or as `64k`.
///         size: u64 = own(read_size, |size| (*size).into());
///     }
/// }
/// assert_eq!(Run::from_value(&serde_json::json!({"size": "64k"}))?.size, 65_536);
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub fn own<T>(read: Read<T>, write: fn(&T) -> Value) -> Own<T> {
    Own { read, write }
}

impl<T> Kind<T> for Own<T> {
    fn unset(&self) -> T {
        let default = Fields::new("", None).and_then(|mut empty| (self.read)(&mut empty, ""));
        default
            .unwrap_or_else(|error| panic!("a setting without a default: {error}: this is a bug"))
    }

    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<T, SettingError> {
        (self.read)(fields, name)
    }

    fn write(&self, name: &'static str, value: &T, written: &mut Written) {
        written.set(name, (self.write)(value));
    }
}
