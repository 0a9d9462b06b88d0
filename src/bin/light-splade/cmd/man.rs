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
    let mut cli = command();
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

/// The pages of a command and of those below it, with the names of their files.
fn render(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let page = Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text).context("cannot make a page of the manual")?;
    pages.push((page.get_filename(), text));
    command.get_subcommands().try_for_each(|below| render(below, pages))
}
