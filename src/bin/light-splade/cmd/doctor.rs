//! `light-splade doctor`: whether a search engine answers as it has to.
//!
//! A sample goes into a temporary index exactly as `export` writes it, queries are asked exactly as
//! `export` writes them, and what comes back is compared with the scores that the engine's own
//! rounding of weights gives. The index is deleted in the end, also after a failure or Ctrl-C.

mod compare;
mod engine;
mod sample;

use anyhow::{Context, Result, bail};
use splade_export::Quantisation;
use splade_sparse::SparseVector;

use crate::args::{DoctorArgs, EngineKind};
use crate::interrupt::{self, Interrupted};
use crate::output::print;
use compare::Comparison;
use engine::{Engine, Places};
use sample::Sample;

/// Documents that a query of an export finds.
const HITS: usize = 10;

/// What is wrong, and what to do.
pub(super) struct Wrong {
    what: String,
    hint: &'static str,
    /// There was no answer, or one of a server that is busy: it says nothing of what was asked.
    unanswered: bool,
}

impl Wrong {
    fn new(what: String, hint: &'static str) -> Self {
        Self { what, hint, unanswered: false }
    }
}

pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    let authorities = args
        .ca_file
        .as_ref()
        .map(|path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display())));
    let authorities = authorities.transpose()?;
    let sample = Sample::open(args)?;
    interrupt::listen()?;
    let mut report = Report::default();
    let reached = Engine::reach(args, authorities.as_deref(), &sample.terms);
    if let Some(engine) = report.value("engine", reached)? {
        report.index = Some(engine.index.clone());
        examine(engine, &sample, &mut report)?;
    }
    match report.wrong {
        0 => report.line("sound", "everything that was looked at"),
        1 => bail!("one check failed"),
        wrong => bail!("{wrong} checks failed"),
    }
}

/// All checks; without an index there is nothing after it to be checked.
fn examine(mut engine: Engine, sample: &Sample, report: &mut Report) -> Result<()> {
    report.line("engine", &engine.name())?;
    report.check("health", engine.health())?;
    if !report.check("field", engine.create())? {
        return Ok(());
    }
    if report.check("documents", engine.put(&sample.documents))? {
        let places = Places::of(&sample.documents);
        let mut asker = Asker { engine: &mut engine, sample, places };
        let scores = asker.scores(&sample.queries, false)?;
        let right = report.check("scores", scores)?;
        asker.names(report)?;
        if right {
            report.line("queries", asker.engine.form_of_queries())?;
            asker.pruning(report)?;
            asker.limits(report)?;
        }
    }
    report.check("index", engine.delete())?;
    Ok(())
}

/// Asks the queries of a sample.
struct Asker<'a> {
    engine: &'a mut Engine,
    sample: &'a Sample,
    places: Places<'a>,
}

impl Asker<'_> {
    /// Compares the answers to queries with the expected scores.
    fn scores(
        &mut self,
        queries: &[SparseVector],
        default_pruning: bool,
    ) -> Result<Result<String, Wrong>> {
        let kept = self.engine.kept();
        let (mut of_kept, mut of_exact) = (Comparison::default(), Comparison::default());
        for query in queries {
            let hits = self.engine.search(query, default_pruning);
            if interrupt::asked() {
                return Err(interrupted(Some(&self.engine.index)));
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
    fn names(&mut self, report: &mut Report) -> Result<()> {
        let mut lost = Vec::new();
        for (term, name) in &self.sample.odd {
            let query = SparseVector::from_pairs(vec![(*term, 1.0)])?;
            match self.engine.search(&query, false) {
                Ok(hits) if !hits.is_empty() => {}
                Err(wrong) if wrong.unanswered => {
                    return report.check("names", Err(wrong)).map(drop);
                }
                Ok(_) | Err(_) => lost.push(name.as_str()),
            }
        }
        let count = self.sample.odd.len();
        let result = match lost.is_empty() {
            true => Ok(format!("{count} with dots, quotes and other signs are found")),
            false => Err(Wrong::new(
                format!("not found: {}", lost.join("  ")),
                "export with --terms ids; names of terms are numbers then",
            )),
        };
        if count > 0 {
            report.check("names", result)?;
        }
        Ok(())
    }

    /// What queries lose that do not say that nothing is to be pruned.
    fn pruning(&mut self, report: &mut Report) -> Result<()> {
        if self.engine.kind != EngineKind::Elasticsearch {
            return Ok(());
        }
        match self.scores(&self.sample.queries, true)? {
            Ok(_) => report.line("pruning", "none, even where queries do not say prune: false"),
            Err(wrong) if wrong.unanswered => report.check("pruning", Err(wrong)).map(drop),
            Err(wrong) => report
                .line("pruning", &format!("queries have to say prune: false, or {}", wrong.what)),
        }
    }

    /// The largest queries that are answered rightly.
    fn limits(&mut self, report: &mut Report) -> Result<()> {
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
                    return report.check("weights", Err(wrong)).map(drop);
                }
                Err(_) => break,
            }
        }
        report.line("weights", &answered)?;
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
                    return report.check("terms", Err(wrong)).map(drop);
                }
                Err(_) => break,
            }
        }
        report.line("terms", &format!("queries of up to {answered} are answered rightly"))
    }
}

/// That Ctrl-C was pressed; the index is deleted when the engine goes.
fn interrupted(index: Option<&str>) -> anyhow::Error {
    let deleted = |index| format!("{index} is deleted");
    Interrupted(index.map_or_else(|| "no index was made".to_owned(), deleted)).into()
}

/// What was looked at, a line each.
#[derive(Default)]
struct Report {
    wrong: usize,
    /// The temporary index, once it has a name.
    index: Option<String>,
}

impl Report {
    fn line(&self, what: &str, found: &str) -> Result<()> {
        print(&format!("{what:<10} {found}\n"))
    }

    /// Prints what was found, or what is wrong; whether all is well.
    fn check(&mut self, what: &str, found: Result<String, Wrong>) -> Result<bool> {
        match self.value(what, found)? {
            Some(found) => self.line(what, &found).map(|()| true),
            None => Ok(false),
        }
    }

    /// What came out, or nothing after what is wrong was printed.
    fn value<T>(&mut self, what: &str, found: Result<T, Wrong>) -> Result<Option<T>> {
        match found {
            Ok(value) => Ok(Some(value)),
            // Ctrl-C ends waits, too.
            Err(_) if interrupt::asked() => Err(interrupted(self.index.as_deref())),
            Err(Wrong { what: wrong, hint, .. }) => {
                self.wrong += 1;
                self.line(what, &format!("WRONG: {wrong}\n{:<10} hint: {hint}", ""))?;
                Ok(None)
            }
        }
    }
}
