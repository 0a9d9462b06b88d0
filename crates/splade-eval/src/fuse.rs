//! Fusion: one ranking of several, such as those of a SPLADE model and of BM25.
//!
//! | method | score of a document |
//! |---|---|
//! | [`Rrf`](FusionMethod::Rrf) | `Σ w / (k + rank)`, with ranks from 1 (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009) |
//! | [`MinMax`](FusionMethod::MinMax) | `Σ w · (score - min) / (max - min)`, with the largest and the smallest score of the ranking; 1 for every document of a ranking whose scores are equal |
//!
//! The sums are over the rankings that have the document, and `w` is the weight of the ranking.
//!
//! ```
//! use splade_eval::Run;
//! use splade_eval::fuse::{Fusion, fuse};
//!
//! let splade = Run::read("q1 Q0 a 1 9 x\nq1 Q0 b 2 8 x\n".as_bytes(), "splade")?;
//! let bm25 = Run::read("q1 Q0 b 1 3 x\nq1 Q0 c 2 2 x\n".as_bytes(), "bm25")?;
//! let fused = fuse(&[splade, bm25], &Fusion::default())?;
//! let documents = fused.get("q1").expect("a ranking").iter().map(|hit| hit.document.as_str());
//! assert_eq!(documents.collect::<Vec<_>>(), ["b", "a", "c"]);
//! # Ok::<(), splade_eval::EvalError>(())
//! ```

use std::collections::HashMap;

use crate::EvalError;
use crate::run::{Run, Scored};

/// How rankings are fused.
///
/// ```
/// use splade_eval::Scored;
/// use splade_eval::fuse::{Fusion, FusionMethod, fuse_rankings};
///
/// let scored = |document: &str, score| Scored { document: document.to_owned(), score };
/// let one = [scored("a", 9.0), scored("b", 8.9), scored("c", 1.0)];
/// let other = [scored("c", 5.0), scored("b", 4.0), scored("d", 0.0)];
/// // The scores say that `b` is nearly as good as the best of both.
/// let method = FusionMethod::MinMax;
/// let fused = fuse_rankings(&[&one, &other], &Fusion { method, ..Fusion::default() })?;
/// assert_eq!(fused[0].document, "b");
/// // By ranks, `c` is first and third, and `b` second twice.
/// assert_eq!(fuse_rankings(&[&one, &other], &Fusion::default())?[0].document, "c");
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FusionMethod {
    /// Reciprocal rank fusion: only the ranks count.
    Rrf {
        /// The constant that is added to every rank, at least 0. The larger it is, the less the first
        /// ranks differ from later ones.
        k: f64,
    },
    /// The scores of each ranking, scaled to 0 to 1, are added.
    MinMax,
}

impl Default for FusionMethod {
    /// Returns reciprocal rank fusion with the `k` of its authors, 60.
    fn default() -> Self {
        Self::Rrf { k: 60.0 }
    }
}

/// How rankings are fused, and how much each of them counts.
///
/// ```
/// use splade_eval::Scored;
/// use splade_eval::fuse::{Fusion, fuse_rankings};
///
/// let scored = |document: &str, score| Scored { document: document.to_owned(), score };
/// let (splade, bm25) = ([scored("a", 9.0)], [scored("b", 3.0)]);
/// let fusion = Fusion { weights: vec![0.3, 0.7], ..Fusion::default() };
/// fusion.check(2)?;
/// assert_eq!(fuse_rankings(&[&splade, &bm25], &fusion)?[0].document, "b");
/// assert!(fusion.check(3).is_err(), "a weight is missing");
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fusion {
    /// The method.
    pub method: FusionMethod,
    /// A weight for each ranking, finite and not negative; 1 for each if there are none.
    pub weights: Vec<f64>,
}

/// The place of a document in a ranking.
///
/// ```
/// use splade_eval::Scored;
/// use splade_eval::fuse::{Fusion, Place, fuse_rankings};
///
/// let scored = |document: &str, score| Scored { document: document.to_owned(), score };
/// let (splade, bm25) = ([scored("a", 9.0), scored("b", 8.0)], [scored("c", 3.0)]);
/// let fused = fuse_rankings(&[&splade, &bm25], &Fusion::default())?;
/// let b = fused.iter().find(|hit| hit.document == "b").expect("found");
/// assert_eq!(b.places, [Some(Place { rank: 2, score: 8.0 }), None]);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The rank, from 1.
    pub rank: usize,
    /// The score that the ranking gave the document.
    pub score: f32,
}

/// A document of a fused ranking.
///
/// ```
/// use splade_eval::Scored;
/// use splade_eval::fuse::{Fusion, fuse_rankings};
///
/// let scored = |document: &str, score| Scored { document: document.to_owned(), score };
/// let (splade, bm25) = ([scored("a", 9.0)], [scored("a", 3.0)]);
/// for hit in fuse_rankings(&[&splade, &bm25], &Fusion::default())? {
///     assert!(hit.places.iter().all(Option::is_some), "both rankings found {}", hit.document);
///     assert_eq!(hit.score, 2.0 / 61.0);
/// }
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// The id of the document.
    pub document: String,
    /// The score of the fusion.
    pub score: f64,
    /// The document's place in each ranking, in the order of the rankings.
    pub places: Vec<Option<Place>>,
}

impl Fusion {
    /// Checks that there is a weight for each of `rankings` rankings, or none at all.
    ///
    /// # Errors
    /// Returns an error if the number of weights is another one, if a weight or `k` is negative or not
    /// finite, or if all weights are 0.
    pub fn check(&self, rankings: usize) -> Result<(), EvalError> {
        let error = |message: String| Err(EvalError::Fusion { message });
        let Self { method, weights } = self;
        if let FusionMethod::Rrf { k } = method
            && !(k.is_finite() && *k >= 0.0)
        {
            return error(format!("k is {k}; it must be a number of at least 0"));
        }
        if !weights.is_empty() && weights.len() != rankings {
            return error(format!("there are {} weights for {rankings} rankings", weights.len()));
        }
        if let Some(weight) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return error(format!("a weight is {weight}; weights must be numbers of at least 0"));
        }
        match !weights.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
            true => error("all weights are 0, so that no ranking would count".to_owned()),
            false => Ok(()),
        }
    }

    fn weight(&self, ranking: usize) -> f64 {
        self.weights.get(ranking).copied().unwrap_or(1.0)
    }
}

/// Fuses the rankings of one query, each with its best document first. Of documents with equal
/// scores, the one comes first that is earlier in the first ranking, then in the second, and so on.
///
/// ```
/// use splade_eval::fuse::{Fusion, fuse_rankings};
/// use splade_eval::Scored;
///
/// let scored = |document: &str, score| Scored { document: document.to_owned(), score };
/// let splade = [scored("a", 9.0), scored("b", 8.0)];
/// let bm25 = [scored("b", 3.0), scored("c", 2.0)];
/// let fused = fuse_rankings(&[&splade, &bm25], &Fusion::default())?;
/// assert_eq!(fused[0].document, "b");
/// assert_eq!(fused[0].score, 1.0 / 62.0 + 1.0 / 61.0);
/// assert_eq!(fused[1].document, "a");
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
///
/// # Errors
/// Returns an error if the settings do not fit; see [`Fusion::check`].
pub fn fuse_rankings(rankings: &[&[Scored]], fusion: &Fusion) -> Result<Vec<Fused>, EvalError> {
    fusion.check(rankings.len())?;
    let mut fused: Vec<Fused> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (at, ranking) in rankings.iter().enumerate() {
        let scores = || ranking.iter().map(|scored| f64::from(scored.score));
        let (min, max) =
            (scores().fold(f64::INFINITY, f64::min), scores().fold(f64::NEG_INFINITY, f64::max));
        for (rank, Scored { document, score }) in (1..).zip(*ranking) {
            let part = match fusion.method {
                FusionMethod::Rrf { k } => 1.0 / (k + rank as f64),
                FusionMethod::MinMax if max > min => (f64::from(*score) - min) / (max - min),
                FusionMethod::MinMax => 1.0,
            };
            let index = *known.entry(document).or_insert_with(|| {
                let places = vec![None; rankings.len()];
                fused.push(Fused { document: document.clone(), score: 0.0, places });
                fused.len() - 1
            });
            fused[index].score += fusion.weight(at) * part;
            fused[index].places[at] = Some(Place { rank, score: *score });
        }
    }
    // The sort is stable, so equal scores stay in the order in which they were found.
    fused.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(fused)
}

/// Fuses runs: the rankings of each query that at least one of them has. A run without a query counts
/// as one that found nothing for it.
///
/// ```
/// use splade_eval::Run;
/// use splade_eval::fuse::{Fusion, fuse};
///
/// let splade = Run::read("q1 Q0 a 1 9 x\n".as_bytes(), "splade")?;
/// let bm25 = Run::read("q1 Q0 b 1 3 x\nq2 Q0 c 1 2 x\n".as_bytes(), "bm25")?;
/// let fused = fuse(&[splade, bm25], &Fusion::default())?;
/// assert_eq!(fused.len(), 2, "the queries of both");
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
///
/// # Errors
/// Returns an error if the settings do not fit the runs; see [`Fusion::check`].
pub fn fuse(runs: &[Run], fusion: &Fusion) -> Result<Run, EvalError> {
    fusion.check(runs.len())?;
    let mut queries: Vec<&str> = runs.iter().flat_map(|run| run.iter().map(|(q, _)| q)).collect();
    queries.sort_unstable();
    queries.dedup();
    let mut all = Run::default();
    for query in queries {
        let rankings: Vec<&[Scored]> =
            runs.iter().map(|run| run.get(query).unwrap_or_default()).collect();
        let scored = |fused: Fused| Scored { document: fused.document, score: fused.score as f32 };
        let ranking = fuse_rankings(&rankings, fusion)?.into_iter().map(scored).collect();
        all.insert(query, ranking)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn ranking(pairs: &[(&str, f32)]) -> Vec<Scored> {
        pairs.iter().map(|(d, score)| Scored { document: (*d).to_owned(), score: *score }).collect()
    }

    fn scores(fused: &[Fused]) -> Vec<(&str, f64)> {
        fused.iter().map(|fused| (fused.document.as_str(), fused.score)).collect()
    }

    #[test]
    fn methods_and_weights() {
        let (a, b) =
            (ranking(&[("x", 9.0), ("y", 5.0), ("z", 1.0)]), ranking(&[("z", 4.0), ("w", 2.0)]));
        let places = |rank, score| Some(Place { rank, score });
        let fused = |method, weights: &[f64]| {
            fuse_rankings(&[&a, &b], &Fusion { method, weights: weights.to_vec() }).expect("fused")
        };
        let rrf = fused(FusionMethod::Rrf { k: 60.0 }, &[]);
        let want = [
            ("z", 1.0 / 63.0 + 1.0 / 61.0),
            ("x", 1.0 / 61.0),
            ("y", 1.0 / 62.0),
            ("w", 1.0 / 62.0),
        ];
        assert_eq!(scores(&rrf), want);
        assert_eq!(rrf[0].places, [places(3, 1.0), places(1, 4.0)]);
        assert_eq!(rrf[1].places, [places(1, 9.0), None]);
        let min_max = fused(FusionMethod::MinMax, &[0.75, 0.25]);
        assert_eq!(scores(&min_max), [("x", 0.75), ("y", 0.375), ("z", 0.25), ("w", 0.0)]);
        // A ranking that cannot tell its documents apart counts for all of them.
        let same = ranking(&[("p", 2.0), ("q", 2.0)]);
        let min_max = Fusion { method: FusionMethod::MinMax, weights: Vec::new() };
        let fused = fuse_rankings(&[&same, &[]], &min_max).expect("fused");
        assert_eq!(scores(&fused), [("p", 1.0), ("q", 1.0)]);
        assert!(fuse_rankings(&[&[], &[]], &min_max).expect("fused").is_empty());
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        let rrf = FusionMethod::default();
        for (method, weights, want) in [
            (rrf, vec![1.0], "there are 1 weights for 2 rankings"),
            (rrf, vec![1.0, -1.0], "a weight is -1"),
            (rrf, vec![1.0, f64::NAN], "a weight is NaN"),
            (rrf, vec![0.0, 0.0], "all weights are 0"),
            (FusionMethod::Rrf { k: -1.0 }, vec![], "k is -1"),
        ] {
            let error = fuse_rankings(&[&[], &[]], &Fusion { method, weights }).expect_err(want);
            assert!(error.to_string().contains(want), "{error}");
        }
    }

    #[test]
    fn runs_are_fused_query_by_query() {
        let run = |text: &str| Run::read(text.as_bytes(), "run").expect("a run");
        let a = run("q1 Q0 x 1 9 t\nq1 Q0 y 2 5 t\nq2 Q0 x 1 1 t\n");
        let b = run("q1 Q0 y 1 7 t\nq3 Q0 z 1 1 t\n");
        let fused = fuse(&[a, b], &Fusion::default()).expect("fused");
        let order = |query: &str| -> Vec<&str> {
            fused.get(query).into_iter().flatten().map(|scored| scored.document.as_str()).collect()
        };
        assert_eq!((order("q1"), order("q2"), order("q3")), (vec!["y", "x"], vec!["x"], vec!["z"]));
        assert_eq!(
            fused.get("q1").expect("is there")[0].score,
            (1.0f64 / 62.0 + 1.0 / 61.0) as f32
        );
    }

    proptest! {
        /// Against the formulas of the module's table, document by document.
        #[test]
        fn every_document_has_the_score_of_the_formula(
            maps in prop::collection::vec(prop::collection::btree_map("[a-f]", -3f32..9.0, 0..6), 1..4),
            weights in prop::collection::vec(0.1..2.0f64, 3),
            rrf in any::<bool>(),
        ) {
            let rankings: Vec<Vec<Scored>> = maps.iter().map(|map: &BTreeMap<String, f32>| {
                let scored = |(d, s): (&String, &f32)| Scored { document: d.clone(), score: *s };
                let mut ranking: Vec<Scored> = map.iter().map(scored).collect();
                ranking.sort_by(|a, b| b.score.total_cmp(&a.score));
                ranking
            }).collect();
            let weights = weights[..maps.len()].to_vec();
            let method = if rrf { FusionMethod::Rrf { k: 7.0 } } else { FusionMethod::MinMax };
            let slices: Vec<&[Scored]> = rankings.iter().map(Vec::as_slice).collect();
            let fused = fuse_rankings(&slices, &Fusion { method, weights: weights.clone() }).expect("fused");
            let all: BTreeSet<&String> = maps.iter().flat_map(BTreeMap::keys).collect();
            prop_assert_eq!(fused.len(), all.len());
            for Fused { document, score, places } in &fused {
                let mut want = 0.0;
                for (i, ranking) in rankings.iter().enumerate() {
                    let at = ranking.iter().position(|scored| scored.document == *document);
                    prop_assert_eq!(places[i].map(|place| place.rank), at.map(|at| at + 1));
                    let Some(at) = at else { continue };
                    let (first, last) = (f64::from(ranking[0].score), f64::from(ranking[ranking.len() - 1].score));
                    let own = f64::from(ranking[at].score);
                    want += weights[i] * match rrf {
                        true => 1.0 / (7.0 + at as f64 + 1.0),
                        false if first == last => 1.0,
                        false => (own - last) / (first - last),
                    };
                }
                prop_assert!((score - want).abs() < 1e-12, "{} {}", score, want);
            }
            prop_assert!(fused.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
    }
}
