//! Calls of this program.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd::advised;
use crate::interrupt::{self, Interrupted};
use crate::quoting::quoted;

/// Runs a command of this program in a process of its own, whose output is this one's.
pub(super) fn call(program: &Path, command: &[OsString]) -> Result<()> {
    let status = Command::new(program).args(command).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    match status.success() {
        true => Ok(()),
        false if interrupt::asked() => {
            Err(Interrupted("the folder of the demo stays as it is".to_owned()).into())
        }
        false => {
            let what = format!("the step ended with {status}");
            Err(advised(what, "its messages above say why"))
        }
    }
}

/// A command as a person types it.
pub(super) fn typed(command: &[OsString]) -> String {
    let words = command.iter().map(|word| quoted(&word.to_string_lossy()));
    ["light-splade".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_it() {
        let command = ["search", "a/b", "海が \"見える\" $1"].map(OsString::from);
        let want = "light-splade search a/b '海が \"見える\" $1'";
        assert_eq!(typed(&command), want);
    }
}
