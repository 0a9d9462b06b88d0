//! Checks the names of all settings before any value is read. Misspelt and old names are reported
//! first and all at once, and not after errors that they may have caused.

use hydra_compose::did_you_mean;
use serde_json::{Map, Value};

use crate::error::TrainError;

/// The names in a mapping, each with the names in its own mapping. `None` means that the value is
/// not a mapping, or that its names are checked elsewhere.
pub(crate) struct Names(Vec<(&'static str, Option<Names>)>);

/// An old or foreign name of a setting, and what to write now.
pub(crate) type OldName = (&'static str, &'static str);

impl Names {
    /// Creates a mapping of settings without mappings of their own.
    pub(crate) fn of(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self(names.into_iter().map(|name| (name, None)).collect())
    }

    /// Adds a setting that is a mapping, or names the settings in one that is there.
    pub(crate) fn with(mut self, name: &'static str, inner: Names) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, Some(inner)));
        self
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

/// Checks the names of a config. `old` has the old names of the settings of each mapping, by its
/// path. An old name without a value is accepted, because a config that another program printed
/// may have one.
pub(crate) fn check(
    value: &Value,
    names: &Names,
    old: &[(&str, &[OldName])],
) -> Result<(), TrainError> {
    let mut wrong = Vec::new();
    if let Value::Object(object) = value {
        find(object, "", names, &|at| old_names(old, at), &mut wrong);
    }
    // A setting that exists in another mapping is most likely meant for that one.
    for Wrong { path, remedy } in &mut wrong {
        let name = path.rsplit('.').next().unwrap_or_default();
        let elsewhere = names.0.iter().find_map(|(group, inner)| {
            inner.as_ref()?.names().any(|known| known == name).then_some(group)
        });
        if let (Some(group), true) = (elsewhere, remedy.is_empty()) {
            *remedy = format!("did you mean {group}.{name}?");
        }
    }
    match &wrong[..] {
        [] => Ok(()),
        [one] => Err(unknown(&one.path, &one.remedy)),
        several => {
            let lines = several.iter().map(|Wrong { path, remedy }| match remedy.is_empty() {
                true => format!("\n  {path}"),
                false => format!("\n  {path}: {remedy}"),
            });
            let hint = several.iter().any(|wrong| wrong.remedy.is_empty());
            Err(TrainError::Config {
                at: format!("there are no such {} settings", several.len()),
                message: lines.collect::<String>() + if hint { VARIABLES } else { "" },
            })
        }
    }
}

/// Returns the error for a name that is not a setting, beside `known` ones.
pub(super) fn unknown_beside(path: &str, name: &str, known: &[&'static str]) -> TrainError {
    unknown(path, &remedy(name, known.iter().copied(), &[]))
}

const VARIABLES: &str = "\nhint: variables for interpolations are written in capitals";

fn unknown(path: &str, remedy: &str) -> TrainError {
    let message = match remedy.is_empty() {
        true => format!("there is no such setting{VARIABLES}"),
        false => format!("there is no such setting; {remedy}"),
    };
    TrainError::Config { at: path.to_owned(), message }
}

/// A name that is not a setting.
struct Wrong {
    path: String,
    /// What to write instead; empty if nothing is known.
    remedy: String,
}

fn old_names<'a>(old: &[(&str, &'a [OldName])], at: &str) -> &'a [OldName] {
    old.iter().find(|(path, _)| *path == at).map_or(&[], |(_, names)| names)
}

fn find<'a>(
    object: &Map<String, Value>,
    at: &str,
    names: &Names,
    old: &dyn Fn(&str) -> &'a [OldName],
    wrong: &mut Vec<Wrong>,
) {
    for (name, value) in object {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let is_old = old(at).iter().any(|(old, _)| old == name);
        match names.0.iter().find(|(known, _)| known == name) {
            Some((_, inner)) => {
                if let (Some(inner), Value::Object(object)) = (inner, value) {
                    find(object, &path, inner, old, wrong);
                }
            }
            None if is_variable(name) || (is_old && value.is_null()) => {}
            None => wrong.push(Wrong { path, remedy: remedy(name, names.names(), old(at)) }),
        }
    }
}

/// Returns what to write instead of a name.
fn remedy(name: &str, known: impl Iterator<Item = &'static str>, old: &[OldName]) -> String {
    match old.iter().find(|(old, _)| *old == name) {
        Some((_, new)) => format!("write {new}, which is its name now"),
        None => did_you_mean(name, known).trim_start_matches("; ").to_owned(),
    }
}

/// Returns whether a name such as `DATA_PATH` consists of capitals, digits and underscores.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
