//! `light-splade demo`: a tour of the program in commands, each printed before it runs.
//!
//! Every step is a call of this program, so that what is printed is what ran.

mod data;
mod page;
mod tour;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::advised;
use crate::args::DemoArgs;
use crate::interrupt::{self, Interrupted};
use crate::output::print_text;
use crate::progress::Reporter;
use data::DemoData;
use tour::Step;

pub(crate) fn run(args: &DemoArgs, program: std::io::Result<PathBuf>) -> Result<()> {
    let program = program.context("cannot find this program")?;
    let data = DemoData::prepare(args, &mut Reporter::new())?;
    interrupt::listen()?;
    print_text(&data.introduction())?;
    let steps = tour::steps(&data);
    for (number, step) in (1..).zip(&steps) {
        print_text(&format!("\n{number}. {}\n", step.title))?;
        for command in &step.commands {
            print_text(&format!("\n$ {}\n", typed(command)))?;
            call(&program, command)?;
        }
        print_text(&closing(step))?;
    }
    page::show(steps.len() + 1, args, &program, &data)?;
    print_text(&tour::farewell(&data))
}

/// What the reader may take from a step, below what it printed.
fn closing(step: &Step) -> String {
    if step.remark.is_empty() { String::new() } else { format!("\n{}\n", step.remark) }
}

/// Runs a command of this program in a process of its own, whose output is this one's.
fn call(program: &Path, command: &[OsString]) -> Result<()> {
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
fn typed(command: &[OsString]) -> String {
    let mut text = "light-splade".to_owned();
    for argument in command {
        let argument = argument.to_string_lossy();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@".contains(c);
        text.push(' ');
        match !argument.is_empty() && argument.chars().all(is_plain) {
            true => text += &argument,
            false => {
                text.push('"');
                for c in argument.chars() {
                    if "\"\\$`".contains(c) {
                        text.push('\\');
                    }
                    text.push(c);
                }
                text.push('"');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_it() {
        let command = ["search", "a/b", "海が \"見える\" $1"].map(OsString::from);
        let want = "light-splade search a/b \"海が \\\"見える\\\" \\$1\"";
        assert_eq!(typed(&command), want);
    }
}
