//! `light-splade explain`: for each term of a text, the token that gave it its weight.

use anyhow::Result;
use light_splade::SparseEncoder;
use light_splade::pages::{explain_page, now};
use serde_json::{Value, json};
use splade_io::{columns, cut_to_width, printable};
use splade_model::{Encoder, Explanation};

use super::records;
use crate::args::{ExplainArgs, TEXT_WITHOUT_OPTION};
use crate::log;
use crate::output::Output;
use crate::progress::Reporter;
use crate::screen::{room_of_stdout, wrap};
use crate::style::Style;

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
        let room = output.is_stdout().then(room_of_stdout).flatten();
        let text = plain(encoder, &explanation, all, room, output.has_styles());
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

/// The columns of a line beside the term and its token: the weight, the sign, an arrow, the token's number, and gaps.
const WITHOUT_NAMES: usize = 28;

/// The columns of the shortest name that is cut.
const SHORTEST_NAME: usize = 6;

/// A line for each term, cut to the columns in `room`; on a terminal, expansions are green.
fn plain(
    encoder: &Encoder,
    explanation: &Explanation,
    all: usize,
    room: Option<usize>,
    colour: bool,
) -> String {
    let tokens: Vec<_> = explanation.tokens.iter().map(|token| printable(token)).collect();
    let tokens = wrap(tokens.iter().map(|token| &**token), room.unwrap_or(usize::MAX));
    let name_columns =
        room.map_or(usize::MAX, |room| (room.saturating_sub(WITHOUT_NAMES) / 2).max(SHORTEST_NAME));
    let shown = |name: &str| cut_to_width(&printable(name), name_columns);
    let rows = explanation.terms.iter().map(|term| {
        let name = encoder.token(term.term);
        let source = &explanation.tokens[term.position];
        let (sign, name) = match explanation.tokens.contains(&name) {
            true => (' ', shown(&name)),
            false => ('+', Style::Green.paint(colour, shown(&name))),
        };
        vec![
            format!("{:8.4}", term.weight),
            format!("{sign} {name}"),
            format!("← token {} {}", term.position, shown(source)),
        ]
    });
    let table = columns(&rows.collect::<Vec<_>>(), &[true]);
    let shown = explanation.terms.len();
    format!("{tokens}\n\n{table}\n{shown} of {all} terms; + is an expansion\n")
}

#[cfg(test)]
mod tests {
    use light_splade::SparseEncoderOptions;
    use splade_io::display_width;
    use splade_model::Side;

    use super::*;

    #[test]
    fn an_explanation_fits_the_terminal() {
        let model = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default());
        let model = model.expect("the built-in model");
        let encoder = model.tower(Side::Document).expect("an encoder");
        let mut explanation =
            encoder.explain("大阪・関西万博は2025年4月13日に夢洲で開幕した。").expect("explained");
        // Such tokens are in vocabularies for the web.
        let long = "pneumonoultramicroscopicsilicovolcanoconiosis".to_owned();
        let position = explanation.terms[0].position;
        explanation.tokens[position] = long.clone();
        let all = explanation.terms.len();
        for columns in [40, 60, 80] {
            for colour in [false, true] {
                let text = plain(encoder, &explanation, all, Some(columns), colour);
                let table = text.lines().filter(|line| !line.contains(&long));
                let wide: Vec<&str> = table.filter(|line| display_width(line) > columns).collect();
                assert!(wide.is_empty(), "{columns}: {wide:?}");
            }
        }
        let text = plain(encoder, &explanation, all, None, false);
        assert!(text.contains(&format!("← token {position} {long}\n")), "{text}");
    }
}
