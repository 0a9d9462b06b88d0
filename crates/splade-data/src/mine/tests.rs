//! Compares the choice of negatives with a slow and simple implementation.

use proptest::prelude::*;

use super::*;

fn source(skip: usize, depth: usize, take: Option<usize>) -> MineSource {
    MineSource { skip, depth, take, at_random: false }
}

/// Returns the negatives that may be taken, directly from the definition, by filtering a list again
/// and again.
fn slow(
    miner: &Miner,
    query: i64,
    positives: &[i64],
    rankings: &[Vec<i64>],
    teacher: Option<&TeacherScores>,
) -> Vec<Vec<i64>> {
    let score = |doc: i64| teacher.and_then(|teacher| teacher.score(query, doc)).map(f64::from);
    let mut all: Vec<Vec<i64>> = Vec::new();
    for (source, ranking) in miner.sources.iter().zip(rankings) {
        let ranks: Vec<i64> =
            ranking.iter().copied().filter(|doc| !positives.contains(doc)).collect();
        let ranks: Vec<i64> = ranks.into_iter().take(source.depth).skip(source.skip).collect();
        let mut bound = f64::INFINITY;
        let scored: Vec<f64> = positives.iter().filter_map(|doc| score(*doc)).collect();
        for score in &scored {
            bound = bound.min(*score);
        }
        let is_kept = |doc: &i64| {
            let Some(score) = score(*doc) else { return teacher.is_none() };
            let needs_positive =
                miner.margins.absolute.is_some() || miner.margins.relative.is_some();
            if needs_positive && scored.is_empty() {
                return false;
            }
            if let Some(margin) = miner.margins.absolute
                && score + f64::from(margin) > bound
            {
                return false;
            }
            if let Some(share) = miner.margins.relative
                && score > bound - bound.abs() * f64::from(share)
            {
                return false;
            }
            score <= f64::from(miner.margins.max_score.unwrap_or(f32::INFINITY))
                && score >= f64::from(miner.margins.min_score.unwrap_or(f32::NEG_INFINITY))
        };
        let mut kept: Vec<i64> = ranks.into_iter().filter(is_kept).collect();
        kept.retain(|doc| !all.iter().flatten().any(|other| other == doc));
        if !source.at_random {
            kept.truncate(source.take.unwrap_or(usize::MAX));
        }
        all.push(kept);
    }
    all
}

fn ranking() -> impl Strategy<Value = Vec<i64>> {
    Just((0..30i64).collect::<Vec<_>>())
        .prop_shuffle()
        .prop_flat_map(|all| (0..=all.len()).prop_map(move |length| all[..length].to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn negatives_are_those_of_the_definition(
        rankings in [ranking(), ranking(), ranking()],
        positives in prop::sample::subsequence((0..30i64).collect::<Vec<_>>(), 1..4),
        // Scores are multiples of an eighth, so that the sums and products below are exact in f32.
        scores in prop::collection::vec(prop::option::weighted(0.8, -40i8..40), 30),
        sources in [(0usize..4, 0usize..20, prop::option::of(0usize..8)), (0..1, 0..20, prop::option::of(0..8)), (0..4, 0..40, prop::option::of(0..3))],
        (absolute, relative) in (prop::option::of(0u8..8), prop::option::of(prop_oneof![Just(0.0f32), Just(0.25), Just(0.5)])),
        (max_score, min_score) in (prop::option::weighted(0.2, -40i8..40), prop::option::weighted(0.2, -40i8..0)),
    ) {
        let pairs: Vec<(i64, i64, f32)> = scores.iter().enumerate()
            .filter_map(|(doc, score)| Some((7, doc as i64, f32::from((*score)?) / 8.0)))
            .collect();
        let teacher = TeacherScores::of(&pairs);
        let margins = Margins {
            absolute: absolute.map(|margin| f32::from(margin) / 4.0),
            relative,
            max_score: max_score.map(f32::from),
            min_score: min_score.map(f32::from),
        };
        let sources: Vec<MineSource> = sources.into_iter().map(|(skip, depth, take)| source(skip, depth, take)).collect();
        let miner = Miner { sources, margins, seed: 1 };
        let mined = miner.choose(7, &positives, &rankings, Some(&teacher));
        let want = slow(&miner, 7, &positives, &rankings, Some(&teacher)).concat();
        let got: Vec<i64> = mined.scores.iter().map(|(doc, _)| *doc).collect();
        prop_assert_eq!(&got[..positives.len()], &positives[..]);
        prop_assert_eq!(&got[positives.len()..], &want[..]);
        prop_assert_eq!(mined.negatives, want.len());
        // A query without a negative is not written, so its scores do not matter.
        let best = want.iter().filter_map(|doc| teacher.score(7, *doc)).reduce(f32::max);
        for (doc, score) in mined.scores.into_iter().filter(|_| best.is_some()) {
            prop_assert_eq!(Some(score), teacher.score(7, doc).or(best));
        }
        let unscored = positives.iter().filter(|doc| teacher.score(7, **doc).is_none()).count();
        prop_assert_eq!(mined.unscored_positives, if best.is_some() { unscored } else { 0 });
    }

    #[test]
    fn what_is_drawn_is_allowed_and_the_same_again(
        ranking in ranking(), query: i64, seed: u64, take in 0usize..12,
    ) {
        let sources = vec![MineSource { skip: 1, depth: 20, take: Some(take), at_random: true }];
        let miner = Miner { sources, margins: Margins::default(), seed };
        let mined = miner.choose(query, &[3], std::slice::from_ref(&ranking), None);
        let allowed = slow(&miner, query, &[3], std::slice::from_ref(&ranking), None).concat();
        prop_assert_eq!(mined.negatives, take.min(allowed.len()));
        // The drawn negatives are in the order of their ranks, without repetition.
        let drawn: Vec<i64> = mined.scores[1..].iter().map(|(doc, _)| *doc).collect();
        let in_order: Vec<i64> = allowed.into_iter().filter(|doc| drawn.contains(doc)).collect();
        prop_assert_eq!(drawn, in_order);
        prop_assert_eq!(miner.choose(query, &[3], &[ranking], None), mined);
    }
}

#[test]
fn sources_count_what_they_leave_out() {
    let teacher = TeacherScores::of(&[(1, 10, 9.0), (1, 11, 8.5), (1, 12, 2.0)]);
    let margins = Margins { absolute: Some(1.0), ..Margins::default() };
    let miner = Miner { sources: vec![source(0, 3, None)], margins, seed: 0 };
    let mined = miner.choose(1, &[10], &[vec![11, 10, 12, 13, 14]], Some(&teacher));
    assert_eq!(mined.scores, [(10, 9.0), (12, 2.0)]);
    assert_eq!(mined.left_out, LeftOut { of: 4, positives: 1, by_margin: 1, unscored: 1 });
}

/// Teacher scores may be logits, among which an invented score of 1 could be anywhere.
#[test]
fn with_a_teacher_no_score_is_made_up() {
    let teacher = TeacherScores::of(&[(1, 10, 9.0), (1, 11, -8.5), (1, 12, -2.0)]);
    let miner = Miner { sources: vec![source(0, 9, None)], margins: Margins::default(), seed: 0 };
    let mined = miner.choose(1, &[10, 20], &[vec![11, 10, 12, 13]], Some(&teacher));
    assert_eq!(mined.scores, [(10, 9.0), (20, -2.0), (11, -8.5), (12, -2.0)]);
    assert_eq!((mined.negatives, mined.unscored_positives, mined.left_out.unscored), (2, 1, 1));
    assert_eq!(miner.choose(1, &[10, 20], &[vec![13]], Some(&teacher)).negatives, 0);
    let without = miner.choose(1, &[10, 20], &[vec![13]], None);
    assert_eq!(without.scores, [(10, 1.0), (20, 1.0), (13, 1.0)]);
}

#[test]
fn a_positive_below_zero_is_no_licence() {
    let margins = Margins { relative: Some(0.5), ..Margins::default() };
    // sentence-transformers would keep scores up to -2 * .5 = -1.
    assert!(!margins.keep(-1.0, Some(-2.0)) && margins.keep(-3.0, Some(-2.0)));
    assert!(!margins.keep(1.1, Some(2.0)) && margins.keep(1.0, Some(2.0)));
    assert!(!margins.keep(-99.0, None));
}

#[test]
fn random_rankings_are_drawn_without_replacement() {
    for (count, ids) in [(0, 5), (3, 100), (60, 100), (200, 100)] {
        let ranking = random_ranking(1, 7, count, ids, |row| row as i64 + 1000);
        let different: FxHashSet<&i64> = ranking.iter().collect();
        assert_eq!((ranking.len(), different.len()), (count.min(ids), count.min(ids)));
        assert!(ranking.iter().all(|id| (1000..1000 + ids as i64).contains(id)));
        assert_eq!(ranking, random_ranking(1, 7, count, ids, |row| row as i64 + 1000));
    }
    assert_ne!(
        random_ranking(1, 7, 5, 100, |r| r as i64),
        random_ranking(1, 8, 5, 100, |r| r as i64)
    );
}
