//! A `config.json`, and the sizes that follow from it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splade_model::architecture::ArchitectureConfig;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("config.json"), bytes).expect("written");
    if let Ok(config) = ArchitectureConfig::open(folder.path()) {
        let (hidden, _, heads) = config.shape();
        assert!(heads > 0 && hidden.is_multiple_of(heads));
        let _ = (config.name(), config.vocab(), config.max_tokens());
    }
});
