//! Tests of hub models, which are downloaded from a fake hub on a local port (`fake_hub`). No test
//! uses the network or reads the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fake_hub::{FakeHub, ID, MAIN, V1, WRITE_TOKEN, demo, demo_files, sha256};
use crate::whole;
use splade_http::HttpOptions;
use splade_io::{Event, Observer};
use splade_model::hub::{HubOptions, HubTarget, resolve, resolve_dataset, upload};
use splade_model::{Encoder, EncoderOptions, ModelError};
use splade_sparse::SparseVector;
use tempfile::TempDir;

const WEIGHTS: &str = "model.safetensors";

fn options(hub: &FakeHub, cache: &TempDir) -> HubOptions {
    let (cache, endpoint) = (cache.path().join("hub"), hub.endpoint.clone());
    let mut http = HttpOptions::default();
    http.wait = Duration::from_millis(1);
    HubOptions { cache, endpoint, token: None, offline: false, http }
}

/// An observer that keeps what it is told, and asks to stop after a number of events.
#[derive(Default)]
struct Told {
    /// The file, the received bytes and all bytes of each event of progress.
    fetched: Vec<(String, u64, u64)>,
    notes: Vec<String>,
    stop_after: Option<usize>,
}

impl Observer for Told {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Progress(at) => {
                self.fetched.push((at.unit.to_owned(), at.done, at.total.expect("a total")));
            }
            Event::Note(note) => self.notes.push(note.to_owned()),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        self.stop_after.is_some_and(|events| self.fetched.len() + self.notes.len() >= events)
    }
}

fn cache() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn fetch(name: &str, options: &HubOptions) -> PathBuf {
    resolve(name, options, &mut ()).expect(name)
}

fn error(name: &str, options: &HubOptions) -> String {
    whole(&resolve(name, options, &mut ()).expect_err(name))
}

fn encode(folder: &Path) -> Vec<SparseVector> {
    let options = EncoderOptions { threads: Some(1), ..Default::default() };
    let encoder = Encoder::load(folder, &options).expect("a model");
    encoder.encode(&["朝の電車で東京へ", "cheap travel by train"]).expect("encoded")
}

/// Returns the names of all files in a folder, in alphabetical order.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

fn root(options: &HubOptions) -> PathBuf {
    options.cache.join("models--org--demo")
}

fn weights() -> Vec<u8> {
    std::fs::read(demo().join(WEIGHTS)).expect("the weights")
}

#[test]
fn a_download_equals_the_folder_and_is_made_once() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    let mut told = Told::default();
    let folder = resolve(ID, &options, &mut told).expect("fetched");
    assert_eq!(folder, root(&options).join("snapshots").join(MAIN));
    let expected = ["config.json", "expected.json", WEIGHTS, "tokenizer_config.json", "vocab.txt"];
    assert_eq!(files(&folder), expected);
    for name in expected {
        let read = |folder: &Path| std::fs::read(folder.join(name)).expect(name);
        assert_eq!(read(&folder), read(&demo()), "{name}");
    }
    assert_eq!(encode(&folder), encode(&demo()));

    let size = weights().len() as u64;
    let of_weights: Vec<_> = told.fetched.iter().filter(|call| call.0 == WEIGHTS).collect();
    assert_eq!(of_weights.first().map(|call| (call.1, call.2)), Some((0, size)));
    assert_eq!(of_weights.last().map(|call| (call.1, call.2)), Some((size, size)));

    assert!(!hub.requests().is_empty());
    assert_eq!(fetch(ID, &options), folder);
    assert_eq!(fetch(&format!("{ID}@{MAIN}"), &options), folder);
    assert_eq!(hub.requests(), []);
}

/// The layout is that of huggingface_hub 0.36: a ref with the commit, links relative to the
/// snapshot, and blobs named by ETag.
#[test]
fn the_cache_is_laid_out_as_pythons() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    let folder = fetch(ID, &options);
    let root = root(&options);
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).expect("a ref"), MAIN);
    let blob = root.join("blobs").join(sha256(&weights()));
    assert_eq!(std::fs::read(&blob).expect("a blob"), weights());
    #[cfg(unix)]
    assert_eq!(
        std::fs::read_link(folder.join(WEIGHTS)).expect("a link"),
        Path::new("../../blobs").join(sha256(&weights()))
    );
    assert_eq!(files(&root), [".light-splade", "blobs", "refs", "snapshots"]);
    assert_eq!(files(&folder).len(), files(&root.join("blobs")).len(), "nothing half-way is left");
}

#[test]
fn revisions() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    let main = fetch(ID, &options);
    hub.requests();
    for name in ["org/demo@v1", "org/demo@refs/pr/1", &format!("org/demo@{V1}")] {
        let folder = fetch(name, &options);
        assert_eq!(folder, root(&options).join("snapshots").join(V1), "{name}");
        assert!(folder.join("v1.json").is_file());
    }
    let fetched = hub.requests();
    assert!(fetched.iter().all(|r| !r.cdn), "the same blob is fetched once: {fetched:?}");
    assert_eq!(fetch(ID, &options), main);
    let refs = root(&options).join("refs");
    assert_eq!(std::fs::read_to_string(refs.join("refs/pr/1")).expect("a ref"), V1);
    assert_eq!(files(&refs), ["main", "refs", "v1"]);

    let message = error("org/demo@v2", &options);
    assert!(message.contains("org/demo@v2: there is no revision v2"), "{message}");
}

#[test]
fn offline() {
    let (hub, cache) = (FakeHub::start(), cache());
    let online = options(&hub, &cache);
    let offline = HubOptions { offline: true, ..online.clone() };
    let message = error(ID, &offline);
    assert!(message.contains("models--org--demo; unset HF_HUB_OFFLINE"), "{message}");
    let folder = fetch(ID, &online);
    hub.requests();
    assert_eq!(fetch(ID, &offline), folder);

    std::fs::remove_file(folder.join("vocab.txt")).expect("removed");
    let message = error(ID, &offline);
    assert!(message.contains("whole model: no vocab.txt; unset HF_HUB_OFFLINE"), "{message}");
    assert_eq!(hub.requests(), []);

    // Only the missing file is requested, and its blob still exists.
    assert_eq!(fetch(ID, &online), folder);
    let paths: Vec<_> = hub.requests().into_iter().map(|r| (r.method, r.path)).collect();
    assert_eq!(paths.len(), 3, "the list, and the redirected HEAD: {paths:?}");
    assert!(
        paths[1..].iter().all(|(method, path)| method == "HEAD" && path.ends_with("vocab.txt"))
    );
}

#[test]
fn a_hub_that_does_not_answer() {
    let (hub, cache) = (FakeHub::start(), cache());
    let online = options(&hub, &cache);
    // No process listens on this port, because its listener is dropped at once.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let endpoint = format!("http://{}", port.expect("a port"));
    let unreachable = HubOptions { endpoint: endpoint.clone(), ..online.clone() };
    let message = error(ID, &unreachable);
    assert!(message.contains(&format!("cannot be fetched from {endpoint}: ")), "{message}");
    let folder = fetch(ID, &online);
    assert_eq!(fetch(ID, &unreachable), folder);
}

#[test]
fn an_interrupted_body_is_resumed() {
    let (hub, cache) = (FakeHub::start(), cache());
    hub.behaviour.lock().expect("no panic").cut.insert(WEIGHTS, (1000, 1));
    let folder = fetch(ID, &options(&hub, &cache));
    assert_eq!(std::fs::read(folder.join(WEIGHTS)).expect("the weights"), weights());
    let ranges: Vec<_> = hub.requests().iter().filter(|r| r.cdn).map(|r| r.range).collect();
    assert_eq!(ranges, [None, Some(weights().len() - 1000)]);
}

/// A killed download leaves a partial blob and no file of its name.
#[test]
fn a_killed_download_is_resumed_or_made_anew() {
    let size = weights().len();
    let name = format!("{}.incomplete", sha256(&weights()));
    for (part, no_ranges, expected) in [
        (weights()[..5000].to_vec(), false, vec![Some(5000)]),
        (weights()[..5000].to_vec(), true, vec![Some(5000)]),
        (weights(), false, vec![]),
        (vec![7; 5000], false, vec![Some(5000), None]),
        (vec![7; size + 1], false, vec![None]),
    ] {
        let (hub, cache) = (FakeHub::start(), cache());
        let options = options(&hub, &cache);
        hub.behaviour.lock().expect("no panic").no_ranges = no_ranges;
        let blobs = root(&options).join("blobs");
        std::fs::create_dir_all(&blobs).expect("a folder");
        std::fs::write(blobs.join(&name), &part).expect("a part");
        let folder = fetch(ID, &options);
        assert_eq!(std::fs::read(folder.join(WEIGHTS)).expect("the weights"), weights());
        let ranges: Vec<_> = hub.requests().iter().filter(|r| r.cdn).map(|r| r.range).collect();
        assert_eq!(ranges, expected);
        assert!(!blobs.join(&name).exists());
    }
}

#[test]
fn a_truncated_file_is_not_accepted() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    {
        let mut behaviour = hub.behaviour.lock().expect("no panic");
        behaviour.cut.insert(WEIGHTS, (1000, usize::MAX));
        behaviour.no_ranges = true;
    }
    let message = error(ID, &options);
    let size = weights().len();
    let stops = format!("{WEIGHTS} stops after {} of {size} bytes", size - 1000);
    assert!(message.contains(&stops), "{message}");
    let snapshot = root(&options).join("snapshots").join(MAIN);
    assert!(!snapshot.join(WEIGHTS).exists());
    // An incomplete snapshot is not used, not even by the name of its commit.
    let offline = HubOptions { offline: true, ..options.clone() };
    assert!(error(ID, &offline).contains("not in the cache"));
    let message = error(&format!("{ID}@{MAIN}"), &offline);
    assert!(message.contains(&format!("whole model: no {WEIGHTS}")), "{message}");

    *hub.behaviour.lock().expect("no panic") = crate::fake_hub::Behaviour::default();
    assert_eq!(encode(&fetch(ID, &options)), encode(&demo()));

    // A blob that lost bytes later is downloaded again.
    let blob = root(&options).join("blobs").join(sha256(&weights()));
    std::fs::write(&blob, &weights()[..5000]).expect("cut off");
    let message = error(ID, &offline);
    assert!(message.contains(&format!("whole model: no {WEIGHTS}")), "{message}");
    assert_eq!(encode(&fetch(ID, &options)), encode(&demo()));
}

#[test]
fn damaged_bytes_are_not_accepted() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    hub.behaviour.lock().expect("no panic").damaged.push(WEIGHTS);
    let message = error(ID, &options);
    assert!(message.contains("model.safetensors was damaged on its way"), "{message}");
    hub.behaviour.lock().expect("no panic").damaged = vec!["config.json"];
    std::fs::remove_dir_all(&options.cache).expect("removed");
    let message = error(ID, &options);
    assert!(
        message.contains("config.json was damaged on its way: its git hash is not"),
        "{message}"
    );
    hub.behaviour.lock().expect("no panic").damaged.clear();
    assert_eq!(encode(&fetch(ID, &options)), encode(&demo()));
}

/// A login page that a proxy sends in place of a file is not kept, even if its ETag says nothing.
#[test]
fn web_pages_are_no_files() {
    let page = "<!DOCTYPE html><title>Log in</title>";
    for etag in ["\"66a-5f3\"", "\"0000000000000000000000000000000000000000\""] {
        let (hub, cache) = (FakeHub::start(), cache());
        let options = options(&hub, &cache);
        hub.behaviour.lock().expect("no panic").page = Some(etag);
        let message = error(ID, &options);
        let expected = format!("{} sent a web page in place of config.json", hub.endpoint);
        assert!(message.contains(&expected) && message.contains("HF_ENDPOINT"), "{message}");
        assert_eq!(files(&root(&options).join("blobs")), [""; 0], "nothing is kept");
        hub.behaviour.lock().expect("no panic").page = None;

        // One that an earlier version kept is replaced.
        let folder = fetch(ID, &options);
        std::fs::remove_file(folder.join("vocab.txt")).expect("removed");
        std::fs::write(folder.join("vocab.txt"), page).expect("written");
        std::fs::remove_dir_all(root(&options).join(".light-splade")).expect("removed");
        assert_eq!(encode(&fetch(ID, &options)), encode(&demo()));
    }
}

/// A mirror that redirects everything to another hub is followed, and the token stays with it.
#[test]
fn mirrors_that_redirect() {
    let (hub, mirror, cache) = (FakeHub::start(), FakeHub::start(), cache());
    mirror.behaviour.lock().expect("no panic").moved = Some(hub.endpoint.clone());
    let token = Some("hf_secret".to_owned());
    let options = HubOptions { token, ..options(&mirror, &cache) };
    assert_eq!(encode(&fetch(ID, &options)), encode(&demo()));
    assert!(mirror.requests().iter().all(|request| request.authorization.is_some()));
    assert!(hub.requests().iter().all(|request| request.authorization.is_none()));
    let blob = root(&options).join("blobs").join(sha256(&weights()));
    assert!(blob.is_file(), "the hub's description of the file is used, not the CDN's");

    mirror.behaviour.lock().expect("no panic").moved = Some(mirror.endpoint.clone());
    let message = error("org/other", &options);
    assert!(message.contains("redirects to") && message.contains("circle"), "{message}");
}

#[test]
fn a_busy_hub_is_asked_again() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    hub.behaviour.lock().expect("no panic").busy = 3;
    let mut told = Told::default();
    let folder = resolve(ID, &options, &mut told).expect("fetched");
    assert_eq!(encode(&folder), encode(&demo()));
    assert_eq!(told.notes.len(), 3);
    let note = format!("{} answered 503; next try in 0.0 s", hub.endpoint);
    assert_eq!(told.notes[0], note);

    hub.behaviour.lock().expect("no panic").busy = usize::MAX;
    let message = error("org/other", &options);
    let expected = format!("{} answered 503 for {}/api/models/", hub.endpoint, hub.endpoint);
    assert!(message.contains(&expected), "{message}");
    // A model in the cache does not wait for the hub.
    std::fs::remove_dir_all(root(&options).join(".light-splade")).expect("removed");
    hub.requests();
    assert_eq!(fetch(ID, &options), folder);
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn a_stopped_download_is_continued() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    for stop_after in [0, 1, 6] {
        let mut told = Told { stop_after: Some(stop_after), ..Told::default() };
        let error = resolve(ID, &options, &mut told).expect_err("stopped");
        assert!(matches!(error, ModelError::Stopped { .. }), "{error}");
    }
    assert_eq!(encode(&fetch(ID, &options)), encode(&demo()));
}

/// Waiting for another process that downloads the same file can be stopped, too.
#[test]
fn a_wait_for_another_process_is_stopped() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    let locks = options.cache.join(".locks/models--org--demo");
    std::fs::create_dir_all(&locks).expect("a folder");
    let config = std::fs::read(demo().join("config.json")).expect("a config");
    let lock = locks.join(format!("{}.lock", crate::fake_hub::git_hash(&config)));
    let lock = std::fs::File::create(lock).expect("a lock");
    lock.lock().expect("locked");
    let mut told = Told { stop_after: Some(1), ..Told::default() };
    let error = resolve(ID, &options, &mut told).expect_err("stopped");
    assert!(matches!(error, ModelError::Stopped { .. }), "{error}");
    assert_eq!(told.notes, ["another process is fetching config.json; waiting for it"]);
}

#[test]
fn refusals_say_what_to_do() {
    let (hub, cache) = (FakeHub::start(), cache());
    let without = options(&hub, &cache);
    let with = HubOptions { token: Some("hf_secret".to_owned()), ..without.clone() };
    let message = error("org/unknown", &without);
    assert!(message.starts_with("org/unknown: no local folder has this name, and"), "{message}");
    assert!(message.contains("set HF_TOKEN"), "{message}");
    let message = error("org/unknown", &with);
    assert!(message.contains("no such model or revision"), "{message}");
    assert!(!message.contains("hf_secret"), "{message}");

    hub.behaviour.lock().expect("no panic").token = Some("hf_other");
    let message = error(ID, &without);
    let terms = format!("accept its terms at {}/{ID} and set HF_TOKEN", hub.endpoint);
    assert!(message.contains(&terms), "{message}");
    let message = error(ID, &with);
    assert!(message.contains("HF_TOKEN has no access"), "{message}");
    assert!(!message.contains("hf_secret"), "{message}");
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let (hub, cache) = (FakeHub::start(), cache());
    hub.behaviour.lock().expect("no panic").token = Some("hf_secret");
    let token = Some("hf_secret".to_owned());
    fetch(ID, &HubOptions { token, ..options(&hub, &cache) });
    let requests = hub.requests();
    assert!(requests.iter().any(|r| r.cdn) && requests.iter().any(|r| !r.cdn));
    for request in requests {
        let expected = if request.cdn { None } else { Some("Bearer hf_secret") };
        assert_eq!(request.authorization.as_deref(), expected, "{request:?}");
    }
}

/// Creates a cache as transformers leaves it: links, the files that transformers needs, and no
/// manifest of ours.
#[cfg(unix)]
fn pythons_cache(options: &HubOptions, names: &[&str]) -> PathBuf {
    let root = root(options);
    let snapshot = root.join("snapshots").join(MAIN);
    for folder in ["blobs", "refs", &format!("snapshots/{MAIN}")] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    std::fs::write(root.join("refs/main"), MAIN).expect("a ref");
    for name in names {
        let content = std::fs::read(demo().join(name)).expect(name);
        let etag = sha256(&content);
        std::fs::write(root.join("blobs").join(&etag), content).expect("a blob");
        let target = Path::new("../../blobs").join(&etag);
        std::os::unix::fs::symlink(target, snapshot.join(name)).expect("a link");
    }
    snapshot
}

#[cfg(unix)]
#[test]
fn pythons_caches_are_used() {
    let (hub, cache) = (FakeHub::start(), cache());
    let online = options(&hub, &cache);
    let offline = HubOptions { offline: true, ..online.clone() };
    let names = ["config.json", "tokenizer_config.json", "vocab.txt", WEIGHTS];
    let snapshot = pythons_cache(&online, &names);
    assert_eq!(fetch(ID, &offline), snapshot);
    assert_eq!(encode(&snapshot), encode(&demo()));
    assert_eq!(hub.requests(), []);

    // The hub is asked once for its list of files, and only the missing file is downloaded.
    assert_eq!(fetch(ID, &online), snapshot);
    let requests = hub.requests();
    assert_eq!(requests[0].path, format!("/api/models/{ID}/revision/{MAIN}"));
    assert!(requests[1..].iter().all(|r| r.path.ends_with("/expected.json")), "{requests:?}");
    assert_eq!(fetch(ID, &online), snapshot);
    assert_eq!(hub.requests(), []);
}

#[cfg(unix)]
#[test]
fn a_part_of_pythons_cache_is_not_taken_for_whole() {
    for (names, gap) in [
        (&["config.json"][..], "there is no tokenizer.json or vocab.txt"),
        (&["config.json", "vocab.txt"], "there are no weights"),
        (&["vocab.txt", WEIGHTS], "there is no config.json"),
    ] {
        let (hub, cache) = (FakeHub::start(), cache());
        let online = options(&hub, &cache);
        let snapshot = pythons_cache(&online, names);
        let message = error(ID, &HubOptions { offline: true, ..online.clone() });
        assert!(message.contains(gap), "{message}");
        assert_eq!(fetch(ID, &online), snapshot);
        assert_eq!(encode(&snapshot), encode(&demo()));
    }
}

/// The folders of modules are downloaded, and a missing one is reported.
#[test]
fn sentence_transformers() {
    let mut repository = demo_files();
    let mut add = |name: &str, text: &str| repository.insert(name.to_owned(), text.into());
    add(
        "modules.json",
        r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.sparse_encoder.models.MLMTransformer"},
            {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": "sentence_transformers.sparse_encoder.models.SpladePooling"}]"#,
    );
    add("1_SpladePooling/config.json", r#"{"pooling_strategy": "sum"}"#);
    let (hub, cache) = (FakeHub::with(repository), cache());
    let online = options(&hub, &cache);
    let folder = fetch(ID, &online);
    assert_ne!(encode(&folder), encode(&demo()), "sums are not maxima");

    std::fs::remove_dir_all(root(&online).join(".light-splade")).expect("removed");
    std::fs::remove_dir_all(folder.join("1_SpladePooling")).expect("removed");
    let message = error(ID, &HubOptions { offline: true, ..online });
    assert!(message.contains("1_SpladePooling: there is no such folder"), "{message}");
}

#[test]
fn a_model_without_weights() {
    let mut repository = demo_files();
    repository.retain(|name, _| name != WEIGHTS && name != "pytorch_model.bin");
    let (hub, cache) = (FakeHub::with(repository), cache());
    let message = error(ID, &options(&hub, &cache));
    assert!(message.contains("no weights that can be read"), "{message}");
}

#[test]
fn several_at_once() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    let folders: Vec<PathBuf> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| fetch(ID, &options))).collect();
        threads.into_iter().map(|thread| thread.join().expect("fetched")).collect()
    });
    assert!(folders.iter().all(|folder| *folder == folders[0]));
    assert_eq!(encode(&folders[0]), encode(&demo()));
    let bodies = hub.requests().iter().filter(|r| r.cdn && r.method == "GET").count();
    assert_eq!(bodies, 1, "the others wait for the first");
    let root = root(&options);
    assert_eq!(files(&folders[0]).len(), files(&root.join("blobs")).len());
}

#[test]
fn folders_come_first_and_paths_are_no_names() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    let folder = demo();
    let name = folder.to_str().expect("UTF-8");
    assert_eq!(fetch(name, &options), folder);
    for name in ["./org/demo", "/org/demo", "~/demo", "a/b/c", "demo", "../demo"] {
        let message = error(name, &options);
        assert!(message.contains("there is no such folder"), "{name}: {message}");
    }
    assert_eq!(hub.requests(), []);
}

#[test]
fn a_cache_that_cannot_be_written() {
    let (hub, cache) = (FakeHub::start(), cache());
    let options = options(&hub, &cache);
    std::fs::write(&options.cache, "a file").expect("written");
    let message = error(ID, &options);
    assert!(message.contains("cannot write") && message.contains("HF_HUB_CACHE"), "{message}");
}

/// Only the named files of a data set are downloaded, once each, in the layout of huggingface_hub.
#[test]
fn files_of_data_sets() {
    let names = ["data/a.tsv", "data/b.json", "other.tsv"];
    let files = names.map(|name| (name.to_owned(), name.repeat(3).into_bytes()));
    let (hub, cache) = (FakeHub::with(files.into()), cache());
    let mut options = options(&hub, &cache);
    let fetch = |files: &[&str], options: &HubOptions| {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        resolve_dataset(ID, &files, options, &mut ()).map_err(|error| whole(&error))
    };
    let folder = fetch(&["data/a.tsv"], &options).expect("fetched");
    let want = format!("datasets--org--demo/snapshots/{MAIN}");
    assert_eq!(folder, options.cache.join(want));
    assert_eq!(std::fs::read(folder.join("data/a.tsv")).expect("a file"), b"data/a.tsv".repeat(3));
    let paths: Vec<String> =
        hub.requests().into_iter().filter(|r| !r.cdn).map(|r| r.path).collect();
    let file = format!("/datasets/{ID}/resolve/{MAIN}/data/a.tsv");
    assert_eq!(paths, [format!("/api/datasets/{ID}/revision/main"), file.clone(), file]);
    // Another file of the same commit is downloaded; if all files are cached, no request is sent.
    assert_eq!(fetch(&["data/a.tsv", "data/b.json"], &options).expect("fetched"), folder);
    assert!(!folder.join("other.tsv").exists());
    hub.requests();
    options.offline = true;
    assert_eq!(fetch(&["data/b.json"], &options).expect("in the cache"), folder);
    let error = fetch(&["other.tsv"], &options).expect_err("not in the cache");
    assert!(error.contains("the cache does not have other.tsv; unset HF_HUB_OFFLINE"), "{error}");
    assert_eq!(hub.requests(), []);
    options.offline = false;
    let error = fetch(&["none.tsv"], &options).expect_err("not at the hub");
    assert!(error.contains("there is no file none.tsv in the data set"), "{error}");
    let unknown = resolve_dataset("org/unknown", &[], &options, &mut ());
    let error = unknown.expect_err("unknown").to_string();
    assert!(error.contains("has no public data set of this name"), "{error}");
}

/// Creates a folder with small, large, empty and ignored files, and one file in a subfolder.
fn folder_to_upload() -> TempDir {
    let folder = cache();
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).expect("written");
    };
    std::fs::create_dir(folder.path().join("1_SpladePooling")).expect("created");
    write("model.safetensors", &weights());
    write("config.json", b"{}");
    write("empty.bin", b"");
    write("ignored.txt", b"x");
    write("1_SpladePooling/config.json", "{\"あ\": 1}".as_bytes());
    folder
}

fn upload_to(
    hub: &FakeHub,
    folder: &TempDir,
    revision: &str,
    token: Option<&str>,
) -> Result<String, String> {
    let options = HubOptions { token: token.map(str::to_owned), ..options(hub, &cache()) };
    let target = HubTarget::new("me/new", revision, true).expect("a name");
    upload(folder.path(), &options, &target, &mut ()).map_err(|error| whole(&error))
}

#[test]
fn an_upload_arrives_whole_and_large_files_once() {
    let (hub, folder) = (FakeHub::start(), folder_to_upload());
    hub.behaviour.lock().expect("no panic").failing_puts = 1;
    let url = upload_to(&hub, &folder, "main", Some(WRITE_TOKEN)).expect("uploaded");
    assert_eq!(url, format!("{}/me/new/commit/abc", hub.endpoint));
    let requests = hub.requests();
    let puts = requests.iter().filter(|request| request.method == "PUT");
    assert_eq!(puts.count(), 2, "one failed, one was taken");
    assert!(requests.iter().all(|request| request.cdn == request.authorization.is_none()));
    let of_folder = |name: &str| std::fs::read(folder.path().join(name)).expect(name);
    {
        let uploads = hub.uploads.lock().expect("no panic");
        assert_eq!(uploads.models, [("me/new".to_owned(), true)].into());
        assert_eq!(uploads.verified, [sha256(&weights())]);
        let (branch, files) = &uploads.commits[0];
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(branch, "me/new@main");
        let expected = ["1_SpladePooling/config.json", "config.json", "empty.bin", WEIGHTS];
        assert_eq!(names, expected);
        for (name, content) in files {
            assert_eq!(*content, of_folder(name), "{name}");
        }
    }

    // The upload goes to a branch twice; neither the branch nor the large file is sent again.
    for _ in 0..2 {
        upload_to(&hub, &folder, "v2/a", Some(WRITE_TOKEN)).expect("uploaded");
    }
    assert!(hub.requests().iter().all(|request| request.method != "PUT"));
    let uploads = hub.uploads.lock().expect("no panic");
    assert_eq!(uploads.branches, ["me/new@v2/a"]);
    assert_eq!(uploads.commits.len(), 3);
    assert_eq!(uploads.commits[1].1, uploads.commits[0].1);
}

#[test]
fn refused_uploads_say_why() {
    let (hub, folder) = (FakeHub::start(), folder_to_upload());
    let error = |token| upload_to(&hub, &folder, "main", token).expect_err("refused");
    let none = error(None);
    assert!(none.contains("does not accept the token (Invalid username or password.)"), "{none}");
    let other = error(Some("hf_read"));
    assert!(other.contains("(You don't have the rights); give a token (HF_TOKEN) with"), "{other}");
    assert!(hub.uploads.lock().expect("no panic").models.is_empty());
    assert!(HubTarget::new("no-name", "main", false).is_err());
    assert!(HubTarget::new("me/new", "a b", false).is_err());
}
