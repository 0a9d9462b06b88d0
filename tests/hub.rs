//! The command line with a model of the hub, served on a local port.
#![cfg(feature = "hub")]

#[path = "../crates/splade-model/tests/fake_hub/mod.rs"]
mod fake_hub;

use std::path::Path;
use std::process::{Command, Output};

use fake_hub::{FakeHub, ID};

/// Runs the program with nothing in its environment but what is given.
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
    let demo = fake_hub::demo();
    let demo = demo.to_str().expect("UTF-8");

    let first = run(&["encode", "--model", ID, "-t", "cheap travel by train"], &vars);
    let said = text(&first.stderr);
    assert!(first.status.success(), "{said}");
    assert_eq!(said.matches("fetching ").count(), 5, "a line a file: {said}");
    assert!(said.contains("fetching model.safetensors, "), "{said}");
    hub.requests();

    let local = run(&["encode", "--model", demo, "-t", "cheap travel by train"], &vars);
    assert_eq!(text(&first.stdout), text(&local.stdout));
    for command in [&["tokenize", "-t", "cheap"][..], &["explain", "cheap"]] {
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
    assert!(text(&unknown.stderr).starts_with("error: org/unknown: it is no folder here"));
}
