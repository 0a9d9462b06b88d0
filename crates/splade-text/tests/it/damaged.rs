//! Checks that a damaged tokenizer folder gives an error or a tokenizer whose ids are in its
//! vocabulary, and never a panic.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use splade_text::{TextError, Tokenizer, TokenizerOptions};

const TEXTS: [&str; 4] = [
    "The night train, 2 ½ ſ Åffin! [SEP] <s>",
    "夜行列車が\u{3000}橋を渡る。🚂",
    "",
    " a\0\u{301}\u{ffff} ",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The texts that replace some bytes of a file.
const NEW: [&str; 16] = [
    "",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0",
    "-1",
    "1e999",
    "4294967295",
    "18446744073709551615",
    "\"[CLS]\"",
    "(",
    "\\",
    "\u{0}",
    "{\"content\":\"\",\"id\":4294967295}",
];

/// Replaces a token of JSON (or of a line) or a single byte.
fn damage(bytes: &mut Vec<u8>, at: Index, whole: bool, new: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    let inside = |byte: &u8| whole && !b"\":,[]{} \n".contains(byte);
    let start = bytes[..at].iter().rposition(|byte| !inside(byte)).map_or(0, |before| before + 1);
    let end = bytes[at..].iter().position(|byte| !inside(byte)).map_or(bytes.len(), |n| at + n);
    bytes.splice(start.min(at)..end.max(at), new.iter().copied());
}

fn load(folder: &Path, dictionary: &Path) -> Result<Tokenizer, TextError> {
    let options = TokenizerOptions { mecab_dicdir: Some(dictionary.to_path_buf()) };
    Tokenizer::from_dir(folder, &options)
}

/// Unpacks the small dictionary of the fixtures into a folder.
fn dictionary() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["sys.dic", "unk.dic", "char.bin", "matrix.bin"] {
        let file = std::fs::File::open(fixtures().join(format!("mecab/{name}.gz")));
        let mut bytes = flate2::read::GzDecoder::new(file.expect("a fixture"));
        let mut file = std::fs::File::create(folder.path().join(name)).expect("made");
        std::io::copy(&mut bytes, &mut file).expect("unpacked");
    }
    folder
}

fn check(tokenizer: &Tokenizer) {
    for text in TEXTS {
        if let Ok(encoding) = tokenizer.encode(text, Some(9)) {
            let known = encoding.ids.iter().all(|id| (*id as usize) < tokenizer.len());
            assert!(known, "{:?} of {} tokens", encoding.ids, tokenizer.len());
            assert!(encoding.ids.len() <= 9);
        }
    }
}

#[test]
fn damaged_folders_do_no_harm() {
    let dictionary = dictionary();
    const NAMES: [&str; 10] = [
        "bert-cased",
        "bert-json",
        "bert-added",
        "bert-legacy",
        "roberta",
        "bpe-prefix",
        "unigram",
        "ja-lower",
        "ja-no-words",
        "ja-whole-words",
    ];
    let changes = prop::collection::vec(
        (any::<Index>(), any::<Index>(), any::<bool>(), select(&NEW[..])),
        1..4,
    );
    let flips = prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..2);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    });
    let result = runner.run(&(select(&NAMES[..]), changes, flips), |(name, changes, flips)| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(fixtures().join(name)).expect("the fixture") {
            let entry = entry.expect("an entry");
            if entry.file_name() != "expected.ndjson" {
                files.push((entry.file_name(), std::fs::read(entry.path()).expect("read")));
            }
        }
        files.sort();
        for (file, at, whole, new) in changes {
            let file = file.index(files.len());
            damage(&mut files[file].1, at, whole, new.as_bytes());
        }
        for (file, at, byte) in flips {
            let file = file.index(files.len());
            damage(&mut files[file].1, at, false, &[byte]);
        }
        for (name, bytes) in &files {
            std::fs::write(folder.path().join(name), bytes).expect("written");
        }
        if let Ok(tokenizer) = load(folder.path(), dictionary.path()) {
            check(&tokenizer);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Covers ids past the vocabulary in each place of a `tokenizer.json` that has ids.
#[test]
fn ids_past_the_vocabulary_are_errors() {
    let load = |change: &dyn Fn(&mut serde_json::Value, &mut serde_json::Value)| {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ["tokenizer.json", "tokenizer_config.json"];
        let [mut tokenizer, mut config] = files.map(|name| {
            let text = std::fs::read_to_string(fixtures().join("bert-json").join(name));
            serde_json::from_str(&text.expect("a fixture")).expect("JSON")
        });
        change(&mut tokenizer, &mut config);
        for (name, value) in files.iter().zip([&tokenizer, &config]) {
            std::fs::write(folder.path().join(name), value.to_string()).expect("written");
        }
        Tokenizer::from_dir(folder.path(), &TokenizerOptions::default())
    };
    load(&|_, _| {}).expect("sound");
    let error = load(&|tokenizer, _| {
        tokenizer["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [5000].into();
    });
    let error = error.expect_err("no such id").to_string();
    assert!(error.contains("a special token has the id 5000 among"), "{error}");
    // Ids of 2^31 and more would make the `tokenizers` crate panic.
    for id in [1u32 << 30, 1 << 31, u32::MAX] {
        let error = load(&|tokenizer, _| tokenizer["model"]["vocab"]["the"] = id.into());
        let error = error.expect_err("no such id").to_string();
        assert!(error.contains(&format!("tokens have ids of up to {id}")), "{error}");
    }
    let error = load(&|tokenizer, config| {
        tokenizer["added_tokens"][0]["id"] = u32::MAX.into();
        config["cls_token"] = "another".into();
    });
    let error = error.expect_err("no such id").to_string();
    assert!(error.contains("tokens have ids of up to 4294967295"), "{error}");
}
