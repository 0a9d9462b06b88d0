//! `light-splade completions`: what a shell needs to complete commands and options.

use anyhow::{Context, Result};
use clap_complete::{Shell, generate};

use crate::args::{CompletionsArgs, command};
use crate::output::Output;

pub(crate) fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut command(), "light-splade", &mut script);
    if args.shell == Shell::Bash {
        // clap_complete 4.6 writes the dash of the program's name in two ways, so that nothing would be
        // offered after a command.
        let text = String::from_utf8(script).context("the completions are not UTF-8")?;
        script = text.replace("light__subcmd__splade", "light__splade").into_bytes();
    }
    let mut output = Output::stdout();
    output.write(&script)?;
    output.finish()
}
