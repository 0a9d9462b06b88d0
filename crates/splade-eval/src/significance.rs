//! Tests whether two runs differ by more than chance, with paired tests on the differences of a
//! metric, one for each query.
//!
//! The randomisation test is Fisher's, in the form that Smucker, Allan and Carterette recommend for
//! retrieval (CIKM 2007, section 3.1): if the runs were equally good, each difference could equally
//! well have the opposite sign. The t-test asks the same question for normally distributed
//! differences. Both tests are two-sided.
//!
//! ```
//! use splade_eval::significance::{randomisation_test, t_test};
//!
//! // The nDCG@10 of a run minus that of the baseline, for each query.
//! let differences = [0.31, 0.05, 0.12, -0.02, 0.2, 0.08, 0.0, 0.15];
//! let p = randomisation_test(&differences, 100_000, 0).p;
//! assert!(p < 0.05, "all but one query became better: {p}");
//! assert!(t_test(&differences).is_some_and(|test| test.p < 0.05));
//! ```

/// The result of a paired randomisation test.
///
/// ```
/// use splade_eval::significance::randomisation_test;
///
/// // Two differences have four sign patterns, of which two are as far from zero.
/// let test = randomisation_test(&[0.5, 0.25], 100_000, 0);
/// assert_eq!((test.p, test.samples, test.exact), (0.5, 4, true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Randomisation {
    /// The share of the sign patterns whose mean is at least as far from zero as the observed mean.
    pub p: f64,
    /// The number of sign patterns that were tried.
    pub samples: u64,
    /// Whether all possible sign patterns were tried.
    pub exact: bool,
}

/// The result of a paired t-test.
///
/// ```
/// use splade_eval::significance::t_test;
///
/// let test = t_test(&[1.0, 2.0, 3.0]).expect("three differences that are not equal");
/// assert_eq!(test.degrees_of_freedom, 2);
/// assert!((test.t - 12f64.sqrt()).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// The statistic t of Student's test.
    pub t: f64,
    /// The number of queries minus one.
    pub degrees_of_freedom: u64,
    /// The two-sided probability of a t at least this far from zero if the mean difference is zero.
    pub p: f64,
}

/// Tests whether the mean of the differences is zero by changing their signs.
///
/// All sign patterns are tried if there are at most `samples`. Otherwise `samples` random patterns
/// are tried, which depend only on the seed, with `p = (extreme + 1) / (samples + 1)`, which is
/// never zero. The cost is `samples` times the number of differences that are not zero.
///
/// ```
/// use splade_eval::significance::randomisation_test;
///
/// let differences: Vec<f64> = (0..50).map(|query| f64::from(query % 7 - 3) / 10.0).collect();
/// let test = randomisation_test(&differences, 10_000, 42);
/// assert!(!test.exact && test.p > 0.1);
/// assert_eq!(test, randomisation_test(&differences, 10_000, 42), "the seed decides");
/// ```
pub fn randomisation_test(differences: &[f64], samples: u64, seed: u64) -> Randomisation {
    // A zero difference does not change with its sign.
    let differences: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let total: f64 = differences.iter().sum();
    // Sums of the same numbers in a different order may differ in their last bits.
    let tolerance = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let is_extreme = |positive: f64| (2.0 * positive - total).abs() >= total.abs() - tolerance;
    let patterns = u32::try_from(differences.len()).ok().and_then(|n| 1u64.checked_shl(n));
    if let Some(patterns) = patterns.filter(|patterns| *patterns <= samples.max(1)) {
        let extreme =
            (0..patterns).filter(|pattern| is_extreme(sum_of(&differences, *pattern))).count();
        return Randomisation {
            p: extreme as f64 / patterns as f64,
            samples: patterns,
            exact: true,
        };
    }
    let mut random = SplitMix64(seed);
    let extreme = (0..samples)
        .filter(|_| {
            is_extreme(differences.chunks(64).map(|chunk| sum_of(chunk, random.next())).sum())
        })
        .count();
    Randomisation { p: (extreme + 1) as f64 / (samples + 1) as f64, samples, exact: false }
}

/// Returns the sum of the numbers whose bit is set; at most 64 numbers are allowed.
fn sum_of(numbers: &[f64], bits: u64) -> f64 {
    numbers.iter().enumerate().map(|(i, number)| number * (bits >> i & 1) as f64).sum()
}

/// The random number generator SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 17).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Tests whether the mean of the differences is zero, assuming that they are normally distributed.
///
/// Returns `None` if t is undefined: for fewer than two differences, or if all are equal.
///
/// ```
/// use splade_eval::significance::t_test;
///
/// let test = t_test(&[0.1, 0.2, 0.15, 0.05]).expect("differences that are not equal");
/// assert!(test.p < 0.05);
/// assert_eq!(t_test(&[0.1, 0.1]), None, "without variance there is no t");
/// ```
pub fn t_test(differences: &[f64]) -> Option<TTest> {
    let degrees_of_freedom = differences.len().checked_sub(1)?;
    if differences.iter().all(|difference| *difference == differences[0]) {
        return None;
    }
    let (count, df) = (differences.len() as f64, degrees_of_freedom as f64);
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let t = mean / (squares / df / count).sqrt();
    if !t.is_finite() {
        return None;
    }
    // The two tails of Student's distribution are I_x(df / 2, 1 / 2) with x = df / (df + t²).
    let (x, y) = (df / (df + t * t), t * t / (df + t * t));
    let p = incomplete_beta(df / 2.0, 0.5, x, y);
    Some(TTest { t, degrees_of_freedom: degrees_of_freedom as u64, p })
}

/// Returns the regularised incomplete beta function `I_x(a, b)`. `y` is `1 - x`, passed separately
/// for precision.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else if y <= 0.0 {
        1.0
    } else if x <= (a + 1.0) / (a + b + 2.0) {
        beta_fraction(a, b, x, y)
    } else {
        // For larger x the fraction converges slowly; the symmetry is DLMF 8.17.4.
        1.0 - beta_fraction(b, a, y, x)
    }
}

/// Returns the incomplete beta function by the continued fraction of DLMF 8.17.22, which is
/// evaluated by Lentz's method as modified by Thompson and Barnett (J. Comput. Phys. 64, 1986).
fn beta_fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let away_from_zero = |z: f64| if z.abs() < 1e-300 { 1e-300 } else { z };
    let (mut numerator, mut denominator, mut value) = (f64::INFINITY, 1.0, 1.0);
    for step in 1..10_000u32 {
        let m = f64::from(step / 2);
        let factor = if step % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        denominator = 1.0 / away_from_zero(1.0 + factor * denominator);
        numerator = away_from_zero(1.0 + factor / numerator);
        value *= numerator * denominator;
        if (numerator * denominator - 1.0f64).abs() < 1e-15 {
            break;
        }
    }
    let log_beta = log_gamma(a) + log_gamma(b) - log_gamma(a + b);
    (a * x.ln() + b * y.ln() - log_beta).exp() / a * value
}

/// Returns the logarithm of Γ for arguments above zero, by Stirling's series (DLMF 5.11.1) for
/// arguments of 10 or more.
fn log_gamma(mut x: f64) -> f64 {
    let mut below = 1.0f64;
    while x < 10.0 {
        below *= x;
        x += 1.0;
    }
    let inverse_square = 1.0 / (x * x);
    let coefficients = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    let series = coefficients.iter().rev().fold(0.0, |sum, c| sum * inverse_square + c) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - below.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected numbers are the first outputs of the authors' program
    /// (java.util.SplittableRandom) for seed 0.
    #[test]
    fn random_numbers_are_splitmix64() {
        let mut random = SplitMix64(0);
        assert_eq!(random.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn nothing_to_tell_apart() {
        let one = Randomisation { p: 1.0, samples: 1, exact: true };
        assert_eq!(randomisation_test(&[], 100, 0), one);
        assert_eq!(randomisation_test(&[0.0; 80], 100, 0), one);
        // A single query that differs is not significant: both signs are equally extreme.
        assert_eq!(randomisation_test(&[0.5, 0.0], 100, 0).p, 1.0);
        for differences in [&[][..], &[0.1], &[0.0; 9], &[0.1; 9]] {
            assert_eq!(t_test(differences), None);
        }
    }

    #[test]
    fn all_wins_leave_two_patterns() {
        let test = randomisation_test(&[0.1, 0.3, 0.2, 0.05, 0.7], 32, 0);
        assert_eq!(test, Randomisation { p: 2.0 / 32.0, samples: 32, exact: true });
    }

    /// The allowed difference is five standard deviations of the binomial distribution. Another
    /// seed gives another count.
    #[test]
    fn samples_come_near_the_exact_test() {
        let differences: Vec<f64> = (0..16).map(|i| f64::from(i * 37 % 23) / 10.0 - 0.8).collect();
        let exact = randomisation_test(&differences, 1 << 16, 0);
        let samples = 60_000;
        let [a, b, c] = [1, 1, 2].map(|seed| randomisation_test(&differences, samples, seed));
        assert!(exact.exact && !a.exact && a == b && a.p != c.p);
        assert!(exact.p > 0.05 && exact.p < 0.95, "{exact:?}");
        let deviation = (exact.p * (1.0 - exact.p) / samples as f64).sqrt();
        for sampled in [a, c] {
            assert!((sampled.p - exact.p).abs() < 5.0 * deviation, "{sampled:?} {exact:?}");
        }
    }

    /// More than 64 differences need several random numbers for each sample.
    #[test]
    fn every_sign_changes() {
        let differences: Vec<f64> = (0..130).map(|i| if i < 65 { 0.1 } else { -0.1 }).collect();
        assert_eq!(randomisation_test(&differences, 100, 7).p, 1.0);
        assert_eq!(randomisation_test(&[0.1; 130], 100, 7).p, 1.0 / 101.0);
    }
}
