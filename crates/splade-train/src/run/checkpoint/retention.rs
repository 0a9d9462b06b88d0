//! Decides which checkpoints are deleted (`save_total_limit`).

/// Returns the checkpoints to delete out of those of `steps` (ascending), as `_rotate_checkpoints`
/// of transformers 4.56 does: the earliest beyond the limit, but never the best or the last.
pub(super) fn to_delete(steps: &[u64], limit: Option<usize>, best: Option<u64>) -> Vec<u64> {
    let Some(limit) = limit.filter(|limit| *limit > 0) else { return Vec::new() };
    let mut order = steps.to_vec();
    // The best checkpoint is moved to the place before the last, so that the last one stays and can
    // be resumed.
    let best = best.filter(|best| order.contains(best));
    if let Some(at) = order.iter().position(|step| Some(*step) == best) {
        let place = order.len().saturating_sub(2).max(at);
        order[at..=place].rotate_left(1);
    }
    let both = limit == 1 && best.is_some() && order.last() != best.as_ref();
    let limit = if both { 2 } else { limit };
    order.truncate(order.len().saturating_sub(limit));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values come from `Trainer._rotate_checkpoints` of transformers 4.56.1 on
    /// folders of these steps.
    #[test]
    fn deletes_what_transformers_deletes() {
        for (steps, limit, best, want) in [
            (&[1, 2, 3][..], None, None, &[][..]),
            (&[1, 2, 3], Some(0), None, &[]),
            (&[1, 2, 3], Some(2), None, &[1]),
            (&[1, 2, 3, 4], Some(2), Some(1), &[2, 3]),
            (&[1, 2, 3, 4], Some(3), Some(2), &[1]),
            (&[1, 2, 3], Some(1), Some(2), &[1]),
            (&[1, 2, 3], Some(1), Some(3), &[1, 2]),
            (&[1, 2], Some(1), Some(1), &[]),
            (&[5], Some(1), Some(5), &[]),
            (&[1, 2, 3], Some(2), Some(9), &[1]),
        ] {
            assert_eq!(to_delete(steps, limit, best), want, "{steps:?} {limit:?} {best:?}");
        }
    }
}
