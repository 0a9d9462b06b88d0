//! Data sets: folders of documents, queries and qrels.
//!
//! | | BEIR | light-splade |
//! |---|---|---|
//! | documents | `corpus.jsonl`: `_id`, `title`, `text` | `doc_master`: `doc_id`, `text` |
//! | queries | `queries.jsonl`: `_id`, `text` | `query_master`: `qid`, `text` |
//! | qrels | `qrels/<split>.tsv` | `positive_lists`: `qid`, `positive_doc_ids` |
//!
//! The texts of BEIR may have another form, such as `corpus.parquet` or `queries.csv`, and its files may
//! be compressed (`.gz`, `.zst`). The qrels may also be `.csv`, `.txt`, `.qrels`, `.trec`, `.jsonl`,
//! `.ndjson`, `.json` or `.parquet` files. Data sets of MTEB at the hub are read as well: folders
//! `corpus` and `queries` of Parquet files, and the qrels in `data`. A light-splade set is one folder, `train`
//! or `validation`. Each of its parts is a file such as `doc_master.ndjson` or
//! `doc_master.ndjson.gz`, or a folder `doc_master` of such files.
//!
//! ```
//! use splade_eval::Dataset;
//!
//! # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
//! let dataset = Dataset::open(&folder)?;
//! let first = dataset.documents().next().expect("a document")?;
//! assert_eq!(first.id, "d1");
//! assert!(first.text.starts_with("Window seat to the coast Book a seat"));
//! # Ok::<(), splade_eval::EvalError>(())
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use splade_sparse::files::{TextFields, TextReader, TextRow};

use super::qrels::Qrels;
use crate::EvalError;

/// The forms in which BEIR's texts are looked for, by their extensions.
const FORMS: [&str; 6] = ["jsonl", "ndjson", "json", "parquet", "csv", "tsv"];

/// The names of the split that is judged where there is no `test`: JaQuAD and MIRACL publish none.
const DEVELOPMENT: [&str; 2] = ["dev", "validation"];

/// The maximum number of ids that [`Repairs`] keeps.
const EXAMPLES: usize = 5;

/// The paths of the parts of a data set.
///
/// ```
/// use splade_eval::Dataset;
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
/// let dataset = Dataset::open(&folder)?;
/// assert_eq!(dataset.splits().collect::<Vec<_>>(), ["test", "train"]);
/// let qrels = dataset.qrels(Some("test"))?;
/// let judged = dataset.queries().filter_map(Result::ok).filter(|query| qrels.get(&query.id).is_some());
/// assert_eq!(judged.count(), qrels.len());
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    dir: PathBuf,
    documents: Vec<PathBuf>,
    queries: Vec<PathBuf>,
    qrels: JudgementFiles,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum JudgementFiles {
    /// The qrels files of each split.
    Beir(BTreeMap<String, Vec<PathBuf>>),
    PositiveLists(Vec<PathBuf>),
}

/// A document or a query with its id.
///
/// ```
/// use splade_eval::dataset::{Text, Texts};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("corpus.jsonl");
/// std::fs::write(&path, "{\"_id\": 7, \"title\": \"Tokyo\", \"text\": \"The capital.\"}\n")?;
/// let text = Texts::new(vec![path]).next().expect("a text")?;
/// assert_eq!(text, Text { id: "7".to_owned(), text: "Tokyo The capital.".to_owned() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The id; numeric ids are written as strings.
    pub id: String,
    /// The text. If there is a title, it stands before the text, separated by a blank.
    pub text: String,
}

impl Dataset {
    /// Finds the parts of a data set without reading them.
    ///
    /// # Errors
    /// Returns an error if the folder is not a complete data set of either layout.
    pub fn open(dir: &Path) -> Result<Self, EvalError> {
        let error = |message: &str| {
            Err(EvalError::Dataset { path: dir.to_path_buf(), message: message.to_owned() })
        };
        if let Some(documents) = texts_of(dir, "corpus")? {
            let Some(queries) = texts_of(dir, "queries")? else {
                return error("there is corpus.jsonl but no queries.jsonl");
            };
            // MTEB's folder of qrels is `data`.
            let folder = ["qrels", "data"].map(|name| dir.join(name));
            let folder = folder.iter().find(|folder| folder.is_dir()).unwrap_or(&folder[0]);
            let qrels = JudgementFiles::Beir(splits_of(folder)?);
            return Ok(Self { dir: dir.to_path_buf(), documents, queries, qrels });
        }
        let [documents, queries, positives] =
            ["doc_master", "query_master", "positive_lists"].map(|name| master_files(dir, name));
        match (documents?, queries?, positives?) {
            (Some(documents), Some(queries), Some(positives)) => {
                let qrels = JudgementFiles::PositiveLists(positives);
                Ok(Self { dir: dir.to_path_buf(), documents, queries, qrels })
            }
            (None, None, None) if dir.join("validation").is_dir() => error(
                "this holds several data sets; name one of them, such as its folder validation",
            ),
            (None, None, None) => error(
                "this is no data set; expected BEIR's corpus.jsonl, queries.jsonl and qrels, or \
                 light-splade's doc_master, query_master and positive_lists",
            ),
            _ => error("one of doc_master, query_master and positive_lists is missing"),
        }
    }

    /// Returns the files of the documents.
    pub fn document_files(&self) -> &[PathBuf] {
        &self.documents
    }

    /// Returns the files of the queries.
    pub fn query_files(&self) -> &[PathBuf] {
        &self.queries
    }

    /// Returns an iterator over the documents.
    pub fn documents(&self) -> Texts {
        Texts::new(self.documents.clone())
    }

    /// Returns an iterator over the queries of all splits.
    pub fn queries(&self) -> Texts {
        Texts::new(self.queries.clone())
    }

    /// Returns the names of BEIR's splits; a light-splade set has none.
    pub fn splits(&self) -> impl Iterator<Item = &str> {
        match &self.qrels {
            JudgementFiles::Beir(splits) => Some(splits.keys().map(String::as_str)),
            JudgementFiles::PositiveLists(_) => None,
        }
        .into_iter()
        .flatten()
    }

    /// Reads the qrels of a split. The default is the split `test`, or the only split if there is
    /// just one, or the development set.
    ///
    /// # Errors
    /// Returns an error if there is no such split or a file is invalid.
    pub fn qrels(&self, split: Option<&str>) -> Result<Qrels, EvalError> {
        let error = |message| Err(EvalError::Dataset { path: self.dir.clone(), message });
        match (&self.qrels, split) {
            (JudgementFiles::Beir(splits), split) => {
                let only = if splits.len() == 1 { splits.values().next() } else { None };
                let found = match split {
                    Some(split) => splits.get(split),
                    None => splits
                        .get("test")
                        .or(only)
                        .or_else(|| DEVELOPMENT.iter().find_map(|name| splits.get(*name))),
                };
                match found {
                    Some(paths) => read_all(paths),
                    None => error(format!(
                        "there is no file qrels/{}.tsv; the splits are: {}",
                        split.unwrap_or("test"),
                        self.splits().collect::<Vec<_>>().join(", ")
                    )),
                }
            }
            (JudgementFiles::PositiveLists(_), Some(split)) => error(format!(
                "there is no split \"{split}\": light-splade's data has one folder for each \
                 split; name that folder"
            )),
            (JudgementFiles::PositiveLists(paths), None) => read_all(paths),
        }
    }
}

fn read_all(paths: &[PathBuf]) -> Result<Qrels, EvalError> {
    let mut qrels = Qrels::default();
    paths.iter().try_for_each(|path| qrels.add_file(path))?;
    Ok(qrels)
}

/// An iterator over the texts of files, one file after another. The id is the field `_id`, `doc_id`,
/// `qid` or `id`.
///
/// After an error, the iterator ends.
///
/// ```
/// use splade_eval::dataset::Texts;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("queries.tsv");
/// std::fs::write(&path, "q1\tnight train\nq2\tnight bus\n")?;
/// let queries = Texts::new(vec![path]).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(queries[1].text, "night bus");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Texts {
    waiting: std::vec::IntoIter<PathBuf>,
    open: Option<TextReader>,
    repairs: Repairs,
}

/// Texts that had half of a surrogate pair, which was read as U+FFFD; it counts while [`Texts`] are
/// read.
///
/// ```
/// use splade_eval::dataset::Texts;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("corpus.jsonl");
/// std::fs::write(&path, r#"{"_id": "d1", "text": "half of a face: \ud83d"}"#)?;
/// let texts = Texts::new(vec![path]);
/// let repairs = texts.repairs();
/// assert!(texts.flatten().all(|text| text.text.ends_with('\u{fffd}')));
/// assert_eq!(repairs.counted(), (1, vec!["d1".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Repairs(Arc<Mutex<(u64, Vec<String>)>>);

impl Repairs {
    /// Returns the number of such texts, and the ids of the first ones.
    pub fn counted(&self) -> (u64, Vec<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, id: &str) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.0 += 1;
        if counted.1.len() < EXAMPLES {
            counted.1.push(id.to_owned());
        }
    }
}

impl Texts {
    /// Creates an iterator over files in the given order, in every form that [`TextReader`] reads.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { waiting: paths.into_iter(), open: None, repairs: Repairs::default() }
    }

    /// Returns the count of texts that are repaired while this iterator reads them.
    pub fn repairs(&self) -> Repairs {
        self.repairs.clone()
    }

    fn next_text(&mut self) -> Result<Option<Text>, EvalError> {
        loop {
            let Some(reader) = &mut self.open else {
                let Some(path) = self.waiting.next() else { return Ok(None) };
                self.open = Some(TextReader::open(&path, &TextFields::default(), None, None)?);
                continue;
            };
            let before = reader.repaired();
            let Some(TextRow { id, title, text }) = reader.next_row()? else {
                self.open = None;
                continue;
            };
            if reader.repaired() > before {
                self.repairs.count(&id);
            }
            let text = if title.is_empty() { text } else { format!("{title} {text}") };
            return Ok(Some(Text { id, text: text.trim().to_owned() }));
        }
    }
}

impl Iterator for Texts {
    type Item = Result<Text, EvalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_text().transpose();
        if matches!(next, Some(Err(_))) {
            (self.waiting, self.open) = (Vec::new().into_iter(), None);
        }
        next
    }
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Texts").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// Returns the files of the documents or queries of a BEIR set: the file `NAME` with the first of the
/// [`FORMS`] that exists, plain or packed, or the Parquet files of the folder `NAME`; `None` if there
/// are none.
fn texts_of(dir: &Path, name: &str) -> Result<Option<Vec<PathBuf>>, EvalError> {
    let packed = |form| ["", ".gz", ".zst"].map(|end| dir.join(format!("{name}.{form}{end}")));
    if let Some(path) = FORMS.into_iter().flat_map(packed).find(|path| path.is_file()) {
        return Ok(Some(vec![path]));
    }
    let folder = dir.join(name);
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut files = files_of(&folder)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    Ok((!files.is_empty()).then_some(files))
}

/// Returns the files of a folder, sorted by name.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>, EvalError> {
    let cannot = |source| EvalError::io("list", dir)(source);
    let entries = std::fs::read_dir(dir).map_err(cannot)?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.map_err(cannot)?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

/// The endings of qrels files, in the order of preference where a split has several files.
const QRELS: [&str; 9] =
    [".tsv", ".csv", ".txt", ".qrels", ".trec", ".jsonl", ".ndjson", ".json", ".parquet"];

/// Returns the qrels files of a folder by their splits. The files of a split that is stored in
/// parts, such as `test-00000-of-00002.parquet`, belong together.
fn splits_of(dir: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>, EvalError> {
    let mut splits: BTreeMap<String, (usize, Vec<PathBuf>)> = BTreeMap::new();
    for path in files_of(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let plain = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        let ending = QRELS.iter().position(|ending| plain.ends_with(ending));
        let Some(ending) = ending else { continue };
        let plain = plain.strip_suffix(QRELS[ending]).unwrap_or(plain);
        let part = part_of(plain);
        let split = part.unwrap_or(plain).to_owned();
        match splits.get_mut(&split) {
            Some((before, paths)) if *before == ending && part.is_some() => paths.push(path),
            Some((before, _)) if *before <= ending => {}
            _ => _ = splits.insert(split, (ending, vec![path])),
        }
    }
    Ok(splits.into_iter().map(|(split, (_, paths))| (split, paths)).collect())
}

/// Returns the split of a part such as `test-00000-of-00002`.
fn part_of(name: &str) -> Option<&str> {
    let (rest, of) = name.rsplit_once("-of-")?;
    let (split, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(of) && digits(number)).then_some(split)
}

/// Returns the files of one part of a light-splade set, plain files first and then compressed ones,
/// each sorted by name.
fn master_files(dir: &Path, name: &str) -> Result<Option<Vec<PathBuf>>, EvalError> {
    let [plain, packed] =
        [".ndjson", ".ndjson.gz"].map(|suffix| dir.join(format!("{name}{suffix}")));
    if let Some(file) = [plain, packed].into_iter().find(|path| path.is_file()) {
        return Ok(Some(vec![file]));
    }
    let folder = dir.join(name);
    if !folder.is_dir() {
        return Ok(None);
    }
    let all = files_of(&folder)?;
    let ending = |suffix: &str| -> Vec<PathBuf> {
        all.iter().filter(|path| path.to_string_lossy().ends_with(suffix)).cloned().collect()
    };
    let files = [ending(".ndjson"), ending(".ndjson.gz")].concat();
    if files.is_empty() {
        let message = "it contains no .ndjson or .ndjson.gz file".to_owned();
        return Err(EvalError::Dataset { path: folder, message });
    }
    Ok(Some(files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn write(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let mut bytes = text.as_bytes().to_vec();
        if name.ends_with(".gz") {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&bytes).expect("packed");
            bytes = gz.finish().expect("packed");
        }
        std::fs::write(path, bytes).expect("written");
    }

    fn rows(texts: Texts) -> Vec<String> {
        texts.map(|text| text.map(|t| format!("{}={}", t.id, t.text)).expect("a text")).collect()
    }

    #[test]
    fn opens_a_beir_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        let message = || Dataset::open(dir).map_err(|error| error.to_string());
        assert!(message().is_err_and(|m| m.contains("this is no data set")));
        let corpus = "{\"_id\":\"d1\",\"title\":\"T\",\"text\":\"x \"}\n\n{\"_id\":\"d2\",\"title\":\"\",\"text\":\"y\"}";
        write(dir, "corpus.jsonl.gz", corpus);
        assert!(
            message().is_err_and(|m| m.ends_with("there is corpus.jsonl but no queries.jsonl"))
        );
        write(dir, "queries.jsonl", "{\"_id\":\"q1\",\"text\":\"x\",\"metadata\":{}}\n");
        assert!(message().is_err_and(|m| m.starts_with("cannot list")));
        write(dir, "qrels/train.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n");
        let table = tempfile::tempdir().expect("a folder");
        write(table.path(), "corpus.csv.gz", "_id,title,text\nd1,T,\"x, y\"\n");
        write(table.path(), "queries.tsv", "q1\tx\n");
        write(table.path(), "qrels/test.tsv", "q1\td1\t1\n");
        let set = Dataset::open(table.path()).expect("a set");
        assert_eq!(rows(set.documents()), ["d1=T x, y"]);
        assert_eq!(rows(set.queries()), ["q1=x"]);
        let only = Dataset::open(dir).expect("a set");
        assert_eq!(rows(only.documents()), ["d1=T x", "d2=y"]);
        assert_eq!(rows(only.queries()), ["q1=x"]);
        assert_eq!(only.qrels(None).expect("the only split").len(), 1);
        write(dir, "qrels/dev.tsv.gz", "q1\td1\t1\nq2\td1\t1\n");
        let two = Dataset::open(dir).expect("a set");
        assert_eq!(two.splits().collect::<Vec<_>>(), ["dev", "train"]);
        assert_eq!(two.qrels(Some("dev")).expect("a split").len(), 2);
        assert_eq!(two.qrels(None).expect("the development set").len(), 2);
        std::fs::rename(dir.join("qrels/dev.tsv.gz"), dir.join("qrels/held-out.tsv.gz"))
            .expect("renamed");
        let two = Dataset::open(dir).expect("a set");
        let error = two.qrels(None).expect_err("no test").to_string();
        assert!(
            error.ends_with("there is no file qrels/test.tsv; the splits are: held-out, train")
        );
    }

    #[test]
    fn finds_qrels_by_their_endings() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path();
        write(dir, "corpus.jsonl", "{\"_id\":\"d1\",\"text\":\"x\"}");
        write(dir, "queries.jsonl", "{\"_id\":\"q1\",\"text\":\"x\"}");
        let one = "{\"query-id\":\"q1\",\"corpus-id\":\"d1\",\"score\":1}\n";
        write(dir, "qrels/test.jsonl", &one.repeat(2));
        write(dir, "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n");
        write(dir, "qrels/dev.csv.gz", "query-id,corpus-id,score\nq1,d1,1\n");
        write(dir, "qrels/train-00000-of-00002.jsonl", one);
        write(dir, "qrels/train-00001-of-00002.jsonl", &one.replace("q1", "q2"));
        write(dir, "qrels/README.md", "nothing\n");
        let set = Dataset::open(dir).expect("a set");
        assert_eq!(set.splits().collect::<Vec<_>>(), ["dev", "test", "train"]);
        for (split, queries) in [("dev", 1), ("test", 1), ("train", 2)] {
            let qrels = set.qrels(Some(split)).expect(split);
            assert_eq!((qrels.len(), qrels.notes().len()), (queries, 0), "{split}");
        }
    }

    #[test]
    fn opens_a_light_splade_folder() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = &root.path().join("validation");
        write(dir, "doc_master/2.ndjson", "{\"doc_id\":2,\"text\":\"b\"}");
        write(dir, "doc_master/1.ndjson.gz", "{\"doc_id\":1,\"text\":\"a\"}\n");
        write(dir, "query_master.ndjson", "{\"qid\":1,\"text\":\"q\"}\n{\"qid\":2}");
        let error = Dataset::open(dir).expect_err("no positives").to_string();
        assert!(error.ends_with("one of doc_master, query_master and positive_lists is missing"));
        write(dir, "positive_lists.ndjson", "{\"qid\":1,\"positive_doc_ids\":[2]}");
        let error = Dataset::open(root.path()).expect_err("the folder above").to_string();
        assert!(error.contains("name one of them"), "{error}");
        let set = Dataset::open(dir).expect("a set");
        assert_eq!(rows(set.documents()), ["2=b", "1=a"]);
        assert_eq!(set.splits().count(), 0);
        assert_eq!(set.qrels(None).expect("qrels").get("1").map(|d| d["2"]), Some(1));
        assert!(set.qrels(Some("test")).is_err());
        let mut queries = set.queries();
        assert!(queries.next().is_some_and(|query| query.is_ok()));
        let error = queries.next().expect("a line").expect_err("no text").to_string();
        assert!(error.ends_with("line 2: no field named \"text\"; the fields are: qid"), "{error}");
        assert!(queries.next().is_none());
    }
}
