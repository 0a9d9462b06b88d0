//! Tests of stored texts, BM25, hybrid search, re-ranking and snippets through the library and the
//! program, on the demo model and the toy corpus. Numbers are compared with slow computations here.

use std::path::{Path, PathBuf};

use light_splade::encode::Side;
use light_splade::input::{Record, TextOptions, Texts};
use light_splade::search::{
    Bm25Options, CrossEncoderOptions, Fusion, FusionMethod, HybridOptions, MarkKind,
    StoredDocument, load_cross_encoder,
};
use light_splade::{
    Hit, Index, IndexOptions, SearchOptions, Searcher, SparseEncoder, SparseEncoderOptions, TermId,
};

use serde_json::Value;

use crate::common::{MODEL, compare_with_files, failure, run, stdout};

const BM25: Bm25Options = Bm25Options { k1: 0.9, b: 0.4 };

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn encoder() -> SparseEncoder {
    let options = SparseEncoderOptions { threads: Some(1), ..SparseEncoderOptions::default() };
    SparseEncoder::load(root(MODEL), &options).expect("the demo model")
}

fn corpus() -> Vec<Record> {
    let texts = Texts::open(&[root("data/toy-beir/corpus.jsonl")], TextOptions::default());
    texts.expect("opened").collect::<Result<_, _>>().expect("read")
}

fn options() -> IndexOptions {
    IndexOptions { store: true, bm25: Some(BM25), ..IndexOptions::default() }
}

/// Builds an index of the toy corpus in a temporary folder.
fn index(encoder: &SparseEncoder) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let mut index = Index::create(&path, encoder, &options()).expect("created");
    index.upsert(encoder, corpus(), &mut ()).expect("encoded");
    index.commit().expect("committed");
    (folder, path)
}

fn tokens(encoder: &SparseEncoder, text: &str) -> Vec<u32> {
    let tower = encoder.tower(Side::Document).expect("both sides");
    tower.tokenizer().encode_plain(text).expect("tokens")
}

/// Scores every document by the formula of BM25, and returns those above 0, the best first.
fn slow_bm25(
    encoder: &SparseEncoder,
    documents: &[Record],
    mean: f64,
    query: &str,
) -> Vec<(String, f64)> {
    let documents: Vec<(&str, Vec<u32>)> = documents
        .iter()
        .map(|record| (record.id.as_str(), tokens(encoder, &record.text)))
        .collect();
    let n = documents.len() as f64;
    let mut scores: Vec<(String, f64)> = documents
        .iter()
        .map(|(id, own)| {
            let parts = tokens(encoder, query).into_iter().map(|token| {
                let tf = own.iter().filter(|other| **other == token).count() as f64;
                let df = documents.iter().filter(|(_, all)| all.contains(&token)).count() as f64;
                let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
                tf * idf / (tf + BM25.k1 * (1.0 - BM25.b + BM25.b * own.len() as f64 / mean))
            });
            ((*id).to_owned(), parts.sum())
        })
        .collect();
    scores.retain(|(_, score)| *score > 0.0);
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores
}

fn mean(encoder: &SparseEncoder, documents: &[Record]) -> f64 {
    let lengths = documents.iter().map(|record| tokens(encoder, &record.text).len());
    lengths.sum::<usize>() as f64 / documents.len() as f64
}

fn assert_close(hits: &[Hit], want: &[(String, f64)], query: &str) {
    assert_eq!(hits.len(), want.len(), "{query}");
    for (hit, (_, score)) in hits.iter().zip(want) {
        // Three roundings to f32. Documents with nearly equal scores may be in another order.
        let own = want.iter().find(|(id, _)| *id == hit.id).expect("found by both").1;
        assert!((f64::from(hit.score) - own).abs() <= 4e-7 * own, "{query}: {hit:?} {own}");
        assert!((own - score).abs() <= 4e-7 * own, "{query}: {hit:?} {own} {score}");
    }
}

const QUERIES: [&str; 4] = ["海が見える席", "the train to the coast", "温泉 hotel 予約", "zzz"];

/// The scores of BM25 and the stored texts, while documents come, change and go.
#[test]
fn bm25_and_texts_follow_the_documents() {
    let encoder = encoder();
    let (_folder, path) = index(&encoder);
    let mut documents = corpus();
    let first = mean(&encoder, &documents);
    let all = SearchOptions { k: 1000, ..SearchOptions::default() };
    let check = |documents: &[Record], mean: f64| {
        let searcher = Searcher::open(&path, Some(encoder.clone())).expect("opened");
        for record in documents {
            let stored = searcher.document(&record.id).expect("read").expect("stored");
            assert_eq!((stored.full_text(), &stored.title), (record.text.clone(), &record.title));
        }
        assert_eq!(searcher.document("none").expect("read"), None);
        for query in QUERIES {
            let hits = searcher.search_bm25(query, &all).expect("searched");
            assert_close(&hits, &slow_bm25(&encoder, documents, mean, query), query);
            let Some(hit) = hits.first() else { continue };
            let shares = searcher.explain_bm25(query, &hit.id).expect("explained").expect("there");
            let sum: f32 = shares.iter().map(|share| share.score).sum();
            assert!((sum - hit.score).abs() < 1e-5, "{shares:?} {hit:?}");
        }
    };
    check(&documents, first);
    let d2 = StoredDocument {
        title: "海が見える席".to_owned(),
        text: "海辺を走る列車では左側の席を予約すると海が見えます。右側は山に隠れて見えません。"
            .to_owned(),
    };
    let searcher = Searcher::open(&path, None).expect("opened");
    assert_eq!(searcher.document("d2").expect("read"), Some(d2));

    // A reader that is open stays in its state.
    let before = Searcher::open(&path, Some(encoder.clone())).expect("opened");
    let hits = before.search_bm25(QUERIES[0], &all).expect("searched");
    let mut index = Index::open(&path, &IndexOptions::default()).expect("opened");
    assert!(index.stores() && index.has_bm25());
    let new = [
        Record::titled("d2", "山が見える席", "右側です。".repeat(300)),
        Record::new("new", "席と海"),
    ];
    index.upsert(&encoder, new.clone(), &mut ()).expect("encoded");
    assert!(index.delete("d1") && index.delete("d90"));
    index.commit().expect("committed");
    assert_eq!(before.search_bm25(QUERIES[0], &all).expect("searched"), hits);
    documents.retain(|record| !["d1", "d2", "d90"].contains(&record.id.as_str()));
    documents.extend(new);
    check(&documents, first);
    drop(index);

    // The tokenizer is found by what the index remembers of its model.
    let mut index = Index::open(&path, &IndexOptions::default()).expect("opened");
    let info = index.merge().expect("merged");
    let now = mean(&encoder, &documents);
    assert!(now > first + 1.0, "{now} {first}");
    assert_eq!(info.bm25.expect("has it").mean_length, Some(now));
    check(&documents, now);
}

/// Hybrid search against fusing the complete rankings by hand.
#[test]
fn hybrid_search_is_the_fusion_of_both_rankings() {
    let encoder = encoder();
    let (_folder, path) = index(&encoder);
    let searcher = Searcher::open(&path, Some(encoder)).expect("opened");
    let (filter, missing) = searcher
        .filter((1..100).map(|n| format!("d{n}")).collect::<Vec<_>>().iter().map(String::as_str));
    assert_eq!(missing, 0);
    for query in QUERIES {
        for (method, weights, depth, filter) in [
            (FusionMethod::Rrf { k: 60.0 }, vec![], 150, None),
            (FusionMethod::Rrf { k: 0.0 }, vec![0.7, 0.3], 7, Some(filter.clone())),
            (FusionMethod::MinMax, vec![0.7, 0.3], 20, None),
        ] {
            let fusion = Fusion { method, weights: weights.clone() };
            let options = HybridOptions {
                k: 7,
                depth,
                fusion,
                filter: filter.clone(),
                ..HybridOptions::default()
            };
            let hits = searcher.search_hybrid(query, &options).expect("searched");
            let options = SearchOptions { k: depth, filter, ..SearchOptions::default() };
            let rankings = [
                searcher.search(query, &options).expect("searched"),
                searcher.search_bm25(query, &options).expect("searched"),
            ];
            let score = |id: &str| -> f64 {
                let parts = rankings.iter().enumerate().filter_map(|(i, ranking)| {
                    let at = ranking.iter().position(|hit| hit.id == id)?;
                    let score = |at: usize| f64::from(ranking[at].score);
                    let (first, last) = (score(0), score(ranking.len() - 1));
                    let part = match method {
                        FusionMethod::Rrf { k } => 1.0 / (k + at as f64 + 1.0),
                        FusionMethod::MinMax if first == last => 1.0,
                        FusionMethod::MinMax => (score(at) - last) / (first - last),
                    };
                    Some(part * weights.get(i).copied().unwrap_or(1.0))
                });
                parts.sum()
            };
            let mut want: Vec<f64> = rankings
                .iter()
                .flatten()
                .map(|hit| hit.id.as_str())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .map(score)
                .collect();
            want.sort_by(|a, b| b.total_cmp(a));
            want.truncate(7);
            assert_eq!(hits.len(), want.len(), "{query}");
            for (hit, want) in hits.iter().zip(want) {
                assert!((f64::from(hit.score) - want).abs() < 1e-6, "{query} {hit:?} {want}");
                assert!((score(&hit.id) - want).abs() < 1e-9, "{query} {hit:?} {want}");
                for (place, ranking) in [hit.splade, hit.bm25].iter().zip(&rankings) {
                    let at = ranking.iter().position(|other| other.id == hit.id);
                    assert_eq!(place.map(|place| place.rank), at.map(|at| at + 1));
                    assert_eq!(place.map(|place| place.score), at.map(|at| ranking[at].score));
                }
            }
        }
    }
}

#[test]
fn candidates_are_reranked_by_their_stored_texts() {
    let encoder = encoder();
    let (_folder, path) = index(&encoder);
    let searcher = Searcher::open(&path, Some(encoder)).expect("opened");
    let folder = root("crates/splade-model/tests/fixtures/cross_encoders/bert");
    let model =
        load_cross_encoder(&folder, &CrossEncoderOptions::default(), &mut ()).expect("loaded");
    let hits = searcher.search("海が見える席", &SearchOptions::default()).expect("searched");
    let ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
    let reranked = searcher.rerank(&model, "海が見える席", ids.iter().copied()).expect("scored");
    assert_eq!(reranked.len(), ids.len());
    assert!(reranked.windows(2).all(|pair| pair[0].score >= pair[1].score));
    let documents = corpus();
    for hit in &reranked {
        assert_eq!(ids[hit.rank_before - 1], hit.id);
        let text = &documents.iter().find(|record| record.id == hit.id).expect("there").text;
        let alone = model.score(&[("海が見える席", text.as_str())]).expect("scored");
        assert_eq!(hit.score, alone[0]);
    }
    let error = searcher.rerank(&model, "海", ["none"]).expect_err("not there").to_string();
    assert!(error.contains("stores no text of document \"none\""), "{error}");
}

/// A searcher is for many threads, and another one sees a later commit.
#[test]
fn searchers_are_shared_by_threads() {
    fn is_for_threads<T: Send + Sync>(_: &T) {}
    let encoder = encoder();
    let (_folder, path) = index(&encoder);
    let searcher = Searcher::open(&path, Some(encoder.clone())).expect("opened");
    is_for_threads(&searcher);
    let search = || {
        let hybrid = |query| searcher.search_hybrid(query, &HybridOptions::default());
        QUERIES.map(|query| hybrid(query).expect("searched"))
    };
    let want = search();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(search)).collect();
        let mut index = Index::open(&path, &IndexOptions::default()).expect("opened");
        index.upsert(&encoder, [("new", "海が見える席 海が見える席")], &mut ()).expect("encoded");
        index.commit().expect("committed");
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), want);
        }
    });
    let newer = Searcher::open(&path, Some(encoder)).expect("opened");
    let hits = newer.search_bm25("海が見える席", &SearchOptions::default()).expect("searched");
    assert_eq!(hits[0].id, "new");
}

#[test]
fn what_an_index_lacks_is_told() {
    let encoder = encoder();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let none = IndexOptions { store: false, ..options() };
    let error = Index::create(&path, &encoder, &none).expect_err("BM25 without texts");
    assert!(error.to_string().contains("has to store its documents"), "{error}");
    let none = IndexOptions { store: false, bm25: None, ..options() };
    let mut index = Index::create(&path, &encoder, &none).expect("created");
    index.upsert(&encoder, [("a", "海")], &mut ()).expect("encoded");
    index.commit().expect("committed");
    drop(index);
    let searcher = Searcher::open(&path, Some(encoder.clone())).expect("opened");
    assert_eq!(searcher.document("a").expect("read"), None);
    let error = searcher.search_bm25("海", &SearchOptions::default()).expect_err("no BM25");
    assert_eq!(error.to_string(), "the index has no BM25");
    assert_eq!(error.hint().as_deref(), Some("build it again with --store --bm25"));
    let error = Index::resume(&path, &encoder, &options()).expect_err("other settings").to_string();
    assert!(error.contains("\"bm25\" was null"), "{error}");
    let searcher = Searcher::open(&path, None).expect("opened");
    assert!(searcher.search("海", &SearchOptions::default()).is_err());
}

/// Snippets of stored texts: the marked words are those of the query, or of its expansion.
#[test]
fn snippets_mark_what_matches() {
    let encoder = encoder();
    let (_folder, path) = index(&encoder);
    let searcher = Searcher::open(&path, Some(encoder.clone())).expect("opened");
    let mut kinds = std::collections::BTreeSet::new();
    for query in QUERIES {
        let terms = searcher.query_terms(query).expect("encoded");
        let vector = encoder.encode_query(query).expect("encoded");
        let own = tokens(&encoder, query);
        for record in corpus() {
            let text = searcher.document(&record.id).expect("read").expect("stored").text;
            let snippet = searcher.snippet(&terms, &text, 40).expect("a snippet");
            assert!(text[snippet.range.clone()].chars().count() <= 40, "{text}");
            let all = searcher.marks(&terms, &text).expect("marks");
            assert!(snippet.marks.iter().all(|mark| all.contains(mark)), "{text}");
            assert!(all.is_empty() || !snippet.marks.is_empty(), "{query}: {text}");
            for mark in all {
                let word = &text[mark.range];
                let (ids, is_word) = (tokens(&encoder, word), mark.kind == MarkKind::Word);
                let known = |id: &u32| own.contains(id) || vector.weight(TermId(*id)) > 0.0;
                assert!(ids.iter().any(known), "{query}: {word}");
                assert_eq!(ids.iter().any(|id| own.contains(id)), is_word, "{query}: {word}");
                assert!(mark.weight > 0.0 && mark.weight <= 1.0);
                kinds.insert(is_word);
            }
        }
    }
    assert_eq!(kinds.len(), 2, "words of the query and words of its expansion");
}

const PORTABLE: [&str; 2] = ["--kernels", "portable"];

/// Parses hits in NDJSON: the id and the rest of each, query by query.
fn parse(text: &str) -> Vec<Vec<(String, Value)>> {
    let row = |line: &str| -> Vec<(String, Value)> {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let hits = row["results"].as_array().expect("results").clone();
        hits.into_iter()
            .map(|hit| (hit["doc_id"].as_str().expect("an id").to_owned(), hit))
            .collect()
    };
    text.lines().map(row).collect()
}

/// The commands on an index that stores texts.
#[test]
fn the_program_searches_in_all_ways() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (index, queries) = (path("index"), "data/toy-beir/queries.jsonl");
    let build = ["index", "build", "-m", MODEL, "--output", &index, "data/toy-beir/corpus.jsonl"];
    stdout(&[&build[..], &["--store", "--bm25", "--bm25-k1", "1.2"], &PORTABLE].concat());
    let info: Value =
        serde_json::from_str(&stdout(&["index", "info", &index, "--json"])).expect("JSON");
    assert!(info["stored_bytes"].as_u64().is_some_and(|bytes| bytes > 5000), "{info}");
    assert_eq!((&info["bm25"]["k1"], &info["bm25"]["b"]), (&1.2.into(), &0.4.into()));
    let table = stdout(&["index", "info", &index]);
    assert!(
        table.contains("stored texts") && table.contains("k1 1.2, b 0.4, mean length"),
        "{table}"
    );
    assert!(stdout(&["index", "verify", &index]).contains("150 documents"));

    // `fuse` of both runs is what `search --hybrid` finds.
    let search = |more: &[&str]| {
        let search = ["search", &index, "--queries", queries, "-k", "150", "--format", "trec"];
        stdout(&[&search[..], more, &PORTABLE].concat())
    };
    let (splade, bm25, out) = (path("splade.trec"), path("bm25.trec"), path("fused.ndjson"));
    std::fs::write(&splade, search(&[])).expect("written");
    std::fs::write(&bm25, search(&["--bm25"])).expect("written");
    for (method, weights) in [("rrf", "1,1"), ("minmax", "0.7,0.3")] {
        stdout(&[
            "fuse",
            &splade,
            &bm25,
            "-o",
            &out,
            "--method",
            method,
            "--weights",
            weights,
            "--force",
        ]);
        let fused = parse(&std::fs::read_to_string(&out).expect("read"));
        let hybrid = search(&["--hybrid", method, "--weights", weights, "--hybrid-depth", "150"]);
        let scores: std::collections::BTreeMap<(&str, &str), f64> = hybrid
            .lines()
            .map(|line| {
                let cells: Vec<&str> = line.split(' ').collect();
                ((cells[0], cells[2]), cells[4].parse().expect("a score"))
            })
            .collect();
        assert!(fused.len() > 50);
        let mut hits = 0;
        let rows = std::fs::read_to_string(&out).expect("read");
        for (line, ranking) in rows.lines().zip(&fused) {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let query = row["qid"].as_str().expect("an id");
            for (id, hit) in ranking.iter().take(20) {
                // Ranks of documents with equal scores may differ between the run and the search.
                let (got, want) =
                    (scores[&(query, id.as_str())], hit["score"].as_f64().expect("one"));
                assert!((got - want).abs() < 0.01, "{method} {query} {id}: {got} {want}");
                hits += usize::from((got - want).abs() < 1e-6);
            }
        }
        assert!(hits > 500, "{hits}");
    }

    // Places of a hybrid search, and re-ranking.
    let model = "crates/splade-model/tests/fixtures/cross_encoders/bert";
    let one = |more: &[&str]| {
        let search = ["search", &index, "--format", "ndjson", "-k", "3", "海が見える席"];
        parse(&stdout(&[&search[..], more, &PORTABLE].concat())).remove(0)
    };
    let hybrid = one(&["--hybrid", "rrf"]);
    assert!(hybrid[0].1["bm25"]["rank"].is_u64(), "{hybrid:?}");
    let reranked = one(&["--hybrid", "rrf", "--rerank", model, "--rerank-top", "20"]);
    assert_eq!(reranked.len(), 3);
    assert!(reranked[0].1["score"].as_f64() >= reranked[1].1["score"].as_f64());
    assert!(
        reranked.iter().all(|(_, hit)| hit["before"]["rank"].as_u64().is_some_and(|r| r <= 20))
    );

    // What a person sees, also at a prompt.
    let table = ["search", &index, "-k", "2", "--format", "table"];
    let [plain, hybrid] = [&[][..], &["--hybrid", "rrf"]]
        .map(|more: &[&str]| stdout(&[&table[..], &["海が見える席"], more, &PORTABLE].concat()));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_light-splade"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([&table[..4], &["--interactive", "--bm25"], &PORTABLE].concat())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let input = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut &input, "海が見える席\n\nthe coast train\n".as_bytes())
        .expect("written");
    drop(input);
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success());
    let asked = String::from_utf8(output.stdout).expect("UTF-8");
    compare_with_files([
        ("search-texts", plain),
        ("search-hybrid", hybrid),
        ("search-interactive", asked),
    ]);
}

#[test]
fn searches_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = folder.path().join("index").to_str().expect("UTF-8").to_owned();
    let build = ["index", "build", "-m", MODEL, "--output", &index, "data/toy-beir/corpus.jsonl"];
    stdout(&build);
    let model = "crates/splade-model/tests/fixtures/cross_encoders/bert";
    for (more, code, want) in [
        (&["--bm25"][..], 1, "the index has no BM25"),
        (&["--hybrid", "rrf"], 1, "hint: build it again with --store --bm25"),
        (&["--hybrid", "rrf", "--weights", "1,2,3"], 1, "there are 3 weights for 2 rankings"),
        (&["--rerank", model], 1, "the index stores no texts, which re-ranking needs"),
        (&["--weights", "1,2"], 2, "--hybrid"),
        (&["--bm25", "--hybrid", "rrf"], 2, "cannot be used with"),
        (&["--bm25", "--explain"], 2, "cannot be used with"),
    ] {
        let error = failure(&[&["search", &index, "海"][..], more].concat(), code);
        assert!(error.contains(want), "{more:?}: {error}");
    }
    let error = failure(&["index", "build", "--output", "x", "--bm25", "a.txt"], 2);
    assert!(error.contains("--store"), "{error}");
    let file = folder.path().join("a.trec").to_str().expect("UTF-8").to_owned();
    std::fs::write(&file, "q Q0 a 1 2 x\n").expect("written");
    for (more, code, want) in [
        (&[][..], 2, "2 values"),
        (&[&file, "--weights", "1,2,3"][..], 1, "there are 3 weights for 2 rankings"),
        (&[&file, "-o", &file], 1, "is also an input"),
    ] {
        let error = failure(&[&["fuse", &file][..], more].concat(), code);
        assert!(error.contains(want), "{more:?}: {error}");
    }
    let output = run(&["fuse", &file, &file, "--tag", "both"]);
    assert!(output.status.success());
    let fused = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(fused, format!("q Q0 a 1 {} both\n", 2.0f32 / 61.0));
}
