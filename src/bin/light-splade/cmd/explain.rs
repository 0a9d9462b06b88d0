//! `light-splade explain`: for each term of a text, the token that gave it its weight.

use std::fmt::Write as _;

use anyhow::Result;
use light_splade::SparseEncoder;
use serde_json::{Value, json};
use splade_io::printable;
use splade_model::{Encoder, Explanation};

use super::{advised, records};
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
    let (mut records, _) = records(&input)?;
    let mut output = Output::create(args.output.as_deref(), &input.inputs, args.overwrite.force)?;
    let mut reporter = Reporter::new();
    let model =
        SparseEncoder::load_observed(&args.model.model, &args.model.options(), &mut reporter)?;
    let encoder = model.tower(args.model.text.side.into())?;
    let explain = |text: &str| -> Result<(Explanation, usize)> {
        let mut explanation = encoder.explain(text)?;
        let all = explanation.terms.len();
        explanation.terms.truncate(args.top_k);
        Ok((explanation, all))
    };
    if args.html {
        let (first, more) = (records.next().transpose()?, records.next().transpose()?);
        let (Some(record), None) = (first, more) else {
            return Err(advised("a page explains one text", "give one text, or leave out --html"));
        };
        let (explanation, all) = explain(&record.text)?;
        output.write(html(encoder, &record.text, &explanation, all).as_bytes())?;
        return output.finish();
    }
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

fn html(encoder: &Encoder, text: &str, explanation: &Explanation, all: usize) -> String {
    let widest = explanation.terms.first().map_or(1.0, |term| term.weight);
    let mut rows = String::new();
    for term in &explanation.terms {
        let name = encoder.token(term.term);
        let class = if explanation.tokens.contains(&name) { "" } else { " class=\"expansion\"" };
        let _ = writeln!(
            rows,
            "<tr{class}><td>{}</td><td><meter value=\"{:.4}\" max=\"{widest:.4}\"></meter> {:.4}</td>\
             <td>{} <small>{}</small></td></tr>",
            escape(&name),
            term.weight,
            term.weight,
            escape(&explanation.tokens[term.position]),
            term.position
        );
    }
    let tokens: Vec<String> =
        explanation.tokens.iter().map(|token| format!("<span>{}</span>", escape(token))).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>SPLADE terms</title>\n\
         <style>body{{font:16px sans-serif;max-width:50em;margin:2em auto}}span{{border:1px solid #bbb;\
         padding:0 .3em;margin:.1em;display:inline-block}}td{{padding:.1em 1em}}\
         .expansion td:first-child{{color:#176;font-weight:bold}}</style>\n\
         <h1>{}</h1>\n<p>{}</p>\n<table><tr><th>term<th>weight<th>given by token</tr>\n{rows}</table>\n\
         <p>{} of {all} terms. Terms in bold do not stand in the text.</p></html>\n",
        escape(text),
        tokens.join(" "),
        explanation.terms.len()
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
