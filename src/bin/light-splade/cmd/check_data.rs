//! `light-splade check-data`: what would make the numbers of a data set wrong or meaningless.

use anyhow::{Result, bail};
use light_splade::evaluation::check_data;

use crate::args::CheckDataArgs;
use crate::output::{print, print_text};

pub(crate) fn run(args: &CheckDataArgs) -> Result<()> {
    let report = check_data(&args.data, args.split.as_deref())?;
    match args.json.json {
        true => print(&format!("{:#}\n", report.to_json()))?,
        false => print_text(&report.to_text())?,
    }
    match report.is_sound() {
        true => Ok(()),
        false => bail!("{} has problems", args.data.display()),
    }
}
