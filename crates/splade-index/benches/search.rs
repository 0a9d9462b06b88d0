//! A benchmark of building, opening and searching an index of given vectors, with one thread for
//! searches and the top 10.
//!
//! It reads two files of vectors, documents and queries, in the format that the compared programs
//! read too: u64 numbers of rows, terms of the vocabulary and postings; u64 row starts; u32 terms;
//! f32 weights. Run it with
//! `cargo bench -p splade-index --bench search -- DOCS.csr QUERIES.csr [REPEATS]`, or with
//! `scripts/bench/search.py`, which makes the files and runs the compared programs in turn.
//!
//! The latency of a query is the minimum over its repeats. The recall is the share of the ten best
//! documents by exact weights that are found.

use std::path::Path;
use std::time::Instant;

use splade_index::{
    Index, IndexOptions, IndexWriter, SearchMode, SearchOptions, WeightFormat, WriterOptions,
};
use splade_sparse::{SparseVector, TermId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` and `cargo test` pass options such as `--bench`, which are ignored.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let [docs, queries, rest @ ..] = &args[..] else {
        print(
            "usage: cargo bench -p splade-index --bench search -- DOCS.csr QUERIES.csr [REPEATS]",
        );
        return Ok(());
    };
    let repeats = rest.first().map_or(Ok(5), |repeats| repeats.parse())?;
    let (docs, queries) = (read(Path::new(docs))?, read(Path::new(queries))?);
    let postings: usize = docs.iter().map(SparseVector::len).sum();
    print(&format!("{} documents, {postings} postings, {} queries", docs.len(), queries.len()));
    print(
        "| weights | mode | p50 ms | p99 ms | mean ms | recall@10 | bytes/posting | build s | open ms |",
    );
    print("|---|---|---|---|---|---|---|---|---|");
    let mut truth: Vec<Vec<String>> = Vec::new();
    for weights in [WeightFormat::F32, WeightFormat::U8] {
        let dir = std::env::temp_dir().join(format!("splade-bench-{}", std::process::id()));
        let start = Instant::now();
        let options = IndexOptions { weights, ..Default::default() };
        let mut writer = IndexWriter::create(&dir, options, WriterOptions::default())?;
        for (id, vector) in docs.iter().enumerate() {
            writer.put(&id.to_string(), vector)?;
        }
        let info = writer.commit()?;
        let build = start.elapsed().as_secs_f64();
        let index = Index::open(&dir)?;
        let modes = [
            ("exact", SearchMode::Exact),
            ("recall .99", SearchMode::Approximate { recall: 0.99 }),
            ("recall .95", SearchMode::Approximate { recall: 0.95 }),
        ];
        let mut rows = Vec::new();
        for (name, mode) in modes {
            let options = SearchOptions { mode, ..Default::default() };
            let (mut times, found) = measure(&index, &queries, &options, repeats);
            times.sort_by(f64::total_cmp);
            if truth.is_empty() {
                truth.clone_from(&found);
            }
            let quantile = |q: f64| times[((times.len() - 1) as f64 * q).round() as usize];
            rows.push(format!(
                "| {weights} | {name} | {:.3} | {:.3} | {:.3} | {:.4} | {:.3} | {build:.1} |",
                quantile(0.5),
                quantile(0.99),
                times.iter().sum::<f64>() / times.len() as f64,
                recall(&truth, &found),
                info.bytes as f64 / postings as f64,
            ));
        }
        // Opening is timed last, when the system has written the files of the build to disk.
        let mut open = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let index = Index::open(&dir)?;
            open = open.min(start.elapsed().as_secs_f64() * 1e3);
            drop(index);
        }
        rows.iter().for_each(|row| print(&format!("{row} {open:.2} |")));
        drop((index, writer));
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// Returns for every query the least time in milliseconds and the ids of the hits.
fn measure(
    index: &Index,
    queries: &[SparseVector],
    options: &SearchOptions,
    repeats: usize,
) -> (Vec<f64>, Vec<Vec<String>>) {
    let mut times = vec![f64::MAX; queries.len()];
    let mut found = Vec::new();
    for repeat in 0..repeats.max(1) {
        for (query, time) in queries.iter().zip(&mut times) {
            let start = Instant::now();
            let hits = index.search(query, options);
            *time = time.min(start.elapsed().as_secs_f64() * 1e3);
            if repeat == 0 {
                found.push(hits.into_iter().map(|hit| hit.id).collect());
            }
        }
    }
    (times, found)
}

/// Returns the share of the true hits that were found, over all queries.
fn recall(truth: &[Vec<String>], found: &[Vec<String>]) -> f64 {
    let hits = truth.iter().zip(found);
    let hits: usize = hits.map(|(t, f)| t.iter().filter(|id| f.contains(id)).count()).sum();
    hits as f64 / truth.iter().map(Vec::len).sum::<usize>().max(1) as f64
}

/// Reads a file of vectors.
fn read(path: &Path) -> Result<Vec<SparseVector>, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let u64_at = |at: usize| bytes[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
    let u32_at = |at: usize| bytes[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
    let (rows, postings) = (u64_at(0) as usize, u64_at(16) as usize);
    let terms = 24 + 8 * (rows + 1);
    let weights = terms + 4 * postings;
    let row = |row: usize| {
        let places = u64_at(24 + 8 * row) as usize..u64_at(32 + 8 * row) as usize;
        let pairs = places
            .map(|at| (TermId(u32_at(terms + 4 * at)), f32::from_bits(u32_at(weights + 4 * at))));
        Ok(SparseVector::from_pairs(pairs.collect())?)
    };
    (0..rows).map(row).collect()
}

#[allow(clippy::print_stdout, reason = "a benchmark prints its results")]
fn print(line: &str) {
    println!("{line}");
}
