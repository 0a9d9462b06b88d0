//! Tests of files of vectors: written files are read back, files of other writers are read, and
//! damaged files lead to errors.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::json;
use splade_sparse::files::{
    FileError, Manifest, NdjsonWriter, ParquetReader, ParquetWriter, RowFormat, RowWriter,
    ShardForm, ShardedWriter, TextFields, TextForm, TextReader, TextRow, VectorReader, VectorRow,
};
use splade_sparse::{SparseVector, TermId};

fn row(id: &str, pairs: &[(u32, f32)]) -> VectorRow {
    let pairs = pairs.iter().map(|(term, weight)| (TermId(*term), *weight)).collect();
    VectorRow { id: id.to_owned(), vector: SparseVector::from_pairs(pairs).expect("a vector") }
}

fn write_parquet(path: &Path, rows: &[VectorRow]) {
    let mut writer = Box::new(ParquetWriter::create(path, &[("k", "v")]).expect("created"));
    for row in rows {
        writer.write(&row.id, &row.vector).expect("written");
    }
    writer.finish().expect("finished");
}

fn read(path: &Path) -> Result<Vec<VectorRow>, FileError> {
    VectorReader::open(&[path.to_path_buf()], &VectorReader::id)?.collect()
}

/// Reads the texts of a Parquet file.
fn texts(path: &Path, id: &str, text: &str) -> Result<Vec<TextRow>, FileError> {
    let text = (text != "text").then(|| text.to_owned());
    let fields = TextFields { id: Some(id.to_owned()), text, no_ids: false };
    let mut reader = TextReader::open(path, &fields, Some(TextForm::Parquet), None)?;
    std::iter::from_fn(|| reader.next_row().transpose()).collect()
}

fn rows() -> impl Strategy<Value = Vec<VectorRow>> {
    let weights = proptest::collection::btree_map(any::<u32>(), 1e-30f32..1e30, 0..12);
    let row = (any::<String>(), weights)
        .prop_map(|(id, weights)| row(&id, &weights.into_iter().collect::<Vec<_>>()));
    proptest::collection::vec(row, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parquet_comes_back_to_the_bit(rows in rows()) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("v.parquet");
        write_parquet(&path, &rows);
        prop_assert_eq!(ParquetReader::open(&path).expect("opened").rows(), rows.len());
        prop_assert_eq!(read(&path).expect("read"), rows);
    }

    /// Checks that a file with some changed bytes or a missing end leads to an error or to rows,
    /// but never to a panic.
    #[test]
    fn damaged_parquet_is_an_error_or_rows(
        rows in rows(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("v.parquet");
        write_parquet(&path, &rows);
        let mut bytes = std::fs::read(&path).expect("read");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, &bytes).expect("written");
        let _ = read(&path);
    }
}

/// Checks that no flipped bit of a small file leads to a panic.
#[test]
fn a_flipped_bit_of_parquet_is_an_error_or_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("v.parquet");
    write_parquet(&path, &[row("a", &[(1, 1.0), (7, 0.5)]), row("b", &[])]);
    let whole = std::fs::read(&path).expect("read");
    let panics = |at: &usize| {
        let mut bytes = whole.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).expect("written");
        let read = || {
            let _ = read(&path);
            let _ = texts(&path, "id", "id");
        };
        std::panic::catch_unwind(read).is_err()
    };
    let panicked: Vec<usize> = (0..whole.len() * 8).filter(panics).collect();
    assert_eq!(panicked, [0; 0], "of {} bits", whole.len() * 8);
}

#[test]
fn many_rows_make_row_groups() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("v.parquet");
    let rows: Vec<VectorRow> = (0..70_000)
        .map(|i: u32| row(&i.to_string(), &[(i % 7, 1.0), (9, i as f32 + 1.0)]))
        .collect();
    write_parquet(&path, &rows);
    let mut reader = ParquetReader::open(&path).expect("opened");
    let first = reader.next_group().expect("read").expect("a group");
    assert!(first.len() < rows.len(), "one group of {}", first.len());
    assert_eq!(read(&path).expect("read"), rows);
}

/// Reads files of pyarrow with nullable columns, 64-bit numbers, large lists, other columns and
/// unsorted terms; scripts/reference/vector_files.py makes them.
#[test]
fn reads_other_writers() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let want = vec![row("7", &[(3, 0.5), (30521, 1.25)]), row("8", &[]), row("9", &[(0, 2.0)])];
    for name in ["pyarrow_default.parquet", "pyarrow_wide.parquet"] {
        assert_eq!(read(&dir.join(name)).expect(name), want, "{name}");
    }
    let null = read(&dir.join("pyarrow_null_id.parquet")).expect_err("a null id");
    assert!(format!("{:?}", std::error::Error::source(&null)).contains("no id"), "{null}");
}

#[test]
fn says_what_is_no_file_of_vectors() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let ok = "{\"id\":\"a\",\"vector\":{\"1\":1}}\n";
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("created");
    let cases = [
        (
            path("a.ndjson", format!("{ok}\n{ok}{{}}").as_bytes()),
            "a.ndjson, line 4: there is no \"id\"",
        ),
        (path("a.txt", b""), "vectors are read from .parquet, .ndjson"),
        (path("b.ndjson", b"\n\xff"), "b.ndjson, line 2: byte 1 of the line is not UTF-8"),
        (empty, "there is no .parquet, .ndjson or .jsonl file"),
        (dir.path().join("none.parquet"), "cannot open"),
        (path("a.parquet", b"PAR1"), "a.parquet"),
    ];
    for (path, want) in cases {
        let error = read(&path).expect_err("an error").to_string();
        assert!(error.contains(want), "{error}");
    }
}

/// Writes a folder as `encode` does, with an interruption at different places, and resumes it.
#[test]
fn shards_resume_without_a_lost_or_doubled_row() {
    let rows: Vec<VectorRow> =
        (0..25u32).map(|i| row(&format!("d{i}"), &[(i, 1.0), (i + 1, 0.25)])).collect();
    let format = RowFormat::ids(4);
    for extension in ["parquet", "ndjson"] {
        for stop_after in [0, 1, 4, 5, 10, 11, 25] {
            for pause in [true, false] {
                let dir = tempfile::tempdir().expect("a folder");
                let open = |resume| open(dir.path(), extension, &format, json!({"a": 1}), resume);
                let mut writer = open(false).expect("begun");
                for row in &rows[..stop_after] {
                    writer.write(&row.id, &row.vector).expect("written");
                }
                // Dropping the writer leaves the last shard unfinished, as a killed process does.
                match pause {
                    true => _ = writer.pause().expect("paused"),
                    false => drop(writer),
                }
                let incomplete = read(dir.path()).expect_err("an error");
                let hint = incomplete.hint().unwrap_or_default();
                assert!(hint.contains("--resume"), "{incomplete}: {hint}");
                // A folder without rows can be begun anew; one with rows needs `resume`.
                match open(false) {
                    Ok(begun) => assert_eq!(begun.manifest().rows, 0),
                    Err(error) => {
                        assert!(error.to_string().contains("already holds vectors"), "{error}");
                    }
                }
                let mut writer = open(true).expect("resumed");
                let done = writer.manifest().rows as usize;
                assert_eq!(done, if pause { stop_after } else { stop_after / 5 * 5 });
                for row in &rows[done..] {
                    writer.write(&row.id, &row.vector).expect("written");
                }
                Box::new(writer).finish().expect("finished");
                assert_eq!(
                    read(dir.path()).expect("read"),
                    rows,
                    "{extension} {stop_after} {pause}"
                );
            }
        }
    }
}

/// Checks that a foreign folder and a second writer are refused, and that resuming removes only the
/// temporary files that a killed process left.
#[test]
fn only_our_own_files_are_touched() {
    let dir = tempfile::tempdir().expect("a folder");
    let format = RowFormat::ids(4);
    let out = dir.path().join("out");
    let open = |resume| open(&out, "ndjson", &format, json!(1), resume);
    std::fs::create_dir(&out).expect("made");
    std::fs::write(out.join("thesis.txt"), "mine").expect("written");
    let error = open(false).expect_err("not ours").to_string();
    assert!(error.contains("is not empty and has no _manifest.json"), "{error}");
    std::fs::remove_file(out.join("thesis.txt")).expect("removed");
    let mut writer = open(false).expect("begun");
    let error = open(true).expect_err("locked").to_string();
    let pid = format!("process {}", std::process::id());
    assert!(error.contains("another process is writing to it") && error.contains(&pid), "{error}");
    writer.write("a", &row("a", &[(1, 1.0)]).vector).expect("written");
    // The temporary file is restored after the drop, as a killed process would leave it.
    let left = std::fs::read_dir(&out).expect("listed").map(|entry| entry.expect("one").path());
    let left: Vec<PathBuf> =
        left.filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    drop(writer);
    std::fs::write(&left[0], "{\"id\"").expect("written");
    for name in ["vectors-00000.ndjson.tmp", "vectors-mine.ndjson.abcdefghijkl.tmp", "notes"] {
        std::fs::write(out.join(name), "mine").expect("written");
    }
    drop(open(true).expect("resumed"));
    let left =
        std::fs::read_dir(&out).expect("listed").map(|entry| entry.expect("one").file_name());
    let mut left: Vec<_> = left.map(|name| name.to_string_lossy().into_owned()).collect();
    left.sort();
    let want = [
        "_manifest.json",
        "notes",
        "vectors-00000.ndjson.tmp",
        "vectors-mine.ndjson.abcdefghijkl.tmp",
    ];
    assert_eq!(left, want);
}

#[test]
fn a_folder_keeps_its_settings_and_refuses_a_damaged_manifest() {
    let dir = tempfile::tempdir().expect("a folder");
    let format = RowFormat::ids(4);
    let open = |settings, resume| open(dir.path(), "ndjson", &format, settings, resume);
    let settings = json!({"model": "m", "top_k": null});
    drop(open(settings.clone(), false).expect("begun"));
    let error = open(json!({"model": "m", "top_k": 5}), true).expect_err("other settings");
    assert!(error.to_string().contains("\"top_k\" was null, now 5"), "{error}");
    assert!(open(settings.clone(), true).is_ok());
    let path = dir.path().join("_manifest.json");
    let manifest = Manifest::read(dir.path()).expect("read");
    let text = serde_json::to_string(&manifest).expect("JSON");
    let shard = "\"shards\":[{\"file\":\"../x\",\"rows\":0,\"last_id\":\"\"}]";
    for (text, want) in [
        ("{".to_owned(), "not a manifest of vectors"),
        (
            text.replace("\"version\":2", "\"version\":3"),
            "this program reads \"light-splade vectors\" versions 1 to 2 here",
        ),
        (text.replace("\"rows\":0", "\"rows\":3"), "not the sum"),
        (text.replace("\"shards\":[]", shard), "not a plain file name"),
    ] {
        std::fs::write(&path, text).expect("written");
        let error = Manifest::read(dir.path()).expect_err("an error").to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn damaged_shards_are_found() {
    for extension in ["ndjson", "parquet"] {
        let dir = tempfile::tempdir().expect("a folder");
        let format = RowFormat::ids(4);
        let mut writer = open(dir.path(), extension, &format, json!(1), false).expect("begun");
        for id in ["a", "b", "c", "d", "e", "f"] {
            writer.write(id, &row(id, &[(1, 1.0)]).vector).expect("written");
        }
        Box::new(writer).finish().expect("finished");
        let read = || {
            let mut rows = VectorReader::open(&[dir.path().to_path_buf()], &VectorReader::id)?;
            rows.try_fold(0, |count, row| row.map(|_| count + 1))
        };
        assert_eq!(read().expect("whole"), 6);
        for name in ["_manifest.json".to_owned(), format!("vectors-00001.{extension}")] {
            let path = dir.path().join(&name);
            let bytes = std::fs::read(&path).expect("read");
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                std::fs::write(&path, &damaged).expect("written");
                assert!(read().is_err(), "byte {at} of {name}");
                std::fs::write(&path, &bytes[..at]).expect("written");
                assert!(read().is_err(), "{at} bytes of {name}");
            }
            std::fs::write(&path, &bytes).expect("written");
        }
    }
}

fn open<'a>(
    dir: &Path,
    extension: &'static str,
    format: &'a RowFormat,
    settings: serde_json::Value,
    resume: bool,
) -> Result<ShardedWriter<'a>, FileError> {
    let create = move |path: &Path, _| -> Result<Box<dyn RowWriter + 'a>, FileError> {
        let file = || std::fs::File::create(path).expect("created");
        Ok(match extension {
            "parquet" => Box::new(ParquetWriter::create(path, &[])?),
            _ => Box::new(NdjsonWriter::new(PathBuf::from(path), file(), format)),
        })
    };
    ShardedWriter::open(dir, settings, resume, ShardForm::vectors(extension, 5), Box::new(create))
}

/// Reads files that `scripts/reference/text_files.py` wrote, with more rows than are read at once,
/// several row groups, null titles, integer ids, and page formats that other writers use.
#[test]
fn texts_of_other_writers() {
    let fixture =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    for name in ["texts_snappy.parquet", "texts_gzip.parquet"] {
        let rows = texts(&fixture(name), "doc_id", "text").expect("read");
        assert_eq!(rows.len(), 2500);
        for (i, row) in rows.into_iter().enumerate() {
            let title = if i % 3 == 0 { String::new() } else { format!("t{i}") };
            assert_eq!(row, TextRow { id: i.to_string(), title, text: format!("text {i}") });
        }
    }
    let open = |name: &str, id: &str, text: &str| {
        texts(&fixture(name), id, text).expect_err("an error").to_string()
    };
    let null = open("texts_null.parquet", "id", "text");
    assert!(null.ends_with("row 2 has no text"), "{null}");
    let missing = open("texts_gzip.parquet", "key", "text");
    assert!(missing.contains("no field for the id (key); the fields are: other"), "{missing}");
    let integers = open("texts_gzip.parquet", "doc_id", "doc_id");
    assert!(integers.contains("has the type int64, but texts are strings"), "{integers}");
    let vectors = open("pyarrow_default.parquet", "id", "values");
    assert!(vectors.contains("no field named \"values\"; the fields are: title"), "{vectors}");
}

/// Reads columns whose physical type says less than their logical type; the file, of
/// `scripts/reference/text_files.py`, has a column of titles of Arrow's type null, too.
#[test]
fn parquet_is_read_by_logical_types() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let file = dir.join("texts_types.parquet");
    let cases = [
        ("uint64", Ok(["1", "18446744073709551615"])),
        ("uint32", Ok(["1", "4294967295"])),
        ("int32", Ok(["1", "-1"])),
        ("dictionary", Ok(["1", "b"])),
        ("large_string", Ok(["1", "b"])),
        ("decimal", Err("has the type decimal(10, 2), but ids are strings or integers")),
        ("date", Err("has the type date, but ids")),
        ("double", Err("has the type double, but ids")),
        ("title", Err("has the type null, but ids")),
    ];
    for (column, want) in cases {
        match (texts(&file, column, "text"), want) {
            (Ok(rows), Ok(ids)) => {
                let row = |(id, text): (&str, &str)| TextRow {
                    id: id.to_owned(),
                    title: String::new(),
                    text: text.to_owned(),
                };
                assert_eq!(rows, ids.into_iter().zip(["x", "y"]).map(row).collect::<Vec<_>>());
            }
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
            (got, want) => panic!("{column}: {got:?}, not {want:?}"),
        }
    }
    let vectors = [
        ("unsigned", Ok(vec![row("a", &[(1, 1.0), (u32::MAX, 2.0)])])),
        ("empty", Ok(vec![row("a", &[])])),
        ("signed", Err("-1 is not a term id; these are from 0 to 4294967295")),
        ("uint64", Err("4294967296 is not a term id")),
        ("twice", Err("row of id \"a\": term 5 occurs twice")),
        ("null", Err("a list contains a null")),
        ("floats", Err("column \"indices.list.element\" has the type double, but terms are")),
    ];
    for (name, want) in vectors {
        match (read(&dir.join(format!("vectors_{name}.parquet"))), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{name}"),
            (Err(error), Err(want)) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                let message = format!("{error}: {}", source.unwrap_or_default());
                assert!(message.contains(want), "{message}");
            }
            (got, want) => panic!("{name}: {got:?}, not {want:?}"),
        }
    }
}
