//! `light-splade encode`: texts in, rows of sparse vectors out.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;
use splade_model::Encoder;
use splade_sparse::files::{RowFormat, Shard};
use splade_sparse::{SparseVector, TermId};

use super::{Records, load, records, window};
use crate::args::{EncodeArgs, Terms};
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};
use crate::sink::{Destination, Rows};

pub(crate) fn run(args: &EncodeArgs) -> Result<()> {
    let destination = Destination::of(args.output.as_deref(), args.format)?;
    if args.resume && !matches!(destination, Destination::Folder(..)) {
        bail!("--resume goes with an --output folder: only finished shards can be kept");
    }
    let (mut records, position) = records(&args.input)?;
    let encoder = load(&args.model)?;
    let rows = Rows {
        format: row_format(args, &encoder),
        settings: settings(args, &destination, &encoder),
    };
    let mut sink = destination.open(&rows, args.resume, args.shard_rows)?;
    if sink.is_complete() {
        say("all vectors are there already");
        return Ok(());
    }
    skip(&mut records, sink.finished())?;
    interrupt::listen()?;
    let mut progress = Progress::start(position);
    let (mut truncated, mut texts) = (0, FIRST_WINDOW);
    loop {
        let window = window(&mut records, texts)?;
        if window.is_empty() {
            break;
        }
        let start = Instant::now();
        let window_texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let encoded = encoder.encode_batch(&window_texts)?;
        truncated += encoded.truncated;
        for (record, vector) in window.iter().zip(encoded.vectors) {
            sink.write(&record.id, &prune(vector, args))?;
        }
        progress.add(window.len(), encoded.tokens);
        texts = next_window(texts, start.elapsed());
        if interrupt::asked() {
            progress.finish();
            return Err(Interrupted(sink.stop()?).into());
        }
    }
    sink.finish()?;
    progress.finish();
    if truncated > 0 {
        say(&format!("{truncated} texts were cut off at {} tokens", encoder.max_length()));
    }
    Ok(())
}

/// Texts of the first window. Texts that are encoded together are shared by the threads in equal
/// parts: more are better, as long as progress and Ctrl-C do not wait for them.
const FIRST_WINDOW: usize = 64;
const LARGEST_WINDOW: usize = 4096;

/// The texts of the next window, by the time that this one took.
fn next_window(texts: usize, took: Duration) -> usize {
    match took.as_secs_f64() {
        ..1.0 => (texts * 2).min(LARGEST_WINDOW),
        3.0.. => (texts / 2).max(16),
        _ => texts,
    }
}

fn row_format(args: &EncodeArgs, encoder: &Encoder) -> RowFormat {
    let terms = (0..encoder.vocab() as u32).map(|term| encoder.token(TermId(term)));
    match args.terms {
        Terms::Tokens => RowFormat::tokens(terms, args.decimals),
        Terms::Ids => RowFormat::ids(args.decimals),
    }
}

/// What the vectors depend on: kept beside them, and compared when a run is resumed.
fn settings(args: &EncodeArgs, to: &Destination, encoder: &Encoder) -> serde_json::Value {
    let ndjson = (!to.is_parquet()).then_some((args.terms, args.decimals));
    json!({
        "model": args.model.model,
        "vocab": encoder.vocab(),
        "as": args.model.side.to_string(),
        "precision": args.model.precision.to_string(),
        "max_length": encoder.max_length(),
        "prompt": encoder.prompt(),
        "top_k": args.top_k,
        "threshold": args.threshold,
        "inputs": args.input.inputs,
        "text_field": args.input.text_field,
        "id_field": args.input.id_field,
        "terms": ndjson.map(|(terms, _)| terms.to_string()),
        "decimals": ndjson.map(|(_, decimals)| decimals),
    })
}

/// Passes over the texts whose vectors are there, and checks that they are the same.
fn skip(records: &mut Records, shards: &[Shard]) -> Result<()> {
    let mut rows = 0;
    for shard in shards {
        rows += shard.rows;
        let mut last = None;
        for _ in 0..shard.rows {
            last = records.next().transpose()?;
        }
        match last {
            Some(record) if record.id == shard.last_id => {}
            Some(record) => bail!(
                "the input has changed since the vectors were begun: text {rows} had the id {:?}, now {:?}",
                shard.last_id,
                record.id
            ),
            None => bail!(
                "the input has changed since the vectors were begun: it ends before text {rows}"
            ),
        }
    }
    if rows > 0 {
        say(&format!("{rows} vectors are there already"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_take_one_to_three_seconds() {
        let next = |texts, seconds| next_window(texts, Duration::from_secs_f64(seconds));
        assert_eq!(next(64, 0.1), 128);
        assert_eq!(next(LARGEST_WINDOW, 0.1), LARGEST_WINDOW);
        assert_eq!(next(64, 2.0), 64);
        assert_eq!(next(64, 3.5), 32);
        assert_eq!(next(16, 60.0), 16);
    }
}
