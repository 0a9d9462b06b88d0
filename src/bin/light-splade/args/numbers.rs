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
