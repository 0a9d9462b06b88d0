//! `light-splade check-data`: what would make the numbers of a data set wrong or meaningless.

mod training;

use anyhow::{Result, bail};
use light_splade::finding_line;
use serde_json::{Value, json};
use splade_eval::check::{Finding, check};
use splade_eval::{Dataset, Qrels};

use crate::args::{CheckDataArgs, TableOrJson};
use crate::output::print;

pub(crate) fn run(args: &CheckDataArgs) -> Result<()> {
    let folders = training::folders(&args.data);
    if !folders.is_empty() {
        return training::run(args, &folders);
    }
    let dataset = Dataset::open(&args.data)?;
    let (mut documents, mut queries) = (0u64, 0u64);
    let qrels = qrels(&dataset, args.split.as_deref())?;
    let findings = check(
        dataset.documents().inspect(|_| documents += 1),
        dataset.queries().inspect(|_| queries += 1),
        &qrels,
    )?;
    let text = match args.format {
        TableOrJson::Table => {
            let judged = qrels.len();
            let sizes = format!("{documents} documents, {queries} queries, {judged} judged\n");
            findings.iter().fold(sizes, |text, finding| text + &finding_line(finding) + "\n")
        }
        TableOrJson::Json => {
            let problems: Vec<Value> = findings.iter().map(problem).collect();
            let json = json!({
                "documents": documents,
                "queries": queries,
                "judged_queries": qrels.len(),
                "problems": problems,
            });
            format!("{json:#}\n")
        }
    };
    print(&text)?;
    match findings.is_empty() {
        true => Ok(()),
        false => bail!("{} has problems", args.data.display()),
    }
}

fn problem(finding: &Finding) -> Value {
    json!({
        "problem": finding.check.to_string(),
        "count": finding.count,
        "examples": finding.examples,
    })
}

/// The judgements of a split, or of all splits together.
fn qrels(dataset: &Dataset, split: Option<&str>) -> Result<Qrels> {
    let splits: Vec<Option<&str>> = match split {
        None if dataset.splits().next().is_some() => dataset.splits().map(Some).collect(),
        split => vec![split],
    };
    let mut all = Qrels::default();
    for split in splits {
        for (query, grades) in dataset.qrels(split)?.iter() {
            for (document, grade) in grades {
                // A pair that two splits judge is checked once.
                all.insert(query, document, *grade);
            }
        }
    }
    Ok(all)
}
