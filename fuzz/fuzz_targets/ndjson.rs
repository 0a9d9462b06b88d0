//! Files of vectors as NDJSON: lines, keys and weights.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splade_sparse::files::VectorReader;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("v.ndjson");
    std::fs::write(&path, bytes).expect("written");
    let rows = VectorReader::open(&[path], &VectorReader::id).expect("opened");
    for row in rows {
        let Ok(row) = row else { break };
        assert!(row.vector.weights().iter().all(|weight| weight.is_finite() && *weight > 0.0));
    }
});
