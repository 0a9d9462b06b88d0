//! A segment of an index, with every checksum made to fit, so that what is behind them is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splade_index::{Index, SearchOptions, verify};
use splade_sparse::{SparseVector, TermId};

fuzz_target!(|range: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let docs = range.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let mut segment = b"SPLADEIX\x01\0\0\0\x01\0\0\0".to_vec();
    segment.extend(range);
    let mut table = 16u64.to_le_bytes().to_vec();
    table.extend((range.len() as u64).to_le_bytes());
    table.extend(docs.to_le_bytes());
    table.extend(crc32fast::hash(range).to_le_bytes());
    table.extend(1u32.to_le_bytes());
    let crc = crc32fast::hash(&table);
    segment.extend(table);
    segment.extend(crc.to_le_bytes());
    segment.extend(b"SPLADEIX");
    std::fs::write(folder.path().join("s.spl"), segment).expect("written");
    let head = format!(
        "{{\"format\":\"light-splade index\",\"version\":1,\"generation\":1,\"weights\":\"u8\",\
         \"settings\":null,\"segments\":[{{\"file\":\"s.spl\",\"documents\":{docs}}}]}}"
    );
    std::fs::write(folder.path().join("index.json"), head).expect("written");
    let Ok(index) = Index::open(folder.path()) else { return };
    let terms = (0..64).map(TermId).collect();
    let query = SparseVector::new(terms, vec![1.0; 64]).expect("a vector");
    for hit in index.search(&query, &SearchOptions::default()) {
        index.explain(&query, &hit.id);
        index.vector(&hit.id);
    }
    _ = verify(folder.path());
});
