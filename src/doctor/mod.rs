//! Whether a search engine answers as it has to.
//!
//! A sample goes into a temporary index exactly as an export writes it, queries are asked exactly as
//! an export writes them, and what comes back is compared with the scores that the search engine's own
//! rounding of weights gives. The index is deleted in the end, also after a failure or a stop.

mod compare;
mod engine;
mod options;
mod sample;
mod wrong;

use std::fmt;

use serde_json::{Value, json};
use splade_export::Quantisation;
use splade_io::Observer;
use splade_sparse::SparseVector;

use crate::error::Error;
use compare::Comparison;
use engine::{Places, SearchEngine};
use sample::Sample;
use wrong::Wrong;

pub use options::{DoctorOptions, SearchEngineKind};

/// The number of documents that a query of an export finds.
const HITS: usize = 10;

/// One thing that [`doctor()`] looked at. Its text is a line for people, or two where something is
/// wrong.
///
/// ```
/// use light_splade::search_engines::{DoctorOptions, SearchEngineKind, doctor};
///
/// // Nothing listens there.
/// let options = DoctorOptions {
///     kind: Some(SearchEngineKind::Qdrant),
///     url: "http://127.0.0.1:9".into(),
///     ..DoctorOptions::default()
/// };
/// let report = doctor(&options, &mut (), |_| ())?;
/// let wrong = report.checks.iter().find(|check| !check.is_sound()).expect("no server");
/// println!("{}: {}, {:?}", wrong.what, wrong.found, wrong.hint);
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DoctorCheck {
    /// What was looked at: `scores`.
    pub what: &'static str,
    /// What was found, or what is wrong.
    pub found: String,
    /// What to do where something is wrong; none where all is well.
    pub hint: Option<String>,
}

impl DoctorCheck {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into(), hint: None }
    }

    /// Whether it is as it has to be.
    pub fn is_sound(&self) -> bool {
        self.hint.is_none()
    }
}

impl fmt::Display for DoctorCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found, hint } = self;
        match hint {
            None => write!(f, "{what:<10} {found}"),
            Some(hint) => write!(f, "{what:<10} WRONG: {found}\n{:<10} hint: {hint}", ""),
        }
    }
}

/// What [`doctor()`] found, in the order in which it looked.
///
/// ```
/// use light_splade::search_engines::{DoctorOptions, SearchEngineKind, doctor};
///
/// // Nothing listens there.
/// let options = DoctorOptions {
///     kind: Some(SearchEngineKind::Qdrant),
///     url: "http://127.0.0.1:9".into(),
///     ..DoctorOptions::default()
/// };
/// let report = doctor(&options, &mut (), |_| ())?;
/// report.checks.iter().for_each(|check| println!("{check}"));
/// assert!(!report.is_sound());
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DoctorReport {
    /// The checks.
    pub checks: Vec<DoctorCheck>,
}

impl DoctorReport {
    /// The number of checks that found something wrong.
    pub fn wrong(&self) -> usize {
        self.checks.iter().filter(|check| !check.is_sound()).count()
    }

    /// Whether everything that was looked at is as it has to be.
    pub fn is_sound(&self) -> bool {
        self.wrong() == 0
    }

    /// The report as a JSON object.
    pub fn to_json(&self) -> Value {
        let check = |check: &DoctorCheck| {
            let DoctorCheck { what, found, hint } = check;
            json!({"what": what, "sound": check.is_sound(), "found": found, "hint": hint})
        };
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        json!({"sound": self.is_sound(), "checks": checks})
    }
}

/// Puts a sample into a temporary index of a search engine, asks queries, and compares the answers
/// with the scores that they have to have. `tell` is given every check as soon as it is made; the
/// report has all of them.
///
/// ```
/// use light_splade::search_engines::{DoctorOptions, doctor};
///
/// // Nothing listens there.
/// let options = DoctorOptions { url: "http://127.0.0.1:9".into(), ..DoctorOptions::default() };
/// let report = doctor(&options, &mut (), |check| println!("{check}"))?;
/// assert!(!report.is_sound());
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If a file cannot be read, or the observer asks to stop; then the temporary index is deleted. What
/// is wrong with the search engine is no error but in the report.
pub fn doctor(
    options: &DoctorOptions,
    observer: &mut dyn Observer,
    tell: impl FnMut(&DoctorCheck),
) -> Result<DoctorReport, Error> {
    let authorities = options.ca_file.as_ref();
    let authorities =
        authorities.map(|path| std::fs::read(path).map_err(Error::io("read", path))).transpose()?;
    let sample = Sample::open(options, observer)?;
    let mut report = Telling { report: DoctorReport::default(), tell };
    let certificates = authorities.as_deref();
    let unreached = match SearchEngine::reach(options, certificates, &sample.terms, observer) {
        Ok(mut engine) => {
            examine(&mut engine, &sample, &mut report)?;
            None
        }
        Err(wrong) => Some(wrong),
    };
    match unreached {
        Some(_) if observer.stop() => return Err(stopped(None)),
        Some(wrong) => report.wrong("server", wrong),
        None => {}
    }
    if report.report.is_sound() {
        report.add(DoctorCheck::good("sound", "everything that was looked at"));
    }
    Ok(report.report)
}

/// A report that hands over each of its checks.
struct Telling<F> {
    report: DoctorReport,
    tell: F,
}

impl<F: FnMut(&DoctorCheck)> Telling<F> {
    fn add(&mut self, check: DoctorCheck) {
        (self.tell)(&check);
        self.report.checks.push(check);
    }

    fn line(&mut self, what: &'static str, found: impl Into<String>) {
        self.add(DoctorCheck::good(what, found));
    }

    fn wrong(&mut self, what: &'static str, wrong: Wrong) {
        let hint = Some(wrong.hint.into_owned());
        self.add(DoctorCheck { what, found: wrong.what, hint });
    }

    /// Adds what was found, or what is wrong; returns whether all is well.
    fn check(
        &mut self,
        engine: &mut SearchEngine<'_>,
        what: &'static str,
        found: Result<String, Wrong>,
    ) -> Result<bool, Error> {
        match found {
            Ok(found) => {
                self.line(what, found);
                Ok(true)
            }
            // A stop ends waits, too.
            Err(_) if engine.observer.stop() => Err(stopped(Some(&engine.index))),
            Err(wrong) => {
                self.wrong(what, wrong);
                Ok(false)
            }
        }
    }
}

/// All checks; without an index there is nothing after it to be checked.
fn examine<F: FnMut(&DoctorCheck)>(
    engine: &mut SearchEngine<'_>,
    sample: &Sample,
    report: &mut Telling<F>,
) -> Result<(), Error> {
    report.line("server", engine.name());
    let found = engine.health();
    report.check(engine, "health", found)?;
    let found = engine.create();
    if !report.check(engine, "field", found)? {
        return Ok(());
    }
    let found = engine.put(&sample.documents);
    if report.check(engine, "documents", found)? {
        let places = Places::of(&sample.documents);
        let mut asker = Asker { engine: &mut *engine, sample, places };
        let scores = asker.scores(&sample.queries, false)?;
        let right = report.check(asker.engine, "scores", scores)?;
        asker.names(report)?;
        if right {
            report.line("queries", asker.engine.form_of_queries());
            asker.pruning(report)?;
            asker.limits(report)?;
        }
    }
    let found = engine.delete();
    report.check(engine, "index", found)?;
    Ok(())
}

/// Asks the queries of a sample.
struct Asker<'a, 'b> {
    engine: &'a mut SearchEngine<'b>,
    sample: &'a Sample,
    places: Places<'a>,
}

impl Asker<'_, '_> {
    /// Compares the answers to queries with the expected scores.
    fn scores(
        &mut self,
        queries: &[SparseVector],
        default_pruning: bool,
    ) -> Result<Result<String, Wrong>, Error> {
        let kept = self.engine.kept();
        let (mut of_kept, mut of_exact) = (Comparison::default(), Comparison::default());
        for query in queries {
            let hits = self.engine.search(query, default_pruning);
            if self.engine.observer.stop() {
                return Err(stopped(Some(&self.engine.index)));
            }
            let hits = match hits.and_then(|hits| self.places.find(&hits)) {
                Ok(hits) => hits,
                Err(wrong) => return Ok(Err(wrong)),
            };
            of_kept.add(&self.sample.scores(query, kept), &hits, HITS);
            of_exact.add(&self.sample.scores(query, Quantisation::Exact), &hits, HITS);
        }
        Ok(match of_kept.problem() {
            Some((what, hint)) => Err(Wrong::new(what, hint)),
            None => Ok(format!(
                "of {} queries as they have to be, to {:.0e}; against unrounded weights overlap@10 \
                 {:.3}, largest error {:.3} %",
                queries.len(),
                of_kept.largest_error(),
                of_exact.overlap(),
                of_exact.largest_error() * 100.0
            )),
        })
    }

    /// Whether terms with odd names are found, each alone.
    fn names<F: FnMut(&DoctorCheck)>(&mut self, report: &mut Telling<F>) -> Result<(), Error> {
        let mut lost = Vec::new();
        for (term, name) in &self.sample.odd {
            let query = SparseVector::from_pairs(vec![(*term, 1.0)])?;
            match self.engine.search(&query, false) {
                Ok(hits) if !hits.is_empty() => {}
                Err(wrong) if wrong.unanswered => {
                    return report.check(self.engine, "names", Err(wrong)).map(drop);
                }
                Ok(_) | Err(_) => lost.push(name.as_str()),
            }
        }
        let count = self.sample.odd.len();
        let result = match lost.is_empty() {
            true => Ok(format!("{count} with dots, quotes and other signs are found")),
            false => Err(Wrong::new(
                format!("not found: {}", lost.join("  ")),
                "export with light-splade export … --terms ids; names of terms are numbers then",
            )),
        };
        if count > 0 {
            report.check(self.engine, "names", result)?;
        }
        Ok(())
    }

    /// What queries lose that do not say that nothing is to be pruned.
    fn pruning<F: FnMut(&DoctorCheck)>(&mut self, report: &mut Telling<F>) -> Result<(), Error> {
        if self.engine.kind != SearchEngineKind::Elasticsearch {
            return Ok(());
        }
        match self.scores(&self.sample.queries, true)? {
            Ok(_) => report.line("pruning", "none, even where queries do not say prune: false"),
            Err(wrong) if wrong.unanswered => {
                report.check(self.engine, "pruning", Err(wrong))?;
            }
            Err(wrong) => {
                let found = format!("queries have to say prune: false, or {}", wrong.what);
                report.line("pruning", found);
            }
        }
        Ok(())
    }

    /// The largest queries that are answered rightly.
    fn limits<F: FnMut(&DoctorCheck)>(&mut self, report: &mut Telling<F>) -> Result<(), Error> {
        let Some(query) = self.sample.queries.iter().find(|query| !query.is_empty()) else {
            return Ok(());
        };
        let most = query.weights().iter().fold(0.0f32, |most, &weight| most.max(weight));
        let mut answered = "none larger than those of the sample".to_owned();
        for weight in [1.0f32, 64.0, 1000.0] {
            let pairs = query.iter().map(|(term, w)| (term, w / most * weight)).collect();
            match self.scores(&[SparseVector::from_pairs(pairs)?], false)? {
                Ok(_) => answered = format!("of up to {weight} are answered rightly"),
                Err(wrong) if wrong.unanswered => {
                    return report.check(self.engine, "weights", Err(wrong)).map(drop);
                }
                Err(_) => break,
            }
        }
        report.line("weights", answered);
        let mut terms: Vec<_> = self.sample.documents.iter().flat_map(|(_, v)| v.terms()).collect();
        terms.sort_unstable();
        terms.dedup();
        let mut answered = 0;
        for count in [64, 256, 1024] {
            let pairs: Vec<_> = terms.iter().take(count).map(|&&term| (term, 1.0)).collect();
            let count = pairs.len();
            match self.scores(&[SparseVector::from_pairs(pairs)?], false)? {
                Ok(_) => answered = count,
                Err(wrong) if wrong.unanswered => {
                    return report.check(self.engine, "terms", Err(wrong)).map(drop);
                }
                Err(_) => break,
            }
        }
        report.line("terms", format!("queries of up to {answered} are answered rightly"));
        Ok(())
    }
}

/// That the observer asked to stop; the index is deleted when the search engine goes.
fn stopped(index: Option<&str>) -> Error {
    let deleted = |index| format!("{index} is deleted");
    Error::Stopped { kept: index.map_or_else(|| "no index was made".to_owned(), deleted) }
}
