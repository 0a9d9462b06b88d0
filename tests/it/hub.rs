//! Tests of the command line with a hub model, which a fake hub on a local port serves.

use std::path::Path;
#[cfg(all(unix, feature = "push"))]
use std::process::Stdio;
use std::process::{Command, Output};

use crate::fake_hub::{FakeHub, ID};

/// Runs the program with only these variables in its environment.
fn run(args: &[&str], vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.args(args).env_clear().envs(vars.iter().copied()).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn commands_take_hub_names() {
    let (hub, home) = (FakeHub::start(), tempfile::tempdir().expect("a folder"));
    let home = home.path().to_str().expect("UTF-8");
    let vars = [("HF_ENDPOINT", hub.endpoint.as_str()), ("HF_HOME", home)];
    let demo = crate::fake_hub::demo();
    let demo = demo.to_str().expect("UTF-8");

    let first = run(&["encode", "--model", ID, "-t", "cheap travel by train"], &vars);
    let said = text(&first.stderr);
    assert!(first.status.success(), "{said}");
    assert_eq!(said.matches("fetching ").count(), 5, "a line a file: {said}");
    assert!(said.contains("fetching model.safetensors, "), "{said}");
    hub.requests();

    let local = run(&["encode", "--model", demo, "-t", "cheap travel by train"], &vars);
    assert_eq!(text(&first.stdout), text(&local.stdout));
    for command in [&["tokenize", "-t", "cheap"][..], &["explain", "-t", "cheap"]] {
        let with = |model| [command, &["--model", model]].concat();
        let (by_name, by_folder) = (run(&with(ID), &vars), run(&with(demo), &vars));
        assert!(by_name.status.success(), "{}", text(&by_name.stderr));
        assert_eq!(text(&by_name.stdout), text(&by_folder.stdout));
    }
    let inspected = run(&["inspect", ID], &vars);
    assert!(text(&inspected.stdout).starts_with("model           org/demo\n"));
    let by_variable = [&vars[..], &[("LIGHT_SPLADE_MODEL", ID), ("HF_HUB_OFFLINE", "1")]].concat();
    assert!(run(&["tokenize", "-t", "cheap"], &by_variable).status.success());
    assert_eq!(hub.requests(), []);
    assert!(Path::new(home).join("hub/models--org--demo").is_dir());

    let unknown = run(&["inspect", "org/unknown"], &vars);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).starts_with("error: org/unknown: no local folder has this name"));
}

/// The upload contains the files of the exported folder, the model card included.
#[test]
fn models_are_exported_and_pushed() {
    let (hub, home) = (FakeHub::start(), tempfile::tempdir().expect("a folder"));
    let path = |name: &str| home.path().join(name).to_str().expect("UTF-8").to_owned();
    let (out, metrics, demo) = (path("out"), path("results.json"), crate::fake_hub::demo());
    let report = r#"{"metrics": {"nDCG@10": 0.25}, "queries": 12,
        "statistics": {"documents": {"avg_nnz": 5.7}}}"#;
    std::fs::write(&metrics, report).expect("written");
    let home_path = path("");
    let vars = [("HF_ENDPOINT", hub.endpoint.as_str()), ("HF_HOME", home_path.as_str())];
    let (demo, metrics) = (demo.to_str().expect("UTF-8"), format!("toy={metrics}"));
    let args = [
        "export",
        "model",
        "--model",
        demo,
        "--output",
        &out,
        "--license",
        "cc-by-4.0",
        "--metrics",
        &metrics,
        "--push-to-hub",
        "me/new",
        "--private",
    ];
    let no_token = run(&args, &vars);
    assert!(text(&no_token.stderr).contains("needs a token\nhint: set HF_TOKEN"));
    assert!(!Path::new(&out).exists(), "checked before anything is written");
    let vars = [&vars[..], &[("HF_TOKEN", crate::fake_hub::WRITE_TOKEN)]].concat();
    let pushed = run(&args, &vars);
    let said = text(&pushed.stderr);
    assert!(pushed.status.success(), "{said}");
    assert!(said.contains("sending model.safetensors, "), "{said}");
    assert!(text(&pushed.stdout).contains("text-embeddings-inference"));
    let uploads = hub.uploads.lock().expect("no panic");
    assert_eq!(uploads.models, [("me/new".to_owned(), true)].into());
    let files = &uploads.commits[0].1;
    for (name, content) in files {
        assert_eq!(*content, std::fs::read(Path::new(&out).join(name)).expect(name), "{name}");
    }
    assert!(files.contains_key("1_SpladePooling/config.json"));
    let card = text(&files["README.md"]);
    for part in [
        "---\nlanguage:\n- \"ja\"\nlicense: \"cc-by-4.0\"\n",
        "- \"sparse-encoder\"\n",
        "    - type: \"ndcg_at_10\"\n      value: 0.25\n      name: \"nDCG@10\"\n",
        "| toy | nDCG@10 | 0.2500 |\n| toy | queries | 12 |\n| toy | terms a document | 5.7 |\n",
        "SparseEncoder(\"me/new\")",
    ] {
        assert!(card.contains(part), "{part:?} is not in the card:\n{card}");
    }
    drop(uploads);
    let twice = run(&args, &vars);
    assert!(text(&twice.stderr).contains("is there already\nhint: name another"));
}

/// Ctrl-C is heard while a server is silent. The search engine, too, may be silent.
#[cfg(all(unix, feature = "push"))]
#[test]
fn ctrl_c_ends_the_wait_for_a_silent_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let home = tempfile::tempdir().expect("a folder");
    for args in [
        &["encode", "--model", "org/demo", "-t", "a"][..],
        &["doctor", &url],
        &["inspect", "org/demo"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
        command.args(args).env_clear().env("HF_HOME", home.path()).env("HF_ENDPOINT", &url);
        // A test that runs in the background may have inherited that the signal is ignored.
        // SAFETY: `signal` may be called between `fork` and `exec`.
        #[allow(unsafe_code, reason = "a call of the system")]
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, || {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                Ok(())
            });
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program runs");
        // The connection stays open, and nothing is answered.
        let connection = listener.accept().expect("a connection");
        let pid = libc::pid_t::try_from(child.id()).expect("a process id");
        // SAFETY: the call involves no memory.
        #[allow(unsafe_code, reason = "a call of the system")]
        let sent = unsafe { libc::kill(pid, libc::SIGINT) };
        assert_eq!(sent, 0);
        let status = child.wait().expect("an end");
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert!(
            status.code() == Some(130) || by_signal == Some(libc::SIGINT),
            "{args:?}: {status}"
        );
        drop(connection);
    }
}

/// What the environment says about proxies and certificates, the hub and search engines follow alike.
#[cfg(feature = "push")]
#[test]
fn proxies_of_the_environment_are_used() {
    let listener =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|closed| closed.local_addr());
    let dead = format!("http://me:secret@{}", listener.expect("a port"));
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path().to_str().expect("UTF-8");
    let vars = [("HF_ENDPOINT", "http://hub.test"), ("HF_HOME", home), ("HTTP_PROXY", &dead)];
    let hub = run(&["inspect", "org/demo"], &vars);
    let said = text(&hub.stderr);
    assert!(
        said.contains("http://hub.test cannot be reached through the proxy http://127"),
        "{said}"
    );
    assert!(
        said.contains("of HTTP_PROXY") && said.contains("NO_PROXY") && !said.contains("secret"),
        "{said}"
    );
    let engine = run(&["doctor", "http://engine.test"], &vars);
    let said = text(&engine.stdout);
    assert!(said.contains("http://engine.test cannot be reached through the proxy"), "{said}");
    assert!(!said.contains("secret") && !said.contains("--resume"), "{said}");
}
