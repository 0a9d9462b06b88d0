//! Tests of which files a writer changes in a folder, and of the state of an index after a failure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use splade_index::{Index, IndexOptions, IndexWriter, WriterOptions, verify};
use splade_sparse::{SparseVector, TermId};

fn vector(term: u32) -> SparseVector {
    SparseVector::from_pairs(vec![(TermId(term), 1.0)]).expect("a vector")
}

fn create(dir: &Path) -> IndexWriter {
    IndexWriter::create(dir, IndexOptions::default(), WriterOptions::default()).expect("created")
}

fn open(dir: &Path) -> IndexWriter {
    IndexWriter::open(dir, WriterOptions::default()).expect("opened")
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Creates an index of documents `a` and `b` in a temporary folder.
fn index() -> (tempfile::TempDir, PathBuf) {
    let above = tempfile::tempdir().expect("a folder");
    let dir = above.path().join("index");
    let mut writer = create(&dir);
    writer.put("a", &vector(1)).expect("put");
    writer.put("b", &vector(2)).expect("put");
    writer.commit().expect("committed");
    drop(writer);
    (above, dir)
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_stays() {
    let above = tempfile::tempdir().expect("a folder");
    std::fs::write(above.path().join("thesis.txt"), "mine").expect("written");
    let refused =
        IndexWriter::create(above.path(), IndexOptions::default(), WriterOptions::default());
    let error = refused.expect_err("not ours").to_string();
    assert!(error.contains("is not empty and has no index.json"), "{error}");
    assert_eq!(names(above.path()), set(&["thesis.txt"]));
}

/// Checks that an index without a commit is removed completely, and that no other file is.
#[test]
fn an_index_that_is_given_up_leaves_the_folder_as_it_was() {
    let above = tempfile::tempdir().expect("a folder");
    let dir = above.path().join("index");
    for (is_there, file) in [(false, None), (true, None), (true, Some("notes.txt"))] {
        for drops in [true, false] {
            if is_there {
                std::fs::create_dir(&dir).expect("made");
            }
            let mut writer = create(&dir);
            writer.put("a", &vector(1)).expect("put");
            if let Some(file) = file {
                std::fs::write(dir.join(file), "written meanwhile").expect("written");
            }
            match drops {
                true => drop(writer),
                false => writer.abandon().expect("given up"),
            }
            match file {
                Some(file) => assert_eq!(names(&dir), set(&[file])),
                None => assert_eq!(dir.exists(), is_there, "{drops}"),
            }
            _ = std::fs::remove_dir_all(&dir);
        }
    }
    let (_above, dir) = index();
    let before = names(&dir);
    let mut writer = open(&dir);
    writer.put("c", &vector(3)).expect("put");
    drop(writer);
    assert_eq!(names(&dir), before);
    assert_eq!(Index::open(&dir).expect("opened").info().documents, 2);
}

/// Checks that foreign files with names like segments stay unchanged, and that the files of earlier
/// commits are removed.
#[test]
fn a_commit_removes_what_the_commit_before_named() {
    let (_above, dir) = index();
    let theirs =
        ["segment-notes.txt", "segment-000002.spl", "segment-7.spl", "segment-000001-3.deleted"];
    for name in theirs {
        std::fs::write(dir.join(name), "mine").expect("written");
    }
    let mut writer = open(&dir);
    writer.put("c", &vector(3)).expect("put");
    writer.delete("a");
    writer.commit().expect("committed");
    writer.delete("b");
    writer.commit().expect("committed");
    for name in theirs {
        assert_eq!(std::fs::read(dir.join(name)).expect("still there"), b"mine", "{name}");
    }
    writer.merge().expect("merged");
    drop(writer);
    let ours: Vec<String> =
        names(&dir).into_iter().filter(|name| !theirs.contains(&name.as_str())).collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert_eq!(verify(&dir).expect("whole").documents, 1);
}

/// Checks that old documents stay when the segment that replaces them cannot be written.
#[cfg(unix)]
#[test]
fn a_document_stays_when_its_new_version_cannot_be_written() {
    let (above, dir) = index();
    let away = above.path().join("away");
    let kept = |want: [u32; 2]| {
        let index = Index::open(&dir).expect("opened");
        for (id, term) in ["a", "b"].iter().zip(want) {
            assert_eq!(index.vector(id).map(|v| v.terms().to_vec()), Some(vec![TermId(term)]));
        }
    };
    let mut writer = open(&dir);
    // The segment cannot be created.
    std::fs::rename(&dir, &away).expect("renamed");
    writer.put("a", &vector(7)).expect_err("without a folder");
    std::fs::rename(&away, &dir).expect("renamed");
    writer.commit().expect("committed");
    kept([1, 2]);
    // The segment cannot be completed.
    writer.put("a", &vector(7)).expect("put");
    writer.put("c", &vector(3)).expect("put");
    std::fs::rename(&dir, &away).expect("renamed");
    writer.commit().expect_err("without a folder");
    std::fs::rename(&away, &dir).expect("renamed");
    writer.commit().expect("committed");
    kept([1, 2]);
    writer.put("a", &vector(8)).expect("put");
    writer.put("b", &vector(9)).expect("put");
    assert!(writer.delete("a"));
    writer.put("a", &vector(4)).expect("put");
    writer.commit().expect("committed");
    kept([4, 9]);
}

/// Checks that no flipped bit of the head restores a deleted document or loses a live one.
#[test]
fn a_flipped_bit_of_the_head_changes_nothing() {
    let (_above, dir) = index();
    let mut writer = open(&dir);
    writer.delete("a");
    writer.commit().expect("committed");
    drop(writer);
    let (path, info) = (dir.join("index.json"), Index::open(&dir).expect("opened").info());
    let whole = std::fs::read(&path).expect("read");
    for at in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).expect("written");
        if let Ok(index) = Index::open(&dir) {
            assert_eq!((index.info(), index.vector("a")), (info.clone(), None), "bit {at}");
        }
    }
}

/// Checks that a merge reports damage instead of giving it valid checksums.
#[test]
fn a_merge_refuses_a_damaged_segment() {
    let (_above, dir) = index();
    let path = dir.join("segment-000001.spl");
    let whole = std::fs::read(&path).expect("read");
    for at in (0..whole.len() * 8).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).expect("written");
        let merged = IndexWriter::open(&dir, WriterOptions::default());
        let merged = merged.and_then(|mut writer| writer.merge());
        assert!(merged.is_err(), "bit {at}");
        assert_eq!(std::fs::read(&path).expect("read"), bytes, "bit {at}");
    }
}
