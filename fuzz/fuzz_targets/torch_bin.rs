//! A `pytorch_model.bin`: every tensor that the pickle lists is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splade_model::weights::Weights;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("pytorch_model.bin"), bytes).expect("written");
    if let Ok(weights) = Weights::open(folder.path()) {
        for name in weights.names() {
            let _ = weights.read_f32(name);
        }
    }
});
