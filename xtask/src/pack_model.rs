//! `cargo xtask pack-model`: the file that `splade-mini-ja-en` holds. The same folder gives the same bytes.

use std::path::Path;

use crate::files::Failure;

/// What a program needs of the folder: not the model card, nor the files for other libraries.
const FILES: [&str; 4] = ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"];

pub(crate) fn run(folder: &Path, file: &Path) -> Result<(), Failure> {
    let mut files = Vec::new();
    for name in FILES {
        let path = folder.join(name);
        let bytes = std::fs::read(&path);
        files.push((name, bytes.map_err(|e| format!("cannot read {}: {e}", path.display()))?));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let packed = splade_mini_ja_en::pack(&files);
    let before: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    std::fs::write(file, &packed).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    println!("{}: {before} bytes packed into {}", file.display(), packed.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_model_is_packed_from_its_folder() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfolder();
        let file = folder.join("packed");
        run(&root.join("models/mini-ja-en"), &file).expect("packed");
        let want = root.join("crates/splade-mini-ja-en/mini-ja-en.packed");
        let same = std::fs::read(&file).expect("a file") == std::fs::read(want).expect("a file");
        std::fs::remove_dir_all(folder).expect("removed");
        assert!(same, "run cargo xtask pack-model");
    }

    /// A new folder, since `tempfile` is no dependency here.
    fn tempfolder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-pack-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }
}
