//! Settings as typed structs, in the way of Hydra's structured configs.
//!
//! The macro [`settings!`](crate::settings!) declares a struct and, for every field, how the setting
//! of this name is read, checked and written, and what its default is. All of it stands in one
//! place. [`Names::check`] finds the settings that no struct declares, before any value is read.
//! Reading a value fails if a setting has a wrong type or value.
//!
//! ```
//! use hydra_compose::settings;
//! use hydra_compose::settings::{Settings, count, flag, optional, required_text, text};
//!
//! settings! {
//!     /// The settings of a run.
//!     pub struct Run {
//!         /// The folder of the results.
//!         pub output: String = required_text();
//!         /// The number of steps, at least 1.
//!         pub steps: u64 = count(1).or(100);
//!         /// Whether progress is hidden.
//!         pub is_quiet as "quiet": bool = flag().or(false);
//!         /// A name for the logs.
//!         pub name: Option<String> = optional(text());
//!     }
//! }
//!
//! let run = Run::from_value(&serde_json::json!({"output": "out", "quiet": true}))?;
//! assert_eq!((run.steps, run.is_quiet, run.name), (100, true, None));
//!
//! let error = Run::from_value(&serde_json::json!({"output": "out", "setps": 5})).unwrap_err();
//! assert_eq!(error.to_string(), "setps: there is no such setting");
//! assert!(error.hint().unwrap().starts_with("did you mean steps?"));
//! # Ok::<(), hydra_compose::settings::SettingError>(())
//! ```

mod error;

mod describe;
mod fields;

mod kinds;

mod names;

pub use describe::{Description, Descriptions};
pub use error::{Problem, SettingError};
pub use fields::{Fields, Kind, Settings, Written};
pub use kinds::{
    choice, count, flag, flat, group, number, optional, optional_group, own, required,
    required_text, text, texts,
};
pub use names::{Names, OldName};

/// Declares a struct of settings, and implements [`Settings`] and
/// `Default` for it.
///
/// Each field is written as `field: Type = kind;`, where the kind is one of the module
/// [`settings`](mod@crate::settings) or an own implementation of
/// [`Kind`]. `field as "name"` gives a setting another name than its field,
/// and `field in SCOPE` limits a setting to configs of one
/// [scope](crate::settings::Fields::with_scope). The default struct has the defaults of all
/// settings; required settings are empty in it.
///
/// ```
/// use hydra_compose::settings;
/// use hydra_compose::settings::{Settings, count, flag};
///
/// settings! {
///     /// The settings of a run.
///     pub struct Run {
///         /// The number of steps, at least 1.
///         pub steps: u64 = count(1).or(100);
///         /// Whether progress is hidden.
///         pub is_quiet as "quiet": bool = flag().or(false);
///     }
/// }
/// let run = Run::from_value(&serde_json::json!({"quiet": true}))?;
/// assert_eq!(run, Run { is_quiet: true, ..Run::default() });
/// # Ok::<(), hydra_compose::settings::SettingError>(())
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field_vis:vis $field:ident $(as $word:literal)? $(in $scope:ident)? :
                    $type:ty = $kind:expr;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $doc])* $field_vis $field: $type, )*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $( $field: $crate::settings::Kind::<$type>::unset(&$kind), )* }
            }
        }

        impl $crate::settings::Settings for $name {
            fn read(
                fields: &mut $crate::settings::Fields<'_>,
            ) -> ::core::result::Result<Self, $crate::settings::SettingError> {
                Ok(Self {
                    $(
                        $field: fields.setting::<$type>(
                            $crate::settings!(@first $($word,)? stringify!($field)),
                            $crate::settings!(@first $($scope,)? ""),
                            &$kind,
                        )?,
                    )*
                })
            }

            fn write(&self, written: &mut $crate::settings::Written) {
                $(
                    let scope = $crate::settings!(@first $($scope,)? "");
                    if scope.is_empty() || scope == written.scope() {
                        $crate::settings::Kind::<$type>::write(
                            &$kind,
                            $crate::settings!(@first $($word,)? stringify!($field)),
                            &self.$field,
                            written,
                        );
                    }
                )*
            }

            fn describe(descriptions: &mut $crate::settings::Descriptions) {
                $(
                    let scope = $crate::settings!(@first $($scope,)? "");
                    if scope.is_empty() || scope == descriptions.scope() {
                        $crate::settings::Kind::<$type>::describe(
                            &$kind,
                            $crate::settings!(@first $($word,)? stringify!($field)),
                            ::core::concat!($($doc),*),
                            descriptions,
                        );
                    }
                )*
            }

            fn declare(names: &mut $crate::settings::Names) {
                $(
                    let scope = $crate::settings!(@first $($scope,)? "");
                    if scope.is_empty() || scope == names.scope() {
                        $crate::settings::Kind::<$type>::declare(
                            &$kind,
                            $crate::settings!(@first $($word,)? stringify!($field)),
                            names,
                        );
                    }
                )*
            }
        }
    };
    (@first $first:expr $(, $more:expr)?) => { $first };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SPECIAL: &str = "special";

    crate::settings! {
        /// Settings of every kind.
        struct All {
            /// A required text.
            text: String = required_text();
            /// A number of things.
            count as "number_of_things": usize = count(1).or(3);
            /// A share.
            share: f64 = number(0.0..=1.0, "a number from 0 to 1").or(0.5);
            /// A setting of configs of one kind.
            only in SPECIAL: bool = flag().or(true);
            /// A word of a table.
            word: u8 = choice(&[("one", 1), ("two", 2)]).or(1);
            /// A list.
            list: Vec<String> = texts().or(Vec::new());
            /// Settings in a mapping of their own.
            inner: Inner = group();
            /// The same, which may be left out.
            more: Option<Inner> = optional_group();
        }
    }

    crate::settings! {
        /// Nested settings.
        struct Inner {
            /// An optional count.
            limit: Option<u64> = optional(count(0));
        }
    }

    #[test]
    fn settings_are_the_same_after_they_are_written_and_read() {
        let value = json!({
            "text": "a", "number_of_things": 1e1, "share": 1, "word": "two", "list": "x",
            "inner": {"limit": 0}, "more": {}, "VARIABLE": 3,
        });
        let all = All::from_value(&value).expect("sound");
        assert_eq!((all.count, all.share, all.only, all.word), (10, 1.0, true, 2));
        assert_eq!(all.list, ["x"]);
        assert_eq!((all.inner.limit, &all.more), (Some(0), &Some(Inner { limit: None })));
        let written = all.to_value();
        assert_eq!(All::from_value(&written).expect("sound"), all);
        assert!(written.get("only").is_none());
        assert_eq!(all.to_value_of("special")["only"], true);
    }

    #[test]
    fn defaults_stand_in_the_table() {
        let all = All::default();
        assert_eq!((all.text.as_str(), all.count, all.only, all.word), ("", 3, true, 1));
        assert_eq!(
            all,
            All { text: String::new(), ..All::from_value(&json!({"text": "a"})).expect("sound") }
        );
    }

    #[test]
    fn a_setting_of_another_scope_is_unknown() {
        let value = json!({"text": "a", "only": false});
        assert!(All::from_value(&value).is_err());
        let mut fields = Fields::new("", Some(&value)).expect("a mapping").with_scope("special");
        assert!(!All::read(&mut fields).expect("sound").only);
        fields.finish().expect("known");
    }

    #[test]
    fn errors_name_the_setting_the_value_and_what_to_do() {
        for (value, message, hint) in [
            (json!({}), "text: this setting is required", None),
            (json!({"text": ""}), "text: this setting is required", None),
            (json!({"text": 1}), "text: expected a string, got 1", Some("write it in quotes")),
            (
                json!({"text": "a", "share": "0.5"}),
                "share: expected a number from 0 to 1, got \"0.5\"",
                Some(
                    "write it without quotes; a number in an environment variable is \
                      ${oc.decode:${oc.env:NAME}}",
                ),
            ),
            (
                json!({"text": "a", "share": null}),
                "share: expected a number from 0 to 1, got null",
                None,
            ),
            (
                json!({"text": "a", "number_of_things": 0}),
                "number_of_things: expected a whole number of at least 1, got 0",
                None,
            ),
            (
                json!({"text": "a", "word": "tow"}),
                "word: `tow` is not one of one, two",
                Some("did you mean two?"),
            ),
            (json!({"text": "a", "inner": 1}), "inner: expected a mapping, got 1", None),
            (
                json!({"text": "a", "more": {"limti": 1}}),
                "more.limti: there is no such setting",
                Some("did you mean limit?"),
            ),
            (
                json!({"text": 1, "share": "x", "more": {"limti": 1}, "strange": 1}),
                "there are no such 2 settings: \n  more.limti: did you mean limit?\n  strange",
                Some("variables for interpolations are written in capitals"),
            ),
            (
                json!({"text": "a", "word": false}),
                "word: expected a string, one of one, two, got false",
                Some(
                    "YAML reads yes, no, on and off as true and false; write such a word in \
                     quotes, as \"no\"",
                ),
            ),
            (
                json!({"text": "a", "strange": 1}),
                "strange: there is no such setting",
                Some("variables for interpolations are written in capitals"),
            ),
        ] {
            let error = All::from_value(&value).expect_err("refused");
            assert_eq!((error.to_string().as_str(), error.hint()), (message, hint), "{value}");
        }
    }
}
