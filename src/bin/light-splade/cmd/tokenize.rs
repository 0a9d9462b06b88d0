//! `light-splade tokenize`: the tokens of texts, as NDJSON or, on a terminal, for people.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use splade_io::{counted, printable};
use splade_text::{Tokenizer, TokenizerOptions};

use super::{folder, records};
use crate::args::TokenizeArgs;
use crate::output::Output;
use crate::progress::Reporter;
use crate::style::{self, Style};

pub(crate) fn run(args: &TokenizeArgs) -> Result<()> {
    let (records, position) = records(&args.input)?;
    let mut output =
        Output::create(args.output.as_deref(), &args.input.inputs, args.overwrite.force)?;
    let for_people = args.output.is_none() && !args.json && std::io::stdout().is_terminal();
    let mut reporter = Reporter::new();
    position.tell(&mut reporter);
    let options = TokenizerOptions { mecab_dicdir: args.mecab_dicdir.clone() };
    let tokenizer = Tokenizer::from_dir(&folder(&args.model)?, &options)
        .with_context(|| format!("cannot load the tokenizer of {}", args.model.display()))?;
    for record in records {
        let record = record?;
        let ids = tokenizer.encode(&record.text, args.max_length)?.ids;
        let tokens = || ids.iter().map(|id| tokenizer.token(*id).unwrap_or(""));
        if for_people {
            let tokens: Option<Vec<&str>> = (!args.ids).then(|| tokens().collect());
            output.write_styled(&block(&record.id, &ids, tokens))?;
            continue;
        }
        let mut row = serde_json::json!({"id": record.id, "ids": ids});
        if !args.ids {
            row["tokens"] = tokens().collect::<Vec<_>>().into();
        }
        output.write(format!("{row}\n").as_bytes())?;
    }
    output.finish()?;
    position.tell(&mut reporter);
    Ok(())
}

/// The tokens of a text for people, and their ids.
fn block(id: &str, ids: &[u32], tokens: Option<Vec<&str>>) -> String {
    let colour = style::on_stdout();
    let count = counted(ids.len(), "tokens");
    let id = Style::Bold.paint(colour, printable(id));
    let tokens =
        tokens.map_or(String::new(), |tokens| format!("{}\n", printable(&tokens.join(" "))));
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{id}  {count}\n{tokens}{}\n", Style::Dim.paint(colour, ids.join(" ")))
}
