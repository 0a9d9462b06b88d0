//! Tests of `doctor` on fake search engines (`fake_engine`), working ones and ones with one fault
//! each. Its output for real ones is in docs/reference/engines-proven.md.

use std::process::{Command, Stdio};

use crate::common::{failure, stdout};
use crate::fake_engine::{FakeEngine, Fault, Says};

/// Returns the output of `doctor` for a search engine without faults.
fn sound(engine: &FakeEngine, more: &[&str]) -> String {
    let said = stdout(&[&["doctor", &engine.url], more].concat());
    assert!(engine.indexes.lock().expect("no panic").is_empty(), "the index is deleted");
    assert!(said.contains("sound      everything that was looked at"), "{said}");
    said
}

/// Returns the output of `doctor` for a search engine with a fault.
fn wrong(says: Says, fault: Fault) -> String {
    let engine = FakeEngine::start(says, fault);
    let output = crate::common::run(&["doctor", &engine.url]);
    assert_eq!(output.status.code(), Some(1), "{fault:?}");
    assert!(engine.indexes.lock().expect("no panic").is_empty(), "the index is deleted: {fault:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn sound_engines() {
    let engine = FakeEngine::start(Says::Elasticsearch, Fault::None);
    let said = sound(&engine, &[]);
    for line in [
        &format!("server     Elasticsearch 9.5.3 at {}", engine.url),
        "health     green",
        "field      sparse_vector, in the temporary index light-splade-doctor-",
        "documents  300 taken",
        "scores     of 25 queries as they have to be",
        "names      16 with dots, quotes and other signs are found",
        "pruning    none",
        "weights    of up to ",
        "terms      queries of up to ",
        "index      deleted",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    let said = sound(&FakeEngine::start(Says::OpenSearch, Fault::None), &[]);
    assert!(said.contains("queries    rank_feature (there is no neural-search plugin"), "{said}");
    let said = sound(&FakeEngine::start(Says::Qdrant, Fault::None), &[]);
    assert!(said.contains("overlap@10 1.000, largest error 0.000 %"), "{said}");
    let said = sound(&FakeEngine::start(Says::Elasticsearch, Fault::PrunesByDefault), &[]);
    assert!(said.contains("pruning    queries have to say prune: false, or "), "{said}");
}

#[test]
fn faults_are_found_and_named() {
    for (says, fault, want) in [
        (Says::Elasticsearch, Fault::Factor(1.1), "hint: all scores are off by one factor"),
        (Says::Elasticsearch, Fault::Prunes, "hint: scores are too small"),
        (Says::Qdrant, Fault::Prunes, "hint: scores are too small"),
        (Says::OpenSearch, Fault::Factor(0.5), "by 50.000 % at the most"),
        (Says::Elasticsearch, Fault::Loses("東京"), "not found: 東京"),
        (Says::Elasticsearch, Fault::Refuses("東京"), "not found: 東京"),
        (Says::Elasticsearch, Fault::NoField, "hint: sparse_vector needs Elasticsearch 8.11"),
        (
            Says::Elasticsearch,
            Fault::RefusesDocuments,
            "150 of 300 taken; the first that is refused: d150, document_parsing_exception: the field is too long",
        ),
        (Says::OpenSearch, Fault::Red, "health     WRONG: red"),
        (Says::Elasticsearch, Fault::Key("secret"), "hint: set LIGHT_SPLADE_API_KEY"),
    ] {
        let said = wrong(says, fault);
        assert!(said.contains(want), "{fault:?}: {want} is not in\n{said}");
        assert!(!said.contains("sound      "), "{said}");
    }
}

/// A busy server is reported neither as a limit of the search engine nor as pruning.
#[test]
fn a_server_that_gets_too_busy() {
    // The 25 queries and 16 names are answered before the server is busy.
    let said = wrong(Says::Elasticsearch, Fault::BusyAfter(41, None));
    assert!(said.contains("names      16"), "{said}");
    for what in ["pruning", "weights"] {
        let line = format!("{what}    WRONG: a query is answered with 503, busy");
        assert!(said.contains(&line), "{line} is not in\n{said}");
    }
    assert!(!said.contains("prune: false") && !said.contains("answered rightly"), "{said}");
    let said = wrong(Says::Elasticsearch, Fault::BusyAfter(25, None));
    assert!(said.contains("names      WRONG: a query is answered with 503"), "{said}");
}

#[test]
fn keys_come_from_the_environment() {
    for says in [Says::Elasticsearch, Says::Qdrant] {
        let engine = FakeEngine::start(says, Fault::Key("secret"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
        command.args(["doctor", &engine.url]).env("LIGHT_SPLADE_API_KEY", "secret");
        let output = command.output().expect("the tool runs");
        assert!(output.status.success(), "{output:?}");
        assert!(!format!("{output:?}").contains("secret"), "keys are not shown");
    }
}

#[test]
fn own_vectors() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let documents = file(
        "documents.ndjson",
        "{\"id\":\"a\",\"vector\":{\"3\":1.5}}\n{\"id\":\"b\",\"vector\":{\"3\":1,\"9\":2}}\n",
    );
    let queries = file("queries.ndjson", "{\"id\":\"q\",\"vector\":{\"3\":1,\"9\":0.5}}\n");
    let more = ["--vectors", &documents, "--queries", &queries];
    let said = sound(&FakeEngine::start(Says::Qdrant, Fault::None), &more);
    assert!(said.contains("documents  2 taken"), "{said}");
    let empty = file("empty.ndjson", "");
    let engine = FakeEngine::start(Says::Qdrant, Fault::None);
    let call = ["doctor", &engine.url, "--vectors", &empty, "--queries", &queries];
    assert!(failure(&call, 1).contains("has no terms"));
    let twice = file("twice.ndjson", &"{\"id\":\"a\",\"vector\":{\"3\":1.5}}\n".repeat(2));
    let call = ["doctor", &engine.url, "--vectors", &twice, "--queries", &queries];
    assert!(failure(&call, 1).contains("document \"a\" is there twice"));
}

#[test]
fn what_cannot_be_reached_or_is_no_engine() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    let output = crate::common::run(&["doctor", &url]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("hint: check the address"), "{said}");
    // `doctor` does not recommend the options of another command.
    assert!(!said.contains("--resume"), "{said}");
    let output = crate::common::run(&["doctor", "nonsense url"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// The interrupt comes during a search, and during the wait for a busy server.
#[cfg(unix)]
#[test]
fn ctrl_c_deletes_the_index() {
    for fault in [Fault::Slow, Fault::BusyAfter(0, Some(60))] {
        let engine = FakeEngine::start(Says::Elasticsearch, fault);
        let child = Command::new(env!("CARGO_BIN_EXE_light-splade"))
            .args(["doctor", &engine.url])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool runs");
        while *engine.searches.lock().expect("no panic") == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!engine.indexes.lock().expect("no panic").is_empty());
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{fault:?}: {output:?}");
        assert!(engine.indexes.lock().expect("no panic").is_empty(), "{fault:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        let deleted = said.contains("light-splade-doctor-") && said.contains("is deleted");
        assert!(deleted, "{fault:?}: {said}");
    }
}
