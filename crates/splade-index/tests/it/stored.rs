//! Tests of stored documents and of the postings of BM25 that are made of them.

use std::collections::BTreeMap;
use std::path::Path;

use splade_index::bm25::{Bm25, Bm25Options, token_counts};
use splade_index::{
    Index, IndexError, IndexOptions, IndexWriter, SearchOptions, TokenCounter, WriterOptions,
    verify,
};
use splade_sparse::{SparseVector, TermId};

/// Documents by their ids, each a number of tokens, in the order in which they were last put.
type Documents = Vec<(String, Vec<u32>)>;

fn vector(tokens: &[u32]) -> SparseVector {
    let mut terms = tokens.to_vec();
    terms.sort_unstable();
    terms.dedup();
    SparseVector::from_pairs(terms.into_iter().map(|term| (TermId(term), 1.5)).collect())
        .expect("a vector")
}

/// A document's stored bytes: its tokens in decimal digits.
fn bytes(tokens: &[u32]) -> Vec<u8> {
    tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" ").into_bytes()
}

fn counter() -> TokenCounter {
    TokenCounter::new(|bytes| {
        let text = std::str::from_utf8(bytes)?;
        text.split_whitespace().map(|token| Ok(token.parse()?)).collect()
    })
}

fn options() -> IndexOptions {
    let bm25 = Some(Bm25Options { k1: 1.2, b: 0.75 });
    IndexOptions { store: true, bm25, ..IndexOptions::default() }
}

fn create(dir: &Path) -> IndexWriter {
    let mut writer =
        IndexWriter::create(dir, options(), WriterOptions::default()).expect("created");
    writer.set_token_counter(counter());
    writer
}

fn open(dir: &Path) -> IndexWriter {
    let mut writer = IndexWriter::open(dir, WriterOptions::default()).expect("opened");
    writer.set_token_counter(counter());
    writer
}

/// Documents of 0 to 40 tokens, many of which are rare.
fn corpus(count: usize, seed: u64) -> Documents {
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    (0..count)
        .map(|at| {
            let tokens = 1 + (random() * 40.0) as usize;
            let tokens = (0..tokens).map(|_| (200.0 * random().powi(3)) as u32).collect();
            (format!("d{at}"), tokens)
        })
        .collect()
}

fn put(writer: &mut IndexWriter, documents: &mut Documents, id: &str, tokens: Vec<u32>) {
    writer.put_stored(id, &vector(&tokens), &bytes(&tokens)).expect("put");
    documents.retain(|(old, _)| old != id);
    documents.push((id.to_owned(), tokens));
}

fn mean(documents: &Documents) -> f64 {
    documents.iter().map(|(_, tokens)| tokens.len()).sum::<usize>() as f64 / documents.len() as f64
}

/// Scores every document by the formula, token by token, and returns those above 0, the best first.
fn slow(query: &[u32], documents: &Documents, mean: f64) -> Vec<(String, f64)> {
    let Bm25Options { k1, b } = options().bm25.expect("has it");
    let n = documents.len() as f64;
    let score = |tokens: &Vec<u32>| {
        let parts = query.iter().map(|token| {
            let tf = tokens.iter().filter(|other| *other == token).count() as f64;
            let df = documents.iter().filter(|(_, other)| other.contains(token)).count() as f64;
            let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
            let length = k1 * (1.0 - b + b * tokens.len() as f64 / mean);
            if tf == 0.0 { 0.0 } else { idf * tf / (tf + length) }
        });
        parts.sum::<f64>()
    };
    let scores = documents.iter().map(|(id, tokens)| (id.clone(), score(tokens)));
    let mut scores: Vec<_> = scores.filter(|(_, score)| *score > 0.0).collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores
}

/// Compares everything that an index stores with the documents that it should have.
fn check(dir: &Path, documents: &Documents, mean: f64) {
    verify(dir).expect("whole");
    let index = Index::open(dir).expect("opened");
    index.check_sums().expect("whole");
    let read = index.stored_documents().collect::<Result<Vec<_>, _>>().expect("read");
    let want: Vec<_> = documents.iter().map(|(id, tokens)| (id.clone(), bytes(tokens))).collect();
    assert_eq!(read, want);
    for (id, tokens) in documents {
        assert_eq!(index.stored(id).expect("read"), Some(bytes(tokens)), "{id}");
        assert_eq!(
            index.vector(id).map(|found| found.terms().to_vec()),
            Some(vector(tokens).terms().to_vec())
        );
    }
    assert_eq!(index.stored("none").expect("read"), None);
    let bm25 = index.bm25().expect("has BM25");
    let found = bm25.info().mean_length.expect("a mean");
    assert!((found - mean).abs() < 1e-9, "{found} {mean}");
    for query in [vec![0], vec![3, 7, 7], vec![1, 20, 150, 199], vec![500]] {
        let want = slow(&query, documents, mean);
        let vector = bm25.query(&query);
        let options = SearchOptions { k: documents.len(), ..SearchOptions::default() };
        let hits = bm25.search(&vector, &options);
        assert_eq!(hits.len(), want.len(), "{query:?}");
        let want: BTreeMap<&str, f64> = want.iter().map(|(id, s)| (id.as_str(), *s)).collect();
        for pair in hits.windows(2) {
            assert!(pair[0].score >= pair[1].score);
        }
        for hit in &hits {
            // The weights of the query, of the document and the score are rounded to f32 once each.
            let (got, want) = (f64::from(hit.score), want[hit.id.as_str()]);
            assert!((got - want).abs() <= 4e-7 * want, "{query:?} {}: {got} {want}", hit.id);
            let shares = bm25.explain(&vector, &hit.id).expect("a document");
            let sum: f64 = shares.iter().map(|share| f64::from(share.score)).sum();
            assert!((sum - want).abs() <= 4e-7 * want, "{sum} {want}");
        }
    }
}

/// Documents come, are replaced and go, in several commits and segments; then they are merged.
#[test]
fn stored_documents_and_bm25_follow_the_documents() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut documents = Documents::new();
    let mut writer = create(dir.path());
    for (id, tokens) in corpus(700, 1) {
        put(&mut writer, &mut documents, &id, tokens);
    }
    // Replaced before they were committed.
    for (id, tokens) in corpus(20, 2) {
        put(&mut writer, &mut documents, &id, tokens);
    }
    writer.commit().expect("committed");
    let first = mean(&documents);
    check(dir.path(), &documents, first);
    // With all documents in one commit, the scores are those of the other way to make BM25.
    let mut other = Bm25::new(options().bm25.expect("has it"));
    documents.iter().for_each(|(_, tokens)| other.add(&token_counts(tokens)));
    let index = Index::open(dir.path()).expect("opened");
    let bm25 = index.bm25().expect("has BM25");
    let hits = bm25.search(&bm25.query(&[3, 3, 9]), &SearchOptions::default());
    for hit in hits {
        let (_, tokens) = documents.iter().find(|(id, _)| *id == hit.id).expect("is there");
        let want = token_counts(&[3, 3, 9]).dot(&other.document(&token_counts(tokens)));
        assert!((hit.score - want).abs() <= 4e-7 * want, "{hit:?} {want}");
    }
    drop(writer);

    let mut writer = open(dir.path());
    for at in (0..700).step_by(3) {
        let id = format!("d{at}");
        assert!(writer.delete(&id));
        documents.retain(|(old, _)| *old != id);
    }
    for (id, tokens) in corpus(300, 3).into_iter().skip(250) {
        let tokens = [tokens.clone(), tokens].concat();
        put(&mut writer, &mut documents, &id, tokens);
    }
    writer.commit().expect("committed");
    assert!((mean(&documents) - first).abs() > 0.5);
    check(dir.path(), &documents, first);

    // Only deletions: nothing has to be counted.
    drop(writer);
    let mut writer = IndexWriter::open(dir.path(), WriterOptions::default()).expect("opened");
    assert!(writer.delete("d1"));
    documents.retain(|(id, _)| id != "d1");
    writer.commit().expect("committed");
    check(dir.path(), &documents, first);

    writer.set_token_counter(counter());
    let info = writer.merge().expect("merged");
    assert_eq!((info.segments, info.deleted), (1, 0));
    check(dir.path(), &documents, mean(&documents));
    let files = std::fs::read_dir(dir.path()).expect("listed").count();
    // The lock, the head, the segment, its documents and its postings of BM25.
    assert_eq!(files, 5);
}

#[test]
fn many_small_commits_leave_few_segments_and_every_document() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut documents = Documents::new();
    let mut writer = create(dir.path());
    let mut most = 0;
    let mut first = None;
    for (at, (id, tokens)) in corpus(150, 4).into_iter().enumerate() {
        put(&mut writer, &mut documents, &id, tokens);
        if at % 5 == 4 {
            let old = format!("d{}", at / 2);
            assert_eq!(writer.delete(&old), documents.iter().any(|(id, _)| *id == old));
            documents.retain(|(id, _)| *id != old);
        }
        let info = writer.commit_joining().expect("committed");
        first = first.or(Some(mean(&documents)));
        most = most.max(info.segments);
        assert_eq!(info.documents, documents.len() as u64);
    }
    // 150 commits; each size of segments, which are eight times as large as the next, has seven.
    assert!(most <= 7 * 3, "{most} segments");
    check(dir.path(), &documents, first.expect("a mean"));
}

/// Whole ranges are copied by a merge; their stored documents have to come along.
#[test]
fn a_merge_keeps_the_documents_of_copied_ranges() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = IndexOptions { bm25: None, ..options() };
    let mut writer =
        IndexWriter::create(dir.path(), options, WriterOptions::default()).expect("created");
    // More than half of a range.
    let whole = 33_000;
    let text = |at: usize| format!("text {at}").into_bytes();
    for at in 0..whole {
        writer.put_stored(&at.to_string(), &vector(&[1]), &text(at)).expect("put");
    }
    writer.commit().expect("committed");
    for at in whole..whole + 10 {
        writer.put_stored(&at.to_string(), &vector(&[1]), &text(at)).expect("put");
    }
    writer.put("nothing", &vector(&[1])).expect("put");
    writer.commit().expect("committed");
    assert!(writer.delete(&(whole + 3).to_string()));
    writer.merge().expect("merged");
    drop(writer);
    verify(dir.path()).expect("whole");
    let index = Index::open(dir.path()).expect("opened");
    let stored = index.stored_documents().collect::<Result<Vec<_>, _>>().expect("read");
    let mut want: Vec<_> = (0..whole + 10).map(|at| (at.to_string(), text(at))).collect();
    want.remove(whole + 3);
    want.push(("nothing".to_owned(), Vec::new()));
    assert!(stored == want);
    assert_eq!(index.stored("17").expect("read"), Some(text(17)));
    assert!(index.bm25().is_none());
}

#[test]
fn an_index_that_stores_nothing_is_as_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer =
        IndexWriter::create(dir.path(), IndexOptions::default(), WriterOptions::default())
            .expect("created");
    let error = writer.put_stored("a", &vector(&[1]), b"text").expect_err("refused").to_string();
    assert!(error.contains("\"a\" has bytes to store; the index does not store"), "{error}");
    writer.put("a", &vector(&[1])).expect("put");
    let info = writer.commit().expect("committed");
    assert_eq!((info.stored_bytes, info.bm25), (None, None));
    let head = std::fs::read_to_string(dir.path().join("index.json")).expect("read");
    assert!(head.contains("\"version\": 1") && !head.contains("store") && !head.contains("bm25"));
    let index = Index::open(dir.path()).expect("opened");
    assert_eq!(index.stored("a").expect("read"), Some(Vec::new()));
    assert!(!index.stores());

    let dir = tempfile::tempdir().expect("a folder");
    let options = IndexOptions { store: false, ..options() };
    let refused = IndexWriter::create(dir.path(), options, WriterOptions::default());
    assert!(matches!(refused, Err(IndexError::NothingForBm25 { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
    let mut writer = create(dir.path());
    writer.commit().expect("committed");
    let head = std::fs::read_to_string(dir.path().join("index.json")).expect("read");
    assert!(head.contains("\"version\": 2"), "{head}");
}

/// A commit that cannot count tokens changes nothing, and can be repeated.
#[test]
fn a_failure_to_count_tokens_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut documents = Documents::new();
    let mut writer =
        IndexWriter::create(dir.path(), options(), WriterOptions::default()).expect("created");
    for (id, tokens) in corpus(30, 1) {
        put(&mut writer, &mut documents, &id, tokens);
    }
    assert!(matches!(writer.commit(), Err(IndexError::NoTokenCounter { .. })));
    assert!(matches!(Index::open(dir.path()), Err(IndexError::Unfinished { .. })));
    writer.set_token_counter(TokenCounter::new(|bytes| match bytes.len() {
        0..40 => Ok(vec![1]),
        _ => Err("too long".into()),
    }));
    let error = writer.commit().expect_err("too long");
    let long = documents.iter().find(|(_, tokens)| bytes(tokens).len() >= 40).expect("is there");
    assert!(error.to_string().contains(&format!("tokens of document \"{}\"", long.0)), "{error}");
    assert!(matches!(writer.merge(), Err(IndexError::Tokens { .. })));
    writer.set_token_counter(counter());
    writer.commit().expect("committed");
    let first = mean(&documents);
    check(dir.path(), &documents, first);

    drop(writer);
    let mut writer = IndexWriter::open(dir.path(), WriterOptions::default()).expect("opened");
    assert!(matches!(writer.merge(), Err(IndexError::NoTokenCounter { .. })));
    put(&mut writer, &mut documents, "new", vec![3, 3, 3]);
    drop(writer);
    documents.pop();
    check(dir.path(), &documents, first);
}

/// A process may be killed after all files of a commit have their names, and before the head is
/// replaced. The index is then in its old state, and later changes do not mix with those files.
#[test]
fn a_killed_commit_leaves_the_old_state() {
    let dir = tempfile::tempdir().expect("a folder");
    let head = dir.path().join("index.json");
    let mut documents = Documents::new();
    let mut writer = create(dir.path());
    for (id, tokens) in corpus(30, 1) {
        put(&mut writer, &mut documents, &id, tokens);
    }
    writer.commit().expect("committed");
    let first = mean(&documents);
    let (before, old) = (std::fs::read(&head).expect("read"), documents.clone());
    put(&mut writer, &mut documents, "d3", vec![7, 7]);
    put(&mut writer, &mut documents, "new", vec![3, 3, 3]);
    writer.commit().expect("committed");
    drop(writer);
    check(dir.path(), &documents, first);
    std::fs::write(&head, before).expect("written");
    check(dir.path(), &old, first);
    let (mut documents, mut writer) = (old, open(dir.path()));
    put(&mut writer, &mut documents, "other", vec![9, 3]);
    writer.commit().expect("committed");
    check(dir.path(), &documents, first);
}

#[test]
fn damage_to_stored_documents_and_bm25_is_noticed() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = create(dir.path());
    for (id, tokens) in corpus(30, 1) {
        put(&mut writer, &mut Documents::new(), &id, tokens);
    }
    writer.commit().expect("committed");
    drop(writer);
    for (file, at) in [("segment-000001.docs", 40), ("segment-000001.bm25", 60)] {
        let path = dir.path().join(file);
        let whole = std::fs::read(&path).expect("read");
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        let index = Index::open(dir.path()).expect("opened");
        for error in [index.check_sums().err(), verify(dir.path()).err()] {
            let error = error.expect(file).to_string();
            assert!(error.contains(file) && error.contains("checksum"), "{error}");
        }
        if file.ends_with("docs") {
            assert!(matches!(index.stored("d3"), Err(IndexError::Damaged { .. })));
        }
        drop(index);
        std::fs::remove_file(&path).expect("removed");
        assert!(Index::open(dir.path()).is_err_and(|error| error.to_string().contains(file)));
        std::fs::write(&path, &whole).expect("written");
        verify(dir.path()).expect("whole");
    }
    // The files of two segments must not be mixed up.
    let (docs, other) = (dir.path().join("segment-000001.docs"), tempfile::tempdir().expect("one"));
    let mut writer = create(other.path());
    writer.put_stored("a", &vector(&[1]), b"1").expect("put");
    writer.commit().expect("committed");
    std::fs::copy(other.path().join("segment-000001.docs"), docs).expect("copied");
    let error = Index::open(dir.path()).expect_err("mixed up").to_string();
    assert!(error.contains("the stored documents are not those of the segment"), "{error}");
}

/// An index in memory has stored documents and BM25 too.
#[test]
fn memory_is_read_as_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = create(dir.path());
    for (id, tokens) in corpus(30, 1) {
        put(&mut writer, &mut Documents::new(), &id, tokens);
    }
    writer.commit().expect("committed");
    let files = std::fs::read_dir(dir.path()).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        (name, std::fs::read(entry.path()).expect("read"))
    });
    let memory = Index::from_memory("in memory", files).expect("opened");
    let folder = Index::open(dir.path()).expect("opened");
    assert_eq!(memory.info(), folder.info());
    assert_eq!(memory.stored("d7").expect("read"), folder.stored("d7").expect("read"));
    let hits = |index: &Index| {
        let bm25 = index.bm25().expect("has it");
        bm25.search(&bm25.query(&[3, 9]), &SearchOptions::default())
    };
    assert_eq!(hits(&memory), hits(&folder));
}
