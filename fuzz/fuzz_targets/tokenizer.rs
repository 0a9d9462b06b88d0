//! A `tokenizer.json`: its ids are in its vocabulary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splade_text::{Tokenizer, TokenizerOptions};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("tokenizer.json"), bytes).expect("written");
    if let Ok(tokenizer) = Tokenizer::from_dir(folder.path(), &TokenizerOptions::default())
        && let Ok(encoding) = tokenizer.encode("The night train, 列車 🚂 [SEP]", Some(9))
    {
        assert!(encoding.ids.iter().all(|id| (*id as usize) < tokenizer.len()));
    }
});
