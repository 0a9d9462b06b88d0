//! Tests that compare the index with scoring every document, under changes, crashes and damage.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use splade_index::{
    Index, IndexOptions, IndexWriter, SearchMode, SearchOptions, WeightFormat, WriterOptions,
    verify,
};
use splade_sparse::{SparseVector, TermId};

const FORMATS: [WeightFormat; 3] = [WeightFormat::U8, WeightFormat::F16, WeightFormat::F32];

fn how() -> WriterOptions {
    WriterOptions { threads: Some(2), ..Default::default() }
}

fn create(dir: &Path, weights: WeightFormat) -> IndexWriter {
    let settings = serde_json::json!({"model": "m"});
    let options = IndexOptions { weights, settings, ..IndexOptions::default() };
    IndexWriter::create(dir, options, how()).expect("created")
}

fn vector(pairs: &BTreeMap<u32, f32>) -> SparseVector {
    let pairs = pairs.iter().map(|(term, weight)| (TermId(*term), *weight)).collect();
    SparseVector::from_pairs(pairs).expect("a vector")
}

/// Returns the files of a folder with their bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry"));
    let name = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|e| (name(&e), std::fs::read(e.path()).expect("read"))).collect()
}

/// Returns the `k` best documents by scoring every one. `documents` are in the order of addition.
fn best<'a>(
    documents: impl Iterator<Item = (&'a str, SparseVector)>,
    query: &SparseVector,
    k: usize,
) -> Vec<(String, f32)> {
    let mut all: Vec<(String, f32)> = documents
        .map(|(id, vector)| (id.to_owned(), vector.dot(query)))
        .filter(|(_, score)| *score > 0.0)
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(k);
    all
}

fn search(index: &Index, query: &SparseVector, options: &SearchOptions) -> Vec<(String, f32)> {
    index.search(query, options).into_iter().map(|hit| (hit.id, hit.score)).collect()
}

/// Makes documents with a Zipf-like vocabulary. The weights have few values, so that scores are
/// often equal.
fn corpus(documents: usize, seed: u64) -> Vec<(String, SparseVector)> {
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    (0..documents)
        .map(|i| {
            let pairs: BTreeMap<u32, f32> = (0..3 + (random() * 40.0) as usize)
                .map(|_| {
                    let term = (400.0 * random().powi(3)) as u32;
                    (term, ((random() * 12.0).ceil() / 4.0) as f32)
                })
                .collect();
            (format!("d{i}"), vector(&pairs))
        })
        .collect()
}

/// Returns the stored vectors of documents, which are the reference for the search.
fn kept<'a>(index: &Index, ids: impl Iterator<Item = &'a str>) -> Vec<(&'a str, SparseVector)> {
    ids.map(|id| (id, index.vector(id).expect("a document"))).collect()
}

/// Compares the search with scoring every document, for thousands of documents in several segments,
/// with every format and different filters, thresholds and values of `k`.
#[test]
fn exact_search_is_that_of_scoring_every_document() {
    let documents = corpus(9000, 7);
    let queries = corpus(40, 8);
    for weights in FORMATS {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = create(dir.path(), weights);
        // The commits make three segments, of 5,000, 1 and 3,999 documents.
        for (at, (id, vector)) in documents.iter().enumerate() {
            writer.put(id, vector).expect("put");
            if at == 4999 || at == 5000 {
                writer.commit().expect("committed");
            }
        }
        let info = writer.commit().expect("committed");
        assert_eq!((info.documents, info.deleted, info.segments), (9000, 0, 3));
        let index = Index::open(dir.path()).expect("opened");
        let kept = kept(&index, documents.iter().map(|(id, _)| id.as_str()));
        for ((_, kept), (_, vector)) in kept.iter().zip(&documents) {
            assert_eq!(kept.terms(), vector.terms());
            if weights == WeightFormat::F32 {
                assert_eq!(kept, vector);
            }
        }
        let few: Vec<&str> = kept.iter().map(|(id, _)| *id).step_by(1000).collect();
        let many: Vec<&str> = kept.iter().map(|(id, _)| *id).step_by(3).collect();
        for (_, query) in &queries {
            for k in [0, 1, 10, 100, 9000] {
                let options = SearchOptions { k, ..Default::default() };
                let want = best(kept.iter().cloned(), query, k);
                assert_eq!(search(&index, query, &options), want, "{weights} {k}");
            }
            let want = best(kept.iter().cloned(), query, 20);
            let threshold = want.get(7).map(|hit| hit.1);
            let options = SearchOptions { k: 20, threshold, ..Default::default() };
            let above: Vec<_> = want.into_iter().filter(|hit| Some(hit.1) >= threshold).collect();
            assert_eq!(search(&index, query, &options), above, "{weights}");
            for ids in [&few, &many] {
                let (filter, missing) = index.filter(ids.iter().copied().chain(["none"]));
                assert_eq!(missing, 1);
                let options = SearchOptions { filter: Some(filter), ..Default::default() };
                let of = kept.iter().filter(|(id, _)| ids.contains(id)).cloned();
                assert_eq!(search(&index, query, &options), best(of, query, 10), "{weights}");
            }
        }
        let vectors: Vec<SparseVector> = queries.iter().map(|(_, query)| query.clone()).collect();
        let options = SearchOptions::default();
        let all = index.search_all(&vectors, &options, Some(2)).expect("searched");
        for (query, hits) in vectors.iter().zip(all) {
            assert_eq!(hits, index.search(query, &options));
        }
        assert_eq!(verify(dir.path()).expect("whole").documents, 9000);
    }
}

#[test]
fn approximate_search_finds_what_it_promises_here() {
    let (documents, queries) = (corpus(9000, 7), corpus(100, 9));
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = create(dir.path(), WeightFormat::F32);
    documents.iter().for_each(|(id, vector)| writer.put(id, vector).expect("put"));
    writer.commit().expect("committed");
    let index = Index::open(dir.path()).expect("opened");
    for recall in [0.95, 0.99, 1.0] {
        let mode = SearchMode::Approximate { recall };
        let options = SearchOptions { mode, ..Default::default() };
        let (mut found, mut all) = (0, 0);
        for (_, query) in &queries {
            let exact = search(&index, query, &SearchOptions::default());
            let hits = search(&index, query, &options);
            all += exact.len();
            // Hits are compared by score, because documents with equal scores are interchangeable.
            let worst = exact.last().map(|hit| hit.1);
            found += hits.iter().filter(|hit| Some(hit.1) >= worst).count();
            for (id, score) in hits {
                let at = documents.iter().find(|(other, _)| *other == id).expect("a document");
                assert_eq!(at.1.dot(query), score);
            }
        }
        assert!(found as f32 >= recall * all as f32, "{found} of {all} at {recall}");
    }
}

#[test]
fn shares_add_up_to_the_score() {
    let documents = corpus(300, 3);
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = create(dir.path(), WeightFormat::U8);
    documents.iter().for_each(|(id, vector)| writer.put(id, vector).expect("put"));
    writer.commit().expect("committed");
    let index = Index::open(dir.path()).expect("opened");
    let query = &corpus(1, 4)[0].1;
    for hit in index.search(query, &SearchOptions::default()) {
        let shares = index.explain(query, &hit.id).expect("a document");
        let sum: f64 = shares.iter().map(|share| f64::from(share.score)).sum();
        // Each share is rounded to f32.
        assert!((sum - f64::from(hit.score)).abs() < 1e-6 * sum, "{sum} {}", hit.score);
        let score = index.score(query, &hit.id).expect("a document");
        assert!((sum - f64::from(score)).abs() < 1e-6 * sum, "{sum} {score}");
        assert!(shares.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for share in shares {
            let product = f64::from(share.query_weight) * f64::from(share.document_weight);
            assert_eq!(share.score, product as f32);
        }
    }
    assert_eq!(index.explain(query, "none"), None);
    assert_eq!(index.score(query, "none"), None);
    // The score must be 0.0 and not -0.0, which would be printed with its sign.
    let nothing = SparseVector::new(Vec::new(), Vec::new()).expect("a vector");
    let (id, _) = &documents[0];
    assert_eq!(index.score(&nothing, id).map(f32::to_bits), Some(0));
}

/// A change to an index.
#[derive(Debug, Clone)]
enum Change {
    Put(u8, BTreeMap<u32, f32>),
    Delete(u8),
    Commit,
    Merge,
    Reopen,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let weights = proptest::collection::btree_map(0..30u32, 0.01f32..4.0, 0..8);
    let change = prop_oneof![
        8 => (0..20u8, weights).prop_map(|(id, weights)| Change::Put(id, weights)),
        3 => (0..20u8).prop_map(Change::Delete),
        2 => Just(Change::Commit),
        1 => Just(Change::Merge),
        1 => Just(Change::Reopen),
    ];
    proptest::collection::vec(change, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Checks that an index after any changes has the documents that a list would have, and that
    /// reopening it discards the changes since the last commit.
    #[test]
    fn changes_are_those_of_a_list(
        changes in changes(),
        query in proptest::collection::btree_map(0..30u32, 0.01f32..4.0, 1..8),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = create(dir.path(), WeightFormat::F32);
        // Without a commit, dropping the writer would remove the index.
        writer.commit().expect("committed");
        // The documents are in the order in which they were last put.
        let mut now: Vec<(String, SparseVector)> = Vec::new();
        let mut committed = now.clone();
        for change in changes {
            match change {
                Change::Put(id, weights) => {
                    let (id, vector) = (id.to_string(), vector(&weights));
                    writer.put(&id, &vector).expect("put");
                    now.retain(|(other, _)| *other != id);
                    now.push((id, vector));
                }
                Change::Delete(id) => {
                    let id = id.to_string();
                    let there = now.iter().any(|(other, _)| *other == id);
                    prop_assert_eq!(writer.delete(&id), there);
                    now.retain(|(other, _)| *other != id);
                }
                Change::Commit => {
                    let info = writer.commit().expect("committed");
                    prop_assert_eq!(info.documents as usize, now.len());
                    committed = now.clone();
                }
                Change::Merge => {
                    let info = writer.merge().expect("merged");
                    prop_assert_eq!((info.documents as usize, info.deleted), (now.len(), 0));
                    prop_assert!(info.segments <= 1);
                    committed = now.clone();
                }
                Change::Reopen => {
                    drop(writer);
                    writer = IndexWriter::open(dir.path(), how()).expect("opened");
                    now = committed.clone();
                }
            }
            let index = Index::open(dir.path()).expect("opened");
            let query = vector(&query);
            let want = best(committed.iter().map(|(id, v)| (id.as_str(), v.clone())), &query, 10);
            prop_assert_eq!(search(&index, &query, &SearchOptions::default()), want);
            for (id, vector) in &committed {
                let kept = index.vector(id);
                prop_assert_eq!(kept.as_ref(), Some(vector));
            }
        }
        verify(dir.path()).expect("whole");
    }

    /// Checks that an index with changed or missing bytes leads to an error or to some results but
    /// never to a panic, and that `verify` finds the damage.
    #[test]
    fn damage_is_found(
        file in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = create(dir.path(), WeightFormat::U8);
        corpus(200, 5).iter().for_each(|(id, vector)| writer.put(id, vector).expect("put"));
        writer.commit().expect("committed");
        assert!(writer.delete("d5"));
        writer.commit().expect("committed");
        drop(writer);
        let mut files: Vec<_> = std::fs::read_dir(dir.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| !path.ends_with("lock"))
            .collect();
        files.sort();
        prop_assert_eq!(files.len(), 3);
        let path = file.get(&files);
        let info = Index::open(dir.path()).expect("opened").info();
        let whole = std::fs::read(path).expect("read");
        let mut bytes = whole.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(path, &bytes).expect("written");
        if let Ok(index) = Index::open(dir.path()) {
            for (_, query) in corpus(5, 6) {
                index.search(&query, &SearchOptions::default());
                index.explain(&query, "d7");
            }
            index.vector("d9");
        }
        if bytes != whole && verify(dir.path()).is_ok() {
            // The only damage that `verify` may miss is in the head, and it changes nothing there.
            prop_assert!(path.ends_with("index.json"));
            let index = Index::open(dir.path()).expect("opened");
            prop_assert_eq!((index.info(), index.vector("d5")), (info, None));
        }
    }
}

/// Checks an index of many documents, whose ranges end at arbitrary places.
#[test]
fn many_ranges_are_one_index() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = IndexOptions { weights: WeightFormat::F32, ..Default::default() };
    let mut writer = IndexWriter::create(dir.path(), options, how()).expect("created");
    let one = |term: u32, weight: f32| vector(&BTreeMap::from([(term, weight), (term + 1, 0.5)]));
    for i in 0..150_000u32 {
        // Every tenth document replaces an older one.
        let id = if i % 10 == 9 { i / 2 } else { i };
        writer.put(&id.to_string(), &one(i % 50, 1.0 + (i % 977) as f32)).expect("put");
    }
    let info = writer.commit().expect("committed");
    assert_eq!(info.documents + info.deleted, 150_000);
    let before = Index::open(dir.path()).expect("opened");
    let info = writer.merge().expect("merged");
    assert_eq!((info.deleted, info.documents), (0, before.info().documents));
    let after = Index::open(dir.path()).expect("opened");
    for term in 0..50 {
        let query = one(term, 1.0);
        let options = SearchOptions { k: 500, ..Default::default() };
        // The older index still gives the same hits, although its files have been removed.
        assert_eq!(search(&before, &query, &options), search(&after, &query, &options));
    }
    assert_eq!(verify(dir.path()).expect("whole").documents, info.documents);
}

/// Simulates a crash after each step of a commit, with each file cut off at different places.
/// Checks that the index has the state of the previous commit and accepts changes.
#[test]
fn a_crash_leaves_the_last_commit() {
    let (documents, query) = (corpus(120, 11), &corpus(1, 12)[0].1);
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = create(dir.path(), WeightFormat::F32);
    documents[..60].iter().for_each(|(id, vector)| writer.put(id, vector).expect("put"));
    writer.commit().expect("committed");
    let before = files(dir.path());
    let hits =
        |dir: &Path| search(&Index::open(dir).expect("opened"), query, &SearchOptions::default());
    let (want, all) = (
        hits(dir.path()),
        best(documents[1..].iter().map(|(id, vector)| (id.as_str(), vector.clone())), query, 10),
    );
    documents[60..].iter().for_each(|(id, vector)| writer.put(id, vector).expect("put"));
    assert!(writer.delete("d0"));
    writer.commit().expect("committed");
    drop(writer);
    assert_eq!(hits(dir.path()), all);
    let after = files(dir.path());
    let new: Vec<&String> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    assert_eq!(new.len(), 2, "a segment and deletions: {new:?}");
    // The files are in the order in which a commit writes them.
    let order: Vec<&str> = new
        .iter()
        .map(|name| name.as_str())
        .filter(|name| name.ends_with(".spl"))
        .chain(new.iter().map(|name| name.as_str()).filter(|name| name.ends_with(".deleted")))
        .chain(["index.json"])
        .collect();
    for (step, name) in order.iter().enumerate() {
        let bytes = &after[*name];
        for cut in (0..=bytes.len()).step_by(bytes.len().div_ceil(25)) {
            let crashed = tempfile::tempdir().expect("a folder");
            let write = |name: &str, bytes: &[u8]| {
                std::fs::write(crashed.path().join(name), bytes).expect("written");
            };
            before.iter().for_each(|(name, bytes)| write(name, bytes));
            order[..step].iter().for_each(|name| write(name, &after[*name]));
            write(&format!("{name}.k2VbX0qPz81a.tmp"), &bytes[..cut]);
            assert_eq!(hits(crashed.path()), want, "{name} cut at {cut}");
            if cut == 0 {
                let mut writer = IndexWriter::open(crashed.path(), how()).expect("opened");
                documents[60..].iter().for_each(|(id, v)| writer.put(id, v).expect("put"));
                assert!(writer.delete("d0"));
                writer.commit().expect("committed");
                assert_eq!(hits(crashed.path()), all);
                verify(crashed.path()).expect("whole");
                let left = files(crashed.path());
                assert!(!left.keys().any(|name| name.ends_with(".tmp")), "{:?}", left.keys());
            }
        }
    }
}

#[test]
fn a_build_that_was_killed_can_be_begun_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let killed = dir.path().join("killed");
    std::fs::create_dir(&killed).expect("made");
    let mut writer = create(&dir.path().join("built"), WeightFormat::U8);
    writer.put("a", &vector(&BTreeMap::from([(1, 1.0)]))).expect("put");
    for (name, bytes) in files(&dir.path().join("built")) {
        std::fs::write(killed.join(name), bytes).expect("copied");
    }
    drop(writer);
    assert!(!dir.path().join("built").exists());
    assert!(files(&killed).keys().any(|name| name.ends_with(".tmp")));
    std::fs::write(killed.join("thesis.txt"), "mine").expect("written");
    let unfinished = IndexWriter::open(&killed, how()).map(|_| ()).map_err(|e| e.to_string());
    assert!(unfinished.is_err_and(|error| error.contains("the index is not finished")));
    assert!(Index::open(&killed).is_err());
    let mut writer = create(&killed, WeightFormat::U8);
    writer.put("b", &vector(&BTreeMap::from([(1, 1.0)]))).expect("put");
    writer.commit().expect("committed");
    drop(writer);
    let names: Vec<String> = files(&killed).into_keys().collect();
    assert_eq!(names, ["index.json", "segment-000001.spl", "thesis.txt"]);
    assert_eq!(Index::open(&killed).expect("whole").info().documents, 1);
}

#[test]
fn errors_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let message = |error: splade_index::IndexError| error.to_string();
    let open = |dir: &Path| Index::open(dir).map(|_| ()).map_err(message);
    assert!(open(dir.path()).is_err_and(|error| error.contains("there is no index")));
    let writer = create(dir.path(), WeightFormat::U8);
    // Readers never take an index that is being built for a whole one.
    assert!(open(dir.path()).is_err_and(|error| error.contains("the index is not finished")));
    let mut writer = writer;
    let again = IndexWriter::open(dir.path(), how()).map(|_| ()).map_err(message);
    assert!(again.is_err_and(|error| error.contains("another process is writing")));
    writer.commit().expect("committed");
    drop(writer);
    let again = IndexWriter::create(dir.path(), IndexOptions::default(), how());
    let again = again.map(|_| ()).map_err(message);
    assert!(again.is_err_and(|error| error.contains("already contains an index")));
    let mut writer = IndexWriter::open(dir.path(), how()).expect("opened");
    let long = writer.put(&"x".repeat(70_000), &SparseVector::default()).map_err(message);
    assert!(long.is_err_and(|error| error.contains("an id of 70000 bytes; at most 65535")));
    let path = dir.path().join("index.json");
    let text = std::fs::read_to_string(&path).expect("read");
    let error = text.replace("\"m\"", "\"n\"");
    std::fs::write(&path, error).expect("written");
    assert!(open(dir.path()).is_err_and(|error| error.contains("its checksum differs")));
    // A head that an early version of the program wrote has no checksum.
    let (text, _) = text.rsplit_once(",\n  \"checksum\"").expect("a checksum");
    let text = format!("{text}\n}}\n");
    for (from, to, want) in [
        ("\"version\": 1", "\"version\": 9", "this program reads"),
        ("\"generation\": 1", "\"generation\": -1", "does not describe an index"),
        (
            "\"segments\": []",
            "\"segments\": [{\"file\":\"../x\",\"documents\":1}]",
            "not a plain file name",
        ),
    ] {
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).expect("written");
        assert!(open(dir.path()).is_err_and(|error| error.contains(want)), "{want}");
    }
}

/// Checks that indexes of version 1, as the first release of the format wrote them, stay readable.
/// They were made by `index build --weights …` of data/toy-beir/corpus.jsonl with models/demo, and
/// then `index delete … d3`.
#[test]
fn reads_indexes_of_version_1() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/index-v1");
    let exact = Index::open(&fixtures.join("f32")).expect("opened");
    let query = exact.vector("d5").expect("a document");
    let want = [("d121", 11.915327), ("d5", 11.557511), ("d41", 10.808633)];
    for (format, tolerance) in [("f32", 1e-6), ("f16", 1e-3), ("u8", 1e-2)] {
        let dir = fixtures.join(format);
        assert_eq!(verify(&dir).expect("whole").documents, 150, "{format}");
        let index = Index::open(&dir).expect("opened");
        assert_eq!((index.info().documents, index.info().deleted), (149, 1));
        assert_eq!((index.vector("d3"), index.settings()["vocab"].as_u64()), (None, Some(458)));
        let options = SearchOptions { k: 3, ..Default::default() };
        let hits = index.search(&query, &options);
        for ((id, score), hit) in want.iter().zip(&hits) {
            assert_eq!(hit.id, *id, "{format}: {hits:?}");
            assert!((hit.score / score - 1.0).abs() < tolerance, "{format}: {hits:?}");
        }
    }
}

/// Checks that an index in memory gives the same results as its folder, without deleted documents.
#[test]
fn memory_is_searched_as_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = create(dir.path(), WeightFormat::F16);
    for (id, vector) in corpus(300, 7) {
        writer.put(&id, &vector).expect("added");
    }
    writer.commit().expect("committed");
    for i in 0..20 {
        assert!(writer.delete(&corpus(300, 7)[i * 3].0));
    }
    writer.commit().expect("committed");
    let folder = Index::open(dir.path()).expect("opened");
    let files = || {
        std::fs::read_dir(dir.path()).expect("a folder").map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, std::fs::read(entry.path()).expect("read"))
        })
    };
    let memory = Index::from_memory("in memory", files()).expect("opened");
    assert_eq!(folder.info(), memory.info());
    for (_, query) in corpus(20, 9) {
        let options = SearchOptions::default();
        assert_eq!(search(&folder, &query, &options), search(&memory, &query, &options));
    }
    let without = files().filter(|(name, _)| name == "index.json");
    let error = Index::from_memory("in memory", without).expect_err("no segments").to_string();
    assert!(error.contains("there is no such file"), "{error}");
}
