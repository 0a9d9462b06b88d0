//! Vectors are written in Qdrant's form: points, a collection and queries, ready for its HTTP
//! interface.
//!
//! Run it with `cargo run --example export_qdrant`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use light_splade::encode::{EncodeOptions, encode_files};
use light_splade::input::{TextOptions, Texts};
use light_splade::search_engines::{ExportOptions, ExportTarget, export_documents};
use light_splade::{SparseEncoder, SparseEncoderOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;

    // First the texts become vectors. Parquet keeps the weights exactly.
    let encoding = EncodeOptions {
        output: folder.path().join("corpus.parquet"),
        inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl").into()],
        ..EncodeOptions::default()
    };
    let texts = Texts::open(&encoding.inputs, TextOptions::default())?;
    let position = texts.position();
    encode_files(&encoder, texts, position, &encoding, &mut ())?;

    // Then the vectors become the bodies of requests.
    let options = ExportOptions {
        vectors: vec![encoding.output],
        out: folder.path().join("qdrant"),
        target: ExportTarget::Qdrant { field: "splade".to_owned(), first_id: None },
        ..ExportOptions::default()
    };
    let exported = export_documents(&options, &mut ())?;
    println!("{} documents were written:", exported.documents);
    for entry in std::fs::read_dir(&options.out)? {
        println!("  {}", entry?.file_name().display());
    }
    Ok(())
}
