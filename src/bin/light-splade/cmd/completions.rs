//! `light-splade completions`: what a shell needs to complete commands and options.

use anyhow::Result;
use clap_complete::generate;

use crate::args::{CompletionsArgs, command};
use crate::output::Output;

pub(crate) fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut command(), "light-splade", &mut script);
    let mut output = Output::stdout();
    output.write(&script)?;
    output.finish()
}
