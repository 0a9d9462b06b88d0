//! Tests that no existing output and no input is overwritten by accident.

use std::fs;
use std::path::Path;

use crate::common::{MODEL, failure, stdout};

/// A folder with texts, their vectors and an index of the vectors.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().expect("a folder"));
        fs::write(files.path("texts.txt"), "朝の電車で東京へ\ncheap travel\n").expect("written");
        stdout(&["encode", "-m", MODEL, &files.path("texts.txt"), "-o", &files.path("v.ndjson")]);
        let (vectors, index) = (files.path("v.ndjson"), files.path("index"));
        stdout(&["index", "build", "-m", MODEL, "--vectors", &vectors, "--output", &index]);
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }
}

/// Returns the calls that write a file, each with the option for the file but without its name.
fn calls(files: &Files) -> Vec<(&'static str, Vec<String>)> {
    let own = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let evaluate = ["evaluate", "-m", MODEL, "data/toy/validation"];
    vec![
        ("-o", own(&["encode", "-m", MODEL, &files.path("texts.txt")])),
        ("-o", own(&["search", &files.path("index"), "travel"])),
        ("-o", own(&evaluate)),
        ("--output-run", own(&evaluate)),
    ]
}

#[test]
fn what_exists_is_replaced_with_force_alone() {
    let files = Files::new();
    let out = files.path("out.ndjson");
    for (option, call) in calls(&files) {
        let call: Vec<&str> = call.iter().map(String::as_str).chain([option, &out]).collect();
        fs::write(&out, "mine").expect("written");
        let said = failure(&call, 1);
        assert!(
            said.contains("out.ndjson exists already\nhint: replace it with --force"),
            "{said}"
        );
        assert_eq!(fs::read(&out).expect("read"), b"mine", "{call:?}");
        stdout(&[&call[..], &["--force"]].concat());
        assert_ne!(fs::read(&out).expect("read"), b"mine", "{call:?}");
        fs::remove_file(&out).expect("removed");
        stdout(&call);
        assert!(Path::new(&out).is_file(), "{call:?}");
    }
    let names = fs::read_dir(files.0.path()).expect("listed").count();
    assert_eq!(names, 4, "temporary files are left");
}

#[test]
fn an_input_is_never_overwritten() {
    let files = Files::new();
    let (texts, vectors) = (files.path("texts.txt"), files.path("v.ndjson"));
    let (hard, ids) = (files.path("hard.ndjson"), files.path("ids.txt"));
    fs::hard_link(&vectors, &hard).expect("linked");
    fs::hard_link(&texts, files.path("hard-texts.ndjson")).expect("linked");
    fs::write(&ids, "0\n").expect("written");
    let index = files.path("index");
    let data = files.path("data");
    fs::create_dir(&data).expect("made");
    fs::write(format!("{data}/corpus.jsonl"), "{\"_id\":\"1\",\"text\":\"a\"}\n").expect("written");
    let hard_texts = files.path("hard-texts.ndjson");
    let corpus = format!("{data}/corpus.jsonl");
    let calls: [&[&str]; 6] = [
        &["encode", "-m", MODEL, &texts, "-o", &hard_texts],
        &["encode", "-m", MODEL, &data, "-o", &corpus],
        &["search", &index, "--vectors", &vectors, "-o", &hard],
        &["search", &index, "--queries", &texts, "-o", &texts],
        &["search", &index, "travel", "--target-doc-ids", &ids, "-o", &ids],
        &["evaluate", "data/toy-beir", "--run", &vectors, "-o", &hard],
    ];
    let before = [&texts, &vectors, &ids, &corpus].map(|path| fs::read(path).expect("read"));
    for call in calls {
        let said = failure(&[call, &["--force"]].concat(), 1);
        assert!(said.contains("is also an input"), "{call:?}: {said}");
    }
    let after = [&texts, &vectors, &ids, &corpus].map(|path| fs::read(path).expect("read"));
    assert_eq!(before, after);
    let both = files.path("both");
    let call = ["evaluate", "-m", MODEL, "data/toy/validation", "--output-run", &both];
    let said = failure(&[&call[..], &["-o", &both]].concat(), 1);
    assert!(said.contains("is named for two outputs"), "{said}");
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_written_through() {
    let files = Files::new();
    for (option, call) in calls(&files) {
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        for _ in 0..2 {
            stdout(&[&call[..], &[option, "/dev/null"]].concat());
        }
        if option == "-o" {
            let printed = stdout(&[&call[..], &["-o", "/dev/stdout"]].concat());
            assert_eq!(printed, stdout(&call), "{call:?}");
        }
    }
    let null = fs::metadata("/dev/null").expect("a device");
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&null.file_type()));
    let fifo = files.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("runs").success());
    let reader = {
        let fifo = fifo.clone();
        std::thread::spawn(move || fs::read_to_string(fifo).expect("read"))
    };
    let texts = files.path("texts.txt");
    stdout(&["encode", "-m", MODEL, &texts, "-o", &fifo]);
    assert_eq!(reader.join().expect("read"), stdout(&["encode", "-m", MODEL, &texts]));
}

#[test]
fn folders_are_begun_anew_with_force_alone() {
    let files = Files::new();
    let (texts, vectors) = (files.path("texts.txt"), files.path("v.ndjson"));
    let (shards, out) = (files.path("shards"), files.path("qdrant"));
    let encode = ["encode", "-m", MODEL, &texts, "-o", &shards];
    stdout(&encode);
    assert!(failure(&encode, 1).contains("--resume"));
    stdout(&[&encode[..], &["--top-k", "2", "--force"]].concat());
    failure(&[&encode[..], &["--force", "--resume"]].concat(), 2);
    let export = ["export", "qdrant", &vectors, "-m", MODEL, "--output", &out];
    // A folder with files of others is refused, and nothing in it changes.
    fs::create_dir(&out).expect("made");
    fs::write(format!("{out}/queries.ndjson"), "mine").expect("written");
    for call in [&export[..], &[&export[..], &["--force"]].concat()] {
        let said = failure(call, 1);
        assert!(said.contains("name another folder, or empty this one yourself"), "{said}");
        assert_eq!(fs::read_dir(&out).expect("listed").count(), 1);
    }
    fs::remove_file(format!("{out}/queries.ndjson")).expect("removed");
    stdout(&[&export[..], &["--force"]].concat());
    assert!(failure(&export, 1).contains("--resume"));
    stdout(&[&export[..], &["--force", "--shard-rows", "1"]].concat());
    assert!(Path::new(&out).join("documents-00001.json").is_file());
    let inside = ["export", "qdrant", &vectors, "-m", MODEL, "--force", "--output"];
    let said = failure(&[&inside[..], &[files.0.path().to_str().expect("UTF-8")]].concat(), 1);
    assert!(said.contains("is also an input"), "{said}");
}
