//! Measures the peak rate of f32 multiply-adds, against which the matrix products are compared.
//!
//! `cargo bench -p splade-nn --bench peak [-- THREADS]` prints the GFLOP/s of one thread and of
//! THREADS threads together (default: all cores). A multiply-add counts as two operations. Each
//! thread keeps independent chains of fused multiply-adds in registers, more of them than latency
//! times units, and accesses no memory. The fastest of many short bursts counts, so that a busy
//! machine is measured in its idle moments. A share of this peak is therefore an underestimate
//! rather than an overestimate.
#![allow(unsafe_code, reason = "functions of an instruction set are called after its detection")]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The number of steps in a burst, which takes some milliseconds.
const STEPS: usize = 1 << 21;
/// The number of bursts, of which the fastest counts.
const BURSTS: usize = 200;

/// A function that runs the given number of steps and returns the number of operations per step.
type Chains = fn(usize) -> usize;

fn main() {
    // Cargo passes `--bench` to every benchmark, so arguments that are not numbers are skipped.
    let threads = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (name, chains) = best();
    let mut counts = vec![1, threads.unwrap_or(cores).max(1)];
    counts.dedup();
    for threads in counts {
        let peak = gflops(chains, threads);
        println!("f32 multiply-add peak, {name}, {threads} thread(s): {peak:.1} GFLOP/s");
    }
}

/// Returns the GFLOP/s of the fastest burst of `threads` threads together.
fn gflops(chains: Chains, threads: usize) -> f64 {
    let arrived = AtomicUsize::new(0);
    let run = || -> Vec<(Instant, Instant)> {
        let burst = |burst| {
            // Threads spin here because threads that sleep may be woken on the same core.
            arrived.fetch_add(1, Ordering::AcqRel);
            while arrived.load(Ordering::Acquire) < threads * (burst + 1) {
                std::hint::spin_loop();
            }
            let start = Instant::now();
            chains(STEPS);
            (start, Instant::now())
        };
        (0..BURSTS).map(burst).collect()
    };
    let times: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().map(|worker| worker.join().expect("chains do not panic")).collect()
    });
    // A burst lasts from the first start to the last end, so that no thread may lag behind.
    let seconds = |burst: usize| {
        let start = times.iter().map(|times| times[burst].0).min().expect("a thread");
        let end = times.iter().map(|times| times[burst].1).max().expect("a thread");
        (end - start).as_secs_f64()
    };
    let fastest = (0..BURSTS).map(seconds).fold(f64::INFINITY, f64::min);
    (threads * STEPS * chains(1)) as f64 / fastest / 1e9
}

/// Defines `fn name`, which runs `count` chains of `sum = sum · x + y`, each in a register of
/// `lanes` floats.
macro_rules! chains {
    ($name:ident, $features:literal, $count:literal x $lanes:literal, $splat:path, $fma:path) => {
        #[target_feature(enable = $features)]
        fn $name(steps: usize) -> usize {
            // The sums converge to y / (1 - x), so they neither overflow nor become subnormal.
            let (x, y) = ($splat(std::hint::black_box(0.5)), $splat(std::hint::black_box(1.0)));
            let mut sums = [$splat(0.0); $count];
            for _ in 0..steps {
                for sum in &mut sums {
                    *sum = $fma(*sum, x, y);
                }
            }
            std::hint::black_box(sums);
            2 * $count * $lanes
        }
    };
}

#[cfg(target_arch = "x86_64")]
use x86::best;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    chains!(avx512, "avx512f", 16 x 16, _mm512_set1_ps, _mm512_fmadd_ps);
    chains!(avx2, "avx2,fma", 12 x 8, _mm256_set1_ps, _mm256_fmadd_ps);

    /// Returns the chains of the widest instruction set of this CPU.
    pub(super) fn best() -> (&'static str, super::Chains) {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU supports AVX-512 F, as checked above.
            ("avx512", |steps| unsafe { avx512(steps) })
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU supports AVX2 and FMA, as checked above.
            ("avx2", |steps| unsafe { avx2(steps) })
        } else {
            ("portable", super::portable)
        }
    }
}

#[cfg(target_arch = "aarch64")]
use arm::best;

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    #[target_feature(enable = "neon")]
    fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }
    chains!(neon, "neon", 24 x 4, vdupq_n_f32, fma);

    /// Returns the chains of NEON, which every CPU of this architecture has.
    pub(super) fn best() -> (&'static str, super::Chains) {
        // SAFETY: NEON is part of the architecture.
        ("neon", |steps| unsafe { neon(steps) })
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn best() -> (&'static str, Chains) {
    ("portable", portable)
}

/// Runs chains in plain Rust, which the compiler turns into separate multiplications and additions.
#[cfg(not(target_arch = "aarch64"))]
fn portable(steps: usize) -> usize {
    let (x, y) = (std::hint::black_box(0.5), std::hint::black_box(1.0));
    let mut sums = [0.0f32; 32];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = *sum * x + y;
        }
    }
    std::hint::black_box(sums);
    2 * sums.len()
}
