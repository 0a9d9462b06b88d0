//! `light-splade inspect`: what a model is.

use anyhow::Result;
use light_splade::models::inspect;

use crate::args::InspectArgs;
use crate::output::{print, print_text};
use crate::progress::Reporter;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let description = inspect(&args.model.name(), &mut Reporter::new())?;
    match args.json.json {
        true => print(&format!("{:#}\n", description.to_json())),
        false => print_text(&description.to_string()),
    }
}
