//! Hard negatives: documents that a search finds for a query and that do not answer it.
//!
//! ```text
//! rankings, one a source ─► less positives ─► ranks ─► less likely false negatives ─► take ─► scores
//! ```
//!
//! The margins are those of sentence-transformers' `mine_hard_negatives` (NV-Retriever, arXiv
//! 2407.15831): a negative that a teacher finds almost as good as the worst positive may be a
//! positive that nobody judged. What is drawn depends on the seed and the query alone.

mod teacher;

pub use teacher::TeacherScores;

use rustc_hash::FxHashSet;

use crate::random::{Random, hash};

/// Where negatives come from.
#[derive(Debug, Clone, PartialEq)]
pub struct MineSource {
    /// Ranks that are passed over: the best may be positives that nobody judged.
    pub skip: usize,
    /// The last rank, counted without positives.
    pub depth: usize,
    /// Negatives to take; all if none.
    pub take: Option<usize>,
    /// Whether these are drawn or the best.
    pub at_random: bool,
}

/// Which negatives are likely to be false.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Margins {
    /// Keep those that score at least so much less than the worst positive.
    pub absolute: Option<f32>,
    /// Keep those that score at least this share less than the worst positive. sentence-transformers
    /// multiplies a positive that is below zero, too, and so lets through what is better; here the
    /// share is of its distance from zero.
    pub relative: Option<f32>,
    /// Keep those of at most this score.
    pub max_score: Option<f32>,
    /// Keep those of at least this score.
    pub min_score: Option<f32>,
}

/// What became of the rankings of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mined {
    /// Positives in their order, then negatives by source, each once, with the teacher's score; a
    /// positive without one has the best of the negatives. Without a teacher all have 1. Of no use
    /// where there is no negative.
    pub scores: Vec<(i64, f32)>,
    /// How many of the above are negatives.
    pub negatives: usize,
    /// Positives that have the score of a negative.
    pub unscored_positives: usize,
    /// What was left out.
    pub left_out: LeftOut,
}

/// Documents of rankings that are no negatives, over all sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// All documents of the rankings, within the depth.
    pub of: u64,
    /// Positives.
    pub positives: u64,
    /// Likely false negatives, and those out of the range of scores.
    pub by_margin: u64,
    /// Without a score of the teacher, where there is a teacher.
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
    /// Whether a negative is likely to be one, by the worst positive where one has a score.
    fn keep(&self, score: f32, worst: Option<f32>) -> bool {
        let far = |enough: fn(f32, f32, f32) -> bool, margin: Option<f32>| {
            margin.is_none_or(|margin| worst.is_some_and(|worst| enough(score, worst, margin)))
        };
        far(|score, worst, margin| score + margin <= worst, self.absolute)
            && far(|score, worst, share| score <= worst - worst.abs() * share, self.relative)
            && self.max_score.is_none_or(|max| score <= max)
            && self.min_score.is_none_or(|min| score >= min)
    }
}

/// How negatives are chosen.
#[derive(Debug, Clone)]
pub struct Miner {
    /// One for each ranking of a query.
    pub sources: Vec<MineSource>,
    /// What a teacher's scores decide.
    pub margins: Margins,
    /// Decides what is drawn.
    pub seed: u64,
}

impl Miner {
    /// Chooses the negatives of a query out of a ranking for each source, best first.
    ///
    /// A negative that an earlier source has taken is passed over, so that each source takes others.
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
                // By rank, as the best are.
                chosen.sort_unstable();
                kept = chosen.into_iter().map(|place| kept[place]).collect();
            } else {
                kept.truncate(take);
            }
            seen.extend(&kept);
            negatives.extend(kept);
        }
        // As `convert` scores positives that a teacher did not see.
        let best = negatives.iter().filter_map(|doc| score(*doc)).reduce(f32::max);
        let scored = |doc: &i64| (*doc, score(*doc).or(best).unwrap_or(1.0));
        let scores = positives.iter().chain(&negatives).map(scored).collect();
        let unscored = positives.iter().filter(|doc| best.is_some() && score(**doc).is_none());
        let unscored_positives = unscored.count();
        Mined { scores, negatives: negatives.len(), unscored_positives, left_out }
    }
}

/// A ranking of documents at random, the same for the same key: `count` of the ids.
pub fn random_ranking(
    seed: u64,
    query: i64,
    count: usize,
    ids: usize,
    id: impl Fn(usize) -> i64,
) -> Vec<i64> {
    let mut random = Random::new(&[hash(&[seed, query as u64]), RANDOM]);
    let mut seen = FxHashSet::default();
    // Half of all at most are drawn one by one; more come as a whole.
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

/// Tells these numbers from those of sources.
const RANDOM: u64 = u64::MAX;

#[cfg(test)]
mod tests;
