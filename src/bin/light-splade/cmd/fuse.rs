//! `light-splade fuse`: one run of several.

use anyhow::{Context, Result};
use splade_eval::Run;
use splade_eval::fuse::fuse;
use splade_io::counted;

use crate::args::FuseArgs;
use crate::closing;
use crate::log::{say, warn};
use crate::output::{Output, is_stdout};

pub(crate) fn run(args: &FuseArgs) -> Result<()> {
    let fusion = args.method.fusion(&args.weights);
    fusion.check(args.runs.len())?;
    let mut output = Output::create(args.output.as_deref(), &args.runs, args.overwrite.force)?;
    let runs = args.runs.iter().map(|path| Ok(Run::open(path)?)).collect::<Result<Vec<_>>>()?;
    runs.iter().flat_map(Run::notes).for_each(|note| say(note));
    let mut fused = fuse(&runs, &fusion)?;
    for (run, path) in runs.iter().zip(&args.runs) {
        let missing = fused.iter().filter(|(query, _)| run.get(query).is_none()).count();
        if missing > 0 {
            warn(&format!("{missing} of {} queries are not in {}", fused.len(), path.display()));
        }
    }
    if let Some(k) = args.top_k_hits {
        fused.truncate(k);
    }
    let ending = args.output.as_deref().and_then(|path| path.extension());
    let is_ndjson = ending.is_some_and(|ending| ending == "ndjson" || ending == "jsonl");
    let mut bytes = Vec::new();
    match is_ndjson {
        true => fused.write_ndjson(&mut bytes),
        false => fused.write_trec(&mut bytes, &args.tag),
    }
    .context("cannot write the run")?;
    output.write(&bytes)?;
    output.finish()?;
    if let Some(path) = args.output.as_deref().filter(|path| !is_stdout(path)) {
        let what = format!("the run of {} to {}", counted(fused.len(), "queries"), path.display());
        closing::made(&what, Some(format!("evaluate DATA --run {}", closing::shown(path))));
    }
    Ok(())
}
