//! `light-splade explain`: for each term of a text, the token that gave it its weight.

use std::fmt::Write as _;
use std::io::IsTerminal;

use anyhow::Result;
use light_splade::SparseEncoder;
use light_splade::pages::{explain_page, now};
use splade_io::printable;
use splade_model::{Encoder, Explanation};

use crate::args::ExplainArgs;
use crate::output::{print, print_styled};
use crate::progress::Reporter;

pub(crate) fn run(args: &ExplainArgs) -> Result<()> {
    let mut reporter = Reporter::new();
    let model =
        SparseEncoder::load_observed(&args.model.model, &args.model.options(), &mut reporter)?;
    let side = args.model.text.side.into();
    if args.html {
        return print(&explain_page(&model, side, &[&args.text], args.top_k, now())?);
    }
    let encoder = model.tower(side)?;
    let mut explanation = encoder.explain(&args.text)?;
    let all = explanation.terms.len();
    explanation.terms.truncate(args.top_k);
    print_styled(&plain(encoder, &explanation, all, std::io::stdout().is_terminal()))
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
