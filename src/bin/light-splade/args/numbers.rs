//! Parsers of numbers that options share.

use clap::builder::RangedU64ValueParser;

/// The largest number of threads that can be asked for. No machine has more cores, and each thread
/// takes memory.
const MOST_THREADS: u64 = 1024;

/// Parses a number of threads.
pub(super) fn threads() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=MOST_THREADS)
}

/// Parses a number of at least one, for options where none would give nothing.
pub(super) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// Parses the parameter `k1` of BM25.
pub(super) fn parse_k1(text: &str) -> Result<f64, String> {
    let k1 = text.parse().ok().filter(|k1: &f64| k1.is_finite() && *k1 >= 0.0);
    k1.ok_or_else(|| "a number from 0".to_owned())
}

/// Parses the parameter `b` of BM25.
pub(super) fn parse_b(text: &str) -> Result<f64, String> {
    let b = text.parse().ok().filter(|b| (0.0..=1.0).contains(b));
    b.ok_or_else(|| "a number from 0 to 1".to_owned())
}
