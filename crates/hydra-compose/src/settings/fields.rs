//! The interface between tables of settings and configs: a mapping that is read by name, settings that
//! are written, and the traits of tables and of their entries.

use serde_json::{Map, Value};

use super::describe::{Description, Descriptions};
use super::error::{Problem, SettingError};
use super::names::{Names, OldName, is_variable, unknown};
use crate::nearest::did_you_mean;

/// A kind of setting, whose value has the type `T`.
pub trait Kind<T> {
    /// Returns the value of a config that does not have the setting. A required setting is empty.
    fn unset(&self) -> T;

    /// Reads the setting.
    ///
    /// # Errors
    /// Returns an error if the setting is missing or has a wrong value.
    fn read(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<T, SettingError>;

    /// Writes the setting.
    fn write(&self, name: &'static str, value: &T, written: &mut Written);

    /// Says which values the setting takes, for documentation.
    fn values(&self) -> String {
        String::new()
    }

    /// Returns whether the setting must be given.
    fn is_required(&self) -> bool {
        false
    }

    /// Describes the setting for documentation; `meaning` is the documentation of its field. A kind
    /// that reads other names than its own describes all of them.
    fn describe(&self, name: &'static str, meaning: &str, descriptions: &mut Descriptions) {
        let default = || {
            let mut written = Written { scope: descriptions.scope(), values: Map::new() };
            self.write(name, &self.unset(), &mut written);
            written.values.remove(name).unwrap_or(Value::Null)
        };
        let default = (!self.is_required()).then(default);
        descriptions.add(name, meaning, self.values(), default);
    }

    /// Adds the names that the setting has in a config. A kind that reads other names than its own,
    /// or a mapping, says so here.
    fn declare(&self, name: &'static str, names: &mut Names) {
        names.add(name);
    }
}

/// A struct of settings; [`settings!`](crate::settings!) implements it.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, count};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The number of steps.
///         steps: u64 = count(1).or(100);
///     }
/// }
/// let run = Run::from_value(&serde_json::json!({"steps": 3}))?;
/// assert_eq!(run.to_value(), serde_json::json!({"steps": 3}));
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
pub trait Settings: Sized {
    /// Reads the settings of a mapping; the caller checks afterwards with [`Fields::finish`] that
    /// nothing else is in the mapping.
    ///
    /// # Errors
    /// Returns an error if a setting is missing or has a wrong value.
    fn read(fields: &mut Fields<'_>) -> Result<Self, SettingError>;

    /// Writes all settings, defaults included.
    fn write(&self, written: &mut Written);

    /// Adds the names of the settings of the scope of `names`.
    fn declare(names: &mut Names);

    /// Describes the settings of the scope of `descriptions`.
    fn describe(descriptions: &mut Descriptions);

    /// Returns what the table says of the settings of one scope; see [`Fields::with_scope`].
    fn descriptions(scope: &'static str) -> Vec<Description> {
        let mut descriptions = Descriptions::new(scope);
        Self::describe(&mut descriptions);
        descriptions.into_list()
    }

    /// Returns the names of the settings of one scope; see [`Fields::with_scope`].
    fn names(scope: &'static str) -> Names {
        let mut names = Names::new(scope);
        Self::declare(&mut names);
        names
    }

    /// Reads a whole config.
    ///
    /// # Errors
    /// Returns an error if a setting is missing, has a wrong value or is unknown.
    fn from_value(value: &Value) -> Result<Self, SettingError> {
        Self::names("").check(value, &[])?;
        let mut fields = Fields::new("", Some(value))?;
        let settings = Self::read(&mut fields)?;
        fields.finish()?;
        Ok(settings)
    }

    /// Returns all settings, defaults included, in the layout in which they are read.
    fn to_value(&self) -> Value {
        self.to_value_of("")
    }

    /// Returns the settings of one scope; see [`Fields::with_scope`].
    fn to_value_of(&self, scope: &'static str) -> Value {
        let mut written = Written { scope, values: Map::new() };
        self.write(&mut written);
        Value::Object(written.values)
    }
}

/// The settings that were written so far.
#[derive(Debug)]
pub struct Written {
    scope: &'static str,
    values: Map<String, Value>,
}

impl Written {
    /// Adds a setting.
    pub fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// Returns the scope that is written; see [`Fields::with_scope`].
    pub fn scope(&self) -> &'static str {
        self.scope
    }
}

/// A mapping of a config, with the names that were read so far.
///
/// ```
/// use hydra_compose::settings::{Fields, count, flag};
///
/// let config = serde_json::json!({"steps": 3, "quiet": true});
/// let mut fields = Fields::new("training", Some(&config))?;
/// let steps: u64 = fields.read("steps", &count(1).or(100))?;
/// let quiet: bool = fields.read("quiet", &flag().or(false))?;
/// // Nothing else is in the mapping.
/// fields.finish()?;
/// assert_eq!((steps, quiet), (3, true));
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
#[derive(Debug)]
pub struct Fields<'a> {
    at: String,
    object: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
    scope: &'static str,
}

impl<'a> Fields<'a> {
    /// Opens the mapping at the path `at`. `None` counts as an empty mapping.
    ///
    /// # Errors
    /// Returns an error if the value is not a mapping.
    pub fn new(at: impl Into<String>, value: Option<&'a Value>) -> Result<Self, SettingError> {
        let at = at.into();
        let object = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(object),
            Some(other) => return Err(SettingError::wrong_type(at, other, "a mapping")),
        };
        Ok(Fields { at, object, known: Vec::new(), scope: "" })
    }

    /// Sets the scope of the config. One struct of settings may serve several kinds of configs, and
    /// each kind is a scope; a setting that is limited to another scope is unknown here.
    pub fn with_scope(self, scope: &'static str) -> Self {
        Self { scope, ..self }
    }

    /// Returns the scope of the config.
    pub fn scope(&self) -> &'static str {
        self.scope
    }

    /// Returns the full path of a setting, such as `training.optim`.
    pub fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// Creates an error about a setting.
    pub fn error(&self, name: &str, rule: impl Into<String>) -> SettingError {
        SettingError::new(self.path(name), rule)
    }

    /// Creates the error of a value that has a wrong type.
    pub fn wrong_type(&self, name: &str, got: &Value, expected: &str) -> SettingError {
        SettingError::wrong_type(self.path(name), got, expected)
    }

    /// Creates the error of a required setting.
    pub fn missing(&self, name: &str) -> SettingError {
        SettingError::of(self.path(name), Problem::Missing)
    }

    /// Returns a value without conversion, null included; `None` if the setting is not there.
    pub fn raw(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object?.get(name)
    }

    /// Returns a value that is there and not null.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// Reads a setting of this mapping. A setting of another scope has its default.
    ///
    /// # Errors
    /// Returns an error if the setting is missing or has a wrong value.
    pub fn setting<T>(
        &mut self,
        name: &'static str,
        scope: &'static str,
        kind: &impl Kind<T>,
    ) -> Result<T, SettingError> {
        if scope.is_empty() || scope == self.scope {
            kind.read(self, name)
        } else {
            Ok(kind.unset())
        }
    }

    /// Reads a setting that another one depends on.
    ///
    /// # Errors
    /// Returns an error if the setting is missing or has a wrong value.
    pub fn read<T>(&mut self, name: &'static str, kind: &impl Kind<T>) -> Result<T, SettingError> {
        kind.read(self, name)
    }

    /// Opens a nested mapping.
    ///
    /// # Errors
    /// Returns an error if the value is not a mapping.
    pub fn fields(&mut self, name: &'static str) -> Result<Fields<'a>, SettingError> {
        let value = self.value(name);
        Ok(Fields::new(self.path(name), value)?.with_scope(self.scope))
    }

    /// Returns the entries of this mapping, for mappings with arbitrary names.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.object.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// Passes over old names of settings. [`Names::check`](super::Names::check) refuses them if they
    /// have a value.
    pub fn pass_over(&mut self, old: &[OldName]) {
        self.known.extend(old.iter().map(|(name, _)| *name));
    }

    /// Checks that every name of the mapping was read. Names in capitals are variables for
    /// interpolations and are allowed.
    ///
    /// # Errors
    /// Returns an error about the first unknown name.
    pub fn finish(self) -> Result<(), SettingError> {
        let is_known = |name: &str| self.known.contains(&name) || is_variable(name);
        match self.entries().find(|(name, _)| !is_known(name)) {
            Some((name, _)) => {
                let remedy = did_you_mean(name, self.known.iter().copied());
                Err(unknown(self.path(name), remedy))
            }
            None => Ok(()),
        }
    }
}
