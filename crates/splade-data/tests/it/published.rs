//! Data sets in the forms of others become the same folder of BEIR. The fixtures are those of
//! `scripts/reference/published_sets.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use splade_data::DataError;
use splade_data::published::{Layout, RepoFile};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/published");

/// The folders of the repositories of a case, and all files in them.
fn repositories(case: &str) -> (Vec<PathBuf>, Vec<RepoFile>) {
    let numbered = (0..).map(|number: usize| Path::new(FIXTURES).join(format!("{case}/{number}")));
    let roots: Vec<PathBuf> = numbered.take_while(|path| path.is_dir()).collect();
    let mut files = Vec::new();
    for (repository, root) in roots.iter().enumerate() {
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let path = path.strip_prefix(root).expect("inside").to_str().expect("UTF-8");
                files.push(RepoFile { repository, path: path.replace('\\', "/") });
            }
        }
    }
    // What hubs list besides.
    for path in ["README.md", ".gitattributes", "scifact.py"] {
        files.push(RepoFile { repository: 0, path: path.to_owned() });
    }
    (roots, files)
}

fn find(case: &str, subset: Option<&str>) -> Result<Layout, DataError> {
    Layout::find(&format!("org/{case}"), &repositories(case).1, subset)
}

/// Writes a case and returns its files by name.
fn written(case: &str, subset: Option<&str>) -> BTreeMap<String, String> {
    let (roots, _) = repositories(case);
    let out = tempfile::tempdir().expect("a folder");
    let layout = find(case, subset).unwrap_or_else(|error| panic!("{case}: {error}"));
    layout
        .write(&roots, out.path(), &mut || true)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    files(out.path())
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for name in
        ["corpus.jsonl", "queries.jsonl", "qrels/dev.tsv", "qrels/train.tsv", "qrels/test.tsv"]
    {
        if let Ok(text) = std::fs::read_to_string(folder.join(name)) {
            files.insert(name.to_owned(), text);
        }
    }
    files
}

#[test]
fn every_form_becomes_the_same_folder() {
    let expected = files(&Path::new(FIXTURES).join("expected"));
    assert_eq!(expected.len(), 4);
    for (case, subset) in [
        ("beir", None),
        ("mteb", None),
        ("mteb-subset", Some("ja")),
        ("converted", Some("ja")),
        ("miracl", Some("ja")),
    ] {
        assert_eq!(written(case, subset), expected, "{case}");
    }
}

/// MIRACL's rows of queries follow the splits, NanoBEIR has one split, mMARCO no titles and one split,
/// and SQuAD and JMTEB number what has no ids.
#[test]
fn forms_with_less_keep_what_they_have() {
    let expected = files(&Path::new(FIXTURES).join("expected"));
    let both = expected["qrels/dev.tsv"].clone() + "12\t3\t1\n";
    for (case, subset) in [("nano", None), ("nano-splits", Some("NanoB"))] {
        let written = written(case, subset);
        assert_eq!(written.len(), 3, "{case}");
        assert_eq!(written["qrels/test.tsv"], both, "{case}");
        assert_eq!(written["corpus.jsonl"], expected["corpus.jsonl"], "{case}");
        assert_eq!(written["queries.jsonl"], expected["queries.jsonl"], "{case}");
    }
    let mmarco = written("mmarco", Some("japanese"));
    assert_eq!(mmarco.len(), 3);
    assert_eq!(mmarco["qrels/dev.tsv"], expected["qrels/dev.tsv"]);
    assert_eq!(mmarco["queries.jsonl"], expected["queries.jsonl"]);
    assert!(
        mmarco["corpus.jsonl"].ends_with("{\"_id\":\"3\",\"text\":\"A text without a title.\"}\n")
    );

    let squad = written("squad", None);
    assert_eq!(squad["corpus.jsonl"], expected["corpus.jsonl"]);
    assert_eq!(squad["queries.jsonl"], expected["queries.jsonl"]);
    assert_eq!(squad["qrels/train.tsv"], expected["qrels/train.tsv"]);

    let jmteb = written("jmteb", Some("jaqket"));
    assert_eq!(jmteb["corpus.jsonl"], expected["corpus.jsonl"]);
    assert_eq!(jmteb["qrels/dev.tsv"], "query-id\tcorpus-id\tscore\ndev-0\t1\t1\ndev-1\t2\t1\n");
    assert!(
        jmteb["queries.jsonl"]
            .starts_with("{\"_id\":\"dev-0\",\"text\":\"what falls from clouds\"}\n")
    );
}

/// Only what is needed is fetched.
#[test]
fn other_files_are_not_fetched() {
    for (case, subset, count) in [
        ("beir", None, 4),
        ("mteb", None, 5),
        ("mteb-subset", Some("sw"), 4),
        ("miracl", Some("ja"), 5),
        ("mmarco", Some("english"), 3),
    ] {
        let layout = find(case, subset).expect(case);
        assert_eq!(layout.files().len(), count, "{case}: {:?}", layout.files());
    }
}

#[test]
fn subsets_are_named_where_one_is_missing() {
    let message = |case, subset| {
        let error = find(case, subset).expect_err(case);
        (error.to_string(), error.hint().is_some())
    };
    for (case, names) in [
        ("mteb-subset", "ja, sw"),
        ("nano-splits", "NanoA, NanoB"),
        ("jmteb", "jaqket, other"),
        ("miracl", "ja, sw"),
        ("mmarco", "english, japanese"),
    ] {
        let want = format!("the data set org/{case}: it has several subsets: {names}");
        assert_eq!(message(case, None), (want, true));
        let want = format!("the data set org/{case}: there is no subset xx; it has: {names}");
        assert_eq!(message(case, Some("xx")), (want, true));
    }
    let none = Layout::find("org/x", &[], None).expect_err("nothing").to_string();
    assert!(none.starts_with("the data set org/x: its files have none of the forms"), "{none}");
}

#[test]
fn a_stop_leaves_at_once() {
    let rows: String =
        (0..5000).map(|id| format!("{{\"_id\":\"{id}\",\"text\":\"x\"}}\n")).collect();
    let (root, out) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::create_dir(root.path().join("qrels")).expect("a folder");
    for (name, text) in
        [("corpus.jsonl", rows.as_str()), ("queries.jsonl", ""), ("qrels/test.tsv", "")]
    {
        std::fs::write(root.path().join(name), text).expect("written");
    }
    let file = |path: &str| RepoFile { repository: 0, path: path.to_owned() };
    let files = ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"].map(file);
    let layout = Layout::find("org/x", &files, None).expect("BEIR");
    let stopped = layout.write(&[root.path().to_path_buf()], out.path(), &mut || false);
    assert!(matches!(stopped, Err(DataError::Stopped)), "{stopped:?}");
}
