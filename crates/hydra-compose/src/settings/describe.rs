//! What tables say of their settings, for documentation that is made from them.

use serde_json::Value;

/// A setting as documentation shows it.
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
/// for setting in Run::descriptions("") {
///     println!("| `{}` | {} | {} |", setting.name, setting.values, setting.meaning);
///     assert_eq!(setting.default, Some(100.into()));
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The name, with the names of the mappings that the setting is in, such as `doc.reg_type`.
    pub name: String,
    /// The documentation of the field in Markdown; empty if it has none.
    pub meaning: String,
    /// The values that are accepted, such as `a whole number of at least 1`; empty if the kind does
    /// not say.
    pub values: String,
    /// The default. `None` means that the setting is required.
    pub default: Option<Value>,
}

/// The settings of a table that were described so far.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Descriptions, Settings, count};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The number of steps.
///         steps: u64 = count(1).or(100);
///     }
/// }
/// /// The settings of the program, a mapping of which is those of a run.
/// struct Program;
///
/// # use hydra_compose::settings::{Fields, Names, SettingError, Written};
/// impl Settings for Program {
///     fn describe(descriptions: &mut Descriptions) {
///         descriptions.within("run", Run::describe);
///     }
/// #     fn read(_: &mut Fields<'_>) -> Result<Self, SettingError> { Ok(Self) }
/// #     fn write(&self, _: &mut Written) {}
/// #     fn declare(_: &mut Names) {}
///     // …
/// }
/// assert_eq!(Program::descriptions("")[0].name, "run.steps");
/// ```
#[derive(Debug)]
pub struct Descriptions {
    scope: &'static str,
    at: String,
    list: Vec<Description>,
}

impl Descriptions {
    pub(super) fn new(scope: &'static str) -> Self {
        Self { scope, at: String::new(), list: Vec::new() }
    }

    pub(super) fn into_list(self) -> Vec<Description> {
        self.list
    }

    /// Returns the scope that is described; see [`Fields::with_scope`](super::Fields::with_scope).
    pub fn scope(&self) -> &'static str {
        self.scope
    }

    /// Adds a setting. A default of `None` means that it is required.
    pub fn add(
        &mut self,
        name: &str,
        meaning: &str,
        values: impl Into<String>,
        default: Option<Value>,
    ) {
        self.list.push(Description {
            name: format!("{}{name}", self.at),
            meaning: meaning.trim().to_owned(),
            values: values.into(),
            default,
        });
    }

    /// Adds the settings of the mapping `name`.
    pub fn within(&mut self, name: &str, add: impl FnOnce(&mut Self)) {
        let length = self.at.len();
        self.at.push_str(name);
        self.at.push('.');
        add(self);
        self.at.truncate(length);
    }
}
