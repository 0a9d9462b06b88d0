//! The page about an evaluation: one system, or a system beside a baseline.

use std::collections::BTreeSet;

use maud::{Markup, html};
use splade_io::counted;
use splade_page::{Bar, Chart, Line, Page, Tab, chart, quoted, scrolling, tabs, token};

use super::compare::{ComparedMetric, Comparison, QueryChange};
use super::dataset::Dataset;
use super::evidence::Evidence;
use super::qrels::Qrels;
use super::report::{QueryValues, Report};
use super::run::Run;
use super::statistics::StatisticsSummary;
use crate::EvalError;

/// The number of bars in a histogram of values from 0 to 1.
const VALUE_BINS: usize = 20;
/// The maximum number of bars in a histogram of counts.
const COUNT_BINS: usize = 40;
/// The number of queries that are listed for a metric, and in each direction of a comparison.
const QUERIES: usize = 10;
/// The number of documents that are shown of each ranking, and of the judged documents.
const HITS: usize = 3;
/// The significance level; a p-value below it is marked.
const LEVEL: f64 = 0.05;

/// A system that was evaluated.
///
/// ```
/// use splade_eval::{Dataset, EvaluateOptions, Run, System, evaluate};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
/// let qrels = Dataset::open(&folder)?.qrels(Some("test"))?;
/// let run = Run::read("q61 Q0 d121 1 9.5 model\n".as_bytes(), "run")?;
/// let report = evaluate(&qrels, &run, &["nDCG@10".parse()?], &EvaluateOptions::default())?;
/// let system = System { name: "mini-ja-en", report: &report, run: &run };
/// assert_eq!(system.report.missing.len(), qrels.len() - 1);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct System<'a> {
    /// The name, such as that of the model.
    pub name: &'a str,
    /// The values of its ranking.
    pub report: &'a Report,
    /// The ranking from which the report was made.
    pub run: &'a Run,
}

/// What a page about an evaluation shows.
///
/// ```
/// use splade_eval::{Dataset, EvaluateOptions, EvaluationPage, Run, System, evaluate};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
/// let dataset = Dataset::open(&folder)?;
/// let qrels = dataset.qrels(Some("test"))?;
/// let run = Run::read("q61 Q0 d121 1 9.5 model\n".as_bytes(), "run")?;
/// let report = evaluate(&qrels, &run, &["nDCG@10".parse()?], &EvaluateOptions::default())?;
/// let system = System { name: "mini-ja-en", report: &report, run: &run };
/// let facts = [("model".to_owned(), "mini-ja-en".to_owned())];
/// let page = EvaluationPage {
///     data: "toy-beir",
///     facts: &facts,
///     system,
///     baseline: None,
///     qrels: &qrels,
///     made: 1_767_225_600,
/// };
/// assert!(page.to_html(&dataset)?.contains("toy-beir"));
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EvaluationPage<'a> {
    /// The name of the data set for the title.
    pub data: &'a str,
    /// What was evaluated, with which settings: pairs of a name and a value.
    pub facts: &'a [(String, String)],
    /// The system that the page is about.
    pub system: System<'a>,
    /// The baseline, and the comparison of the system with it.
    pub baseline: Option<(System<'a>, &'a Comparison)>,
    /// The judgements by which the systems were measured.
    pub qrels: &'a Qrels,
    /// The time of the page in seconds since 1970.
    pub made: u64,
}

impl EvaluationPage<'_> {
    /// Returns the page as one HTML file that loads nothing. The texts of the queries and documents
    /// that it shows are read from `dataset`.
    ///
    /// # Errors
    /// Returns an error if a text cannot be read.
    pub fn to_html(&self, dataset: &Dataset) -> Result<String, EvalError> {
        let listed = self.listed();
        let (queries, documents) = self.ids(&listed);
        let evidence = Evidence::read(dataset, &queries, &documents)?;
        Ok(self.page(&listed, &evidence))
    }

    fn page(&self, listed: &[Vec<Listed<'_>>], evidence: &Evidence) -> String {
        let title = match self.baseline {
            Some((baseline, _)) => {
                format!("{} against {} on {}", self.system.name, baseline.name, self.data)
            }
            None => format!("{} on {}", self.system.name, self.data),
        };
        let mut panels = vec![Tab {
            id: "overview".to_owned(),
            label: "Overview".to_owned(),
            content: self.overview(),
        }];
        for (index, listed) in listed.iter().enumerate() {
            let metric = self.system.report.metrics[index];
            panels.push(Tab {
                id: format!("metric-{index}"),
                label: metric.to_string(),
                content: self.metric(index, listed, evidence),
            });
        }
        if !self.system.report.statistics.is_empty() {
            panels.push(Tab {
                id: "vectors".to_owned(),
                label: "Vectors".to_owned(),
                content: self.vectors(),
            });
        }
        let page = Page {
            title: &title,
            facts: self.facts,
            has_charts: true,
            made: Some(self.made),
            ..Page::default()
        };
        page.to_html(&tabs("Results", &panels))
    }

    /// Returns the queries that are listed for each metric.
    fn listed(&self) -> Vec<Vec<Listed<'_>>> {
        let metrics = 0..self.system.report.metrics.len();
        metrics
            .map(|index| match self.baseline {
                Some((_, comparison)) => changed(&comparison.metrics[index]),
                None => hardest(&self.system.report.queries, index),
            })
            .collect()
    }

    /// Returns the ids of the queries and documents whose texts are shown.
    fn ids<'b>(&'b self, listed: &'b [Vec<Listed<'b>>]) -> (BTreeSet<&'b str>, BTreeSet<&'b str>) {
        let queries: BTreeSet<&str> = listed.iter().flatten().map(|listed| listed.query).collect();
        let systems = [Some(self.system), self.baseline.map(|(baseline, _)| baseline)];
        let hits = systems.into_iter().flatten().flat_map(|system| {
            queries
                .iter()
                .flat_map(move |query| system.run.get(query).unwrap_or_default().iter().take(HITS))
        });
        let judged =
            queries.iter().flat_map(|query| judged(self.qrels, query).into_iter().take(HITS));
        let documents = hits.map(|hit| hit.document.as_str()).chain(judged.map(|(id, _)| id));
        let documents = documents.collect();
        (queries, documents)
    }

    /// Returns the means with the tests, and the means by cut-off.
    fn overview(&self) -> Markup {
        html! {
            @match self.baseline {
                Some((baseline, comparison)) => (comparison_table(self.system, baseline, comparison)),
                None => (means_table(self.system)),
            }
            @if !self.system.report.missing.is_empty() {
                @let missing = self.system.report.missing.len();
                p {
                    (counted(missing, "judged queries")) " got no documents and "
                    (if missing == 1 { "counts" } else { "count" }) " as 0."
                }
            }
            @if !self.system.report.unjudged.is_empty() {
                @let unjudged = self.system.report.unjudged.len();
                p {
                    (counted(unjudged, "queries")) " of the ranking "
                    (if unjudged == 1 { "is not judged and does not count." } else { "are not judged and do not count." })
                }
            }
            @let curves = self.curves();
            @if !curves.is_empty() {
                h2 { "Means by cut-off" }
                p class="soft" { "A metric at cut-off k looks at the first k documents of a ranking." }
                div class="charts" { @for made in &curves { (chart(made)) } }
            }
        }
    }

    /// Returns a chart of the means by cut-off for each kind of metric, with a line for each system.
    /// The lines go as far as the longest ranking of all.
    fn curves(&self) -> Vec<Chart> {
        let systems = [Some(self.system), self.baseline.map(|(baseline, _)| baseline)];
        let systems: Vec<System<'_>> = systems.into_iter().flatten().collect();
        let all = systems.iter().flat_map(|system| &system.report.curves);
        let depth = all.map(|curve| curve.depth).max().unwrap_or(0);
        let kinds = self.system.report.curves.iter().filter(|_| depth > 1);
        kinds
            .map(|curve| {
                let line = |(number, system): (usize, &System<'_>)| {
                    let own = system.report.curves.iter().find(|own| own.kind == curve.kind)?;
                    let points = own.points.iter().filter(|(k, _)| *k <= depth);
                    let points = points.map(|(k, mean)| (*k as f64, *mean)).collect();
                    let (name, dashed) = (system.name.to_owned(), number > 0);
                    Some(Line { name, points, colour: number, dashed })
                };
                let lines: Vec<Line> = systems.iter().enumerate().filter_map(line).collect();
                let ticks = |line: &Line| line.points.iter().map(|(k, _)| *k).collect();
                Chart::Lines {
                    title: curve.kind.name().to_owned(),
                    x: "k".to_owned(),
                    ticks: lines
                        .iter()
                        .max_by_key(|line| line.points.len())
                        .map(ticks)
                        .unwrap_or_default(),
                    range: (0.0, 1.0),
                    lines,
                }
            })
            .collect()
    }

    /// Returns the queries by one metric.
    fn metric(&self, index: usize, listed: &[Listed<'_>], evidence: &Evidence) -> Markup {
        html! {
            @match self.baseline {
                Some((baseline, comparison)) => (changes(self.system, baseline, &comparison.metrics[index])),
                None => (values(self.system.report, index)),
            }
            @if listed.is_empty() {
                p { @if self.baseline.is_some() { "Both have the same value for every query." } @else { "Every query has the value 1." } }
            } @else {
                h2 { @if self.baseline.is_some() { "Queries that changed most" } @else { "Queries with the lowest values" } }
                p class="soft" { "Open a query to see the first documents and those that were judged relevant." }
                @for listed in listed { (self.query(listed, evidence)) }
            }
        }
    }

    fn query(&self, listed: &Listed<'_>, evidence: &Evidence) -> Markup {
        let text = evidence.queries.get(listed.query).map(String::as_str);
        html! {
            details class="route" {
                summary {
                    @match listed.baseline {
                        Some(baseline) => {
                            span class=(if listed.value > baseline { "number better" } else { "number worse" }) {
                                (format!("{:+.3}", listed.value - baseline))
                            }
                            span class="soft" { (format!("{baseline:.3} → {:.3}", listed.value)) }
                        }
                        None => span class="number" { (format!("{:.3}", listed.value)) },
                    }
                    @if let Some(text) = text { span { (quoted(text)) } }
                    span class="soft" { "query " (token(listed.query)) }
                }
                div class="columns" {
                    (self.hits(self.system, listed.query, evidence))
                    @if let Some((baseline, _)) = self.baseline { (self.hits(baseline, listed.query, evidence)) }
                    (self.judged(listed.query, evidence))
                }
            }
        }
    }

    /// Returns the first documents of a ranking.
    fn hits(&self, system: System<'_>, query: &str, evidence: &Evidence) -> Markup {
        let hits = system.run.get(query).unwrap_or_default();
        let grades = self.qrels.get(query);
        let grade = |document: &str| grades.and_then(|grades| grades.get(document)).copied();
        html! {
            div {
                h3 { "First of " (quoted(system.name)) }
                @if hits.is_empty() { p { "Nothing was found." } }
                ol class="hits" {
                    @for (rank, hit) in hits.iter().take(HITS).enumerate() {
                        li { (document(
                            &html! { "#" (rank + 1) ", score " (format!("{:.3}", hit.score)) },
                            &hit.document,
                            grade(&hit.document),
                            evidence,
                        )) }
                    }
                }
            }
        }
    }

    /// Returns the documents that were judged relevant, with their ranks.
    fn judged(&self, query: &str, evidence: &Evidence) -> Markup {
        let judged = judged(self.qrels, query);
        let systems = [Some(self.system), self.baseline.map(|(baseline, _)| baseline)];
        let rank = |system: System<'_>, id: &str| {
            let hits = system.run.get(query).unwrap_or_default();
            match hits.iter().position(|hit| hit.document == id) {
                Some(rank) => format!("#{}", rank + 1),
                None => format!("not in the first {}", hits.len()),
            }
        };
        html! {
            div {
                h3 { "Judged relevant" @if judged.len() > HITS { ", " (HITS) " of " (judged.len()) } }
                ol class="hits" {
                    @for (id, grade) in judged.iter().take(HITS) {
                        @let ranks = html! {
                            @for (number, system) in systems.iter().flatten().enumerate() {
                                @if number > 0 { ", " }
                                (quoted(system.name)) ": " (rank(*system, id))
                            }
                        };
                        li { (document(&ranks, id, Some(*grade), evidence)) }
                    }
                }
            }
        }
    }

    /// Returns the statistics of the vectors.
    fn vectors(&self) -> Markup {
        let report = self.system.report;
        html! {
            p { "The vectors of " (quoted(self.system.name)) "."
                @if let Some(flops) = report.flops {
                    " FLOPS: " strong { (format!("{flops:.3}")) }
                    ", the mean number of terms that a query and a document have in common, which is what a search costs."
                }
            }
            @for (name, summary) in &report.statistics { (statistics(name, summary)) }
        }
    }
}

/// A query in the list of a metric.
struct Listed<'a> {
    query: &'a str,
    value: f64,
    baseline: Option<f64>,
}

/// Returns the queries that improved most and those that worsened most.
fn changed(metric: &ComparedMetric) -> Vec<Listed<'_>> {
    let improved = metric.changes.iter().filter(|change| change.difference() > 0.0);
    let worsened = metric.changes.iter().filter(|change| change.difference() < 0.0);
    let all = improved.take(QUERIES).chain(worsened.take(QUERIES));
    all.map(|change| Listed {
        query: &change.query,
        value: change.other,
        baseline: Some(change.baseline),
    })
    .collect()
}

/// Returns the queries with the lowest values of a metric, equal ones by id.
fn hardest(queries: &[QueryValues], metric: usize) -> Vec<Listed<'_>> {
    let mut lowest: Vec<(f64, &str)> =
        queries.iter().map(|query| (query.values[metric], query.query.as_str())).collect();
    lowest.retain(|(value, _)| *value < 1.0);
    lowest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    lowest.truncate(QUERIES);
    lowest.into_iter().map(|(value, query)| Listed { query, value, baseline: None }).collect()
}

/// Returns the documents that were judged relevant for a query, the highest grade first.
fn judged<'a>(qrels: &'a Qrels, query: &str) -> Vec<(&'a str, i32)> {
    let grades = qrels.get(query).into_iter().flatten();
    let relevant = grades.map(|(id, grade)| (id.as_str(), *grade)).filter(|(_, grade)| *grade > 0);
    let mut relevant: Vec<_> = relevant.collect();
    relevant.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    relevant
}

fn document(place: &Markup, id: &str, grade: Option<i32>, evidence: &Evidence) -> Markup {
    html! {
        div class="soft" {
            (place) " "
            @match grade {
                Some(1) => span class="badge own" { "relevant" },
                Some(grade) if grade > 1 => span class="badge own" { "relevant, grade " (grade) },
                Some(_) => span class="badge" { "judged not relevant" },
                None => span class="badge" { "not judged" },
            }
        }
        @match evidence.documents.get(id) {
            Some(text) => div { (quoted(text)) },
            None => div class="soft" { "The data set has no such document." },
        }
        div class="soft" { "document " (token(id)) }
    }
}

fn means_table(system: System<'_>) -> Markup {
    let report = system.report;
    let table = html! {
        table {
            thead { tr { th scope="col" { "Metric" } th scope="col" class="number" { (quoted(system.name)) } } }
            tbody {
                @for (metric, mean) in report.metrics.iter().zip(&report.means) {
                    tr { th scope="row" { (metric) } td class="number" { (format!("{mean:.4}")) } }
                }
            }
        }
    };
    html! {
        p { "Means over " (counted(report.queries.len(), "judged queries")) "." }
        (scrolling("Means", &table))
    }
}

fn comparison_table(system: System<'_>, baseline: System<'_>, comparison: &Comparison) -> Markup {
    let p = |p: f64| if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") };
    let cell = |value: Option<f64>| {
        html! { td class=(if value.is_some_and(|value| value < LEVEL) { "number best" } else { "number" }) {
            (value.map_or("–".to_owned(), p))
        } }
    };
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Metric" }
                th scope="col" class="number" { (quoted(baseline.name)) }
                th scope="col" class="number" { (quoted(system.name)) }
                th scope="col" class="number" { "Change" }
                th scope="col" class="number" { "Better" }
                th scope="col" class="number" { "Worse" }
                th scope="col" class="number" { "Same" }
                th scope="col" class="number" { "p (randomisation)" }
                th scope="col" class="number" { "p (t-test)" }
            } }
            tbody {
                @for m in &comparison.metrics {
                    @let change = m.other - m.baseline;
                    tr {
                        th scope="row" { (m.metric) }
                        td class="number" { (format!("{:.4}", m.baseline)) }
                        td class="number" { (format!("{:.4}", m.other)) }
                        td class=(match change { c if c > 0.0 => "number better", c if c < 0.0 => "number worse", _ => "number" }) {
                            (format!("{change:+.4}"))
                        }
                        td class="number" { (m.wins) }
                        td class="number" { (m.losses) }
                        td class="number" { (m.ties) }
                        (cell(Some(m.randomisation.p)))
                        (cell(m.t_test.map(|test| test.p)))
                    }
                }
            }
        }
    };
    html! {
        p { "Means over the " (counted(comparison.queries, "queries")) " that both have. “Better” counts the queries for which "
            (quoted(system.name)) " has the higher value." }
        (scrolling("Means and tests", &table))
        p class="soft" {
            "p is the probability of a difference at least as large as this one if the two were equally good. A value \
             below 0.05, in bold, is unlikely to be chance. Each test looks at one metric alone: of twenty comparisons of \
             equal systems, one is expected to be below 0.05."
        }
    }
}

/// Returns the changes of all queries with another value.
fn changes(system: System<'_>, baseline: System<'_>, metric: &ComparedMetric) -> Markup {
    let mut changed: Vec<&QueryChange> =
        metric.changes.iter().filter(|change| change.difference() != 0.0).collect();
    changed.sort_by(|a, b| b.difference().total_cmp(&a.difference()));
    let bars = changed.iter().map(|change| Bar {
        label: format!("query {}: {:.4} → {:.4}", change.query, change.baseline, change.other),
        value: change.difference(),
    });
    html! {
        p {
            (quoted(system.name)) " is better than " (quoted(baseline.name)) " for "
            (counted(metric.wins, "queries")) " and worse for " (metric.losses) ". "
            (counted(metric.ties, "queries")) " with the same value " (if metric.ties == 1 { "is" } else { "are" })
            " left out below."
        }
        @if !changed.is_empty() {
            (chart(&Chart::Bars {
                title: format!("{}, change of each query", metric.metric),
                x: "queries, the best change first".to_owned(),
                y: "change".to_owned(),
                counts: false,
                ends: None,
                bars: bars.collect(),
            }))
        }
    }
}

/// Returns how the queries spread over the values of a metric.
fn values(report: &Report, index: usize) -> Markup {
    let metric = report.metrics[index];
    html! {
        p { "The mean is " strong { (format!("{:.4}", report.means[index])) } ". The chart shows how many queries have which value." }
        (chart(&Chart::Bars {
            title: metric.to_string(),
            x: format!("value of {metric}"),
            y: "queries".to_owned(),
            counts: true,
            ends: Some(["0".to_owned(), "1".to_owned()]),
            bars: value_bins(report.queries.iter().map(|query| query.values[index])),
        }))
    }
}

fn statistics(name: &str, summary: &StatisticsSummary) -> Markup {
    let facts = [
        ("Texts", summary.texts.to_string()),
        ("Terms of a text, on average", format!("{:.1}", summary.avg_nnz)),
        (
            "Share of the vocabulary that a text does not have",
            format!("{:.2} %", 100.0 * summary.avg_sparsity),
        ),
        ("Terms that occur", summary.num_unique_tokens.to_string()),
        ("Of these, pieces inside words (##)", summary.num_unique_subtokens.to_string()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let most = summary.terms_per_text.keys().next_back().copied().unwrap_or(0);
    let table = html! {
        table {
            thead { tr { th scope="col" { "Most frequent terms" } th scope="col" class="number" { "Share of the texts" } } }
            tbody {
                @for (term, share) in &summary.top_popular_tokens {
                    tr { td { (token(term)) } td class="number" { (format!("{:.1} %", 100.0 * share)) } }
                }
            }
        }
    };
    html! {
        h2 { "Terms of the " (name) }
        (splade_page::facts(&facts))
        div class="two" {
            (chart(&Chart::Bars {
                title: format!("Terms of the {name}"),
                x: "terms in a text".to_owned(),
                y: "texts".to_owned(),
                counts: true,
                ends: Some(["0".to_owned(), most.to_string()]),
                bars: count_bins(summary, most),
            }))
            (scrolling(&format!("Most frequent terms of the {name}"), &table))
        }
    }
}

/// Counts values from 0 to 1 in bins of equal width. The last bin includes 1.
fn value_bins(values: impl Iterator<Item = f64>) -> Vec<Bar> {
    let edge = |i: usize| i as f64 / VALUE_BINS as f64;
    let mut bins: Vec<Bar> = (0..VALUE_BINS)
        .map(|i| Bar { label: format!("{:.2}–{:.2}", edge(i), edge(i + 1)), value: 0.0 })
        .collect();
    for value in values {
        bins[((value * VALUE_BINS as f64) as usize).min(VALUE_BINS - 1)].value += 1.0;
    }
    bins
}

/// Counts texts by their numbers of terms, up to `most`, in bins of equal width.
fn count_bins(summary: &StatisticsSummary, most: usize) -> Vec<Bar> {
    let width = most / COUNT_BINS + 1;
    let label = |i: usize| match width {
        1 => format!("{i} terms"),
        _ => format!("{}–{} terms", i * width, (i + 1) * width - 1),
    };
    let mut bins: Vec<Bar> =
        (0..=most / width).map(|i| Bar { label: label(i), value: 0.0 }).collect();
    for (terms, texts) in &summary.terms_per_text {
        bins[terms / width].value += *texts as f64;
    }
    bins
}
