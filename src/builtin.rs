//! The model that is part of the program: the files of `models/mini-ja-en`.
//!
//! Models are read from folders: it is unpacked once into the user's cache, aside and then renamed. The
//! folder is named by the checksum of the weights, so that another version gets another folder.

use std::path::{Path, PathBuf};

use splade_io::FileError;

use crate::error::{Error, invalid};

/// The name of the built-in model: what every function takes that takes a model's name.
pub const NAME: &str = "mini-ja-en";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../models/mini-ja-en/", $name)).as_slice())),*]
    };
}

const WEIGHTS: &str = "model.safetensors";

/// All that a model needs.
const FILES: &[(&str, &[u8])] =
    &files!["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt",];

/// Whether a model is named so and no folder has that name.
pub(crate) fn is_named(model: &Path) -> bool {
    model == Path::new(NAME) && !model.is_dir()
}

/// The folder with its files.
pub(crate) fn folder() -> Result<PathBuf, Error> {
    let cache = splade_text::cache_folder().ok_or_else(|| {
        invalid("there is no cache folder for the built-in model; set LIGHT_SPLADE_CACHE")
    })?;
    unpack(&cache.join("models"))
}

fn unpack(into: &Path) -> Result<PathBuf, Error> {
    let weights = FILES.iter().find(|(name, _)| *name == WEIGHTS).map_or(&[][..], |(_, b)| b);
    let folder = into.join(format!("{NAME}-{:08x}", crc32fast::hash(weights)));
    let is_whole = |folder: &Path| {
        let size = |name: &str| std::fs::metadata(folder.join(name)).map(|data| data.len());
        FILES.iter().all(|(name, bytes)| size(name).is_ok_and(|size| size == bytes.len() as u64))
    };
    if is_whole(&folder) {
        return Ok(folder);
    }
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(into)?;
        // Two programs may unpack at once: each has a folder of its own, and the last one counts.
        let aside = tempfile::Builder::new().prefix(NAME).tempdir_in(into)?;
        for (name, bytes) in FILES {
            std::fs::write(aside.path().join(name), bytes)?;
        }
        match std::fs::rename(aside.path(), &folder) {
            Err(_) if is_whole(&folder) => Ok(()),
            Err(_) if folder.is_dir() => {
                // It is damaged.
                std::fs::remove_dir_all(&folder)?;
                std::fs::rename(aside.path(), &folder)
            }
            renamed => renamed,
        }
    };
    write().map_err(|source| {
        let path = folder.clone();
        let doing = "unpack the built-in model (set LIGHT_SPLADE_CACHE to a folder that can be \
                     written, or give --model) into";
        FileError::Io { doing, path, source }
    })?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_folders_are_replaced() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = unpack(cache.path()).expect("unpacked");
        for (name, bytes) in FILES {
            assert!(std::fs::read(folder.join(name)).expect("a file") == *bytes, "{name}");
        }
        std::fs::write(folder.join(WEIGHTS), "short").expect("written");
        std::fs::remove_file(folder.join("config.json")).expect("removed");
        assert_eq!(unpack(cache.path()).expect("unpacked"), folder);
        let weights = std::fs::metadata(folder.join(WEIGHTS)).expect("a file").len();
        assert!(weights > 1_000_000 && folder.join("config.json").is_file());
        assert_eq!(std::fs::read_dir(cache.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_cache_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = unpack(&file.path().join("models")).expect_err("no folder").to_string();
        assert!(error.contains("LIGHT_SPLADE_CACHE"), "{error}");
    }
}
