//! The model that is part of the program: the files of the crate `splade-mini-ja-en`.
//!
//! Models are read from folders, so it is unpacked once into the user's cache: into a temporary folder,
//! which is then renamed. The folder is named by the checksum of the weights, so that another version
//! gets another folder. Later starts compare the checksums of the files.

use std::path::{Path, PathBuf};

use splade_io::FileError;
use splade_mini_ja_en::{File, files};
use splade_model::ModelFiles;

use crate::error::{Error, advised, invalid};

/// The name of the built-in model. Every function that takes the name of a model takes it.
pub const NAME: &str = splade_mini_ja_en::NAME;

/// Its licence, languages and data sets, as its card in `models/mini-ja-en` says.
#[cfg(feature = "tools")]
pub(crate) const LICENSE: &str = "cc-by-sa-4.0";
#[cfg(feature = "tools")]
pub(crate) const LANGUAGES: [&str; 2] = ["ja", "en"];
#[cfg(feature = "tools")]
pub(crate) const DATASETS: [&str; 3] = ["SkelterLabsInc/JaQuAD", "nq_open", "allenai/scifact"];

const WEIGHTS: &str = "model.safetensors";

/// Whether a model is named so and no folder has that name.
pub(crate) fn is_named(model: &Path) -> bool {
    model == Path::new(NAME) && !model.is_dir()
}

/// The folder with its files.
pub(crate) fn folder() -> Result<PathBuf, Error> {
    let cache = splade_text::cache_folder().ok_or_else(|| {
        advised("there is no cache folder for the built-in model", "set LIGHT_SPLADE_CACHE")
    })?;
    unpack(&cache.join("models"))
}

/// Whether there is a folder to unpack the model into.
pub(crate) fn has_cache() -> bool {
    splade_text::cache_folder().is_some()
}

/// The model's files, unpacked in memory.
pub(crate) fn files_in_memory() -> Result<ModelFiles, Error> {
    let unpack = |file: &File<'static>| match file.unpack() {
        Ok(bytes) => Ok((file.name().to_owned(), bytes)),
        Err(damaged) => Err(invalid(format!("the built-in model is damaged: {damaged}"))),
    };
    let files = files().iter().map(unpack).collect::<Result<Vec<_>, _>>()?;
    Ok(ModelFiles::memory(NAME, files))
}

fn unpack(into: &Path) -> Result<PathBuf, Error> {
    let files = files();
    let weights = files.iter().find(|file| file.name() == WEIGHTS).map_or(0, File::crc32);
    let folder = into.join(format!("{NAME}-{weights:08x}"));
    // Another file in the folder could change what the model is.
    let has_others = |folder: &Path| {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        names
            .map(|entry| entry.file_name())
            .any(|name| files.iter().all(|file| name != *file.name()))
    };
    let is_whole = |folder: &Path| {
        !has_others(folder)
            && files.iter().all(|file| {
                std::fs::read(folder.join(file.name()))
                    .is_ok_and(|bytes| crc32fast::hash(&bytes) == file.crc32())
            })
    };
    if is_whole(&folder) {
        return Ok(folder);
    }
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(into)?;
        // Two programs may unpack at once: each has a folder of its own, and the last one counts.
        let aside = tempfile::Builder::new().prefix(NAME).tempdir_in(into)?;
        for file in &files {
            let bytes = file.unpack().map_err(std::io::Error::other)?;
            std::fs::write(aside.path().join(file.name()), bytes)?;
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
        for file in files() {
            let bytes = std::fs::read(folder.join(file.name())).expect("a file");
            assert!(bytes == *file.unpack().expect("sound"), "{}", file.name());
        }
        std::fs::write(folder.join(WEIGHTS), "short").expect("written");
        std::fs::remove_file(folder.join("config.json")).expect("removed");
        assert_eq!(unpack(cache.path()).expect("unpacked"), folder);
        // One bit of the weights is enough.
        let mut bytes = std::fs::read(folder.join(WEIGHTS)).expect("a file");
        bytes[6_000_000] ^= 1;
        std::fs::write(folder.join(WEIGHTS), &bytes).expect("written");
        assert_eq!(unpack(cache.path()).expect("unpacked"), folder);
        assert_ne!(std::fs::read(folder.join(WEIGHTS)).expect("a file"), bytes);
        // A file of another model would change what the folder is.
        std::fs::write(folder.join("modules.json"), "[]").expect("written");
        assert_eq!(unpack(cache.path()).expect("unpacked"), folder);
        assert!(!folder.join("modules.json").exists());
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
