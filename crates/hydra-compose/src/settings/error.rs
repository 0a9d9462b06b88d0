//! The error of a setting.

use serde_json::Value;

/// A setting of a config that cannot be used.
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
/// let error = Run::from_value(&serde_json::json!({"stps": 5})).expect_err("a typing error");
/// assert_eq!(error.to_string(), "stps: there is no such setting");
/// assert_eq!(error.hint().map(|hint| hint.starts_with("did you mean steps?")), Some(true));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct SettingError {
    /// The path of the setting, such as `training.optim`.
    pub at: String,
    /// What is wrong with it.
    pub problem: Problem,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What is wrong with a setting.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Problem, Settings, count};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The number of steps.
///         steps: u64 = count(1).or(100);
///     }
/// }
/// let error = Run::from_value(&serde_json::json!({"steps": "many"})).expect_err("a word");
/// assert!(matches!(error.problem, Problem::Type { got, .. } if got == "\"many\""));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No setting has this name.
    #[error("there is no such setting")]
    Unknown,
    /// The setting has no default and is not in the config.
    #[error("this setting is required")]
    Missing,
    /// The value has another type, or is outside of the range.
    #[error("expected {expected}, got {got}")]
    Type {
        /// A description of the type and the range.
        expected: String,
        /// The value as JSON.
        got: String,
    },
    /// The value is not one of the words that the setting accepts.
    #[error("`{got}` is not one of {}", words.join(", "))]
    Word {
        /// The value.
        got: String,
        /// The words that the setting accepts.
        words: Vec<String>,
    },
    /// The value breaks a rule, for example one that concerns several settings.
    #[error("{0}")]
    Rule(String),
}

impl SettingError {
    /// Creates the error of a rule that the value of a setting breaks.
    pub fn new(at: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::of(at, Problem::Rule(rule.into()))
    }

    /// Creates the error of a problem.
    pub fn of(at: impl Into<String>, problem: Problem) -> Self {
        Self { at: at.into(), problem, remedy: None }
    }

    /// Creates the error of a value with a wrong type or outside of its range.
    pub fn wrong_type(at: impl Into<String>, got: &Value, expected: &str) -> Self {
        let error =
            Self::of(at, Problem::Type { expected: expected.to_owned(), got: got.to_string() });
        let is_bool = |text: &str| ["true", "false", "yes", "no", "on", "off"].contains(&text);
        let wants_text = expected.contains("string");
        match got {
            Value::String(text) if text.parse::<f64>().is_ok() && expected.contains("number") => {
                error.with_remedy(
                    "write it without quotes; a number in an environment variable is \
                     ${oc.decode:${oc.env:NAME}}",
                )
            }
            Value::String(text) if is_bool(&text.to_lowercase()) && expected.contains("true") => {
                error.with_remedy("write true or false without quotes")
            }
            Value::Bool(_) if wants_text => error.with_remedy(
                "YAML reads yes, no, on and off as true and false; write such a word in quotes, as \
                 \"no\"",
            ),
            Value::Number(_) if wants_text => error.with_remedy("write it in quotes"),
            _ => error,
        }
    }

    /// Adds what to do about the error.
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}
