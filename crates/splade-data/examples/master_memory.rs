//! Measures the memory and time that large training data needs, on a synthetic set of any size.
//!
//!     cargo run --release -p splade-data --example master_memory -- FOLDER [DOCUMENTS] [TRIPLETS] [shuffled]
//!
//! Writes the set into FOLDER if it does not exist (8,800,000 documents of 350 bytes are 3.3 GB;
//! 40,000,000 triplets 2.4 GB), opens it and reads samples. With `shuffled`, ids are neither in
//! order nor without gaps. The memory of the process is Linux's `RssAnon`.
#![allow(clippy::print_stdout, reason = "an example")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use splade_data::DataConfig;
use splade_data::random::{Permutation, Random};
use splade_data::{TextKind, Texts, TrainingData};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let folder = Path::new(args.get(1).ok_or("name a folder for the data")?);
    let number = |i: usize, default: usize| args.get(i).map_or(Ok(default), |n| n.parse());
    let (documents, triplets) = (number(2, 8_800_000)?, number(3, 40_000_000)?);
    let queries = documents / 17;
    if !folder.join("triplets.ndjson").is_file() {
        let shuffled = args.get(4).is_some_and(|arg| arg == "shuffled");
        write(folder, documents, queries, triplets, shuffled)?;
    }
    let file = |name: &str| folder.join(format!("{name}.ndjson"));

    let (own, start) = (own_bytes(), Instant::now());
    let (texts, _) = Texts::open(&file("doc_master"), TextKind::Document)?;
    println!("document master: {:.1} s to open and check", start.elapsed().as_secs_f64());
    report("  tables", texts.heap_bytes(), texts.len());
    report("  process, grown by", own_bytes() - own, texts.len());
    let start = Instant::now();
    let mut random = Random::new(&[1]);
    let bytes: usize = (0..100_000)
        .filter_map(|_| texts.text(texts.id_at(random.below(texts.len()))))
        .map(|text| text.len())
        .sum();
    let microseconds = start.elapsed().as_secs_f64() * 10.0;
    println!("  {microseconds:.1} µs a random text ({} bytes on average)", bytes / 100_000);
    drop(texts);

    let start = Instant::now();
    let config = DataConfig {
        train_doc_master: file("doc_master"),
        train_query_master: file("query_master"),
        train_positives: file("positive_lists"),
        train_triplets: Some(file("triplets")),
        ..DataConfig::default()
    };
    let done = AtomicBool::new(false);
    let (data, peak) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                peak = own_bytes().max(peak);
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        let data = TrainingData::open(&config, 1);
        done.store(true, Ordering::Relaxed);
        (data, watch.join().unwrap_or_default())
    });
    let data = data?;
    println!("whole set: {:.1} s to open and check", start.elapsed().as_secs_f64());
    report("  tables", data.heap_bytes(), data.docs().len());
    report("  process at most", peak - own, data.docs().len());
    let start = Instant::now();
    for position in 0..100_000.min(data.len()) {
        let sample = data.sample(0, position);
        data.query_text(sample.query)?;
        data.doc_text(sample.positive)?;
        data.doc_text(sample.negatives[0])?;
    }
    println!("  {:.1} µs a sample with its texts", start.elapsed().as_secs_f64() * 10.0);
    Ok(())
}

fn report(what: &str, bytes: usize, documents: usize) {
    let each = bytes as f64 / documents as f64;
    println!("{what}: {:.1} MB, {each:.2} bytes a document", bytes as f64 / 1e6);
}

/// Returns the bytes that Linux counts as the process's own memory, without mapped files; 0 on
/// other systems.
fn own_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let kilobytes = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
    kilobytes.map_or(0, |kilobytes: usize| kilobytes * 1024)
}

fn write(
    folder: &Path,
    documents: usize,
    queries: usize,
    triplets: usize,
    shuffled: bool,
) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let create =
        |name: &str| File::create(folder.join(format!("{name}.ndjson"))).map(BufWriter::new);
    let order = Permutation::new(documents, &[1]);
    let id = |i: usize| if shuffled { order.at(i) * 3 + 1 } else { i };
    let mut random = Random::new(&[2]);
    let mut text = |words: usize| -> String {
        (0..words).map(|_| format!("{:x} ", random.below(1 << 20))).collect()
    };
    let mut file = create("doc_master")?;
    for i in 0..documents {
        writeln!(file, "{{\"doc_id\": {}, \"text\": \"{}\"}}", id(i), text(55))?;
    }
    let (mut file, mut lists) = (create("query_master")?, create("positive_lists")?);
    for i in 0..queries {
        writeln!(file, "{{\"qid\": {i}, \"text\": \"{}\"}}", text(6))?;
        writeln!(lists, "{{\"qid\": {i}, \"positive_doc_ids\": [{}]}}", id(i * 17))?;
    }
    let mut file = create("triplets")?;
    let mut random = Random::new(&[3]);
    for _ in 0..triplets {
        let (query, negative) = (random.below(queries), random.below(queries) * 17 + 1);
        let (positive, negative) = (id(query * 17), id(negative));
        writeln!(
            file,
            "{{\"qid\": {query}, \"pos_doc_id\": {positive}, \"neg_doc_id\": {negative}}}"
        )?;
    }
    Ok(())
}
