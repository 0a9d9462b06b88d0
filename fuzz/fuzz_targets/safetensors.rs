//! A safetensors file: every tensor that the header lists is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splade_model::weights::Weights;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    // With the length of a header that fits: a wrong one ends at once.
    let (header, data) = bytes.split_at(bytes.len() - bytes.len() / 4);
    let file = [&(header.len() as u64).to_le_bytes()[..], header, data].concat();
    for file in [&file[..], bytes] {
        std::fs::write(folder.path().join("model.safetensors"), file).expect("written");
        if let Ok(weights) = Weights::open(folder.path()) {
            for name in weights.names() {
                let _ = weights.read_f32(name);
            }
        }
    }
});
