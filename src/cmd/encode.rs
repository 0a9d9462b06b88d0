//! `light-splade encode`: texts in, NDJSON rows of sparse vectors out.

use anyhow::Result;
use splade_sparse::{SparseVector, TermId};

use super::{load, records, window};
use crate::args::{EncodeArgs, Terms};
use crate::output::{Output, push_row};
use crate::progress::{Progress, say};

pub(crate) fn run(args: &EncodeArgs) -> Result<()> {
    let mut records = records(&args.input)?;
    let mut output = Output::create(args.output.as_deref())?;
    let encoder = load(&args.model)?;
    // JSON of every token, made when it is first met.
    let mut keys: Vec<Option<String>> = vec![None; encoder.vocab()];
    let mut push_key = |term: TermId, out: &mut Vec<u8>| {
        let key = keys[term.0 as usize].get_or_insert_with(|| match args.terms {
            Terms::Tokens => serde_json::Value::from(encoder.token(term)).to_string(),
            Terms::Ids => format!("\"{term}\""),
        });
        out.extend_from_slice(key.as_bytes());
    };
    let mut progress = Progress::start();
    let mut truncated = 0;
    loop {
        let window = window(&mut *records)?;
        if window.is_empty() {
            break;
        }
        let texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let encoded = encoder.encode_batch(&texts)?;
        truncated += encoded.truncated;
        let mut rows = Vec::new();
        for (record, vector) in window.iter().zip(encoded.vectors) {
            push_row(&mut rows, &record.id, &prune(vector, args), &mut push_key, args.decimals);
        }
        output.write(&rows)?;
        progress.add(window.len(), encoded.tokens);
    }
    output.finish()?;
    progress.finish();
    if truncated > 0 {
        say(&format!("{truncated} texts were cut off at {} tokens", encoder.max_length()));
    }
    Ok(())
}

fn prune(mut vector: SparseVector, args: &EncodeArgs) -> SparseVector {
    if let Some(threshold) = args.threshold {
        vector = vector.at_least(threshold);
    }
    if let Some(count) = args.top_k {
        vector = vector.top_k(count);
    }
    vector
}
