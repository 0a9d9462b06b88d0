//! An index that is read in parts gives the hits of the whole index, and reads little of it.

use std::path::Path;

use splade_index::{
    Hit, Index, IndexOptions, IndexParts, IndexWriter, Missing, SearchOptions, WeightFormat,
    WriterOptions,
};
use splade_sparse::{SparseVector, TermId};

/// Returns documents with 20 of 3,000 terms each, of which low ones are frequent.
fn corpus(documents: usize, mut state: u64) -> Vec<SparseVector> {
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    let mut one = || {
        let pair = |_| ((3000.0 * random().powi(3)) as u32, (random() * 3.0) as f32 + 0.01);
        let pairs: std::collections::BTreeMap<u32, f32> = (0..20).map(pair).collect();
        let pairs = pairs.into_iter().map(|(term, weight)| (TermId(term), weight)).collect();
        SparseVector::from_pairs(pairs).expect("a vector")
    };
    (0..documents).map(|_| one()).collect()
}

/// An index that is read in parts, and the number of bytes that were read.
struct Remote<'a> {
    dir: &'a Path,
    parts: IndexParts,
    read: usize,
}

impl<'a> Remote<'a> {
    fn open(dir: &'a Path, end: usize) -> Self {
        let read = |name: &str| std::fs::read(dir.join(name)).expect("a file");
        let head = String::from_utf8(read("index.json")).expect("text");
        let mut parts = IndexParts::new("far", &head).expect("a head");
        for name in parts.whole_files() {
            parts.add_whole(&name, read(&name));
        }
        for name in parts.segments() {
            let file = read(&name);
            let start = file.len().saturating_sub(end);
            parts.add_end(&name, file.len(), &file[start..]).expect("an end");
        }
        Self { dir, parts, read: 0 }
    }

    fn search(&mut self, query: &SparseVector, k: usize) -> Vec<Hit> {
        let options = SearchOptions { k, ..SearchOptions::default() };
        for _ in 0..9 {
            match self.parts.search(query, &options).expect("a sound index") {
                Ok(hits) => return hits,
                Err(missing) => missing.iter().for_each(|part| self.fetch(part)),
            }
        }
        panic!("the search asks again and again");
    }

    fn fetch(&mut self, part: &Missing) {
        let file = std::fs::read(self.dir.join(&part.file)).expect("a file");
        self.read += part.bytes.len();
        self.parts.add(part, &file[part.bytes.clone()]).expect("a part");
    }
}

#[test]
fn hits_are_those_of_the_whole_index() {
    for weights in [WeightFormat::U8, WeightFormat::F16, WeightFormat::F32] {
        let dir = tempfile::tempdir().expect("a folder");
        let options = IndexOptions { weights, ..IndexOptions::default() };
        // Little memory, so that there are several ranges.
        let how = WriterOptions { memory: 1 << 20, threads: Some(1) };
        let mut writer = IndexWriter::create(dir.path(), options, how).expect("created");
        for (i, vector) in corpus(4000, 1).iter().enumerate() {
            writer.put(&format!("document {i}"), vector).expect("put");
            if i == 2500 {
                writer.commit().expect("committed");
            }
        }
        writer.delete("document 17");
        writer.delete("document 3000");
        writer.commit().expect("committed");
        let index = Index::open(dir.path()).expect("an index");
        assert!(index.info().segments > 1 && index.info().deleted > 0);
        for end in [16, 24, 100, 5000, 1 << 30] {
            let mut far = Remote::open(dir.path(), end);
            assert_eq!(far.parts.documents(), index.info().documents);
            for (i, query) in corpus(20, 2).iter().enumerate() {
                let k = [1, 10, 100][i % 3];
                let options = SearchOptions { k, ..SearchOptions::default() };
                assert_eq!(far.search(query, k), index.search(query, &options), "query {i}");
            }
            let all = index.info().bytes as usize;
            assert!(end > 5000 || far.read < all, "{} of {all} bytes were read", far.read);
        }
        // One rare term reads a small share of the index.
        let mut far = Remote::open(dir.path(), 1000);
        let query = SparseVector::new(vec![TermId(2500)], vec![1.0]).expect("a vector");
        far.search(&query, 3);
        assert!(far.read * 10 < index.info().bytes as usize, "{} bytes were read", far.read);
    }
}

/// Other bytes than those of an index are errors or give wrong hits, but no panic.
#[test]
fn damage_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer =
        IndexWriter::create(dir.path(), IndexOptions::default(), WriterOptions::default())
            .expect("created");
    for (i, vector) in corpus(50, 3).iter().enumerate() {
        writer.put(&i.to_string(), vector).expect("put");
    }
    writer.commit().expect("committed");
    let head = std::fs::read_to_string(dir.path().join("index.json")).expect("a head");
    assert!(IndexParts::new("far", &head.replace("segments", "segmente")).is_err());
    let mut parts = IndexParts::new("far", &head).expect("a head");
    let query = &corpus(1, 4)[0];
    let error = parts.search(query, &SearchOptions::default()).expect_err("no segment");
    assert!(error.to_string().contains("its end was not read"), "{error}");
    let name = parts.segments().remove(0);
    let file = std::fs::read(dir.path().join(&name)).expect("a segment");
    assert!(parts.add_end("other", file.len(), &file[..0]).is_err());
    assert!(parts.add_end(&name, 3, &file[..4]).is_err());
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 0x41;
        let mut parts = IndexParts::new("far", &head).expect("a head");
        parts.add_end(&name, bad.len(), &bad[bad.len() - 100..]).expect("an end");
        for _ in 0..9 {
            let Ok(Err(missing)) = parts.search(query, &SearchOptions::default()) else { break };
            for part in missing {
                let Some(bytes) = bad.get(part.bytes.clone()) else { break };
                parts.add(&part, bytes).expect("a part");
            }
        }
    }
    let part = Missing { file: name, bytes: 0..file.len() + 1 };
    assert!(parts.add(&part, &[0; 3]).is_err());
}
