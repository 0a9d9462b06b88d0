//! `light-splade explain`: for each term of a text, the token that gave it its weight.

use std::fmt::Write as _;

use anyhow::Result;
use light_splade::SparseEncoder;
use light_splade::pages::{explain_page, now};
use serde_json::{Value, json};
use splade_io::printable;
use splade_model::{Encoder, Explanation};

use super::records;
use crate::args::{ExplainArgs, TEXT_WITHOUT_OPTION};
use crate::log;
use crate::output::Output;
use crate::progress::Reporter;

pub(crate) fn run(args: &ExplainArgs) -> Result<()> {
    let mut input = args.input.clone();
    // Earlier versions took one text where files stand now.
    if let [text] = &input.inputs[..]
        && input.text.is_empty()
        && text.as_os_str() != "-"
        && !text.exists()
        && let Some(text) = text.to_str()
    {
        log::warn(TEXT_WITHOUT_OPTION);
        input.text = vec![text.to_owned()];
        input.inputs.clear();
    }
    let (records, _) = records(&input)?;
    let mut output = Output::create(args.output.as_deref(), &input.inputs, args.overwrite.force)?;
    let mut reporter = Reporter::new();
    let model =
        SparseEncoder::load_observed(&args.model.model, &args.model.options(), &mut reporter)?;
    let side = args.model.text.side.into();
    if args.html {
        let texts: Vec<String> = records.map(|record| Ok(record?.text)).collect::<Result<_>>()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        output.write(explain_page(&model, side, &texts, args.top_k, now())?.as_bytes())?;
        return output.finish();
    }
    let encoder = model.tower(side)?;
    let explain = |text: &str| -> Result<(Explanation, usize)> {
        let mut explanation = encoder.explain(text)?;
        let all = explanation.terms.len();
        explanation.terms.truncate(args.top_k);
        Ok((explanation, all))
    };
    let several = input.text.len() != 1;
    for (number, record) in records.enumerate() {
        let record = record?;
        let (explanation, all) = explain(&record.text)?;
        if args.json {
            let row = row(encoder, &record.id, &explanation, all);
            output.write(format!("{row}\n").as_bytes())?;
            continue;
        }
        let gap = if number > 0 { "\n" } else { "" };
        let title = if several { format!("{}: ", printable(&record.id)) } else { String::new() };
        let text = plain(encoder, &explanation, all, output.has_styles());
        output.write_styled(&format!("{gap}{title}{text}"))?;
    }
    output.finish()
}

/// The explanation of a text as JSON.
fn row(encoder: &Encoder, id: &str, explanation: &Explanation, all: usize) -> Value {
    let terms = explanation.terms.iter().map(|term| {
        let name = encoder.token(term.term);
        json!({
            "expansion": !explanation.tokens.contains(&name),
            "term": name,
            "weight": term.weight,
            "position": term.position,
            "token": explanation.tokens[term.position],
        })
    });
    let terms: Vec<Value> = terms.collect();
    json!({"id": id, "tokens": explanation.tokens, "all_terms": all, "terms": terms})
}

/// A line a term; in bold, on a terminal, terms that do not stand in the text.
fn plain(encoder: &Encoder, explanation: &Explanation, all: usize, colour: bool) -> String {
    let mut text = format!("{}\n\n", printable(&explanation.tokens.join(" ")));
    for term in &explanation.terms {
        let name = encoder.token(term.term);
        let source = &explanation.tokens[term.position];
        let expansion = !explanation.tokens.contains(&name);
        let (name, source) = (printable(&name), printable(source));
        let (on, off) = if colour && expansion { ("\x1b[1;32m", "\x1b[0m") } else { ("", "") };
        let sign = if expansion { '+' } else { ' ' };
        let _ = writeln!(
            text,
            "{:8.4} {sign} {on}{name}{off}  ← token {} {source}",
            term.weight, term.position
        );
    }
    let _ = writeln!(text, "\n{} of {all} terms; + is an expansion", explanation.terms.len());
    text
}
