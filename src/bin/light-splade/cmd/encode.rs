//! `light-splade encode`: texts in, rows of sparse vectors out.

use anyhow::{Result, bail};
use light_splade::{Ended, SparseEncoder};
use serde_json::json;
use splade_model::Encoder;
use splade_sparse::TermId;
use splade_sparse::files::{RowFormat, Shard};

use super::{Records, records};
use crate::args::{EncodeArgs, Terms};
use crate::interrupt::{self, Interrupted};
use crate::progress::{Reporter, say};
use crate::sink::{Destination, Rows};

pub(crate) fn run(args: &EncodeArgs) -> Result<()> {
    let mut destination = Destination::of(args.output.as_deref(), args.format)?;
    if let Some(part) = args.shard {
        destination = destination.part(part)?;
    }
    if args.resume && !matches!(destination, Destination::Folder(..)) {
        bail!("--resume goes with an --output folder: only finished shards can be kept");
    }
    let (mut records, position) = records(&args.input)?;
    let mut reporter = Reporter::new();
    let model =
        SparseEncoder::load_observed(&args.model.model, &args.model.options(), &mut reporter)?;
    let side = args.model.text.side.into();
    let encoder = model.tower(side)?;
    let rows =
        Rows { format: row_format(args, encoder), settings: settings(args, &destination, encoder) };
    if destination.has_part(&rows.settings)? {
        say("the shard is there already");
        return Ok(());
    }
    let mut sink = destination.open(&rows, args.resume, args.shard_rows)?;
    if sink.is_complete() {
        say("all vectors are there already");
        return Ok(());
    }
    skip(&mut records, sink.finished())?;
    if let Some(part) = args.shard {
        let mut rows = 0..;
        records =
            Box::new(records.filter(move |record| {
                record.is_err() || rows.next().is_some_and(|row| part.has(row))
            }));
    }
    interrupt::listen()?;
    let ended = model.encode_each(side, records, position, &mut reporter, |id, vector| {
        sink.write(id, &args.prune.apply(vector))
    })?;
    match ended {
        Ended::Whole => sink.finish(),
        Ended::Stopped => Err(Interrupted(sink.stop()?).into()),
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
    let mut settings = json!({
        "model": args.model.model.to_string_lossy(),
        "vocab": encoder.vocab(),
        "as": args.model.text.side.to_string(),
        "precision": args.model.engine.precision.to_string(),
        "max_length": encoder.max_length(),
        "prompt": encoder.prompt(),
        "top_k": args.prune.top_k,
        "threshold": args.prune.threshold,
        "inputs": args.input.inputs.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        "text_field": args.input.text_field,
        "id_field": args.input.id_field,
        "terms": ndjson.map(|(terms, _)| terms.to_string()),
        "decimals": ndjson.map(|(_, decimals)| decimals),
    });
    if let Some(part) = args.shard {
        settings["shard"] = part.to_string().into();
    }
    settings
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
