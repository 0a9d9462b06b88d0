//! Tests of what `docs/explanation/promises.md` promises about second processes, finished work and damaged
//! files. `scripts/attack` tries the same with many more choices.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{MODEL, failure, run, stdout};

const CORPUS: &str = "data/toy-beir/corpus.jsonl";

/// A folder with the inputs of all calls.
struct Inputs(tempfile::TempDir);

impl Inputs {
    fn new() -> Self {
        let inputs = Self(tempfile::tempdir().expect("a folder"));
        let (vectors, index) = (inputs.path("vectors"), inputs.path("index"));
        stdout(&["encode", "-m", MODEL, CORPUS, "--shard-rows", "60", "-o", &vectors]);
        stdout(&["index", "build", "-m", MODEL, "--vectors", &vectors, "--output", &index]);
        inputs
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Returns calls that write one output: its name, the call, and whether the call takes
    /// `--resume`.
    fn calls(&self) -> Vec<(&'static str, Vec<String>, bool)> {
        let call = |out: &'static str, resumes: bool, text: &str| {
            let text = text.replace("IN", &self.path("")).replace("OUT", &self.path(out));
            (out, text.split_whitespace().map(str::to_owned).collect(), resumes)
        };
        let train = "data/toy/train";
        let teacher = "config/cross_encoder/toy_train.yaml";
        let small = "+max_train_size=40 -q";
        let steps = "hydra.output_subdir=null training.max_steps=2 training.eval_strategy=no \
                     training.load_best_model_at_end=false -q";
        vec![
            call("v.ndjson", false, &format!("encode -m {MODEL} {CORPUS} -o OUT")),
            call("v.parquet", false, &format!("encode -m {MODEL} {CORPUS} -o OUT")),
            call("v", true, &format!("encode -m {MODEL} {CORPUS} -o OUT")),
            call("run.txt", false, "search INindex 駅 --format trec -o OUT"),
            call("report.json", false, "evaluate data/toy-beir -m models/demo -o OUT"),
            call("i", true, &format!("index build -m {MODEL} --vectors INvectors -o OUT")),
            call("d", true, "convert beir data/toy-beir --train test -o OUT"),
            call("n.ndjson", true, &format!("mine {train} -m {MODEL} -o OUT")),
            call(
                "s.ndjson",
                true,
                &format!(
                    "score -m {MODEL} --by bm25 --data {train} -o OUT \
                     {train}/hard_negative_scores.ndjson"
                ),
            ),
            call("e", true, &format!("export lucene INvectors -m {MODEL} -o OUT")),
            call("m", false, &format!("export model -m {MODEL} -o OUT")),
            call("t", true, &format!("vocab learn {CORPUS} --words bert --size 300 -o OUT")),
            call(
                "p",
                true,
                &format!(
                    "train config/toy_splade_ja.yaml \
                     hydra.run.dir=OUT {steps}"
                ),
            ),
            call(
                "teacher",
                true,
                &format!("cross-encoder train {teacher} {small} output_path=OUT"),
            ),
        ]
    }
}

fn words<'a>(call: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    call.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

/// Returns the lock of an output: in the folder of outputs that are written file by file, and beside
/// those that appear whole.
fn lock_of(out: &Path, name: &str) -> PathBuf {
    match name {
        "v" | "i" | "e" | "p" | "teacher" => out.join("lock"),
        "n.ndjson" | "s.ndjson" => out.with_added_extension("parts").join("lock"),
        _ => out.with_added_extension("lock"),
    }
}

#[test]
fn the_second_process_hears_who_writes_the_output() {
    let inputs = Inputs::new();
    let me = format!("another process is writing to it (process {}: ", std::process::id());
    for (name, call, _) in inputs.calls() {
        let out = PathBuf::from(inputs.path(name));
        let lock = lock_of(&out, name);
        fs::create_dir_all(lock.parent().expect("a folder")).expect("made");
        let held = splade_io::OutputLock::take(&lock, &out).expect("free");
        let said = failure(&words(&call, &[]), 1);
        assert!(said.contains(&me), "{name}: {said}");
        assert!(said.contains("hint: wait until it has ended, or stop it"), "{name}: {said}");
        drop(held);
        let left = out.metadata().is_ok_and(|found| found.is_file());
        assert!(!left, "{name}: the refused process wrote the output");
    }
}

fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    if path.is_file() {
        found.insert(path.to_path_buf(), fs::read(path).expect("read"));
        return found;
    }
    for entry in fs::read_dir(path).expect("listed") {
        found.extend(files(&entry.expect("an entry").path()));
    }
    found
}

#[test]
fn finished_files_of_other_settings_are_not_taken() {
    let inputs = Inputs::new();
    let calls = inputs.calls();
    for (name, other) in [("n.ndjson", ["--seed", "7"]), ("s.ndjson", ["-m", "mini-ja-en"])] {
        let (_, call, _) = calls.iter().find(|(of, ..)| *of == name).expect("a call");
        stdout(&words(call, &[]));
        // The last of two options of the same name counts.
        let call: Vec<String> = match call.iter().position(|word| word == other[0]) {
            Some(at) => [&call[..at], &call[at + 2..]].concat(),
            None => call.clone(),
        };
        let error = failure(&words(&call, &[&other[..], &["--resume"]].concat()), 1);
        assert!(error.contains("is complete, but was made with other settings"), "{error}");
        // A file that was changed since is not compared.
        let out = inputs.path(name);
        fs::write(&out, "{}\n").expect("written");
        let output = run(&words(&call, &[&other[..], &["--resume"]].concat()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("is not known"), "{said}");
    }
}

#[test]
fn finished_work_can_be_resumed() {
    let inputs = Inputs::new();
    for (name, call, _) in inputs.calls().into_iter().filter(|(_, _, resumes)| *resumes) {
        let out = PathBuf::from(inputs.path(name));
        stdout(&words(&call, &[]));
        let before = files(&out);
        let output = run(&words(&call, &["--resume"]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {said}");
        // `-q` silences the message of training.
        let told = ["already", "nothing is to be done"].iter().any(|part| said.contains(part));
        assert!(told || call.iter().any(|word| word == "-q"), "{name}: {said}");
        assert!(!said.contains("is not known"), "{name}: {said}");
        // A training run writes its logs and times again.
        let compared = |path: &Path| {
            !call.iter().any(|word| word == "-q") || path.ends_with("model.safetensors")
        };
        let compared = |mut files: BTreeMap<PathBuf, Vec<u8>>| {
            files.retain(|path, _| compared(path));
            files
        };
        assert!(compared(before) == compared(files(&out)), "{name}");
    }
    let left = fs::read_dir(inputs.0.path()).expect("listed");
    let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
    let left: Vec<String> = left.map(|entry| name(entry.expect("an entry"))).collect();
    let temporary = |name: &String| name.ends_with(".lock") || name.ends_with(".tmp");
    assert!(!left.iter().any(temporary), "{left:?}");
}

#[test]
fn a_build_with_other_settings_is_not_resumed() {
    let inputs = Inputs::new();
    let (vectors, index) = (inputs.path("vectors"), inputs.path("index"));
    let build =
        ["index", "build", "-m", MODEL, "--vectors", &vectors, "--output", &index, "--resume"];
    let said = failure(&[&build[..], &["--weights", "f32"]].concat(), 1);
    assert!(said.contains("begun with other settings: \"weights\" was"), "{said}");
    // Without --resume, nothing that exists is replaced.
    let said = failure(&build[..build.len() - 1], 1);
    assert!(said.contains("already contains an index"), "{said}");
}

#[test]
fn damaged_files_with_checksums_are_refused() {
    let inputs = Inputs::new();
    let (vectors, index) = (inputs.path("vectors"), inputs.path("index"));
    let new = inputs.path("new");
    let model = inputs.path("exported");
    stdout(&["export", "model", "-m", MODEL, "--output", &model]);
    let search = ["search", &index, "駅", "--verify"];
    let build = ["index", "build", "-m", MODEL, "--vectors", &vectors, "--output", &new];
    let encode = ["encode", "-m", &model, CORPUS, "-o", &new];
    for (file, call) in [
        (format!("{index}/index.json"), &search[..]),
        (format!("{index}/segment-000001.spl"), &search[..]),
        (format!("{vectors}/_manifest.json"), &build[..]),
        (format!("{vectors}/vectors-00001.parquet"), &build[..]),
        (format!("{model}/model.safetensors"), &encode[..]),
    ] {
        let bytes = fs::read(&file).expect("read");
        for at in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 40] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&file, &damaged).expect("written");
            let said = failure(call, 1);
            assert!(said.contains(&file), "{file}, {at}: {said}");
            // `index build` keeps the documents of the files before the damaged one.
            match Path::new(&new).is_dir() {
                true => fs::remove_dir_all(&new).expect("removed"),
                false => assert!(!Path::new(&new).exists(), "{file}: the output exists"),
            }
        }
        fs::write(&file, &bytes).expect("written");
    }
    stdout(&search);
    stdout(&build);
}
