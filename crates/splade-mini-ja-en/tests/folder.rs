//! The built-in files are those of the repository's `models/mini-ja-en`.

use std::path::Path;

#[test]
fn every_file_is_that_of_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini-ja-en");
    let files = splade_mini_ja_en::files();
    let names: Vec<_> = files.iter().map(|file| file.name()).collect();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]);
    for file in files {
        let bytes = file.unpack().expect("the built-in file");
        assert_eq!(bytes.len(), file.size());
        match std::fs::read(folder.join(file.name())) {
            Ok(want) => {
                assert!(bytes == want, "{} differs; run cargo xtask pack-model", file.name())
            }
            // A package of crates.io comes without the folder.
            Err(_) => println!("skipped: {} is not there", folder.display()),
        }
    }
}
