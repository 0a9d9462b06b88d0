//! `light-splade inspect`: what a model is.

use anyhow::Result;
use light_splade::models::inspect;

use crate::args::InspectArgs;
use crate::output::print_text;
use crate::progress::Reporter;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    print_text(&inspect(&args.model, &mut Reporter::new())?.to_string())
}
