//! `light-splade explain`: for each term of a text, the token that gave it its weight.

use std::fmt::Write as _;
use std::io::IsTerminal;

use anyhow::Result;
use light_splade::SparseEncoder;
use splade_io::printable;
use splade_model::{Encoder, Explanation};

use crate::args::ExplainArgs;
use crate::output::{print, print_styled};
use crate::progress::Reporter;

pub(crate) fn run(args: &ExplainArgs) -> Result<()> {
    let mut reporter = Reporter::new();
    let model =
        SparseEncoder::load_observed(&args.model.model, &args.model.options(), &mut reporter)?;
    let encoder = model.tower(args.model.text.side.into())?;
    let mut explanation = encoder.explain(&args.text)?;
    let all = explanation.terms.len();
    explanation.terms.truncate(args.top_k);
    match args.html {
        true => print(&html(encoder, &args.text, &explanation, all)),
        false => print_styled(&plain(encoder, &explanation, all, std::io::stdout().is_terminal())),
    }
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
