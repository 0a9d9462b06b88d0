//! `light-splade merge-models`: models that are averages of others.

use anyhow::{Result, bail};
use light_splade::models::{MergeMethod, MergeModelsOptions, merge_models};

use crate::args::{MergeModelsArgs, MethodArg};
use crate::interrupt;
use crate::progress::Reporter;

pub(crate) fn run(args: &MergeModelsArgs) -> Result<()> {
    let weights = match args.weights.len() {
        0 => vec![1.0; args.models.len()],
        count if count == args.models.len() => args.weights.clone(),
        count => bail!("--weights has {count} numbers for {} models", args.models.len()),
    };
    let options = MergeModelsOptions {
        models: args.models.iter().cloned().zip(weights).collect(),
        method: match args.method {
            MethodArg::Linear => MergeMethod::Linear,
            MethodArg::Slerp => MergeMethod::Slerp,
        },
        out: args.output.clone(),
        mecab_dicdir: args.mecab_dicdir.clone(),
        force: args.overwrite.force,
    };
    interrupt::listen()?;
    merge_models(&options, &mut Reporter::new())?;
    Ok(())
}
