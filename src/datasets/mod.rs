//! Data sets by name: a folder, or a data set of the Hugging Face hub, which is fetched once and
//! written as a folder of BEIR.

mod name;

use std::path::{Path, PathBuf};

use splade_data::DataError;
use splade_data::published::{Layout, RepoFile};
use splade_io::{Event, NewFolder, Observer, is_free};
use splade_model::hub::{HubOptions, list_dataset, resolve_dataset};

use crate::error::Error;
use name::SetName;

/// The folder in the cache of the hub that keeps the sets.
const KEPT: &str = ".light-splade/datasets";

/// Finds the folder of a data set: `name` itself if it is there, or else a data set of the hub, which
/// is fetched and written as a folder of BEIR where the cache does not have it.
///
/// The names are those of the hub, `org/name`, `org/name:subset` and `org/name@revision`, and short
/// ones:
///
/// | name | data set |
/// |---|---|
/// | `scifact`, `beir/NAME` | `BeIR/NAME` with `BeIR/NAME-qrels` |
/// | `jaquad` | `SkelterLabsInc/JaQuAD` |
/// | `mteb/NAME`, `mteb/NAME:SUBSET` | the set of this name in MTEB's Parquet files |
/// | `nanobeir/NAME` | `zeta-alpha-ai/NanoNAME` |
/// | `jmteb/TASK` | a retrieval task of `sbintuitions/JMTEB` |
/// | `miracl/LANGUAGE` | `miracl/miracl` with `miracl/miracl-corpus` |
/// | `mmarco/LANGUAGE` | `unicamp-dl/mmarco` with the small dev set of MS MARCO |
///
/// ```
/// let toy = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir"));
/// assert_eq!(light_splade::data::dataset_folder(toy, &mut ())?, toy);
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If there is no such folder or data set, a file cannot be fetched, read or written, or the observer
/// asks to stop.
pub fn dataset_folder(name: &Path, observer: &mut dyn Observer) -> Result<PathBuf, Error> {
    let Some(text) = name.to_str().filter(|_| !name.exists()) else {
        return Ok(name.to_path_buf());
    };
    let name = SetName::parse(text)?;
    let options = HubOptions::from_env()?;
    let folder = options.cache.join(KEPT).join(name.folder());
    if !is_free(&folder) {
        return Ok(folder);
    }
    let (layout, commits) = find(&name, &options, observer)?;
    let mut roots = Vec::new();
    for (place, commit) in commits.iter().enumerate() {
        let wanted = layout.files().into_iter().filter(|file| file.repository == place);
        let wanted: Vec<String> = wanted.map(|file| file.path.clone()).collect();
        roots.push(resolve_dataset(commit, &wanted, &options, observer)?);
    }
    observer.event(Event::Note(&format!("writing {text} as a folder of BEIR")));
    let new = NewFolder::create(&folder)?;
    // Another process may have written it while this one waited for the files.
    if is_free(&folder) {
        let written = layout.write(&roots, new.path(), &mut || !observer.stop());
        written.map_err(|error| match error {
            DataError::Stopped => Error::stopped(),
            error => error.into(),
        })?;
        new.commit()?;
    }
    Ok(folder)
}

/// Asks the hub for the files of a set, and finds its parts among them. Also returns the
/// repositories at the commits that were looked at.
fn find(
    name: &SetName,
    options: &HubOptions,
    observer: &mut dyn Observer,
) -> Result<(Layout, Vec<String>), Error> {
    let (commits, files) = list(name, options, observer)?;
    let found = Layout::find(&name.given, &files, name.subset.as_deref());
    match found {
        Err(first) if !name.has_revision && name.repositories.len() == 1 => {
            // A set with a loading script. What is wrong with its own files is more to the point
            // than that it was not converted.
            let Ok((commits, files)) = list(&name.converted(), options, observer) else {
                return Err(first.into());
            };
            let layout = Layout::find(&name.given, &files, name.subset.as_deref())?;
            Ok((layout, commits))
        }
        found => Ok((found?, commits)),
    }
}

/// Lists the files of all repositories of a set, and names each repository with its commit.
fn list(
    name: &SetName,
    options: &HubOptions,
    observer: &mut dyn Observer,
) -> Result<(Vec<String>, Vec<RepoFile>), Error> {
    let (mut commits, mut files) = (Vec::new(), Vec::new());
    for (repository, at) in name.repositories.iter().enumerate() {
        let (commit, paths) = list_dataset(at, options, observer)?;
        let id = at.split_once('@').map_or(at.as_str(), |(id, _)| id);
        commits.push(format!("{id}@{commit}"));
        files.extend(paths.into_iter().map(|path| RepoFile { repository, path }));
    }
    Ok((commits, files))
}
