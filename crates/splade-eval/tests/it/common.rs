//! What several tests need.

use splade_eval::statistics::expected_flops;
use splade_eval::{Report, VectorStatistics};
use splade_sparse::{SparseVector, TermId};

/// Adds the statistics of two documents to a report: they have three terms and one, and term 2 is named
/// `<two>`.
pub(crate) fn add_statistics(report: &mut Report) {
    let mut statistics = VectorStatistics::new(100);
    for terms in [&[1, 2, 90][..], &[2]] {
        let pairs = terms.iter().map(|term| (TermId(*term), 1.0)).collect();
        statistics.add(&SparseVector::from_pairs(pairs).expect("a vector")).expect("counted");
    }
    let summary = statistics.summary(|term| (term.0 == 2).then_some("<two>"));
    report.statistics.push(("documents".to_owned(), summary));
    report.flops = Some(expected_flops(&statistics, &statistics));
}
