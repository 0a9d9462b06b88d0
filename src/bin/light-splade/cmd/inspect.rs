//! `light-splade inspect`: what a model is.

use anyhow::Result;
use light_splade::models::inspect;

use crate::args::InspectArgs;
use crate::output::print;
use crate::progress::Reporter;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    print(&inspect(&args.model, &mut Reporter::new())?.to_string())
}
