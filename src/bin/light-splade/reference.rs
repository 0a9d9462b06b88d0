//! The page of all commands, docs/reference/commands.md, made from what clap knows of them.
//! `UPDATE_SNAPSHOTS=1 cargo test --bin light-splade` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use crate::args::Cli;

const INTRODUCTION: &str = "\
<!-- Made from the program's options by `UPDATE_SNAPSHOTS=1 cargo test --bin light-splade`; changes by hand are lost. -->

# Commands

This page lists every command with all of its arguments and options; it is for everybody who types commands or writes
scripts. `light-splade COMMAND --help` prints the same.
";

#[test]
fn the_page_of_commands_is_what_clap_says() {
    let mut program = Cli::command();
    program.build();
    let mut page = format!("{INTRODUCTION}\n| command | |\n|---|---|\n");
    each(&program, "light-splade", &mut |name, command| {
        if command.get_subcommands().next().is_none() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let anchor = name.replace(' ', "-");
            let _ = writeln!(page, "| [`{name}`](#{anchor}) | {} |", cell(&about));
        }
    });
    each(&program, "light-splade", &mut |name, command| {
        if command.get_subcommands().next().is_none() {
            page.push_str(&section(name, command));
        }
    });
    page.push_str("\n## Global options\n");
    page.push_str(&options(program.get_arguments().filter(|arg| arg.is_global_set())));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/commands.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, page).expect("written");
        return;
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = there.lines().zip(page.lines()).find(|(old, new)| old != new);
    assert!(there == page, "the page is not what clap says: {differs:?}");
}

/// Calls a function for the commands that are shown in the help, those of a group after the group.
fn each(command: &Command, name: &str, act: &mut dyn FnMut(&str, &Command)) {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let name = format!("{name} {}", inner.get_name());
        act(&name, inner);
        each(inner, &name, act);
    }
}

fn section(name: &str, command: &Command) -> String {
    let mut text = format!("\n## {name}\n\n");
    let about = command.get_long_about().or(command.get_about());
    let _ = writeln!(
        text,
        "{}.",
        about.map(ToString::to_string).unwrap_or_default().trim_end_matches('.')
    );
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = write!(text, "\n```text\n{usage}\n```\n");
    text.push_str(&options(command.get_arguments().filter(|arg| !arg.is_global_set())));
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        let _ = write!(text, "\n```text\n{}\n```\n", after.to_string().trim());
    }
    text
}

/// A table of the options that are shown in the help, arguments first.
fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let is_own = |arg: &&Arg| !["help", "version"].contains(&arg.get_id().as_str());
    let mut shown: Vec<&Arg> = arguments.filter(|arg| !arg.is_hide_set()).filter(is_own).collect();
    shown.sort_by_key(|arg| !arg.is_positional());
    let mut text = String::new();
    if !shown.is_empty() {
        text.push_str("\n| option | meaning |\n|---|---|\n");
    }
    for arg in shown {
        let _ = writeln!(text, "| {} | {} |", spelling(arg), meaning(arg));
    }
    text
}

/// How an option is written: `-o`, `--output PATH`.
fn spelling(arg: &Arg) -> String {
    let values: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let values = if arg.get_action().takes_values() { values.join(" ") } else { String::new() };
    if arg.is_positional() {
        return format!("`{values}`");
    }
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let long = arg.get_long().map(|long| format!("--{long}")).unwrap_or_default();
    let gap = if values.is_empty() { "" } else { " " };
    let mut text = format!("{short}`{long}{gap}{values}`");
    for alias in arg.get_visible_aliases().unwrap_or_default() {
        let _ = write!(text, ", `--{alias}`");
    }
    text
}

/// What an option does, with its values, its default and its environment variable.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let (help, own_default) = without_default(help.trim());
    let mut text = cell(help);
    if !help.ends_with('.') {
        text.push('.');
    }
    let is_flag = !arg.get_action().takes_values();
    let values = arg.get_possible_values();
    if !values.is_empty() && !is_flag && !arg.is_hide_possible_values_set() {
        let value = |value: &clap::builder::PossibleValue| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), cell(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        };
        let values: Vec<String> =
            values.iter().filter(|value| !value.is_hide_set()).map(value).collect();
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && !is_flag && !arg.is_hide_default_value_set() {
        let _ = write!(text, " Default: `{}`.", defaults.join(" "));
    }
    if let Some(default) = own_default {
        let _ = write!(text, " Default: {}.", cell(default));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " Environment: `{}`.", variable.to_string_lossy());
    }
    text
}

/// A text of help, and the default that it states at its end where clap knows none.
fn without_default(help: &str) -> (&str, Option<&str>) {
    match help.strip_suffix(']').and_then(|help| help.rsplit_once(" [default: ")) {
        Some((help, default)) => (help, Some(default)),
        None => (help, None),
    }
}

/// A text in a table.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|").replace('<', "&lt;")
}
