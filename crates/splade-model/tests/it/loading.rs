//! Tests of the ways to load a model: from a folder or from bytes in memory, one encoder or both at
//! once.

use std::path::{Path, PathBuf};

use splade_model::{Encoder, EncoderOptions, ModelFiles, ModelFolder, Side};

const TEXTS: [&str; 3] = ["東京の夜行列車", "A night train to Tokyo", ""];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns all files below a folder, by their paths relative to it.
fn in_memory(folder: &Path) -> ModelFiles {
    fn collect(folder: &Path, within: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder.join(within)).expect("a folder") {
            let path = within.join(entry.expect("an entry").file_name());
            match folder.join(&path).is_dir() {
                true => collect(folder, &path, files),
                false => {
                    let bytes = std::fs::read(folder.join(&path)).expect("a file");
                    files.push((path, bytes));
                }
            }
        }
    }
    let mut files = Vec::new();
    collect(folder, Path::new(""), &mut files);
    ModelFiles::memory("in memory", files)
}

fn options(side: Side) -> EncoderOptions {
    EncoderOptions { side, threads: Some(2), ..Default::default() }
}

const MODELS: [&str; 4] = [
    "../../models/demo",
    "../../models/mini-ja-en",
    "tests/fixtures/reference/bert-japanese",
    "tests/fixtures/reference/inference-free",
];

#[test]
fn memory_gives_the_bits_of_the_folder() {
    for model in MODELS {
        let folder = folder(model);
        let files = in_memory(&folder);
        for side in [Side::Document, Side::Query] {
            let disk = Encoder::load(&folder, &options(side)).expect(model);
            let memory = Encoder::from_files(&files, &options(side)).expect(model);
            let vectors = |encoder: &Encoder| encoder.encode(&TEXTS).expect("encoded");
            assert_eq!(vectors(&disk), vectors(&memory), "{model} {side:?}");
            assert!(!vectors(&disk)[1].is_empty(), "{model} {side:?}");
            assert_eq!(disk.max_length(), memory.max_length(), "{model} {side:?}");
            assert_eq!(disk.prompt(), memory.prompt(), "{model} {side:?}");
        }
    }
}

#[test]
fn what_is_missing_in_memory_is_told_as_in_a_folder() {
    let files: [(&str, &[u8]); 0] = [];
    let error = ModelFolder::from_files(&ModelFiles::memory("none", files)).expect_err("no model");
    assert!(error.to_string().contains("there is no such folder"), "{error}");
    let one: [(&str, &[u8]); 1] = [("README.md", b"nothing")];
    let error = ModelFolder::from_files(&ModelFiles::memory("none", one)).expect_err("no model");
    assert!(error.to_string().contains("there is no config.json"), "{error}");
}

/// The two encoders of one load give the same vectors as two loads, and they share the weights if
/// the folder has only one set of weights.
#[test]
fn a_pair_is_two_encoders() {
    for model in MODELS {
        let folder = folder(model);
        let pair = Encoder::load_pair(&folder, &options(Side::Document)).expect(model);
        for (side, encoder) in [(Side::Document, &pair.document), (Side::Query, &pair.query)] {
            let alone = Encoder::load(&folder, &options(side)).expect(model);
            let vectors = |encoder: &Encoder| encoder.encode(&TEXTS).expect("encoded");
            assert_eq!(vectors(encoder), vectors(&alone), "{model} {side:?}");
            assert_eq!(encoder.prompt(), alone.prompt(), "{model} {side:?}");
            assert_eq!(encoder.max_length(), alone.max_length(), "{model} {side:?}");
            assert!(!encoder.shares_weights(&alone), "{model} {side:?}");
            assert!(encoder.shares_weights(&encoder.clone()), "{model} {side:?}");
        }
        let shares = ModelFolder::open(&folder).expect(model).shares_towers();
        assert_eq!(pair.query.shares_weights(&pair.document), shares, "{model}");
    }
}
