//! Tests of `convert` and `mine` on the command line: complete runs, existing outputs and downloads
//! from the hub.

#[cfg(feature = "hub")]
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::common::{MODEL, failure, run, stdout};

const FIXTURES: &str = "crates/splade-data/tests/fixtures/convert";

fn path(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).to_str().expect("UTF-8").to_owned()
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path.as_ref()).expect("read")
}

/// Parses the lines of NDJSON, compressed or not.
fn lines(bytes: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text),
        false => (&mut &*bytes).read_to_string(&mut text),
    }
    .expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_conversion_is_replaced_or_kept_as_it_is_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = path(&dir, "out");
    let data = format!("{FIXTURES}/mmarco");
    let call = ["convert", "mmarco", &data, "--for", "triplet", "--output", &out];
    assert_eq!(stdout(&call), "");
    let (whole, triplets) = (format!("{out}/convert.json"), format!("{out}/train/triplets.ndjson"));
    let want = read(format!("{FIXTURES}/expected/mmarco-triplet/train/triplets.ndjson"));
    assert_eq!(read(&triplets), want);
    assert!(failure(&call, 1).contains("--force"));
    // A complete conversion is not changed.
    std::fs::remove_file(&triplets).expect("removed");
    stdout(&[&call[..], &["--resume"]].concat());
    assert!(!Path::new(&triplets).exists() && Path::new(&whole).is_file());
    let other = [&call[..], &["--resume", "--seed", "7"]].concat();
    assert!(failure(&other, 1).contains("other settings\nhint: replace it with --force"));
    stdout(&[&call[..], &["--force"]].concat());
    assert_eq!(read(&triplets), want);
    stdout(&["check-data", &out]);
    let missing =
        ["convert", "mmarco", &data, "--for", "distil", "--language", "german", "--output", &out];
    assert!(failure(&missing, 1).contains("german_collection.tsv"));
    let none = ["convert", "squad", "no/such", "--output", &out];
    assert!(failure(&none, 1).contains("no/such: there is no folder of .json files"));
}

#[cfg(feature = "hub")]
#[test]
fn files_come_from_the_hub() {
    use crate::fake_hub::{FakeHub, ID};

    let names = [
        "data/google/collections/japanese_collection.tsv",
        "data/google/queries/train/japanese_queries.train.tsv",
        "data/google/queries/dev/japanese_queries.dev.tsv",
        "data/triples.train.ids.small.tsv",
    ];
    let file = |name: &str| (name.to_owned(), read(format!("{FIXTURES}/mmarco/{name}")));
    let files = names.into_iter().map(file).collect();
    let (hub, dir) = (FakeHub::with(files), tempfile::tempdir().expect("a folder"));
    let (home, out) = (path(&dir, "home"), path(&dir, "out"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.args(["convert", "mmarco", ID, "--for", "distil", "--output", &out]);
    command.env_clear().envs([("HF_ENDPOINT", hub.endpoint.as_str()), ("HF_HOME", &home)]);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let name = "train/positive_lists.ndjson";
    let want = read(format!("{FIXTURES}/expected/mmarco-distil/{name}"));
    assert_eq!(read(format!("{out}/{name}")), want);
    assert!(Path::new(&home).join("hub/datasets--org--demo").is_dir());
}

/// Mines the toy set with the program's own search. The negatives of a query are the best documents
/// of the search without its positives.
#[test]
fn mines_what_a_search_finds() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = path(&dir, "data");
    stdout(&["convert", "beir", "data/toy-beir", "--train", "test", "--output", &data]);
    let (train, index) = (format!("{data}/train"), path(&dir, "index"));
    let out = path(&dir, "negatives.ndjson");
    let call = [
        "mine",
        &train,
        "--model",
        MODEL,
        "--index",
        &index,
        "--output",
        &out,
        "--kernels",
        "portable",
        "--source",
        "splade,depth=4,take=3",
    ];
    stdout(&call);
    let names =
        std::fs::read_dir(dir.path()).expect("listed").map(|entry| entry.expect("an entry"));
    let left = names.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0, "a part of the index is left");
    // The index is kept, and a search in it gives the expected negatives.
    let queries = format!("{train}/query_master.ndjson");
    let hits =
        stdout(&["search", &index, "--queries", &queries, "-k", "40", "--kernels", "portable"]);
    let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let text = |path: &str| String::from_utf8(read(path)).expect("UTF-8");
    let lists = text(&format!("{train}/positive_lists.ndjson"));
    let ids = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|id| id.to_string()).collect()
    };
    // Each entry has the query, its positives and the best documents that are not positives.
    let expected = lists.lines().map(json).map(|line| {
        let qid = line["qid"].to_string();
        let positives = ids(&line["positive_doc_ids"]);
        let hits = hits.lines().map(json).find(|hit| hit["qid"] == qid).expect("hits");
        let found = hits["results"].as_array().expect("a list").iter();
        let found = found.map(|hit| hit["doc_id"].as_str().expect("an id").to_owned());
        let negatives: Vec<String> = found.filter(|doc| !positives.contains(doc)).take(3).collect();
        (qid, positives, negatives)
    });
    let expected: Vec<(String, Vec<String>, Vec<String>)> = expected.collect();
    // Queries without a negative have no line.
    let check = |skipped: usize| {
        let mined = text(&out);
        let mut lines = mined.lines().map(json);
        for (qid, positives, negatives) in expected.iter().filter(|one| one.2.len() > skipped) {
            let line = lines.next().expect("a line");
            let docs = line["scores"].as_object().expect("an object").keys().cloned();
            assert_eq!(line["qid"].to_string(), *qid);
            let want = [positives, &negatives[skipped..]].concat();
            assert_eq!(docs.collect::<Vec<_>>(), want);
        }
        assert_eq!(lines.next(), None);
    };
    assert!(
        expected.iter().filter(|one| one.2.len() == 3).count() > 5,
        "there is something to mine"
    );
    check(0);
    assert!(failure(&call, 1).contains("replace it with --force"));

    // Mining with BM25 and random negatives gives the same file twice, and its triplets can be used
    // for training.
    let triplets = format!("{train}/triplets.ndjson");
    let sources = ["--source", "bm25,depth=5,take=2,random", "--source", "random,take=1"];
    let call = ["mine", &train, "--model", MODEL, "--output", &triplets, "--format", "triplets"];
    stdout(&[&call[..], &sources].concat());
    let first = read(&triplets);
    stdout(&[&call[..], &sources, &["--force", "--threads", "1"]].concat());
    assert_eq!(read(&triplets), first);
    stdout(&["check-data", &train]);

    // The teacher scores the first negative too high, so it is skipped.
    let teacher = path(&dir, "teacher.ndjson");
    let line = |(qid, positives, negatives): &(String, Vec<String>, Vec<String>)| {
        let docs = [&positives[..], negatives].concat();
        let score = |place| if place <= positives.len() { 5.0 } else { 1.0 };
        let pairs = docs.iter().enumerate().map(|(i, doc)| format!("\"{doc}\": {:?}", score(i)));
        format!("{{\"qid\": {qid}, \"scores\": {{{}}}}}\n", pairs.collect::<Vec<_>>().join(", "))
    };
    std::fs::write(&teacher, expected.iter().map(line).collect::<String>()).expect("written");
    let margins =
        [["--absolute-margin", "1"], ["--relative-margin", ".5"], ["--max-percentage", "50"]];
    for margin in margins {
        let call = [
            "mine",
            &train,
            "--model",
            MODEL,
            "--index",
            &index,
            "--output",
            &out,
            "--force",
            "--kernels",
            "portable",
            "--source",
            "splade,depth=4,take=3",
            "--teacher-scores",
            &teacher,
        ];
        stdout(&[&call[..], &margin].concat());
        check(1);
    }
}

/// Pairs get the scores that a search finds for them, or 0 if it does not find them. A second run
/// gives the same scores.
#[test]
fn scores_pairs_as_a_search_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let (train, index) = ("data/toy/train", path(&dir, "index"));
    let (pairs, out) = (format!("{train}/hard_negative_scores.ndjson"), path(&dir, "s.ndjson.gz"));
    let call = ["score", &pairs, "--data", train, "--model", MODEL, "--output", &out];
    let call = [&call[..], &["--kernels", "portable"]].concat();
    stdout(&[&call[..], &["--by", "splade", "--index", &index]].concat());
    let of_index = read(&out);
    let queries = format!("{train}/query_master.ndjson");
    let search = ["search", &index, "--queries", &queries, "-k", "200"];
    let hits = stdout(&[&search[..], &["--kernels", "portable"]].concat());
    let hits = lines(hits.as_bytes());
    let mut found = 0;
    for (scored, pair) in lines(&of_index).into_iter().zip(lines(&read(&pairs))) {
        assert_eq!(scored["qid"], pair["qid"]);
        let qid = pair["qid"].to_string();
        let hits = hits.iter().find(|hit| hit["qid"] == *qid).expect("hits");
        let hits = hits["results"].as_array().expect("a list");
        let scores = scored["scores"].as_object().expect("an object");
        let docs = pair["scores"].as_object().expect("an object");
        assert_eq!(scores.len(), docs.len(), "{scored}");
        assert!(docs.keys().all(|doc| scores.contains_key(doc)), "{scored}");
        for (doc, score) in scores {
            let hit = hits.iter().find(|hit| hit["doc_id"] == **doc);
            found += usize::from(hit.is_some());
            let want = hit.map_or(0.0, |hit| hit["score"].as_f64().expect("a number"));
            // The scores are sums of some thirty products in another order, in 32 bits.
            let score = score.as_f64().expect("a number");
            assert!((score - want).abs() <= 1e-5 * want, "{scored}: {doc} has {want}");
        }
    }
    assert!(found > 50, "{found} of the pairs are found");
    assert!(failure(&[&call[..], &["--by", "splade"]].concat(), 1).contains("--force"));

    // The expected score is computed by hand: idf ln(1 + 1.5 / 1.5), damping .9 (1 - .4 + .4 · 1 /
    // .5), and the token occurs twice in the query.
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("written");
        path(&dir, name)
    };
    let docs = "{\"doc_id\": 1, \"text\": \"w\"}\n{\"doc_id\": 2, \"text\": \"\"}\n";
    file("doc_master.ndjson", docs);
    file("query_master.ndjson", "{\"qid\": 7, \"text\": \"w w\"}\n");
    let pairs = file("pairs.ndjson", "{\"qid\": 7, \"scores\": {\"2\": 3, \"1\": 4}}\n");
    let (data, out) = (path(&dir, ""), path(&dir, "bm25.ndjson"));
    let call =
        ["score", &pairs, "--data", &data, "--model", MODEL, "--by", "bm25", "--output", &out];
    stdout(&call);
    let scores = &lines(&read(&out))[0]["scores"];
    let score = scores["1"].as_f64().expect("a number");
    assert!((score - 2.0 * 2f64.ln() / 2.26).abs() < 1e-6, "{score}");
    assert_eq!(scores["2"], 0.0);
    for (more, part) in [
        (["--index", &*index], "--index is for --by splade"),
        (["--max-length", "9"], "are for models that encode"),
        (["--precision", "int8"], "are for models that encode"),
    ] {
        let errors = failure(&[&call[..], &more].concat(), 1);
        assert!(errors.contains(part), "{errors}");
    }
    let pairs = file("others.ndjson", "{\"qid\": 7, \"scores\": {\"5\": 3}}\n");
    let message = failure(&[&call[..1], &[&*pairs], &call[2..], &["--force"]].concat(), 1);
    assert!(message.contains("doc_id 5 of qid 7 does not exist in document master"), "{message}");
}

#[test]
fn mining_takes_no_index_of_another_model_or_of_other_documents() {
    let dir = tempfile::tempdir().expect("a folder");
    let (out, index) = (path(&dir, "x.ndjson"), path(&dir, "index"));
    let ran = |index: &str, model: &str| {
        let call = ["mine", "data/toy/train", "--output", &out, "--force", "--index", index];
        run(&[&call[..], &["--model", model, "--source", "splade,take=1"]].concat())
    };
    assert!(ran(&index, MODEL).status.success());
    let other = path(&dir, "other");
    std::fs::create_dir(&other).expect("made");
    for entry in std::fs::read_dir(MODEL).expect("a model") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), Path::new(&other).join(entry.file_name())).expect("copied");
    }
    // The same model elsewhere is the same model; one with another weight is not.
    assert!(ran(&index, &other).status.success());
    let weights = Path::new(&other).join("model.safetensors");
    let mut bytes = std::fs::read(&weights).expect("weights");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&0.75f32.to_le_bytes());
    std::fs::write(&weights, bytes).expect("written");
    let said = |index: &str, model: &str| {
        let ran = ran(index, model);
        assert_eq!(ran.status.code(), Some(1));
        String::from_utf8(ran.stderr).expect("UTF-8")
    };
    let message = said(&index, &other);
    assert!(message.contains("leave out --model"), "{message}");

    let (vectors, foreign) = (path(&dir, "vectors.ndjson"), path(&dir, "foreign"));
    let line = "{\"id\": \"none\", \"vector\": {\"5\": 1.0}}\n";
    std::fs::write(&vectors, line).expect("written");
    stdout(&["index", "build", "--output", &foreign, "--vectors", &vectors]);
    let message = said(&foreign, MODEL);
    assert!(message.contains("none of the 120 documents is in the index"), "{message}");
}

#[test]
fn mining_says_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = path(&dir, "x.ndjson");
    let mine = |more: &[&str], code| {
        failure(&[&["mine", "--output", &out, "--model", MODEL][..], more].concat(), code)
    };
    assert!(mine(&["data/toy-beir"], 1).contains("light-splade convert beir"));
    assert!(
        mine(&["data/toy/train", "--source", "x"], 2)
            .contains("bm25, splade, dense, colbert and random")
    );
    assert!(mine(&["data/toy/train", "--max-score", "1"], 2).contains("--teacher-scores"));
    assert!(mine(&["no/such"], 1).contains("cannot open no/such"));
    // The failed calls leave only the file that is needed to resume.
    let left = run(&["mine", "data/toy/train", "--output", &out, "--model", "no/such/model"]);
    assert_eq!(left.status.code(), Some(1));
    assert!(!Path::new(&out).exists());
}

/// A corpus without questions becomes training data, which is the same whether it was made at once or resumed.
#[test]
fn a_corpus_gives_pairs() {
    let dir = tempfile::tempdir().expect("a folder");
    let corpus = path(&dir, "corpus.ndjson");
    let words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"];
    let document = |at: usize| {
        let word = |step: usize| words[(at * step + at / 8 + step) % 8];
        let body = format!(
            "The {0} of number{at} is old. It meets the {1} near place{at}. Nobody knows the {2} of time{at}.",
            word(1),
            word(3),
            word(5)
        );
        let japanese = format!("{body} {}年の夜行列車は{at}号です。次の駅は東京です。", 1900 + at);
        let text = if at.is_multiple_of(3) { japanese } else { body };
        serde_json::json!({"title": format!("Title{at} {}", word(7)), "text": text})
    };
    let rows: String = (0..40).map(|at| format!("{}\n", document(at))).collect();
    std::fs::write(&corpus, rows).expect("written");
    let out = path(&dir, "out");
    let make = |out: &str, more: &[&str]| {
        let call = [
            "convert",
            "corpus",
            &corpus,
            "--output",
            out,
            "--depth",
            "5",
            "--validation-share",
            "0.2",
        ];
        stdout(&[&call[..], &["--model", MODEL], more].concat())
    };
    make(&out, &[]);
    assert!(!Path::new(&format!("{out}.parts")).exists());
    stdout(&["check-data", "--data", &format!("{out}/train")]);
    let rows = |name: &str| lines(&read(format!("{out}/{name}.ndjson")));
    let (documents, queries) = (rows("train/doc_master"), rows("train/query_master"));
    assert_eq!(documents.len(), 40);
    let (scores, positives) = (rows("train/hard_negative_scores"), rows("train/positive_lists"));
    assert!(
        queries.len() > 30 && scores.len() == queries.len() && positives.len() == queries.len()
    );
    let kinds = String::from_utf8(read(format!("{out}/query_kinds.tsv"))).expect("UTF-8");
    for kind in ["title", "first-sentence", "cloze", "keywords"] {
        assert!(kinds.lines().any(|line| line.ends_with(kind)), "{kind}");
    }
    // Every pair is true by its scores: at most two of the other documents are better.
    for (scores, positives) in scores.iter().zip(&positives) {
        assert_eq!(scores["qid"], positives["qid"]);
        let all = scores["scores"].as_object().expect("scores");
        let own = positives["positive_doc_ids"].as_array().expect("ids");
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        let score = |id: &str| all[id].as_f64().expect("a number");
        let is_own = |id: &&String| own.contains(id);
        let worst = own.iter().map(|id| score(id)).fold(f64::INFINITY, f64::min);
        let others: Vec<f64> = all.keys().filter(|id| !is_own(id)).map(|id| score(id)).collect();
        assert!(!others.is_empty() && others.iter().all(|other| *other < worst), "{scores}");
    }
    // No document of a validation query is a positive of train.
    let ids = |rows: &[Value]| -> std::collections::BTreeSet<String> {
        let lists = rows.iter().flat_map(|row| row["positive_doc_ids"].as_array().expect("ids"));
        lists.map(Value::to_string).collect()
    };
    let held_out = ids(&rows("validation/positive_lists"));
    assert!(!held_out.is_empty() && held_out.is_disjoint(&ids(&positives)));

    // A run that was stopped between its steps goes on, with the same result.
    let again = path(&dir, "again");
    let parts = format!("{again}.parts");
    std::fs::create_dir(&parts).expect("made");
    let call = [
        "convert",
        "corpus",
        &corpus,
        "--output",
        &again,
        "--depth",
        "5",
        "--validation-share",
        "0.2",
    ];
    let begun = failure(&[&call[..], &["--model", MODEL]].concat(), 1);
    assert!(
        begun.contains("an earlier run was stopped there\nhint: go on with --resume"),
        "{begun}"
    );
    make(&again, &["--resume"]);
    for name in ["doc_master", "query_master", "positive_lists", "hard_negative_scores"] {
        let name = format!("train/{name}.ndjson");
        assert_eq!(read(format!("{again}/{name}")), read(format!("{out}/{name}")), "{name}");
    }
    // What is complete is kept, and other settings are refused.
    make(&again, &["--resume"]);
    let other = [&call[..], &["--model", MODEL, "--resume", "--seed", "7"]].concat();
    assert!(failure(&other, 1).contains("other settings"));
    make(&again, &["--force", "--unfiltered", "--queries", "title"]);
    assert!(!Path::new(&format!("{again}/train/hard_negative_scores.ndjson")).exists());
    assert_eq!(
        lines(&read(format!("{again}/train/query_master.ndjson"))).len(),
        40 - held_out_titles(&again)
    );
}

fn held_out_titles(out: &str) -> usize {
    lines(&read(format!("{out}/validation/query_master.ndjson"))).len()
}

/// Asks to stop after a number of questions.
struct Patience(u32);

impl light_splade::Observer for Patience {
    fn event(&mut self, _: light_splade::progress::Event<'_>) {}

    fn stop(&mut self) -> bool {
        let is_over = self.0 == 0;
        self.0 = self.0.saturating_sub(1);
        is_over
    }
}

/// Stopped at every point at which it asks, and resumed, a conversion of a corpus ends with the same bytes.
#[test]
fn a_corpus_that_is_stopped_goes_on() {
    use light_splade::Error;
    use light_splade::data::{ConvertOptions, ConvertSource, CorpusSource, convert};

    let dir = tempfile::tempdir().expect("a folder");
    let make = |name: &str, patience: u32| {
        let source = CorpusSource {
            inputs: vec!["data/toy-beir/corpus.jsonl".into()],
            ..Default::default()
        };
        let (source, out) = (ConvertSource::Corpus(source), dir.path().join(name));
        convert(
            &ConvertOptions { source, out, force: false, resume: true },
            &mut Patience(patience),
        )
    };
    make("whole", u32::MAX).expect("made");
    let stopped = (0..200).take_while(|patience| match make("parts", *patience) {
        Ok(_) => false,
        Err(Error::Stopped { .. }) => true,
        Err(error) => panic!("{error}"),
    });
    let stopped = stopped.count();
    assert!((5..200).contains(&stopped), "{stopped}");
    for name in ["doc_master", "query_master", "positive_lists", "hard_negative_scores"] {
        let file = |folder: &str| read(dir.path().join(format!("{folder}/train/{name}.ndjson")));
        assert_eq!(file("parts"), file("whole"), "{name}");
    }
}

#[test]
fn what_is_wrong_with_a_corpus_is_told_before_the_work() {
    let dir = tempfile::tempdir().expect("a folder");
    let (out, file) = (path(&dir, "out"), path(&dir, "corpus.txt"));
    std::fs::write(&file, "Short.\n").expect("written");
    let refused = |more: &[&str], code: i32| {
        failure(&[&["convert", "corpus", "--output", &out], more].concat(), code)
    };
    for (more, code, part) in [
        (&[&file[..], "--worst-rank", "9", "--depth", "5"][..], 1, "rank 9 cannot be told among 5"),
        (&[&file, "--by", "dense"], 1, "no model is named for dense"),
        (
            &[&file, "--queries", "question"],
            2,
            "the kinds of queries are title, first-sentence, cloze and",
        ),
        (&[&file, "--whole-share", "2"], 2, "a share from 0 to 1"),
        (&[&file, "--unfiltered", "--by", "bm25"], 2, "cannot be used with"),
        (&["no/such/file"], 1, "no/such/file"),
        (&[&file], 1, "none of the 1 texts gives a query"),
    ] {
        let errors = refused(more, code);
        assert!(errors.contains(part), "{more:?}: {errors}");
    }
    assert!(!Path::new(&out).exists());
}
