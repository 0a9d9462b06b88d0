//! Arguments as they are typed become a call.

use std::ffi::OsString;

use clap::FromArgMatches;

use super::global::ColorArg;
use super::{Cli, help, old_spellings};

/// Parses arguments, the first of which is the name of the program. Warnings stand beside the result,
/// because a call with an old spelling may be wrong in another way, too.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> (Vec<String>, Result<Cli, clap::Error>) {
    let (arguments, warnings) = old_spellings::renew(arguments.into_iter().collect());
    let color = match help::color(&arguments) {
        ColorArg::Auto => clap::ColorChoice::Auto,
        ColorArg::Always => clap::ColorChoice::Always,
        ColorArg::Never => clap::ColorChoice::Never,
    };
    let matches = help::command().color(color).try_get_matches_from(arguments);
    (warnings, matches.and_then(|matches| Cli::from_arg_matches(&matches)))
}
