//! Computes the metrics of a ranking, with the same results as trec_eval.
//!
//! Let `g` be the grades of the ranked documents (0 for a document without a grade or with one
//! below zero) and `R` the number of relevant documents (`g > 0`) of the query. Over the first `k`
//! documents of the ranking:
//!
//! | metric | definition | trec_eval |
//! |---|---|---|
//! | `nDCG@k` | `Σ g(i) / log2(i + 1)`, divided by the same sum of the best possible ranking | `ndcg_cut_k` |
//! | `MRR@k` | 1 divided by the rank of the first relevant document, or 0 | `recip_rank` |
//! | `MAP@k` | `Σ precision@i` over relevant ranks `i`, divided by `R` | `map_cut_k` |
//! | `Recall@k` | number of relevant documents found, divided by `R` | `recall_k` |
//! | `P@k` | number of relevant documents found, divided by `k` even if the ranking is shorter | `P_k` |
//! | `Hit@k` | 1 if a relevant document is found, else 0 | `success_k` |
//!
//! All metrics are 0 for a query without relevant documents. The gain is the grade itself (Järvelin
//! and Kekäläinen, TOIS 2002, with the discount of trec_eval's `m_ndcg_cut.c`), not `2^g - 1`.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::EvalError;

/// The quantity that a metric measures.
///
/// ```
/// use splade_eval::{Metric, MetricKind};
///
/// let metric: Metric = "nDCG@10".parse()?;
/// assert_eq!(metric.kind(), MetricKind::Ndcg);
/// assert_eq!(metric.kind().name(), "nDCG");
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// Normalised discounted cumulative gain, which uses grades and weighs early ranks more.
    Ndcg,
    /// The reciprocal rank of the first relevant document.
    Mrr,
    /// The average precision over the ranks of the relevant documents.
    Map,
    /// The share of the relevant documents that are found.
    Recall,
    /// The share of the first `k` documents that are relevant.
    Precision,
    /// 1 if any relevant document is found, else 0.
    Hit,
}

/// A metric at a cut-off, such as `nDCG@10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric {
    kind: MetricKind,
    /// The cut-off; `None` means the whole ranking. Precision always has a cut-off.
    cutoff: Option<NonZeroUsize>,
}

/// The kinds with their printed name and all names that are accepted, in lower case.
const NAMES: [(MetricKind, &str, &[&str]); 6] = [
    (MetricKind::Ndcg, "nDCG", &["ndcg", "ndcg_cut"]),
    (MetricKind::Mrr, "MRR", &["mrr", "mrr_cut", "rr", "recip_rank"]),
    (MetricKind::Map, "MAP", &["map", "map_cut", "ap"]),
    (MetricKind::Recall, "Recall", &["recall", "r"]),
    (MetricKind::Precision, "P", &["p", "precision"]),
    (MetricKind::Hit, "Hit", &["hit", "hits", "hit_rate", "success", "accuracy", "acc"]),
];

impl MetricKind {
    /// Returns the printed name, without a cut-off.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }
}

impl Metric {
    /// Creates a metric of the first `cutoff` documents.
    pub fn at(kind: MetricKind, cutoff: NonZeroUsize) -> Self {
        Self { kind, cutoff: Some(cutoff) }
    }

    /// Returns the quantity that the metric measures.
    pub fn kind(self) -> MetricKind {
        self.kind
    }

    /// Returns the cut-off; `None` means the whole ranking.
    pub fn cutoff(self) -> Option<NonZeroUsize> {
        self.cutoff
    }

    /// Returns the value for one query. `ranked` contains the grades of the ranking, with 0 for
    /// documents without a grade, and `ideal` the grades above zero of all documents of the query,
    /// largest first.
    pub(super) fn value(self, ranked: &[i32], ideal: &[i32]) -> f64 {
        if ideal.is_empty() {
            return 0.0;
        }
        let cutoff = self.cutoff.map_or(usize::MAX, NonZeroUsize::get);
        let top = &ranked[..cutoff.min(ranked.len())];
        let found = || top.iter().filter(|grade| **grade > 0).count();
        let relevant = ideal.len() as f64;
        let value = match self.kind {
            MetricKind::Ndcg => gain(top) / gain(&ideal[..cutoff.min(ideal.len())]),
            MetricKind::Mrr => {
                top.iter().position(|grade| *grade > 0).map_or(0.0, |i| 1.0 / (i + 1) as f64)
            }
            MetricKind::Map => {
                let ranks = (1..).zip(top).filter(|(_, grade)| **grade > 0);
                ranks
                    .zip(1..)
                    .map(|((rank, _), found)| f64::from(found) / f64::from(rank))
                    .sum::<f64>()
                    / relevant
            }
            MetricKind::Recall => found() as f64 / relevant,
            MetricKind::Precision => found() as f64 / cutoff as f64,
            MetricKind::Hit => f64::from(u8::from(found() > 0)),
        };
        // An empty sum is -0, which would be printed with its sign.
        value + 0.0
    }
}

/// Returns the discounted cumulative gain of a list of grades.
fn gain(grades: &[i32]) -> f64 {
    let gains = (2..).zip(grades).filter(|(_, grade)| **grade > 0);
    gains.map(|(place, grade)| f64::from(*grade) / f64::from(place).log2()).sum()
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind.name();
        match self.cutoff {
            Some(cutoff) => f.pad(&format!("{name}@{cutoff}")),
            None => f.pad(name),
        }
    }
}

/// Parses names such as `nDCG@10` in upper or lower case, and also the names of trec_eval
/// (`ndcg_cut_10`, `ndcg_cut.10`, `recip_rank`), of ir-measures (`RR@10`, `AP@100`, `R@100`,
/// `Success@10`) and of BEIR (`Precision@10`, `Accuracy@10`). A name without a cut-off means the
/// whole ranking; precision requires a cut-off.
impl FromStr for Metric {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self, EvalError> {
        parse(text.trim()).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(_, name, _)| format!("{name}@k")).collect();
            let known = format!("{}, with k from 1 (nDCG@10)", known.join(", "));
            EvalError::Metric { name: text.chars().take(60).collect(), known }
        })
    }
}

fn parse(text: &str) -> Option<Metric> {
    let kind_of =
        |name: &str| NAMES.iter().find(|(.., names)| names.contains(&name)).map(|(kind, ..)| *kind);
    let lower = text.to_ascii_lowercase();
    if let Some(kind) = kind_of(&lower) {
        return (kind != MetricKind::Precision).then_some(Metric { kind, cutoff: None });
    }
    let (name, cutoff) = lower.rsplit_once(['@', '_', '.'])?;
    if !cutoff.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Metric { kind: kind_of(name)?, cutoff: Some(cutoff.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_programs_are_understood() {
        for (names, want) in [
            ("nDCG@10 ndcg@10 NDCG@10 ndcg_cut_10 ndcg_cut.10 NDCG_10", "nDCG@10"),
            ("MRR@10 mrr@10 mrr_cut_10 RR@10", "MRR@10"),
            ("MAP@100 map_cut_100 AP@100", "MAP@100"),
            ("Recall@1000 recall_1000 R@1000 recall@1000", "Recall@1000"),
            ("P@5 precision@5 P_5 p.5", "P@5"),
            ("Hit@1 hits@1 success_1 Success@1 hit_rate@1 accuracy@1 acc@1", "Hit@1"),
            ("recip_rank mrr", "MRR"),
            ("map AP", "MAP"),
            ("ndcg", "nDCG"),
        ] {
            for name in names.split(' ') {
                assert_eq!(name.parse::<Metric>().expect(name).to_string(), want, "{name}");
            }
        }
        for name in ["", "@", "@10", "P", "ndcg@0", "ndcg@-1", "ndcg@+1", "ndcg@1.5", "f1@10"] {
            let message = name.parse::<Metric>().expect_err(name).to_string();
            assert_eq!(
                message,
                format!(
                    "unknown metric \"{name}\"; known: nDCG@k, MRR@k, MAP@k, Recall@k, P@k, Hit@k, \
                     with k from 1 (nDCG@10)"
                )
            );
        }
        assert!("ndcg@99999999999999999999999".parse::<Metric>().is_err());
    }

    /// The expected values are calculated by hand: of five ranks, 2 and 4 are relevant, and the
    /// query has three relevant documents.
    #[test]
    fn values_of_a_small_ranking() {
        let (ranked, ideal) = ([0, 1, -1, 2, 0], [2, 1, 1]);
        let gained = 1.0 / 3f64.log2() + 2.0 / 5f64.log2();
        let best = 2.0 + 1.0 / 3f64.log2() + 0.5;
        for (name, want) in [
            ("ndcg@10", gained / best),
            ("ndcg@2", (1.0 / 3f64.log2()) / (2.0 + 1.0 / 3f64.log2())),
            ("mrr@1", 0.0),
            ("mrr", 0.5),
            ("map@3", 0.5 / 3.0),
            ("map", (0.5 + 0.5) / 3.0),
            ("recall@4", 2.0 / 3.0),
            ("p@10", 0.2),
            ("hit@1", 0.0),
            ("hit@2", 1.0),
        ] {
            let metric: Metric = name.parse().expect(name);
            let value = metric.value(&ranked, &ideal);
            assert!((value - want).abs() < 1e-15, "{name}: {value}, expected {want}");
            assert_eq!(metric.value(&ranked, &[]), 0.0);
            assert_eq!(metric.value(&[], &ideal).to_bits(), 0);
        }
    }
}
