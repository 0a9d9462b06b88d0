//! Reads the files in a folder of configs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::entry::{Entry, entries};
use crate::error::ComposeError;
use crate::yaml::{self, File};

/// The config files below a folder; each one is read at most once.
pub(crate) struct Repository {
    dir: PathBuf,
    files: HashMap<String, (File, Vec<Entry>)>,
}

impl Repository {
    pub(crate) fn new(dir: &Path) -> Repository {
        Repository { dir: dir.to_owned(), files: HashMap::new() }
    }

    /// Returns whether a key is the path of a folder and therefore names a group.
    pub(crate) fn is_group(&self, key: &str) -> bool {
        !key.is_empty() && !key.starts_with('/') && self.dir.join(key).is_dir()
    }

    /// Returns the names of a group's files, without `.yaml`, sorted.
    pub(crate) fn names(&self, group: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.join(group)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// Returns the path of a config file, given with or without `.yaml`.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        let path = path.strip_suffix(".yaml").unwrap_or(path);
        self.dir.join(format!("{path}.yaml"))
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.file(path).is_file()
    }

    /// Returns the content and the header of a file.
    pub(crate) fn content(&mut self, path: &str) -> Result<&File, ComposeError> {
        Ok(&self.load(path)?.0)
    }

    /// Returns the content and the header of a file together with its defaults list.
    pub(crate) fn load(&mut self, path: &str) -> Result<&(File, Vec<Entry>), ComposeError> {
        if !self.files.contains_key(path) {
            let file = self.file(path);
            let text = std::fs::read_to_string(&file)
                .map_err(|source| ComposeError::Io { path: file.clone(), source })?;
            let mut content = yaml::parse(&text, &file)?;
            let defaults = content.content.remove("defaults");
            let entries = entries(defaults).map_err(|fault| {
                ComposeError::at(format!("{}: defaults", file.display()), fault)
            })?;
            self.files.insert(path.to_owned(), (content, entries));
        }
        Ok(&self.files[path])
    }
}
