//! Reports and comparisons in the form that was asked for.

use std::fmt::Write as _;

use std::path::Path;

use anyhow::Result;
use light_splade::EvaluateOptions;
use light_splade::evaluation::evaluation_page;
use light_splade::pages::now;
use serde_json::{Map, Value, json};
use splade_eval::compare::{CompareOptions, ComparedMetric, Comparison, QueryChange, compare};
use splade_eval::{Board, Report, Run, Section, System};
use splade_io::{columns, display_width, printable};

use crate::args::ReportFormat;
use crate::style::Style;

/// Queries that are shown for the first metric, those that changed most.
const CHANGES: usize = 10;

/// A run with its values.
pub(super) struct Measured {
    /// The full name: a path, the name of a model, or BM25 with its constants.
    pub(super) name: String,
    /// The name for tables and charts of a page.
    pub(super) label: String,
    pub(super) report: Report,
    pub(super) run: Run,
}

impl Measured {
    fn system<'a>(&'a self, name: &'a str) -> System<'a> {
        System { name, report: &self.report, run: &self.run }
    }
}

/// How tables look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colour: bool,
    /// The columns that there are, on a terminal.
    pub(super) room: Option<usize>,
}

/// What is measured on, for pages.
pub(super) struct Setting<'a> {
    /// The folder of the data set.
    pub(super) data: &'a Path,
    /// The name of the data set, as it was given.
    pub(super) name: &'a str,
    pub(super) options: &'a EvaluateOptions,
    pub(super) look: Look,
}

impl Setting<'_> {
    /// A page about a run, and about what it is compared with.
    fn page(
        &self,
        measured: &Measured,
        baseline: Option<&Measured>,
        about: &Map<String, Value>,
    ) -> Result<String> {
        let is_clear = baseline.is_none_or(|other| other.label != measured.label);
        let label = |of: &'_ Measured| if is_clear { of.label.clone() } else { of.name.clone() };
        let (own, other) = (label(measured), baseline.map(label).unwrap_or_default());
        let mut about = about.clone();
        about
            .extend(baseline.map(|other| ("compared_with".to_owned(), other.name.as_str().into())));
        let system = measured.system(&own);
        let baseline = baseline.map(|baseline| baseline.system(&other));
        Ok(evaluation_page(self.data, self.options, system, baseline, &about, now())?)
    }
}

/// A report on a data set, with what it is of, and next to a baseline if there is one.
pub(super) fn report(
    measured: &Measured,
    about: Map<String, Value>,
    baseline: Option<&Measured>,
    format: ReportFormat,
    setting: &Setting<'_>,
) -> Result<String> {
    let (report, look) = (&measured.report, setting.look);
    let against =
        |baseline: &Measured| compare(&baseline.report, report, &CompareOptions::default());
    let comparison = baseline.map(against).transpose()?;
    let both = baseline.zip(comparison.as_ref());
    Ok(match format {
        ReportFormat::Table => {
            let mut text = String::new();
            for Section { heading, rows } in report.sections() {
                let gap = if text.is_empty() { "" } else { "\n" };
                let heading = Style::Bold.paint(look.colour, heading);
                let _ = write!(text, "{gap}{heading}\n{}", columns(&rows, &Section::RIGHT));
            }
            if let Some((baseline, comparison)) = both {
                let heading = format!("Compared with {}", printable(&baseline.name));
                let heading = Style::Bold.paint(look.colour, heading);
                let _ = write!(text, "\n{heading}\n{}", table(comparison, look));
            }
            text
        }
        ReportFormat::Json => {
            let mut json = report.to_json();
            for (key, value) in about {
                json[key] = value;
            }
            if let Some((baseline, comparison)) = both {
                json["baseline"] = baseline.report.to_json();
                json["baseline"]["name"] = baseline.name.as_str().into();
                json["comparison"] = comparison_json(comparison);
            }
            format!("{json:#}\n")
        }
        ReportFormat::Csv => comparison.map_or_else(|| report.to_csv(), |both| both.to_csv()),
        ReportFormat::Html => setting.page(measured, baseline, &about)?,
        ReportFormat::Markdown | ReportFormat::Latex => {
            let model = about.get("settings").and_then(|settings| settings["model"].as_str());
            let name = model.or(about.get("run").and_then(Value::as_str)).unwrap_or_default();
            let baseline = baseline.map(|baseline| (baseline.name.as_str(), &baseline.report));
            document(&board(setting.name, [Some((name, report)), baseline]), format)
        }
    })
}

/// A run compared with a baseline.
pub(super) fn comparison(
    measured: &Measured,
    baseline: &Measured,
    format: ReportFormat,
    setting: &Setting<'_>,
) -> Result<String> {
    let (name, report, look) = (&measured.name, &measured.report, setting.look);
    let comparison = compare(&baseline.report, report, &CompareOptions::default())?;
    Ok(match format {
        ReportFormat::Table => {
            let heading =
                format!("{} compared with {}", printable(name), printable(&baseline.name));
            format!("{}\n{}", Style::Bold.paint(look.colour, heading), table(&comparison, look))
        }
        ReportFormat::Json => {
            let mut json = comparison_json(&comparison);
            json["baseline"] = baseline.name.as_str().into();
            json["run"] = name.as_str().into();
            format!("{json:#}\n")
        }
        ReportFormat::Csv => comparison.to_csv(),
        ReportFormat::Html => setting.page(measured, Some(baseline), &Map::new())?,
        ReportFormat::Markdown | ReportFormat::Latex => {
            let rankings = [(baseline.name.as_str(), &baseline.report), (name.as_str(), report)];
            document(&board(setting.name, rankings.map(Some)), format)
        }
    })
}

/// A table of rankings on one data set.
fn board<const N: usize>(data: &str, rankings: [Option<(&str, &Report)>; N]) -> Board {
    let rankings: Vec<_> = rankings.into_iter().flatten().collect();
    let metrics = rankings.first().map(|(_, report)| report.metrics.clone());
    let mut board = Board::new(metrics.unwrap_or_default());
    for (name, report) in rankings {
        board.add(data, name, report.queries.len(), report.means.clone());
    }
    board
}

/// A table in a form for documents; in any other than LaTeX in Markdown.
pub(super) fn document(board: &Board, format: ReportFormat) -> String {
    match format {
        ReportFormat::Latex => board.to_latex(),
        _ => board.to_markdown(),
    }
}

/// The comparison, and the queries that changed most. Better is green, worse is red, and p-values below
/// .05 are bold. Where the table has no room, the t-test is left out.
fn table(comparison: &Comparison, look: Look) -> String {
    let Look { colour, room } = look;
    let mut rows = comparison.rows();
    let fits = |text: &str| room.is_none_or(|room| widest(text) <= room);
    let has_both_tests = fits(&columns(&rows, &Comparison::RIGHT));
    for (row, metric) in rows.iter_mut().skip(1).zip(&comparison.metrics) {
        paint(row, CHANGE, style_of(metric.other - metric.baseline), colour);
        let tests = [Some(metric.randomisation.p), metric.t_test.map(|test| test.p)];
        for (column, p) in (P_VALUES..).zip(tests) {
            let style = p.filter(|p| *p < SIGNIFICANT).map(|_| Style::Bold);
            paint(row, column, style, colour);
        }
    }
    if !has_both_tests {
        rows.iter_mut().for_each(|row| row.truncate(P_VALUES + 1));
    }
    let mut text = columns(&rows, &Comparison::RIGHT);
    let tests =
        if has_both_tests { "randomisation test, and t-test" } else { "randomisation test" };
    let notes = ["w/l/t: queries won, lost and tied".to_owned(), format!("p: {tests}")];
    let line = notes.join("; ");
    let lines = if fits(&line) { vec![line] } else { notes.to_vec() };
    for line in lines {
        let _ = writeln!(text, "{}", Style::Dim.paint(colour, line));
    }
    let Some(metric) = comparison.metrics.first() else { return text };
    let mut changed = changed(metric).peekable();
    if changed.peek().is_some() {
        let heading = format!("{}, queries that changed most", metric.metric);
        let _ = writeln!(text, "\n{}", Style::Bold.paint(colour, heading));
    }
    let rows: Vec<Vec<String>> = changed
        .map(|change| {
            let mut row = vec![
                format!("{:+.4}", change.difference()),
                format!("{:.4} -> {:.4}", change.baseline, change.other),
                printable(&change.query).into_owned(),
            ];
            paint(&mut row, 0, style_of(change.difference()), colour);
            row
        })
        .collect();
    text + &columns(&rows, &[true])
}

/// The places of the change and of the p-values in the rows of a comparison.
const CHANGE: usize = 3;
const P_VALUES: usize = 5;

/// A p-value below this is bold.
const SIGNIFICANT: f64 = 0.05;

/// The columns of the widest line.
fn widest(text: &str) -> usize {
    text.lines().map(display_width).max().unwrap_or(0)
}

fn style_of(change: f64) -> Option<Style> {
    match change {
        change if change > 0.0 => Some(Style::Green),
        change if change < 0.0 => Some(Style::Red),
        _ => None,
    }
}

fn paint(row: &mut [String], column: usize, style: Option<Style>, colour: bool) {
    if let (Some(cell), Some(style)) = (row.get_mut(column), style) {
        *cell = style.paint(colour, &*cell);
    }
}

fn comparison_json(comparison: &Comparison) -> Value {
    let mut json = comparison.to_json();
    let metric = comparison.metrics.first();
    let changed: Vec<Value> = metric
        .into_iter()
        .flat_map(changed)
        .map(|c| json!({"query": c.query, "baseline": c.baseline, "run": c.other}))
        .collect();
    json["most_changed"] = changed.into();
    json
}

fn changed(metric: &ComparedMetric) -> impl Iterator<Item = &QueryChange> {
    metric.changes.iter().take(CHANGES).filter(|change| change.difference() != 0.0)
}

#[cfg(test)]
mod tests {
    use splade_eval::Metric;
    use splade_eval::significance::{Randomisation, TTest};

    use super::*;

    #[test]
    fn a_comparison_fits_the_terminal() {
        let metric: Metric = "Recall@100".parse().expect("a metric");
        let compared = ComparedMetric {
            metric,
            baseline: 0.25,
            other: 0.625,
            wins: 8,
            losses: 0,
            ties: 4,
            randomisation: Randomisation { p: 0.0078, samples: 256, exact: true },
            t_test: Some(TTest { t: 4.18, degrees_of_freedom: 11, p: 0.0015 }),
            changes: Vec::new(),
        };
        let comparison = Comparison { metrics: vec![compared], queries: 12 };
        let table = |room| table(&comparison, Look { colour: false, room });
        let full = "\
metric      baseline     run   change  w/l/t       p   p (t)
Recall@100    0.2500  0.6250  +0.3750  8/0/4  0.0078  0.0015
w/l/t: queries won, lost and tied; p: randomisation test, and t-test
";
        assert_eq!(table(None), full);
        assert_eq!(table(Some(68)), full);
        let (rows, notes) = full.split_at(full.find("w/l/t:").expect("the notes"));
        assert_eq!(table(Some(60)), rows.to_owned() + &notes.replace("; ", "\n"));
        assert_eq!(
            table(Some(59)),
            "\
metric      baseline     run   change  w/l/t       p
Recall@100    0.2500  0.6250  +0.3750  8/0/4  0.0078
w/l/t: queries won, lost and tied; p: randomisation test
"
        );
    }
}
