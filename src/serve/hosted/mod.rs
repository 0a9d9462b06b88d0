//! Indexes that are searched and changed over HTTP. Searches see the last commit and never wait for
//! the writer.

mod target;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::error::{ApiError, ErrorType};
use super::metrics::Metrics;
use super::model::Model;
use super::options::ServeOptions;
use super::trace;
use crate::error::{Error, advised, invalid};
use crate::index::{Index, IndexOptions};
use crate::searcher::Searcher;

use target::Target;
pub(crate) use writer::{Change, Changed, Document};
use writer::{Order, Writer, WriterLimits};

/// The longest name of an index.
const LONGEST_NAME: usize = 64;

/// All indexes of the service by name.
#[derive(Debug)]
pub(crate) struct Indexes {
    given: Vec<(String, PathBuf)>,
    root: Option<PathBuf>,
    limits: WriterLimits,
    metrics: Arc<Metrics>,
    open: RwLock<BTreeMap<String, Arc<Hosted>>>,
    /// Held while an index is created or dropped, so that two requests do not do it at once.
    changing: Mutex<()>,
}

/// An index that is open.
#[derive(Debug)]
pub(crate) struct Hosted {
    target: Arc<Target>,
    /// Whether it may be dropped.
    in_root: bool,
    writer: Writer,
}

impl Indexes {
    pub(crate) fn new(options: &ServeOptions, metrics: Arc<Metrics>) -> Self {
        Self {
            given: options.indexes.clone(),
            root: options.index_root.clone(),
            limits: WriterLimits {
                interval: options.limits.commit_interval,
                documents: options.limits.commit_documents,
            },
            metrics,
            open: RwLock::default(),
            changing: Mutex::default(),
        }
    }

    /// Opens all indexes for a model. Those that are open already are opened anew, so that their
    /// last commit is seen.
    pub(crate) fn open_all(&self, model: &Arc<Model>) -> Result<(), Error> {
        let mut folders: Vec<(String, PathBuf, bool)> = Vec::new();
        for (name, folder) in &self.given {
            folders.push((name.clone(), folder.clone(), false));
        }
        for (name, folder) in self.in_root()? {
            folders.push((name, folder, true));
        }
        let mut opened = BTreeMap::new();
        for (name, folder, in_root) in folders {
            check_name(&name)?;
            let searcher = Arc::new(Searcher::open(&folder, Some(model.encoder.clone()))?);
            let hosted = match self.find(&name).ok().filter(|known| known.target.folder() == folder)
            {
                Some(known) => {
                    known.target.show(searcher);
                    known
                }
                None => self.host(name.clone(), folder, in_root, searcher),
            };
            if opened.insert(name.clone(), hosted).is_some() {
                return Err(advised(
                    format!("two indexes are named {name}"),
                    "give one of them another name: NAME=FOLDER",
                ));
            }
        }
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    /// The indexes in the root.
    fn in_root(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let Some(root) = &self.root else { return Ok(Vec::new()) };
        std::fs::create_dir_all(root).map_err(Error::io("create", root))?;
        let entries = std::fs::read_dir(root).map_err(Error::io("read", root))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("read", root))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && splade_index::is_index(&entry.path()) {
                found.push((name, entry.path()));
            }
        }
        Ok(found)
    }

    fn host(
        &self,
        name: String,
        folder: PathBuf,
        in_root: bool,
        searcher: Arc<Searcher>,
    ) -> Arc<Hosted> {
        let target = Arc::new(Target::new(name, folder, searcher));
        let writer = Writer::new(Arc::clone(&target), self.limits, Arc::clone(&self.metrics));
        Arc::new(Hosted { target, in_root, writer })
    }

    /// The index of a name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Hosted>, ApiError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let found = open.get(name).cloned();
        found.ok_or_else(|| ApiError::not_found(format!("there is no index {name:?}")))
    }

    /// All indexes in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Hosted>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Creates an empty index in the root.
    pub(crate) fn create(
        &self,
        name: &str,
        model: &Model,
        options: &IndexOptions,
    ) -> Result<Arc<Hosted>, ApiError> {
        check_name(name).map_err(|error| ApiError::validation(error.to_string()))?;
        let root = self.root.as_ref().ok_or_else(|| {
            ApiError::validation("indexes cannot be created: start the service with --index-root")
        })?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = root.join(name);
        if self.find(name).is_ok() || folder.exists() {
            return Err(ApiError::validation(format!("there is an index {name:?} already"))
                .with_status(axum::http::StatusCode::CONFLICT));
        }
        let mut index = Index::create(&folder, &model.encoder, options)?;
        index.commit()?;
        drop(index);
        let searcher = Arc::new(Searcher::open(&folder, Some(model.encoder.clone()))?);
        let hosted = self.host(name.to_owned(), folder, true, searcher);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(name.to_owned(), Arc::clone(&hosted));
        Ok(hosted)
    }

    /// Removes an index of the root and its files. Searches that are running end normally.
    pub(crate) fn drop(&self, name: &str) -> Result<(), ApiError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let hosted = self.find(name)?;
        if !hosted.in_root {
            return Err(ApiError::validation(format!(
                "the index {name:?} is not in the folder of --index-root, so it is not removed"
            ))
            .with_status(axum::http::StatusCode::FORBIDDEN));
        }
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        hosted.writer.close();
        // Under another name first, so that no half of it is found when the service starts again.
        let folder = hosted.target.folder();
        let gone = folder.with_file_name(format!(".{name}.dropped"));
        std::fs::rename(folder, &gone).map_err(Error::io("rename", folder))?;
        std::fs::remove_dir_all(&gone).map_err(Error::io("remove", &gone))?;
        Ok(())
    }

    /// Commits what is waiting in all indexes, and ends their writers.
    pub(crate) fn close(&self) {
        for hosted in self.all() {
            hosted.writer.close();
        }
    }
}

impl Hosted {
    pub(crate) fn name(&self) -> &str {
        &self.target.name
    }

    /// The last commit.
    pub(crate) fn searcher(&self) -> Arc<Searcher> {
        self.target.searcher()
    }

    /// Changes the index, and returns when the change is committed and searches see it.
    pub(crate) async fn change(
        &self,
        model: &Arc<Model>,
        change: Change,
    ) -> Result<Changed, ApiError> {
        let mut span = trace::span("commit");
        span.set("splade.index", self.name());
        let (done, result) = tokio::sync::oneshot::channel();
        let order = Order { model: Arc::clone(model), change, done };
        self.writer.send(order)?;
        let lost = |_| ApiError::new(ErrorType::Unhealthy, "the change was not made");
        result.await.map_err(lost)?
    }
}

/// Refuses a name that is no safe name of a folder, or that a path of the service could not carry.
fn check_name(name: &str) -> Result<(), Error> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    match (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(is_fine)
        && !name.starts_with(['.', '-'])
    {
        true => Ok(()),
        false => Err(invalid(format!(
            "{name:?} cannot be the name of an index: take 1 to {LONGEST_NAME} letters of ASCII, \
             digits, '_', '-' and '.', not beginning with '.' or '-'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_indexes_are_safe_names_of_folders() {
        for (name, fine) in [
            ("wiki", true),
            ("a-b_c.2", true),
            ("", false),
            ("..", false),
            (".hidden", false),
            ("-x", false),
            ("a/b", false),
            ("a,b", false),
            ("日本", false),
            ("a b", false),
        ] {
            assert_eq!(super::check_name(name).is_ok(), fine, "{name:?}");
        }
        assert!(super::check_name(&"x".repeat(65)).is_err());
    }
}
