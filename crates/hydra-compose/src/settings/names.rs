//! Checks the names of all settings before any value is read. Misspelt and old names are reported
//! first and all at once, and not after errors that they may have caused.

use serde_json::{Map, Value};

use super::error::{Problem, SettingError};
use crate::nearest::did_you_mean;

/// The names in a mapping of a config, each with the names in its own mapping. `None` means that
/// the value is not a mapping, or that its names are checked when it is read.
///
/// ```
/// use hydra_compose::settings::Names;
///
/// let names = Names::new("").with("training", Names::new("").with_names(["steps", "seed"]));
/// names.check(&serde_json::json!({"training": {"seed": 42}}), &[])?;
/// let error = names.check(&serde_json::json!({"training": {"sed": 42}}), &[]).expect_err("no name");
/// assert_eq!(error.at, "training.sed");
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
#[derive(Debug, Default)]
pub struct Names {
    scope: &'static str,
    list: Vec<(&'static str, Option<Names>)>,
}

/// An old or foreign name of a setting, and what to write now.
///
/// ```
/// use hydra_compose::settings::{Names, OldName};
///
/// const OLD: [OldName; 1] = [("lr", "write learning_rate")];
///
/// let names = Names::new("").with_names(["learning_rate"]);
/// let error = names.check(&serde_json::json!({"lr": 0.1}), &[("", &OLD)]).expect_err("an old name");
/// assert!(error.hint().is_some_and(|hint| hint.contains("learning_rate")));
/// ```
pub type OldName = (&'static str, &'static str);

impl Names {
    /// Returns a list without names for one scope; see
    /// [`Fields::with_scope`](super::Fields::with_scope).
    pub fn new(scope: &'static str) -> Self {
        Self { scope, list: Vec::new() }
    }

    /// Returns the scope of the config.
    pub fn scope(&self) -> &'static str {
        self.scope
    }

    /// Adds a setting that is not a mapping.
    pub fn add(&mut self, name: &'static str) {
        self.list.push((name, None));
    }

    /// Adds a setting that is a mapping of its own.
    pub fn add_mapping(&mut self, name: &'static str, inner: Names) {
        self.list.push((name, Some(inner)));
    }

    /// Adds a mapping, for names that no struct declares as a whole.
    #[must_use]
    pub fn with(mut self, name: &'static str, inner: Names) -> Self {
        self.add_mapping(name, inner);
        self
    }

    /// Adds settings that are not mappings.
    #[must_use]
    pub fn with_names(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        names.into_iter().for_each(|name| self.add(name));
        self
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.list.iter().map(|(name, _)| *name)
    }

    /// Checks the names of a config. `old` has the old names of the settings of each mapping, by
    /// its path. An old name without a value is accepted, because a config that another program
    /// printed may have one.
    ///
    /// # Errors
    /// Returns an error about all names that are not settings.
    pub fn check(&self, value: &Value, old: &[(&str, &[OldName])]) -> Result<(), SettingError> {
        let mut wrong = Vec::new();
        if let Value::Object(object) = value {
            self.find(object, "", old, &mut wrong);
        }
        // A setting that exists in another mapping is most likely meant for that one.
        for Wrong { path, remedy } in wrong.iter_mut().filter(|wrong| wrong.remedy.is_none()) {
            let name = path.rsplit('.').next().unwrap_or_default();
            let has_name = |inner: &Names| inner.names().any(|known| known == name);
            let elsewhere =
                self.list.iter().find(|(_, inner)| inner.as_ref().is_some_and(has_name));
            *remedy = elsewhere.map(|(group, _)| format!("did you mean {group}.{name}?"));
        }
        if wrong.len() > 1 {
            return Err(several(&wrong));
        }
        wrong.pop().map_or(Ok(()), |Wrong { path, remedy }| Err(unknown(path, remedy)))
    }

    fn find(
        &self,
        object: &Map<String, Value>,
        at: &str,
        old: &[(&str, &[OldName])],
        wrong: &mut Vec<Wrong>,
    ) {
        let old_here = old.iter().find(|(path, _)| *path == at).map_or(&[][..], |(_, names)| names);
        for (name, value) in object {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            let new = old_here.iter().find(|(old, _)| old == name).map(|(_, new)| *new);
            match self.list.iter().find(|(known, _)| known == name) {
                Some((_, Some(inner))) => {
                    if let Value::Object(object) = value {
                        inner.find(object, &path, old, wrong);
                    }
                }
                Some((_, None)) => {}
                None if is_variable(name) || (new.is_some() && value.is_null()) => {}
                None => {
                    let remedy = match new {
                        Some(new) => Some(format!("write {new}, which is its name now")),
                        None => did_you_mean(name, self.names()),
                    };
                    wrong.push(Wrong { path, remedy });
                }
            }
        }
    }
}

/// A name that is not a setting.
struct Wrong {
    path: String,
    /// What to write instead, if something is known.
    remedy: Option<String>,
}

const VARIABLES: &str = "variables for interpolations are written in capitals";

/// Returns the error of a name that is not a setting.
pub(super) fn unknown(path: String, remedy: Option<String>) -> SettingError {
    let remedy = remedy.unwrap_or_else(|| VARIABLES.to_owned());
    SettingError::of(path, Problem::Unknown).with_remedy(remedy)
}

fn several(wrong: &[Wrong]) -> SettingError {
    let lines = wrong.iter().map(|Wrong { path, remedy }| match remedy {
        None => format!("\n  {path}"),
        Some(remedy) => format!("\n  {path}: {remedy}"),
    });
    let at = format!("there are no such {} settings", wrong.len());
    let error = SettingError::new(at, lines.collect::<String>());
    match wrong.iter().any(|wrong| wrong.remedy.is_none()) {
        true => error.with_remedy(VARIABLES),
        false => error,
    }
}

/// Returns whether a name such as `DATA_PATH` consists of capitals, digits and underscores.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
