//! Damaged files of a model folder give an error or a valid result, but never a panic, and they
//! never allocate more memory than the size of the file explains.
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use splade_model::architecture::ArchitectureConfig;
use splade_model::weights::Weights;
use splade_model::{Encoder, EncoderOptions, ModelError};

/// An allocator that records the size of the largest requested block.
struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's guarantees are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantees are those of the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller's guarantees are those of the system's allocator.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The limit for a block in bytes. The files here have up to 64 KB, and a thread pool, a proptest
/// runner and the tables of a tokenizer stay below this limit too.
const ENOUGH: usize = 8 << 20;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A change to the bytes of a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    /// Replaces a digit by another number, so that sizes and offsets are out of range.
    Digits(prop::sample::Index, &'static str),
}

impl Damage {
    fn any() -> impl Strategy<Value = Damage> {
        let at = any::<prop::sample::Index>;
        const DIGITS: [&str; 7] =
            ["0", "-1", "1e9", "268435455", "18446744073709551615", "null", "[]"];
        prop_oneof![
            (at(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
            at().prop_map(Damage::Cut),
            (at(), prop::collection::vec(any::<u8>(), 1..9))
                .prop_map(|(a, b)| Damage::Insert(a, b)),
            (at(), 1usize..20).prop_map(|(at, n)| Damage::Remove(at, n)),
            (at(), prop::sample::select(&DIGITS[..])).prop_map(|(at, d)| Damage::Digits(at, d)),
        ]
    }

    /// Damages the first `reach` bytes. The bytes after them are numbers of tensors, where every
    /// value is valid.
    fn apply(&self, bytes: &mut Vec<u8>, reach: usize) {
        let reach = reach.min(bytes.len());
        if reach == 0 {
            return;
        }
        match self {
            Damage::Flip(at, bits) => bytes[at.index(reach)] ^= bits,
            Damage::Cut(at) => bytes.truncate(at.index(reach)),
            Damage::Insert(at, new) => {
                let at = at.index(reach);
                bytes.splice(at..at, new.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at.index(reach);
                bytes.drain(at..(at + count).min(reach));
            }
            Damage::Digits(at, new) => {
                let digits: Vec<usize> =
                    (0..reach).filter(|at| bytes[*at].is_ascii_digit()).collect();
                if let Some(at) = digits.get(at.index(digits.len().max(1))) {
                    bytes.splice(*at..*at + 1, new.bytes());
                }
            }
        }
    }
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    prop::collection::vec(Damage::any(), 1..4)
}

/// Reads every tensor of a folder and returns the number of values.
fn read_all(dir: &Path) -> Result<usize, ModelError> {
    let weights = Weights::open(dir)?;
    let numbers = weights.names().filter_map(|name| weights.read_f32(name).ok());
    Ok(numbers.map(|numbers| numbers.len()).sum())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(250) })]

    #[test]
    fn safetensors(damages in damages()) {
        let good = std::fs::read(fixture("torch/plain/expected/model.safetensors")).expect("read");
        let header = u64::from_le_bytes(good[..8].try_into().expect("8 bytes")) as usize;
        let folder = tempfile::tempdir().expect("a folder");
        let mut header_json = good[8..8 + header].to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut header_json, header));
        // The length field fits the damaged header, so that the header is parsed.
        let length = (header_json.len() as u64).to_le_bytes();
        let bad = [&length[..], &header_json, &good[8 + header..]].concat();
        std::fs::write(folder.path().join("model.safetensors"), bad).expect("written");
        let _ = read_all(folder.path());
        let mut bad = good;
        damages.iter().for_each(|damage| damage.apply(&mut bad, 64));
        std::fs::write(folder.path().join("model.safetensors"), bad).expect("written");
        let _ = read_all(folder.path());
        prop_assert!(LARGEST.load(Ordering::Relaxed) < ENOUGH);
    }

    #[test]
    fn torch_bin(damages in damages()) {
        let mut bad = std::fs::read(fixture("torch/plain/pytorch_model.bin")).expect("read");
        let folder = tempfile::tempdir().expect("a folder");
        damages.iter().for_each(|damage| damage.apply(&mut bad, usize::MAX));
        std::fs::write(folder.path().join("pytorch_model.bin"), bad).expect("written");
        let _ = read_all(folder.path());
        prop_assert!(LARGEST.load(Ordering::Relaxed) < ENOUGH);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// The weights belong to the undamaged config, so that wrong sizes are detected during loading.
    #[test]
    fn configs(damages in damages(), model in prop::sample::select(
        &["bert", "roberta", "modernbert", "deberta-v2", "deberta-v2-conv"][..])) {
        let from = fixture("reference").join(model);
        let folder = tempfile::tempdir().expect("a folder");
        for file in std::fs::read_dir(&from).expect("the fixture") {
            let file = file.expect("an entry").path();
            let to = folder.path().join(file.file_name().expect("a name"));
            std::fs::copy(file, to).expect("copied");
        }
        let path = folder.path().join("config.json");
        let mut bad = std::fs::read(&path).expect("read");
        damages.iter().for_each(|damage| damage.apply(&mut bad, usize::MAX));
        std::fs::write(&path, bad).expect("written");
        if ArchitectureConfig::open(folder.path()).is_ok() {
            let options = EncoderOptions { threads: Some(1), ..EncoderOptions::default() };
            if let Ok(encoder) = Encoder::load(folder.path(), &options) {
                encoder.encode(&["a train", ""]).expect("encoded");
            }
        }
        prop_assert!(LARGEST.load(Ordering::Relaxed) < ENOUGH);
    }
}

/// A config with too large sizes gives an error that lists the tensors that do not fit, or that
/// names the key.
#[test]
fn sizes_out_of_range() {
    let load = |model: &str, key: &str, value: &str| {
        let from = fixture("reference").join(model);
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
        {
            std::fs::copy(from.join(file), folder.path().join(file)).expect("copied");
        }
        let path = folder.path().join("config.json");
        let text = std::fs::read_to_string(&path).expect("read");
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config[key] = serde_json::from_str(value).expect("JSON");
        std::fs::write(&path, config.to_string()).expect("written");
        let options = EncoderOptions { threads: Some(1), ..EncoderOptions::default() };
        Encoder::load(folder.path(), &options).map(|encoder| encoder.max_length())
    };
    let mut wrong = Vec::new();
    for (model, key, value, reason) in [
        ("bert", "vocab_size", "268435455", "wrong shape"),
        ("bert", "hidden_size", "268435454", "wrong shape"),
        ("bert", "intermediate_size", "268435455", "wrong shape"),
        ("bert", "max_position_embeddings", "268435455", "wrong shape"),
        ("bert", "num_hidden_layers", "1024", "missing"),
        ("bert", "num_hidden_layers", "1025", "at most 1024 layers"),
        ("modernbert", "num_attention_heads", "16", "heads of an even width"),
        ("deberta-v2", "hidden_size", "268435454", "wrong shape"),
        ("deberta-v2", "position_buckets", "1e300", "a whole number below 2^28"),
        ("deberta-v2", "position_buckets", "268435454", "half of them below 64 positions"),
        ("deberta-v2", "position_buckets", "1", "half of them below 64 positions"),
        ("deberta-v2", "max_relative_positions", "5", "half of them below 5 positions"),
        ("deberta-v2", "max_relative_positions", "1e300", "a whole number below 2^28"),
        ("deberta-v2-conv", "conv_kernel_size", "268435455", "wrong shape"),
        // A tensor that is needed to project the position table is missing.
        ("deberta-v2", "share_att_key", "false", "pos_key_proj.weight"),
    ] {
        match load(model, key, value) {
            Err(error) if error.to_string().contains(reason) => {}
            other => wrong.push(format!("{model} {key} {value}: {other:?}")),
        }
    }
    // No table has a row for each of these positions, so they take no memory until a text has them.
    let most = load("modernbert", "max_position_embeddings", "268435455");
    assert!(most.is_ok(), "{most:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(LARGEST.load(Ordering::Relaxed) < ENOUGH);
}

/// The product of the shape overflows, for tensors without values and for tensors of an unknown
/// type.
#[test]
fn shapes_out_of_range() {
    let open = |dtype: &str, shape: &str| {
        let header =
            format!(r#"{{"x": {{"dtype": "{dtype}", "shape": {shape}, "data_offsets": [0, 0]}}}}"#);
        let folder = tempfile::tempdir().expect("a folder");
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        std::fs::write(folder.path().join("model.safetensors"), file).expect("written");
        Weights::open(folder.path())?.read_f32("x")
    };
    for shape in ["[0, 1099511627776, 1099511627776]", "[1099511627776, 1099511627776, 0]"] {
        assert!(open("F32", shape).is_err(), "{shape}");
    }
    assert!(open("I64", "[268435455, 268435455]").is_err());
    assert!(open("F32", "[0, 1099511627776]").expect("no number").is_empty());
}
