//! Documents become an index on the disk, which is searched.
//!
//! Run it with `cargo run --example search`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use light_splade::input::{TextOptions, Texts};
use light_splade::{
    Index, IndexOptions, SearchOptions, Searcher, SparseEncoder, SparseEncoderOptions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("index");
    let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;

    // Documents are encoded and put into the index; they count once they are committed.
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl");
    let mut index = Index::create(&path, &encoder, &IndexOptions::default())?;
    let documents = Texts::open(&[corpus.into()], TextOptions::default())?;
    let position = documents.position();
    index.upsert_read(&encoder, documents, position, &mut ())?;
    let info = index.commit()?;
    println!("{} documents, {} bytes", info.documents, info.bytes);

    // The index knows its model: another process opens it by its path alone.
    let searcher = Searcher::open(&path, Some(encoder))?;
    let options = SearchOptions { k: 3, ..SearchOptions::default() };
    for hit in searcher.search("the sea", &options)? {
        println!("{:8.4} {}", hit.score, hit.id);
    }
    Ok(())
}
