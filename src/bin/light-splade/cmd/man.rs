//! `light-splade man`: the manual as pages for `man`, one a command.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap_mangen::Man;
use splade_io::counted;

use crate::args::{ManArgs, command};
use crate::log::say;
use crate::output::Output;

pub(crate) fn run(args: &ManArgs) -> Result<()> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut cli = with_long_help(command());
    cli.build();
    let mut pages = Vec::new();
    render(&cli, &mut pages)?;
    let inputs: [&Path; 0] = [];
    let outputs = pages
        .iter()
        .map(|(name, _)| Output::create(Some(&folder.join(name)), inputs, args.overwrite.force));
    // None is written if one cannot be.
    for (mut output, (_, page)) in outputs.collect::<Result<Vec<_>>>()?.into_iter().zip(&pages) {
        output.write(page)?;
        output.finish()?;
    }
    say(&format!("wrote {} into {}", counted(pages.len(), "pages"), folder.display()));
    Ok(())
}

/// Gives every option a long help: a page leaves out the help of those that short help hides.
fn with_long_help(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let help = arg.get_help().cloned().filter(|_| arg.get_long_help().is_none());
        match help {
            Some(help) => arg.long_help(help),
            None => arg,
        }
    });
    command.mut_subcommands(with_long_help)
}

/// The pages of a command and of those below it, with the names of their files.
fn render(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    // A page has no date, as it is the same whenever it is written; an empty one would be left out, and
    // the source would take its place.
    let page = Man::new(command.clone())
        .date(" ")
        .source(concat!("light-splade ", env!("CARGO_PKG_VERSION")))
        .manual("light-splade");
    let mut text = Vec::new();
    page.render(&mut text).context("cannot make a page of the manual")?;
    pages.push((page.get_filename(), text));
    command.get_subcommands().try_for_each(|below| render(below, pages))
}
