//! Measures exact search: `cargo run --release -p splade-model --example nearest_speed [DOCUMENTS]`.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::time::Instant;

use splade_model::{DocumentRows, Embedding, Isa, Similarity, nearest};

fn main() {
    let count: usize =
        std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let (dim, queries, k) = (384, 1024, 100);
    let mut state = 1u64;
    let mut number = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let numbers: Vec<f32> = (0..count * dim).map(|_| number()).collect();
    let ends: Vec<u64> = (1..=count as u64).collect();
    let queries: Vec<Embedding> =
        (0..queries).map(|_| Embedding::new(dim, (0..dim).map(|_| number()).collect())).collect();
    let documents = DocumentRows { dim, numbers: &numbers, ends: &ends };
    let start = Instant::now();
    let found = nearest(Isa::detect(), Similarity::Dot, &queries, &documents, k, &|_| true);
    let seconds = start.elapsed().as_secs_f64();
    let pairs = (queries.len() * count) as f64;
    println!(
        "{} queries, {count} documents of {dim} dimensions, best {k}: {seconds:.2} s on {} threads, \
         {:.0} million pairs a second, {:.1} GFLOP/s; the best score is {:.3}",
        queries.len(),
        rayon::current_num_threads(),
        pairs / seconds / 1e6,
        2.0 * pairs * dim as f64 / seconds / 1e9,
        found[0][0].1
    );
}
