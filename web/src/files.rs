//! Files that JavaScript has loaded: those of a model, or of an index.

use light_splade::models::ModelFiles;
use wasm_bindgen::prelude::*;

use crate::error::advised;

/// Named files in memory.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Files {
    files: Vec<(String, Vec<u8>)>,
}

#[wasm_bindgen]
impl Files {
    /// Starts without files.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file with its path within the folder.
    pub fn add(&mut self, path: String, bytes: Vec<u8>) {
        self.files.push((path, bytes));
    }

    /// Adds the files of a packed model.
    #[wasm_bindgen(js_name = addPacked)]
    pub fn add_packed(&mut self, bytes: Vec<u8>) -> Result<(), JsValue> {
        let damaged = || {
            let hint = "load the file again, and check that the server sends it without changes";
            advised("the packed model is damaged, or the file is something else", Some(hint))
        };
        for file in splade_mini_ja_en::list(&bytes).ok_or_else(damaged)? {
            let unpacked = file.unpack().map_err(|_| damaged())?;
            self.files.push((file.name().to_owned(), unpacked.into_owned()));
        }
        Ok(())
    }
}

impl Files {
    /// The files as those of a model with this name.
    pub(crate) fn into_model(self, name: &str) -> ModelFiles {
        ModelFiles::memory(name, self.files)
    }

    /// The files with their paths.
    pub(crate) fn into_files(self) -> Vec<(String, Vec<u8>)> {
        self.files
    }
}
