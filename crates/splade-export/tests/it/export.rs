//! Tests of every export target on a small collection.
//!
//! The bytes of the files are compared with fixtures. `UPDATE_SNAPSHOTS=1 cargo test -p
//! splade-export --test it` rewrites the fixtures, and `scripts/reference/export_files.py` reads
//! them with other programs. Simple readers of each form check that the vectors and their scores
//! are preserved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_export::targets::{
    Ciff, Csr, CsrForm, Elasticsearch, ElasticsearchField, Lucene, Milvus, OpenSearch,
    OpenSearchField, Pgvector, Qdrant, Seismic, Vespa,
};
use splade_export::{Target, TermNames, TextTarget};
use splade_sparse::files::{FileError, ParquetReader, RowWriter, Shard, ShardedWriter};
use splade_sparse::{SparseVector, TermId};

use crate::advice;

const TOKENS: [&str; 10] =
    ["[PAD]", "tokyo", ".", "a.b", "%2E", "##s", "日本", "\"q\\", "sp ace", "x:y"];

/// The id of a text and its terms with their weights.
type Row = (&'static str, &'static [(u32, f32)]);

/// The documents. They have weights with few and many decimals, a weight that rounds to 0, a
/// document without terms, and ids that must be escaped.
const DOCUMENTS: [Row; 4] = [
    ("d1", &[(1, 1.5), (3, 0.25), (5, 2.333_36)]),
    ("d\"2\\", &[(1, 0.1), (2, 0.001), (4, 1.0), (6, 3.777_777_7), (8, 0.5)]),
    ("文書", &[]),
    ("d4", &[(0, 3.0), (5, 0.75), (7, 1.25), (9, 0.333_333_34)]),
];

const QUERIES: [Row; 3] =
    [("q1", &[(1, 1.25), (4, 0.5), (9, 1.0)]), ("q2", &[(5, 0.6), (8, 0.004)]), ("q'3", &[])];

fn vector(pairs: &[(u32, f32)]) -> SparseVector {
    let pairs = pairs.iter().map(|(term, weight)| (TermId(*term), *weight));
    SparseVector::from_pairs(pairs.collect()).expect("a vector")
}

fn tokens() -> TermNames {
    TermNames::tokens(TOKENS.map(str::to_owned).to_vec()).expect("different tokens")
}

fn text(target: impl TextTarget + 'static) -> Target {
    Target::Text(Box::new(target))
}

/// Returns every target with the name of its folder of fixtures.
fn targets() -> Vec<(&'static str, Target)> {
    let (name, field) = (|| "splade".to_owned(), || "vector".to_owned());
    let sparse = ElasticsearchField::SparseVector;
    let features = ElasticsearchField::RankFeatures;
    let seismic = OpenSearchField::Seismic { documents: 3.2, queries: 2.0 };
    vec![
        ("lucene", text(Lucene::new(tokens(), 100.0))),
        ("elasticsearch", text(Elasticsearch::new(tokens(), field(), sparse))),
        ("elasticsearch-features", text(Elasticsearch::new(tokens(), field(), features))),
        ("opensearch", text(OpenSearch::new(tokens(), field(), OpenSearchField::RankFeatures))),
        ("opensearch-seismic", text(OpenSearch::new(tokens(), field(), seismic))),
        ("qdrant", text(Qdrant::new(field(), 7))),
        ("milvus", text(Milvus::new(name(), field(), 0))),
        ("vespa", text(Vespa::new(name(), field(), 100.0))),
        ("ciff", Target::Ciff(Ciff::new(tokens(), 100.0, 10.0))),
        ("pgvector", text(Pgvector::new(name(), field(), 10, 0).expect("dimensions"))),
        ("seismic", text(Seismic::new(tokens()))),
        ("parquet", Target::Parquet),
        ("csr", Target::Csr(Csr::new(CsrForm::Npz, 10))),
        ("csr-safetensors", Target::Csr(Csr::new(CsrForm::Safetensors, 10))),
    ]
}

/// Writes documents and queries as the command `export` does.
fn write(dir: &Path, target: &Target, rows: u64) -> Result<(), FileError> {
    let create = Box::new(|path: &Path, first| target.documents(path, first));
    let form = target.form().with_rows(rows);
    let mut writer = ShardedWriter::open(dir, Value::Null, false, form, create)?;
    for (id, pairs) in DOCUMENTS {
        writer.write(id, &vector(pairs))?;
    }
    writer.end_shard()?;
    let shards = writer.manifest().shards.clone();
    target.complete(dir, &shards)?;
    Box::new(writer).finish()?;
    target.clean(dir, &shards)?;
    let mut queries = target.queries(&dir.join(target.queries_file()))?;
    for (id, pairs) in QUERIES {
        // The ids of queries include one with a quote.
        queries.write(id, &vector(pairs))?;
    }
    queries.finish()
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let file = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        (name, std::fs::read(&path).expect("read"))
    };
    entries.map(|entry| file(entry.expect("an entry").path())).collect()
}

#[test]
fn files_are_as_they_were() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export");
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    for (name, target) in targets() {
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path(), &target, 2).expect(name);
        let (got, kept) = (files(dir.path()), fixtures.join(name));
        if update {
            _ = std::fs::remove_dir_all(&kept);
            std::fs::create_dir_all(&kept).expect("created");
            for (file, bytes) in &got {
                std::fs::write(kept.join(file), bytes).expect("written");
            }
        }
        let want = files(&kept);
        assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{name}");
        for (file, bytes) in &got {
            let same = *bytes == want[file];
            assert!(same, "{name}/{file}:\n{}", String::from_utf8_lossy(bytes));
        }
    }
}

/// The rows that were read back: ids, and weights by the names of terms.
type Read = Vec<(String, BTreeMap<String, f64>)>;

fn weights(value: &Value) -> BTreeMap<String, f64> {
    let object = value.as_object().expect("an object");
    object.iter().map(|(key, value)| (key.clone(), value.as_f64().expect("a number"))).collect()
}

fn lists(value: &Value) -> BTreeMap<String, f64> {
    let list = |key: &str| value[key].as_array().expect("a list").clone();
    let pairs = list("indices").into_iter().zip(list("values"));
    pairs.map(|(term, weight)| (term.to_string(), weight.as_f64().expect("a number"))).collect()
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
}

fn id(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// Reads a file of documents in the form of a target.
fn read(target: &str, bytes: &[u8]) -> Read {
    match target {
        "lucene" | "seismic" => json_lines(bytes)
            .iter()
            .map(|line| (id(&line["id"]), weights(&line["vector"])))
            .collect(),
        "elasticsearch" | "elasticsearch-features" | "opensearch" | "opensearch-seismic" => {
            json_lines(bytes)
                .chunks(2)
                .map(|pair| (id(&pair[0]["index"]["_id"]), weights(&pair[1]["vector"])))
                .collect()
        }
        "qdrant" => serde_json::from_slice::<Value>(bytes).expect("JSON")["points"]
            .as_array()
            .expect("points")
            .iter()
            .map(|point| (id(&point["payload"]["docid"]), lists(&point["vector"]["vector"])))
            .collect(),
        "milvus" => serde_json::from_slice::<Value>(bytes).expect("JSON")["data"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| (id(&row["docid"]), weights(&row["vector"])))
            .collect(),
        "vespa" => json_lines(bytes)
            .iter()
            .map(|put| {
                let fields = &put["fields"];
                let docid = id(&fields["docid"]);
                assert_eq!(put["put"], format!("id:splade:splade::{docid}"));
                (docid, weights(&fields["vector"]["cells"]))
            })
            .collect(),
        "pgvector" => std::str::from_utf8(bytes)
            .expect("UTF-8")
            .lines()
            .map(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                let (terms, dimensions) = columns[2].split_once('/').expect("dimensions");
                assert_eq!(dimensions, "10");
                let pairs = terms.trim_matches(['{', '}']).split(',').filter(|p| !p.is_empty());
                let pair = |pair: &str| {
                    let (place, weight) = pair.split_once(':').expect("a colon");
                    let term: u32 = place.parse().expect("a place");
                    ((term - 1).to_string(), weight.parse().expect("a weight"))
                };
                (columns[1].replace("\\\\", "\\"), pairs.map(pair).collect())
            })
            .collect(),
        "csr" => {
            let arrays = npz(bytes);
            let width = arrays["ids"].1.len() / 4 / (arrays["indptr"].1.len() / 8 - 1);
            let ids = arrays["ids"].1.chunks(width * 4).map(|id| {
                let letters = id.chunks(4).map(|l| char::from_u32(number(l) as u32).expect("one"));
                letters.filter(|l| *l != '\0').collect()
            });
            let array = |name: &str, kind: &str| {
                let (header, bytes) = &arrays[name];
                assert!(header.contains(&format!("'descr': '{kind}'")), "{header}");
                bytes.clone()
            };
            assert_eq!(arrays["format"].1, b"csr");
            let shape = array("shape", "<i8");
            assert_eq!(number(&shape[8..]), 10);
            rows(
                ids.collect(),
                &array("indptr", "<i8"),
                &array("indices", "<i4"),
                &array("data", "<f4"),
            )
        }
        "csr-safetensors" => {
            let length = number(&bytes[..8]) as usize;
            let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
            let tensor = |name: &str| {
                let at = |place: usize| {
                    8 + length + header[name]["data_offsets"][place].as_u64().expect("at") as usize
                };
                &bytes[at(0)..at(1)]
            };
            let ends: Vec<usize> =
                tensor("id_ends").chunks(8).map(|end| number(end) as usize).collect();
            let ids = ends.windows(2).map(|pair| {
                String::from_utf8(tensor("ids")[pair[0]..pair[1]].to_vec()).expect("UTF-8")
            });
            rows(ids.collect(), tensor("indptr"), tensor("indices"), tensor("data"))
        }
        _ => panic!("{target}"),
    }
}

fn number(bytes: &[u8]) -> i64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | i64::from(*byte))
}

fn rows(ids: Vec<String>, ends: &[u8], terms: &[u8], weights: &[u8]) -> Read {
    let ends: Vec<usize> = ends.chunks(8).map(|end| number(end) as usize).collect();
    let pair = |at: usize| {
        let bits = number(&weights[at * 4..at * 4 + 4]) as u32;
        (number(&terms[at * 4..at * 4 + 4]).to_string(), f64::from(f32::from_bits(bits)))
    };
    let row = |place: usize| (ends[place]..ends[place + 1]).map(pair).collect();
    ids.into_iter().enumerate().map(|(place, id)| (id, row(place))).collect()
}

/// Returns the headers and the bytes of the arrays of an archive by their names.
fn npz(bytes: &[u8]) -> BTreeMap<String, (String, Vec<u8>)> {
    let mut arrays = BTreeMap::new();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("an archive");
    for place in 0..archive.len() {
        let mut array = Vec::new();
        let mut file = archive.by_index(place).expect("a file");
        let name = String::from_utf8(file.name_raw().to_vec()).expect("UTF-8");
        std::io::Read::read_to_end(&mut file, &mut array).expect("read");
        let header = 10 + number(&array[8..10]) as usize;
        assert_eq!((&array[..8], header % 64), (&b"\x93NUMPY\x01\x00"[..], 0));
        let text = String::from_utf8(array[10..header].to_vec()).expect("ASCII");
        arrays.insert(name.trim_end_matches(".npy").to_owned(), (text, array[header..].to_vec()));
    }
    arrays
}

/// Converts the name of a term in a search engine back to the token.
fn token(name: &str) -> String {
    let mut name = name.to_owned();
    for (escaped, mark) in [("%2E", "."), ("%20", " ")] {
        // The name `%252E` stands for the token `%2E`.
        name = name.replace("%252E", "\u{0}").replace(escaped, mark).replace('\u{0}', "%2E");
    }
    name
}

fn score(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> f64 {
    a.iter().filter_map(|(term, weight)| Some(weight * b.get(term)?)).sum()
}

/// Checks that the rows read from the files are the documents, and that their scores differ from
/// the exact scores by at most the target's quantisation, computed here from its description.
#[test]
fn vectors_come_back() {
    for (name, target) in targets() {
        if matches!(name, "ciff" | "parquet") {
            continue;
        }
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path(), &target, 3).expect(name);
        let mut got = Read::new();
        for (file, bytes) in files(dir.path()) {
            if file.starts_with("documents-") {
                got.extend(read(name, &bytes));
            }
        }
        compare(name, &got);
    }
}

fn compare(target: &str, got: &Read) {
    let by_tokens = matches!(
        target,
        "lucene" | "elasticsearch" | "elasticsearch-features" | "opensearch" | "ciff" | "seismic"
    );
    let key = |term: u32| match by_tokens {
        true => TOKENS[term as usize].to_owned(),
        false => term.to_string(),
    };
    let scale = if matches!(target, "lucene" | "ciff") { 100.0 } else { 1.0 };
    assert_eq!(got.len(), DOCUMENTS.len(), "{target}");
    let mut ranked = Vec::new();
    for ((id, weights), (want_id, pairs)) in got.iter().zip(DOCUMENTS) {
        assert_eq!(id, want_id, "{target}");
        // Seismic reserves no characters, and names that are ids need no escape.
        let plain = |name: &String| if target == "seismic" { name.clone() } else { token(name) };
        let weights: BTreeMap<String, f64> =
            weights.iter().map(|(name, weight)| (plain(name), weight / scale)).collect();
        let want: BTreeMap<String, f64> =
            pairs.iter().map(|(term, weight)| (key(*term), f64::from(*weight))).collect();
        for (term, weight) in &want {
            let got = weights.get(term).copied().unwrap_or(0.0);
            // The error is half a step of a hundredth, or that of decimals that parse to the same
            // f32.
            let tolerance = if scale == 100.0 { 0.005 + 1e-9 } else { weight * 6e-8 };
            assert!((got - weight).abs() <= tolerance, "{target} {id} {term}: {got}, not {weight}");
        }
        assert!(weights.keys().all(|term| want.contains_key(term)), "{target} {id}: {weights:?}");
        ranked.push((weights, want));
    }
    for (_, pairs) in QUERIES {
        let query = pairs.iter().map(|(term, weight)| (key(*term), f64::from(*weight))).collect();
        for (got, want) in &ranked {
            let (got, want) = (score(&query, got), score(&query, want));
            assert!((got - want).abs() <= 0.005 * 3.0 + 1e-6, "{target}: {got}, not {want}");
        }
    }
}

#[test]
fn parquet_is_vectors_again() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), &Target::Parquet, 10).expect("written");
    let mut reader =
        ParquetReader::open(&dir.path().join("vectors-00000.parquet")).expect("opened");
    let rows = reader.next_group().expect("read").expect("a group");
    assert_eq!(rows.len(), DOCUMENTS.len());
    for (row, (id, pairs)) in rows.iter().zip(DOCUMENTS) {
        assert_eq!((&row.id[..], &row.vector), (id, &vector(pairs)));
    }
}

/// A field of a protobuf message: its number, and its value as a number or bytes.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

fn take(bytes: &mut &[u8], length: usize) -> Vec<u8> {
    let (head, rest) = bytes.split_at(length);
    *bytes = rest;
    head.to_vec()
}

fn message(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Bytes(take(&mut bytes, 8)),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            wire => panic!("wire type {wire}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn get(fields: &[(u64, Field)], number: u64) -> u64 {
    let field = fields.iter().find(|(n, _)| *n == number);
    field.map_or(0, |(_, value)| match value {
        Field::Number(number) => *number,
        Field::Bytes(bytes) => panic!("{bytes:?}"),
    })
}

fn bytes_of(fields: &[(u64, Field)], number: u64) -> Vec<Vec<u8>> {
    let bytes = |(n, value): &(u64, Field)| match value {
        Field::Bytes(bytes) if *n == number => Some(bytes.clone()),
        _ => None,
    };
    fields.iter().filter_map(bytes).collect()
}

/// Reads a CIFF file as its specification describes it, entirely in memory.
fn read_ciff(mut bytes: &[u8]) -> Read {
    let mut next = || {
        let length = varint(&mut bytes) as usize;
        message(&take(&mut bytes, length))
    };
    let header = next();
    let (lists, documents) = (get(&header, 2), get(&header, 3));
    assert_eq!((get(&header, 1), get(&header, 4), get(&header, 5)), (1, lists, documents));
    let mut rows: Read = vec![(String::new(), BTreeMap::new()); documents as usize];
    let mut terms = Vec::new();
    for _ in 0..lists {
        let list = next();
        let term = String::from_utf8(bytes_of(&list, 1).remove(0)).expect("UTF-8");
        let (mut document, mut sum) = (0, 0);
        let postings = bytes_of(&list, 4);
        assert_eq!(get(&list, 2), postings.len() as u64);
        for posting in postings {
            let posting = message(&posting);
            document += get(&posting, 1);
            sum += get(&posting, 2);
            rows[document as usize].1.insert(term.clone(), get(&posting, 2) as f64);
        }
        assert_eq!(get(&list, 3), sum);
        terms.push(term);
    }
    assert!(terms.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()), "{terms:?}");
    let mut sums = 0;
    for (number, row) in rows.iter_mut().enumerate() {
        let record = next();
        assert_eq!(get(&record, 1), number as u64);
        row.0 = String::from_utf8(bytes_of(&record, 2).remove(0)).expect("UTF-8");
        assert_eq!(get(&record, 3) as f64, row.1.values().sum::<f64>());
        sums += get(&record, 3);
    }
    assert_eq!(get(&header, 6), sums);
    let mean = bytes_of(&header, 7).remove(0).try_into().map(f64::from_le_bytes);
    assert_eq!(mean, Ok(sums as f64 / documents as f64));
    assert!(bytes.is_empty());
    rows
}

/// Checks that the bytes of the CIFF file do not depend on the number of shards.
#[test]
fn ciff_is_the_same_of_any_parts() {
    let target = Target::Ciff(Ciff::new(tokens(), 100.0, 10.0));
    let results = [1, 2, 3, 100].map(|rows| {
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path(), &target, rows).expect("written");
        let names: Vec<String> = files(dir.path()).into_keys().collect();
        assert_eq!(names, ["_manifest.json", "index.ciff", "queries.pisa"]);
        std::fs::read(dir.path().join("index.ciff")).expect("read")
    });
    assert!(results.iter().all(|result| *result == results[0]));
    compare("ciff", &read_ciff(&results[0]));
}

/// Checks that documents and queries beyond the limits of a target are refused with their ids.
#[test]
fn limits() {
    let long = "x".repeat(513);
    let many: Vec<(u32, f32)> = (0..16_001).map(|term| (term, 1.0)).collect();
    let (many, some) = (vector(&many), vector(&[(1, 1.0)]));
    let (large, ten) = (vector(&[(1, 3e7)]), vector(&[(10, 1.0)]));
    let cases: Vec<(&str, &str, &SparseVector, &str)> = vec![
        ("lucene", "a b", &some, "white space"),
        ("lucene", "d", &large, "give a smaller scale"),
        ("elasticsearch", "", &some, "0 bytes"),
        ("opensearch", &long, &some, "513 bytes; the search engine accepts ids of 1 to 512"),
        ("vespa", "a\u{1}", &some, "control characters"),
        ("ciff", "a\tb", &some, "white space"),
        ("ciff", "d", &large, "give a smaller scale"),
        ("pgvector", "d", &many, "16001 terms; a sparsevec has at most 16000"),
        ("pgvector", "a\0", &some, "zero byte"),
        ("pgvector", "d", &ten, "term 10, but the column 10 dimensions"),
        ("csr", "d", &many, "term 10, and the matrix 10 columns"),
    ];
    let targets: BTreeMap<_, _> = targets().into_iter().collect();
    let dir = tempfile::tempdir().expect("a folder");
    for (name, id, vector, want) in cases {
        let mut file = targets[name].documents(&dir.path().join("file"), 0).expect("created");
        let error = file.write(id, vector).expect_err(name);
        let error = advice(&error, error.hint());
        assert!(error.contains(want) && error.contains(&format!("{id:?}")), "{name}: {error}");
    }
    let heavy = vector(&[(1, 64.5)]);
    let wide: Vec<(u32, f32)> = (0..1025).map(|term| (term, 1.0)).collect();
    let (wide, heavier) = (vector(&wide), vector(&[(1, 1000.0)]));
    let cases: Vec<(&str, &str, &SparseVector, &str)> = vec![
        ("opensearch", "q", &heavy, "64.5; OpenSearch accepts at most 64"),
        ("opensearch", "q", &wide, "1025 terms; the search engine accepts 1024"),
        ("ciff", "q:1", &some, "a colon"),
        ("lucene", "q", &heavier, "repeated 100000 times"),
        ("pgvector", "q\\", &some, "backslash"),
        ("pgvector", "q", &ten, "term 10, but the column 10 dimensions"),
    ];
    for (name, id, vector, want) in cases {
        let mut file = targets[name].queries(&dir.path().join("file")).expect("created");
        let error = file.write(id, vector).expect_err(name);
        let error = advice(&error, error.hint());
        assert!(error.contains(want) && error.contains(&format!("{id:?}")), "{name}: {error}");
    }
    // Only the weights of Lucene's features have this limit.
    let mut file =
        targets["opensearch-seismic"].queries(&dir.path().join("file")).expect("created");
    file.write("q", &heavy).expect("written");
    assert!(Pgvector::new("t".into(), "c".into(), 1_000_000_001, 0).is_err());
    let largest = i64::MAX as u64;
    let numbered: [Target; 3] = [
        text(Qdrant::new("v".into(), largest)),
        text(Milvus::new("c".into(), "v".into(), largest)),
        text(Pgvector::new("t".into(), "v".into(), 10, largest).expect("dimensions")),
    ];
    for target in numbered {
        let path = dir.path().join("file");
        target.documents(&path, 0).expect("created").write("d", &some).expect("the largest");
        for row in [1, u64::MAX] {
            let mut file = target.documents(&path, row).expect("created");
            let error = file.write("d", &some).expect_err("too large").to_string();
            assert!(error.contains("its number is above 9223372036854775807"), "{error}");
        }
    }
}

/// Checks that too many shards are refused before another one is inverted.
#[test]
fn ciff_has_room_for_five_hundred_parts() {
    let shard = |rows| Shard {
        file: "part".to_owned(),
        rows,
        last_id: "d".to_owned(),
        crc32: None,
        content: None,
    };
    let target = Target::Ciff(Ciff::new(tokens(), 100.0, 10.0));
    let mut shards = vec![shard(7); 499];
    target.check_room(Path::new("out"), &shards).expect("room");
    shards.push(shard(3));
    let error = target.check_room(Path::new("out"), &shards).expect_err("no room");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("--shard-rows above 7"), "{error}: {hint}");
    text(Seismic::new(tokens())).check_room(Path::new("out"), &shards).expect("no limit");
}

/// Checks that names are quoted, so that reserved words of SQL are allowed.
#[test]
fn pgvector_quotes_names() {
    let target = Pgvector::new("order".into(), "a\"b".into(), 10, 0).expect("dimensions");
    let mut query = Vec::new();
    target.query("q", &vector(&[(1, 1.0)]), &mut query).expect("written");
    let query = String::from_utf8(query).expect("UTF-8");
    assert!(query.contains("FROM \"order\" ORDER BY \"a\"\"b\" <#>"), "{query}");
    for (name, text) in target.setup(&[]) {
        assert!(!text.contains(" order "), "{name}: {text}");
    }
}

/// Checks that weights below the smallest normal f32, which Lucene refuses, are omitted.
#[test]
fn features_too_small_for_lucene_are_left_out() {
    let target =
        Elasticsearch::new(TermNames::ids(), "v".to_owned(), ElasticsearchField::SparseVector);
    let mut out = Vec::new();
    let weights = vector(&[(1, 1e-39), (2, f32::MIN_POSITIVE), (3, 1.0)]);
    target.document(0, "d", &weights, &mut out).expect("written");
    let document = &json_lines(&out)[1];
    let terms: Vec<&String> = document["v"].as_object().expect("weights").keys().collect();
    assert_eq!(terms, ["2", "3"]);
    assert_eq!(document["v"]["2"].as_f64().map(|w| w as f32), Some(f32::MIN_POSITIVE));
}
