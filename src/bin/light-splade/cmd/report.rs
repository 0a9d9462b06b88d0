//! `light-splade report`: a page about a training run.

use anyhow::Result;
use light_splade::learning::run_report;
use light_splade::pages::now;

use crate::args::ReportArgs;
use crate::log::say;
use crate::output::Output;

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    // A folder that is read may hold the page about it, so that only logs are inputs.
    let inputs = [Some(&args.run), args.compare.as_ref()].into_iter().flatten();
    let logs = inputs.filter(|path| path.is_file());
    let mut output = Output::create(args.output.as_deref(), logs, args.overwrite.force)?;
    let page = run_report(&args.run, args.compare.as_deref(), now())?;
    output.write(page.as_bytes())?;
    output.finish()?;
    if let Some(path) = &args.output {
        say(&format!("{} is written; open it in a browser", path.display()));
    }
    Ok(())
}
