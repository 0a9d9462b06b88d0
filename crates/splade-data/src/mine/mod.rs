//! Chooses hard negatives: documents that a search ranks high for a query but that do not answer
//! it.
//!
//! ```text
//! one ranking for each source ─► remove positives ─► select ranks ─► remove likely false
//! negatives ─► take ─► scores
//! ```
//!
//! The margins are those of sentence-transformers' `mine_hard_negatives` (NV-Retriever, arXiv
//! 2407.15831): a negative that a teacher scores almost as high as the worst positive may be an
//! unjudged positive. Random choices depend only on the seed and the query.
//!
//! ```
//! use splade_data::mine::{Margins, MineSource, Miner};
//!
//! let source = MineSource { skip: 1, depth: 100, take: Some(2), at_random: false };
//! let miner = Miner { sources: vec![source], margins: Margins::default(), seed: 42 };
//! // The ranking of query 1; document 7 answers it, and the best other one may do so, too.
//! let mined = miner.choose(1, &[7], &[vec![3, 7, 5, 9, 4]], None);
//! assert_eq!(mined.scores, [(7, 1.0), (5, 1.0), (9, 1.0)]);
//! ```

mod teacher;

pub use teacher::TeacherScores;

use rustc_hash::FxHashSet;

use crate::random::{Random, hash};

/// The rules for taking negatives from one ranking.
///
/// ```
/// use splade_data::mine::{Margins, MineSource, Miner};
///
/// // Half of the best four documents.
/// let source = MineSource { skip: 0, depth: 4, take: Some(2), at_random: true };
/// let miner = Miner { sources: vec![source], margins: Margins::default(), seed: 42 };
/// let mined = miner.choose(1, &[], &[vec![3, 7, 5, 9, 4, 8]], None);
/// assert!(mined.negatives == 2 && mined.scores.iter().all(|(id, _)| ![4, 8].contains(id)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MineSource {
    /// The number of top ranks that are skipped, because they may contain unjudged positives.
    pub skip: usize,
    /// The last rank that is considered, counted without positives.
    pub depth: usize,
    /// The number of negatives to take; `None` takes all.
    pub take: Option<usize>,
    /// Whether the negatives are drawn at random; if false, those with the best ranks are taken.
    pub at_random: bool,
}

/// The rules that exclude negatives that are likely to be false. A rule that is `None` excludes
/// nothing.
///
/// ```
/// use splade_data::mine::{Margins, MineSource, Miner, TeacherScores};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scores.ndjson");
/// std::fs::write(&path, "{\"qid\": 1, \"scores\": {\"7\": 9.0, \"3\": 8.5, \"5\": 2.0}}\n")?;
/// let teacher = TeacherScores::open(&path)?;
/// // Document 3 is so close to the positive, which has 9.0, that it may answer the query, too.
/// let margins = Margins { absolute: Some(1.0), ..Margins::default() };
/// let source = MineSource { skip: 0, depth: 10, take: None, at_random: false };
/// let miner = Miner { sources: vec![source], margins, seed: 42 };
/// let mined = miner.choose(1, &[7], &[vec![3, 7, 5]], Some(&teacher));
/// assert_eq!(mined.scores, [(7, 9.0), (5, 2.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Margins {
    /// The minimum difference between the score of the worst positive and that of a negative.
    pub absolute: Option<f32>,
    /// The minimum difference between the score of the worst positive and that of a negative, as a
    /// share of the positive's absolute score. sentence-transformers multiplies the positive's
    /// score itself, so that for a score below zero it keeps negatives with better scores.
    pub relative: Option<f32>,
    /// The maximum score of a negative.
    pub max_score: Option<f32>,
    /// The minimum score of a negative.
    pub min_score: Option<f32>,
}

/// The documents that were chosen for one query.
///
/// ```
/// use splade_data::mine::{Margins, MineSource, Miner, TeacherScores};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scores.ndjson");
/// std::fs::write(&path, "{\"qid\": 1, \"scores\": {\"7\": 9.0, \"3\": 8.5, \"5\": 2.0}}\n")?;
/// let teacher = TeacherScores::open(&path)?;
/// let source = MineSource { skip: 0, depth: 10, take: None, at_random: false };
/// let miner = Miner { sources: vec![source], margins: Margins::default(), seed: 42 };
/// // The teacher has not scored document 8, which is therefore left out.
/// let mined = miner.choose(1, &[7], &[vec![5, 8]], Some(&teacher));
/// assert_eq!((mined.negatives, mined.left_out.unscored), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mined {
    /// The positives in their order and then the distinct negatives of each source, with teacher
    /// scores. A positive without a score gets the best score of the negatives. Without a teacher
    /// all scores are 1. If there are no negatives, the list is not usable.
    pub scores: Vec<(i64, f32)>,
    /// The number of negatives in `scores`.
    pub negatives: usize,
    /// The number of positives that got the score of a negative.
    pub unscored_positives: usize,
    /// The counts of excluded documents.
    pub left_out: LeftOut,
}

/// Counts of documents in the rankings that were not taken as negatives, over all sources.
///
/// ```
/// use splade_data::mine::{LeftOut, Margins, MineSource, Miner};
///
/// let source = MineSource { skip: 0, depth: 10, take: None, at_random: false };
/// let miner = Miner { sources: vec![source], margins: Margins::default(), seed: 42 };
/// let mut left_out = LeftOut::default();
/// for (query, ranking) in [(1, vec![7, 5]), (2, vec![7, 9])] {
///     left_out += miner.choose(query, &[7], &[ranking], None).left_out;
/// }
/// assert_eq!((left_out.of, left_out.positives), (4, 2));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The number of all documents in the rankings, up to the depth.
    pub of: u64,
    /// The number of positives.
    pub positives: u64,
    /// The number of documents that a margin or a score limit excluded.
    pub by_margin: u64,
    /// The number of documents without a teacher score; 0 without a teacher.
    pub unscored: u64,
}

impl std::ops::AddAssign for LeftOut {
    fn add_assign(&mut self, other: Self) {
        self.of += other.of;
        self.positives += other.positives;
        self.by_margin += other.by_margin;
        self.unscored += other.unscored;
    }
}

impl Margins {
    /// Returns whether a negative with this score is kept. `worst` is the score of the worst
    /// positive, if any positive has one.
    pub(crate) fn keep(&self, score: f32, worst: Option<f32>) -> bool {
        let far = |enough: fn(f32, f32, f32) -> bool, margin: Option<f32>| {
            margin.is_none_or(|margin| worst.is_some_and(|worst| enough(score, worst, margin)))
        };
        far(|score, worst, margin| score + margin <= worst, self.absolute)
            && far(|score, worst, share| score <= worst - worst.abs() * share, self.relative)
            && self.max_score.is_none_or(|max| score <= max)
            && self.min_score.is_none_or(|min| score >= min)
    }
}

/// The settings for choosing negatives.
///
/// ```
/// use splade_data::mine::{Margins, MineSource, Miner};
///
/// let source = |take| MineSource { skip: 0, depth: 10, take: Some(take), at_random: false };
/// let miner = Miner { sources: vec![source(1), source(2)], margins: Margins::default(), seed: 42 };
/// // One negative of a model's ranking, and two others of BM25's.
/// let mined = miner.choose(1, &[7], &[vec![7, 5, 3], vec![5, 9, 4]], None);
/// assert_eq!(mined.scores.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [7, 5, 9, 4]);
/// ```
#[derive(Debug, Clone)]
pub struct Miner {
    /// The rules for each ranking of a query.
    pub sources: Vec<MineSource>,
    /// The limits on teacher scores.
    pub margins: Margins,
    /// The seed for random choices.
    pub seed: u64,
}

impl Miner {
    /// Chooses the negatives of a query from its rankings, one for each source, best document
    /// first.
    ///
    /// A negative that an earlier source has taken is skipped, so that each source takes other
    /// documents.
    pub fn choose(
        &self,
        query: i64,
        positives: &[i64],
        rankings: &[Vec<i64>],
        teacher: Option<&TeacherScores>,
    ) -> Mined {
        let score = |doc: i64| teacher.and_then(|teacher| teacher.score(query, doc));
        let worst = positives.iter().filter_map(|doc| score(*doc)).reduce(f32::min);
        let mut seen: FxHashSet<i64> = positives.iter().copied().collect();
        let mut left_out = LeftOut::default();
        let mut negatives = Vec::new();
        for (place, (source, ranking)) in self.sources.iter().zip(rankings).enumerate() {
            let mut ranks = 0;
            let mut kept = Vec::new();
            for doc in ranking {
                if ranks == source.depth {
                    break;
                }
                left_out.of += 1;
                if positives.contains(doc) {
                    left_out.positives += 1;
                    continue;
                }
                ranks += 1;
                if ranks <= source.skip || seen.contains(doc) {
                    continue;
                }
                match score(*doc) {
                    None if teacher.is_some() => left_out.unscored += 1,
                    Some(score) if !self.margins.keep(score, worst) => left_out.by_margin += 1,
                    _ => kept.push(*doc),
                }
            }
            let take = source.take.unwrap_or(kept.len()).min(kept.len());
            if source.at_random {
                let key = [self.seed, place as u64, query as u64];
                let mut chosen = Random::new(&key).choose(take, kept.len());
                // Drawn negatives are sorted by rank, as the best ones are.
                chosen.sort_unstable();
                kept = chosen.into_iter().map(|place| kept[place]).collect();
            } else {
                kept.truncate(take);
            }
            seen.extend(&kept);
            negatives.extend(kept);
        }
        // Positives without a score get the same score as in `convert`.
        let best = negatives.iter().filter_map(|doc| score(*doc)).reduce(f32::max);
        let scored = |doc: &i64| (*doc, score(*doc).or(best).unwrap_or(1.0));
        let scores = positives.iter().chain(&negatives).map(scored).collect();
        let unscored = positives.iter().filter(|doc| best.is_some() && score(**doc).is_none());
        let unscored_positives = unscored.count();
        Mined { scores, negatives: negatives.len(), unscored_positives, left_out }
    }
}

/// Returns a random ranking of `count` ids, which is the same for the same key.
///
/// ```
/// use splade_data::mine::{random_ranking};
///
/// // Three of a hundred documents, whose ids are from 1,000 on.
/// let ranking = random_ranking(42, 7, 3, 100, |place| 1000 + place as i64);
/// assert!(ranking.len() == 3 && ranking.iter().all(|id| (1000..1100).contains(id)));
/// assert_ne!(ranking, random_ranking(42, 8, 3, 100, |place| 1000 + place as i64), "of another query");
/// ```
pub fn random_ranking(
    seed: u64,
    query: i64,
    count: usize,
    ids: usize,
    id: impl Fn(usize) -> i64,
) -> Vec<i64> {
    let mut random = Random::new(&[hash(&[seed, query as u64]), RANDOM]);
    let mut seen = FxHashSet::default();
    // Fewer than half of the ids are drawn one by one until enough are distinct.
    if count * 2 >= ids {
        return random.choose(count, ids).into_iter().map(id).collect();
    }
    let mut ranking = Vec::with_capacity(count);
    while ranking.len() < count {
        let row = random.below(ids);
        if seen.insert(row) {
            ranking.push(id(row));
        }
    }
    ranking
}

/// The part of the key that separates these numbers from those of the sources.
const RANDOM: u64 = u64::MAX;

#[cfg(test)]
mod tests;
