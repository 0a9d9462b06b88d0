//! `light-splade doctor`: whether a search engine answers as it has to.

use anyhow::{Result, bail};
use light_splade::search_engines::{DoctorCheck, DoctorOptions, SearchEngineKind, doctor};

use crate::args::{DoctorArgs, SearchEngineArg};
use crate::interrupt;
use crate::output::print;
use crate::progress::Reporter;

pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    let options = DoctorOptions {
        url: args.url.clone(),
        kind: args.kind.map(|kind| match kind {
            SearchEngineArg::Elasticsearch => SearchEngineKind::Elasticsearch,
            SearchEngineArg::Opensearch => SearchEngineKind::OpenSearch,
            SearchEngineArg::Qdrant => SearchEngineKind::Qdrant,
        }),
        api_key: args.api_key.as_ref().map(|key| key.0.clone()),
        ca_file: args.ca_file.clone(),
        vectors: args.vectors.clone(),
        queries: args.queries.clone(),
        model: args.model.clone(),
    };
    interrupt::listen()?;
    let mut printed = Ok(());
    let tell = |check: &DoctorCheck| {
        if printed.is_ok() && !args.json.json {
            printed = print(&format!("{check}\n"));
        }
    };
    let report = doctor(&options, &mut Reporter::new(), tell)?;
    printed?;
    if args.json.json {
        print(&format!("{:#}\n", report.to_json()))?;
    }
    match report.wrong() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        wrong => bail!("{wrong} checks failed"),
    }
}
