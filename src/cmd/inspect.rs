//! `light-splade inspect`: what a model is.

use anyhow::{Context, Result};
use splade_model::{ArchitectureConfig, Layout, ModelFolder, Weights};
use splade_text::{Tokenizer, TokenizerOptions};

use super::{folder, name};
use crate::args::InspectArgs;
use crate::output::Output;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let path = folder(&args.model)?;
    let folder = ModelFolder::open(&path)
        .with_context(|| format!("cannot read the model {}", args.model.display()))?;
    let layout = match folder.layout {
        Layout::MaskedLm => "masked language model",
        Layout::SentenceTransformers => "sentence-transformers sparse encoder",
        Layout::TwoTower => "light-splade, with an encoder of its own for queries",
    };
    let model = match path == args.model {
        true => name(&path),
        false => args.model.display().to_string(),
    };
    let mut text = format!("model         {model}\nlayout        {layout}\n");
    let towers = match folder.shares_towers() {
        true => vec![("", &folder.document)],
        false => vec![("document ", &folder.document), ("query ", &folder.query)],
    };
    for (side, tower) in towers {
        let config = ArchitectureConfig::open(&tower.dir)?;
        let weights = Weights::open(&tower.dir)?;
        let tokenizer = Tokenizer::from_dir(&tower.dir, &TokenizerOptions::default())?;
        let (hidden, layers, heads) = config.shape();
        let count: usize = weights
            .names()
            .filter_map(|name| weights.shape(name))
            .map(|s| s.iter().product::<usize>())
            .sum();
        text += &format!(
            "{side}architecture  {}: {layers} layers, hidden {hidden}, {heads} heads\n\
             {side}vocabulary    {} terms, {} tokens\n\
             {side}tokenizer     {}\n\
             {side}parameters    {:.1} million in {}\n\
             {side}max tokens    {}\n\
             {side}pooling       {:?}, {:?}\n",
            config.name(),
            config.vocab(),
            tokenizer.len(),
            tokenizer.kind(),
            count as f64 / 1e6,
            name(weights.path()),
            tower.max_seq_length.unwrap_or(config.max_tokens()),
            tower.pooling,
            tower.saturation,
        );
        if !tower.prompt.is_empty() {
            text += &format!("{side}prompt        {:?}\n", tower.prompt);
        }
    }
    let mut output = Output::create(None)?;
    output.write(text.as_bytes())?;
    output.finish()
}
