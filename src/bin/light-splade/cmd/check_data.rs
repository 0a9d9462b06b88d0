//! `light-splade check-data`: what would make the numbers of a data set wrong or meaningless.

use anyhow::{Result, bail};
use light_splade::data::dataset_folder;
use light_splade::evaluation::check_data;
use splade_io::printable;

use crate::args::CheckDataArgs;
use crate::output::{print, print_styled, print_text};
use crate::progress::Reporter;
use crate::style::{self, Style};

pub(crate) fn run(args: &CheckDataArgs) -> Result<()> {
    let data = dataset_folder(&args.data, &mut Reporter::new())?;
    let report = check_data(&data, args.split.as_deref())?;
    match args.json.json {
        true => print(&format!("{:#}\n", report.to_json()))?,
        false => {
            print_text(&report.to_text())?;
            if report.is_sound() {
                let found =
                    format!("no problems found in {}", printable(&args.data.display().to_string()));
                print_styled(&format!("{}\n", Style::Green.paint(style::on_stdout(), found)))?;
            }
        }
    }
    match report.is_sound() {
        true => Ok(()),
        false => bail!("{} has problems", args.data.display()),
    }
}
