//! Selects the pairs of a corpus that are true by a teacher's scores.
//!
//! A query that was cut out of a document may fit another document better, or any document at all ("See also."). The
//! scores hold the documents of each query and others that a search found for it. A pair is true if its document is
//! among the best of them and far enough above the best other one. The others that score below become negatives.

use std::path::{Path, PathBuf};

use splade_io::{LineWriter, Lines, counted};

use super::{KINDS, PairKind, by_kind};
use crate::convert::inputs::error;
use crate::convert::output::{Master, Output};
use crate::convert::steps::Steps;
use crate::error::DataError;
use crate::mine::Margins;
use crate::random::{Random, Stream};
use crate::scores::score_line;
use crate::{
    PositivesLine, Schema, ScoreFile, Table, TextKind, Texts, find_files, needed_part, read_record,
};

/// The file of negatives and scores beside the masters of `train`.
const SCORES: &str = "hard_negative_scores.ndjson";

/// Which pairs count as true.
#[derive(Debug, Clone)]
pub struct PairFilter {
    /// The scores of the documents of each query and of others.
    pub scores: PathBuf,
    /// The worst rank that the document of a pair may have among them, counted from 1.
    pub worst_rank: usize,
    /// How far the best other document must score below the document of the pair.
    pub margins: Margins,
}

/// Options for selecting pairs.
#[derive(Debug, Clone)]
pub struct SelectOptions {
    /// The folder with all pairs, which a conversion of a corpus wrote.
    pub pairs: PathBuf,
    /// Which pairs count as true; all if none is given.
    pub filter: Option<PairFilter>,
    /// The share of the documents whose queries become `validation`.
    pub validation_share: f64,
    /// The seed of that choice.
    pub seed: u64,
}

/// The pairs of one query that are kept.
struct Kept {
    query: i64,
    positives: Vec<i64>,
    /// The positives and the negatives with their scores; empty without a filter.
    scores: Vec<(i64, f32)>,
}

/// What was left out.
#[derive(Default)]
struct LeftOut {
    by_rank: u64,
    by_margin: u64,
    without_negatives: u64,
    unscored: u64,
}

pub(in crate::convert) fn convert(
    options: &SelectOptions,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let folder = options.pairs.join("train");
    let documents = needed_part(&folder, "doc_master")?;
    let (queries, _) = Texts::open(&needed_part(&folder, "query_master")?, TextKind::Query)?;
    let kinds = Kinds::read(&options.pairs.join(KINDS))?;
    let judge = Judge::open(options, &folder)?;
    let mut left_out = LeftOut::default();
    // The queries and their documents, of both parts.
    let mut parts: [Vec<(i64, i64)>; 2] = Default::default();
    judge.all(&mut left_out, steps, |part, kept| {
        parts[part].extend(kept.positives.iter().map(|document| (kept.query, *document)));
        Ok(())
    })?;
    if parts[0].is_empty() {
        let pairs = counted(judge.positives.len(), "queries");
        let message = format!("none of the {pairs} is left for training");
        return Err(DataError::NothingLeft(message));
    }
    let mut notes = left_out.notes();
    for (name, pairs) in ["train", "validation"].into_iter().zip(&parts) {
        if pairs.is_empty() {
            continue;
        }
        let part = output.split(name)?;
        part.link_documents(&documents)?;
        let lists = || pairs.chunk_by(|a, b| a.0 == b.0);
        let rows = lists().map(|list| Ok((list[0].0, queries.get(list[0].0)?)));
        let count = part.texts(Master::Queries, rows, steps)?;
        part.positives(
            lists().map(|list| (list[0].0, list.iter().map(|(_, document)| *document))),
        )?;
        // Only training uses negatives.
        let scores = (name == "train" && options.filter.is_some()).then(|| part.path(SCORES));
        if let Some(path) = &scores {
            let mut file = LineWriter::create(path)?;
            judge.all(
                &mut LeftOut::default(),
                steps,
                |part, Kept { query, scores, .. }| match part {
                    0 => Ok(file.line(format_args!("{}", score_line(query, scores)))?),
                    _ => Ok(()),
                },
            )?;
            file.finish()?;
        }
        let of = by_kind(lists().filter_map(|list| kinds.of(list[0].0)));
        notes.push(format!("{name}: {}: {of}", counted(count, "queries")));
        notes.extend(part.check(scores.as_deref())?);
    }
    kinds.write(&output.path(KINDS))?;
    Ok(notes)
}

/// All pairs with their scores, in files.
struct Judge<'a> {
    options: &'a SelectOptions,
    positives: Table,
    scores: Option<ScoreFile>,
}

impl<'a> Judge<'a> {
    fn open(options: &'a SelectOptions, folder: &Path) -> Result<Self, DataError> {
        let path = needed_part(folder, "positive_lists")?;
        let positives = Table::of(find_files(&path)?, &path)?;
        let scores =
            options.filter.as_ref().map(|filter| ScoreFile::open(&filter.scores, |_, _| None));
        Ok(Self { options, positives, scores: scores.transpose()? })
    }

    /// Hands over the pairs of each query that are kept, with the number of their part. Positive lists and scores are
    /// in the same order.
    fn all(
        &self,
        left_out: &mut LeftOut,
        steps: &mut Steps<'_>,
        mut take: impl FnMut(usize, Kept) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut scored = 0;
        for line in 0..self.positives.len() {
            steps.count("queries judged", line, self.positives.len())?;
            let row: PositivesLine =
                read_record(Schema::Positives, self.positives.line(line)).map_err(|message| {
                    DataError::Record { message, place: self.positives.place(line) }
                })?;
            let all = Kept { query: row.qid, positives: row.positive_doc_ids, scores: Vec::new() };
            let kept = match self.options.filter.as_ref().zip(self.scores.as_ref()) {
                None => Some(all),
                Some((filter, scores)) => {
                    while scored < scores.len() && scores.query(scored) < all.query {
                        scored += 1;
                    }
                    let is_scored = scored < scores.len() && scores.query(scored) == all.query;
                    let own = if is_scored { scores.scores(scored)? } else { Vec::new() };
                    filter.judge(all, &own, left_out)
                }
            };
            if let Some(kept) = kept {
                let (part, kept) = self.options.split(kept);
                take(part, kept)?;
            }
        }
        Ok(())
    }
}

impl PairFilter {
    /// The pairs of a query that are true by the scores of its documents and of others.
    fn judge(&self, all: Kept, scores: &[(i64, f32)], left_out: &mut LeftOut) -> Option<Kept> {
        if scores.is_empty() {
            left_out.unscored += 1;
            return None;
        }
        let is_positive = |document: i64| all.positives.contains(&document);
        let others: Vec<(i64, f32)> =
            scores.iter().copied().filter(|(document, _)| !is_positive(*document)).collect();
        let best = others.iter().map(|(_, score)| *score).reduce(f32::max);
        let mut positives = Vec::new();
        for (document, own) in scores.iter().copied().filter(|(document, _)| is_positive(*document))
        {
            let rank = 1 + others.iter().filter(|(_, score)| *score > own).count();
            if rank > self.worst_rank {
                left_out.by_rank += 1;
            } else if best.is_some_and(|best| !self.margins.keep(best, Some(own))) {
                left_out.by_margin += 1;
            } else {
                positives.push((document, own));
            }
        }
        let worst = positives.iter().map(|(_, score)| *score).reduce(f32::min)?;
        // A document that scores as well as a positive is hardly a negative.
        let mut negatives = others;
        negatives.retain(|(_, score)| *score < worst);
        negatives.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if negatives.is_empty() {
            left_out.without_negatives += 1;
            return None;
        }
        let scores = positives.iter().copied().chain(negatives).collect();
        let positives = positives.into_iter().map(|(document, _)| document).collect();
        Some(Kept { query: all.query, positives, scores })
    }
}

impl SelectOptions {
    /// The part of a query, 0 for train and 1 for validation. The documents of a validation query are no positives of
    /// train: a query with documents of both keeps those of train.
    fn split(&self, kept: Kept) -> (usize, Kept) {
        let held_out = |document: &i64| {
            Random::new(&[self.seed, Stream::SPLIT, *document as u64]).share()
                < self.validation_share
        };
        if kept.positives.iter().all(held_out) {
            return (1, kept);
        }
        let Kept { query, mut positives, mut scores } = kept;
        let (out, own): (Vec<i64>, Vec<i64>) = positives.drain(..).partition(held_out);
        scores.retain(|(document, _)| !out.contains(document));
        (0, Kept { query, positives: own, scores })
    }
}

impl LeftOut {
    fn notes(&self) -> Vec<String> {
        let counts = [
            (self.by_rank, "pairs whose document is not among the best"),
            (self.by_margin, "pairs whose document is too little better than another"),
            (self.without_negatives, "queries without a document that scores less"),
            (self.unscored, "queries without scores"),
        ];
        let some = counts.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("left out {}", counted(count, what))).collect()
    }
}

/// The ids of queries with their kinds, ascending.
struct Kinds(Vec<(i64, PairKind)>);

impl Kinds {
    fn read(path: &Path) -> Result<Self, DataError> {
        let (mut lines, mut kinds) = (Lines::open(path)?, Vec::new());
        while let Some(line) = lines.next_line()? {
            let kind = line.split_once('\t').and_then(|(id, name)| {
                let (_, kind) = PairKind::NAMED.iter().find(|(own, _)| *own == name)?;
                Some((id.parse::<i64>().ok()?, *kind))
            });
            kinds.push(kind.ok_or_else(|| error(path, "a line is not an id and a kind"))?);
        }
        Ok(Self(kinds))
    }

    fn of(&self, query: i64) -> Option<PairKind> {
        let place = self.0.binary_search_by_key(&query, |(id, _)| *id).ok()?;
        Some(self.0[place].1)
    }

    fn write(&self, path: &Path) -> Result<(), DataError> {
        let mut file = LineWriter::create(path)?;
        for (id, kind) in &self.0 {
            file.line(format_args!("{id}\t{}", kind.name()))?;
        }
        Ok(file.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(worst_rank: usize, margins: Margins) -> PairFilter {
        PairFilter { scores: PathBuf::new(), worst_rank, margins }
    }

    /// Judges query 1 with these positives; returns the positives that are kept and the negatives.
    fn judged(
        filter: &PairFilter,
        positives: &[i64],
        scores: &[(i64, f32)],
    ) -> (Vec<i64>, Vec<i64>) {
        let all = Kept { query: 1, positives: positives.to_vec(), scores: Vec::new() };
        let Some(kept) = filter.judge(all, scores, &mut LeftOut::default()) else {
            return Default::default();
        };
        let ids: Vec<i64> = kept.scores.iter().map(|(id, _)| *id).collect();
        assert!(ids.starts_with(&kept.positives));
        (kept.positives.clone(), ids[kept.positives.len()..].to_vec())
    }

    #[test]
    fn true_pairs_rank_high_and_stand_out() {
        let scores = [(1, 5.0), (2, 9.0), (3, 4.0), (4, 5.0), (5, 1.0)];
        let none = Margins::default();
        // Document 1 is the second: an equal score does not count as better.
        assert_eq!(judged(&filter(1, none), &[1], &scores), Default::default());
        assert_eq!(judged(&filter(2, none), &[1], &scores), (vec![1], vec![3, 5]));
        // Document 2 is four above the best other one.
        let margin = |absolute| Margins { absolute: Some(absolute), ..none };
        assert_eq!(judged(&filter(1, margin(4.0)), &[2], &scores), (vec![2], vec![1, 4, 3, 5]));
        assert_eq!(judged(&filter(1, margin(4.5)), &[2], &scores), Default::default());
        let relative = |share| Margins { relative: Some(share), ..none };
        assert_eq!(judged(&filter(1, relative(0.4)), &[2], &scores).0, [2]);
        assert_eq!(judged(&filter(1, relative(0.5)), &[2], &scores).0, [0; 0]);
        // Positives do not compete with each other, and a false one is no negative either.
        assert_eq!(judged(&filter(1, none), &[1, 2, 4], &scores), (vec![1, 2, 4], vec![3, 5]));
        assert_eq!(judged(&filter(1, none), &[2, 5], &scores), (vec![2], vec![1, 4, 3]));
        // Without a score, and without a document below, nothing is left.
        assert_eq!(judged(&filter(9, none), &[7], &scores), Default::default());
        assert_eq!(judged(&filter(9, none), &[5], &scores), Default::default());
    }

    #[test]
    fn documents_of_validation_are_no_positives_of_train() {
        let options =
            SelectOptions { pairs: PathBuf::new(), filter: None, validation_share: 0.5, seed: 3 };
        let is_held_out = |document: i64| {
            let kept = Kept { query: 1, positives: vec![document], scores: Vec::new() };
            options.split(kept).0 == 1
        };
        let out = (1..100).find(|document| is_held_out(*document)).expect("half of them");
        let own = (1..100).find(|document| !is_held_out(*document)).expect("half of them");
        let scores = vec![(out, 2.0), (own, 2.0), (1000, 1.0)];
        let kept = Kept { query: 1, positives: vec![out, own], scores };
        let (part, kept) = options.split(kept);
        assert_eq!((part, kept.positives), (0, vec![own]));
        assert_eq!(kept.scores, [(own, 2.0), (1000, 1.0)]);
    }
}
