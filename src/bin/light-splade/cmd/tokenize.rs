//! `light-splade tokenize`: one NDJSON row a text with its token ids.

use anyhow::{Context, Result};
use splade_text::{Tokenizer, TokenizerOptions};

use super::{folder, records};
use crate::args::TokenizeArgs;
use crate::output::Output;
use crate::progress::Reporter;

pub(crate) fn run(args: &TokenizeArgs) -> Result<()> {
    let (records, position) = records(&args.input)?;
    let mut reporter = Reporter::new();
    position.tell(&mut reporter);
    let options = TokenizerOptions { mecab_dicdir: args.mecab_dicdir.clone() };
    let tokenizer = Tokenizer::from_dir(&folder(&args.model)?, &options)
        .with_context(|| format!("cannot load the tokenizer of {}", args.model.display()))?;
    let mut output = Output::stdout();
    for record in records {
        let record = record?;
        let ids = tokenizer.encode(&record.text, args.max_length)?.ids;
        let mut row = serde_json::json!({"id": record.id, "ids": ids});
        if !args.ids {
            let tokens: Vec<&str> =
                ids.iter().map(|id| tokenizer.token(*id).unwrap_or("")).collect();
            row["tokens"] = tokens.into();
        }
        output.write(format!("{row}\n").as_bytes())?;
    }
    output.finish()?;
    position.tell(&mut reporter);
    Ok(())
}
