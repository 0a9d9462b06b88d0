//! `light-splade inspect`: what a model is.

use anyhow::{Context, Result};
use splade_model::ModelFolder;
use splade_model::architecture::ArchitectureConfig;
use splade_model::folder::{Layout, Method, Table, Tower};
use splade_model::weights::Weights;
use splade_text::{Tokenizer, TokenizerOptions};

use super::{folder, name};
use crate::args::InspectArgs;
use crate::output::print;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let path = folder(&args.model)?;
    let folder = ModelFolder::open(&path)
        .with_context(|| format!("cannot read the model {}", args.model.display()))?;
    let layout = match folder.layout {
        Layout::MaskedLm => "masked language model",
        Layout::SentenceTransformers => "sentence-transformers sparse encoder",
        Layout::TwoTower => "light-splade, with an encoder of its own for queries",
        Layout::OpenSearch => "OpenSearch, with a table for queries",
    };
    let model = match path == args.model {
        true => name(&path),
        false => args.model.display().to_string(),
    };
    let mut rows = vec![("model", model), ("layout", layout.to_owned())];
    if folder.shares_towers() {
        describe(&folder.document, &mut rows)?;
        rows.extend(prompt("query prompt", &folder.query));
        rows.extend(prompt("document prompt", &folder.document));
    } else {
        for (side, tower) in [("documents", &folder.document), ("queries", &folder.query)] {
            rows.push(("", String::new()));
            rows.push(("encodes", side.to_owned()));
            describe(tower, &mut rows)?;
            rows.extend(prompt("prompt", tower));
        }
    }
    let text: String = rows
        .into_iter()
        .map(|(key, value)| format!("{key:15} {value}").trim_end().to_owned() + "\n")
        .collect();
    print(&text)
}

fn prompt(key: &'static str, tower: &Tower) -> Option<(&'static str, String)> {
    (!tower.prompt.is_empty()).then(|| (key, format!("{:?}", tower.prompt)))
}

fn describe(tower: &Tower, rows: &mut Vec<(&str, String)>) -> Result<()> {
    let tokenizer = Tokenizer::from_dir(&tower.dir, &TokenizerOptions::default())?;
    let tokens = format!("{}, {} tokens", tokenizer.kind(), tokenizer.len());
    match &tower.method {
        Method::MaskedLm { pooling, saturation } => {
            let config = ArchitectureConfig::open(&tower.dir)?;
            let weights = Weights::open(&tower.dir)?;
            let (hidden, layers, heads) = config.shape();
            let shape = format!("{layers} layers, hidden {hidden}, {heads} heads");
            let count: usize = weights
                .names()
                .filter_map(|name| weights.shape(name))
                .map(|s| s.iter().product::<usize>())
                .sum();
            let file = name(weights.path());
            rows.push(("architecture", format!("{}: {shape}", config.name())));
            rows.push(("parameters", format!("{:.1} million in {file}", count as f64 / 1e6)));
            rows.push(("vocabulary", format!("{} terms", config.vocab())));
            rows.push(("tokenizer", tokens));
            let own = tower.max_seq_length.or(tokenizer.model_max_length());
            let limit = config.max_tokens();
            rows.push(("max tokens", own.unwrap_or(limit).min(limit).to_string()));
            rows.push(("pooling", format!("{pooling:?}, {saturation:?}")));
        }
        Method::Lookup(table) => {
            let (Table::Tensor(path) | Table::Json(path)) = table;
            rows.push(("weights", format!("looked up in {}, no model runs", name(path))));
            rows.push(("tokenizer", tokens));
        }
    }
    Ok(())
}
