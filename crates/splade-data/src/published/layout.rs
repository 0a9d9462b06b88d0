//! Recognises the parts of a published data set by the paths of its files.

use std::collections::BTreeMap;

use crate::error::DataError;

/// A file of one of the repositories of a set.
///
/// ```
/// use splade_data::published::{Layout, RepoFile};
///
/// let file = |path: &str| RepoFile { repository: 0, path: path.to_owned() };
/// let error = Layout::find("org/set", &[file("README.md")], None).expect_err("no known form");
/// assert!(error.to_string().starts_with("the data set org/set: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepoFile {
    /// The place of the repository in the list of repositories.
    pub repository: usize,
    /// The path of the file in it.
    pub path: String,
}

/// The files of a set that are needed, by what they contain.
///
/// ```
/// use splade_data::published::{Layout, RepoFile};
///
/// # let set = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
/// let files = ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels/train.tsv"];
/// let files: Vec<RepoFile> =
///     files.iter().map(|path| RepoFile { repository: 0, path: (*path).to_owned() }).collect();
/// let layout = Layout::find("org/set", &files, None)?;
/// let out = tempfile::tempdir()?;
/// layout.write(&[set], out.path(), &mut || true)?;
/// assert!(out.path().join("corpus.jsonl").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(super) parts: Parts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    /// Documents, queries and judgements in files of their own.
    Tables {
        documents: Vec<RepoFile>,
        queries: Vec<RepoFile>,
        /// The files of each split.
        judgements: BTreeMap<String, Vec<RepoFile>>,
    },
    /// Queries that name their documents.
    WithDocuments { documents: Vec<RepoFile>, queries: BTreeMap<String, Vec<RepoFile>> },
    /// Questions with their paragraphs, in the form of SQuAD.
    Squad(BTreeMap<String, Vec<RepoFile>>),
}

/// The endings of files with rows, without `.gz`.
const ROWS: [&str; 4] = [".parquet", ".jsonl", ".ndjson", ".tsv"];

/// The split of a set that has one split and calls it `train` or by the name of the set.
const ONLY_SPLIT: &str = "test";

impl Layout {
    /// Finds the parts of a set. `subset` names a part of a set of several: a language, a task or
    /// a config.
    ///
    /// # Errors
    /// Returns an error that lists the subsets, if the set has several and none of this name, or
    /// the known forms, if the set has none of them.
    pub fn find(name: &str, files: &[RepoFile], subset: Option<&str>) -> Result<Self, DataError> {
        // In an order that does not depend on who lists the files.
        let mut files = files.to_vec();
        files.sort();
        match recognise(&files, subset) {
            Some(parts) => Ok(Self { parts }),
            None => Err(unknown(name, &files, subset)),
        }
    }

    /// Lists all files that [`write`](Self::write) reads.
    pub fn files(&self) -> Vec<&RepoFile> {
        match &self.parts {
            Parts::Tables { documents, queries, judgements } => {
                documents.iter().chain(queries).chain(judgements.values().flatten()).collect()
            }
            Parts::WithDocuments { documents, queries } => {
                documents.iter().chain(queries.values().flatten()).collect()
            }
            Parts::Squad(splits) => splits.values().flatten().collect(),
        }
    }
}

fn recognise(files: &[RepoFile], subset: Option<&str>) -> Option<Parts> {
    match subset {
        None => beir(files).or_else(|| configs(files, None)).or_else(|| squad(files)),
        Some(subset) => miracl(files, subset)
            .or_else(|| mmarco(files, subset))
            .or_else(|| configs(files, Some(subset)))
            .or_else(|| split_of_configs(files, subset)),
    }
}

/// `corpus.jsonl`, `queries.jsonl` and files of judgements.
fn beir(files: &[RepoFile]) -> Option<Parts> {
    let one = |name: &str| {
        let found = files.iter().find(|file| {
            file.repository == 0 && rows_of(&file.path).is_some_and(|(stem, _)| stem == name)
        });
        found.map(|file| vec![file.clone()])
    };
    let judgements = judgements_of(files, |file| {
        let (stem, _) = rows_of(&file.path)?;
        if file.repository == 1 { root(stem) } else { stem.strip_prefix("qrels/") }
    })?;
    Some(Parts::Tables { documents: one("corpus")?, queries: one("queries")?, judgements })
}

/// Topics and qrels in the folder of a language, and the passages in another repository.
fn miracl(files: &[RepoFile], language: &str) -> Option<Parts> {
    let folder = format!("miracl-v1.0-{language}/");
    let judgements = judgements_of(files, |file| {
        let (stem, _) = rows_of(file.path.strip_prefix(&folder)?)?;
        stem.strip_prefix(&format!("qrels/qrels.miracl-v1.0-{language}-"))
    })?;
    let topics = |file: &&RepoFile| {
        let split = file.path.strip_prefix(&folder).and_then(rows_of);
        let prefix = format!("topics/topics.miracl-v1.0-{language}-");
        let split = split.and_then(|(stem, _)| stem.strip_prefix(&prefix));
        split.is_some_and(|split| judgements.contains_key(split))
    };
    let queries: Vec<_> = files.iter().filter(topics).cloned().collect();
    let corpus = format!("miracl-corpus-v1.0-{language}/");
    let documents = in_folder(files, &corpus);
    filled(Parts::Tables { documents, queries, judgements })
}

/// The translated passages and queries of MS MARCO; its judgements are in another repository.
fn mmarco(files: &[RepoFile], language: &str) -> Option<Parts> {
    let ending = |end: String| files.iter().filter(move |file| file.path.ends_with(&end)).cloned();
    let documents = ending(format!("/{language}_collection.tsv")).take(1).collect();
    let queries = ending(format!("/{language}_queries.dev.tsv")).take(1).collect();
    let mut judgements = judgements_of(files, |file| {
        let (stem, _) = rows_of(&file.path)?;
        (file.repository == 1 && ["dev", "validation"].contains(&stem)).then_some("dev")
    })?;
    judgements.retain(|split, _| split == "dev");
    filled(Parts::Tables { documents, queries, judgements })
}

/// Folders whose names say what their files contain.
fn configs(files: &[RepoFile], subset: Option<&str>) -> Option<Parts> {
    let of = |names: &[&str]| -> Vec<RepoFile> {
        let folders = names.iter().flat_map(|name| match subset {
            None => vec![format!("{name}/")],
            Some(subset) => vec![format!("{subset}-{name}/"), format!("{name}-{subset}/")],
        });
        folders
            .map(|folder| in_folder(files, &folder))
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    };
    let (documents, queries) = (of(&["corpus"]), of(&["queries", "query"]));
    if documents.is_empty() || queries.is_empty() {
        return None;
    }
    let mut judgements = of(&["qrels"]);
    for folder in subset.map_or(vec!["default", "data"], |subset| vec![subset]) {
        if judgements.is_empty() {
            judgements = in_folder(files, &format!("{folder}/"));
        }
    }
    if judgements.is_empty() {
        return Some(Parts::WithDocuments { documents, queries: by_split(queries) });
    }
    let (corpora, judgements) = (by_split(documents.clone()), by_split(judgements));
    // Where each corpus has judgements of its own, the splits are data sets.
    if corpora.len() > 1 && corpora.keys().eq(judgements.keys()) {
        return None;
    }
    Some(Parts::Tables { documents, queries, judgements: only_train_as_test(judgements) })
}

/// Configs whose splits are the subsets.
fn split_of_configs(files: &[RepoFile], subset: &str) -> Option<Parts> {
    let of = |config: &str| by_split(in_folder(files, &format!("{config}/"))).remove(subset);
    let judgements = [(ONLY_SPLIT.to_owned(), of("qrels")?)].into();
    Some(Parts::Tables { documents: of("corpus")?, queries: of("queries")?, judgements })
}

/// Folders `train` and `dev` of JSON files, or files whose names begin so.
fn squad(files: &[RepoFile]) -> Option<Parts> {
    let mut splits: BTreeMap<String, Vec<RepoFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.ends_with(".json")) {
        let path = file.path.strip_prefix("data/").unwrap_or(&file.path);
        let begins = |split: &&str| {
            path.strip_prefix(*split).is_some_and(|rest| rest.starts_with(['/', '-', '_', '.']))
        };
        let named = ["train", "dev", "validation", "test"].into_iter().find(begins);
        let Some(split) = named else { continue };
        splits.entry(split.to_owned()).or_default().push(file.clone());
    }
    (!splits.is_empty()).then_some(Parts::Squad(splits))
}

/// Returns the files whose path `split` turns into the name of a split; `None` if there are none.
fn judgements_of<'a>(
    files: &'a [RepoFile],
    split: impl Fn(&'a RepoFile) -> Option<&'a str>,
) -> Option<BTreeMap<String, Vec<RepoFile>>> {
    let mut splits: BTreeMap<String, Vec<RepoFile>> = BTreeMap::new();
    for file in files {
        if let Some(split) = split(file) {
            splits.entry(split.to_owned()).or_default().push(file.clone());
        }
    }
    (!splits.is_empty()).then_some(splits)
}

fn filled(parts: Parts) -> Option<Parts> {
    match &parts {
        Parts::Tables { documents, queries, .. } if documents.is_empty() || queries.is_empty() => {
            None
        }
        _ => Some(parts),
    }
}

/// Returns the files with rows in a folder, sorted by path, without those that the hub has cut off
/// in its conversion.
fn in_folder(files: &[RepoFile], folder: &str) -> Vec<RepoFile> {
    let is_in = |file: &&RepoFile| {
        let rest = file.path.strip_prefix(folder);
        rest.is_some_and(|rest| rows_of(rest).is_some() && !rest.starts_with("partial-"))
    };
    let mut found: Vec<_> = files.iter().filter(is_in).cloned().collect();
    found.sort();
    found
}

/// Splits the files of a config by the names of their splits: `SPLIT/0000.parquet`,
/// `SPLIT-00000-of-00002.parquet` or `SPLIT.parquet`.
fn by_split(files: Vec<RepoFile>) -> BTreeMap<String, Vec<RepoFile>> {
    let mut splits: BTreeMap<String, Vec<RepoFile>> = BTreeMap::new();
    for file in files {
        let mut parts = file.path.split('/').skip(1);
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let split = match (second, rows_of(first)) {
            (Some(_), _) => first,
            (None, Some((stem, _))) => part_of(stem).unwrap_or(stem),
            (None, None) => first,
        };
        splits.entry(split.to_owned()).or_default().push(file.clone());
    }
    splits
}

/// Names the split `train` of a set without others `test`, as it is in NanoBEIR.
fn only_train_as_test(
    mut splits: BTreeMap<String, Vec<RepoFile>>,
) -> BTreeMap<String, Vec<RepoFile>> {
    if splits.len() == 1
        && let Some(files) = splits.remove("train")
    {
        splits.insert(ONLY_SPLIT.to_owned(), files);
    }
    splits
}

/// Returns the split of a part such as `test-00000-of-00002`.
fn part_of(stem: &str) -> Option<&str> {
    let (rest, of) = stem.rsplit_once("-of-")?;
    let (split, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(of) && digits(number)).then_some(split)
}

/// Returns a path without the ending of a file with rows, and that ending; `None` for other files.
fn rows_of(path: &str) -> Option<(&str, &str)> {
    let plain = path.strip_suffix(".gz").unwrap_or(path);
    let ending = ROWS.into_iter().find(|ending| plain.ends_with(ending))?;
    Some((&plain[..plain.len() - ending.len()], ending))
}

/// Returns the path if it is in no folder.
fn root(path: &str) -> Option<&str> {
    (!path.contains('/')).then_some(path)
}

fn unknown(name: &str, files: &[RepoFile], subset: Option<&str>) -> DataError {
    let subsets = subsets(files);
    let listed = || subsets.join(", ");
    DataError::Unpublished {
        name: name.to_owned(),
        problem: match (subset, subsets.is_empty()) {
            (Some(subset), false) => format!("there is no subset {subset}; it has: {}", listed()),
            (None, false) => format!("it has several subsets: {}", listed()),
            (_, true) => "its files have none of the forms of a data set for retrieval that are \
                          known: BEIR, MTEB, NanoBEIR, JMTEB, MIRACL, mMARCO, SQuAD"
                .to_owned(),
        },
        has_subsets: !subsets.is_empty(),
    }
}

/// Returns the names for which [`Layout::find`] would find something, sorted.
fn subsets(files: &[RepoFile]) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for file in files {
        let folder = file.path.split('/').next().unwrap_or_default();
        let of_config = folder.strip_suffix("-corpus").or(folder.strip_prefix("corpus-"));
        names.extend(of_config.or(folder.strip_prefix("miracl-v1.0-")));
        if let Some(file) = file.path.rsplit('/').next() {
            names.extend(file.strip_suffix("_collection.tsv"));
        }
    }
    let splits = by_split(in_folder(files, "corpus/"));
    names.extend(splits.keys().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    names.retain(|name| recognise(files, Some(name)).is_some());
    names.into_iter().map(str::to_owned).collect()
}
