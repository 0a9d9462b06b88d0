//! Compares composed configs with those of Hydra itself, which `scripts/reference/hydra_cases.py`
//! recorded.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use hydra_compose::{ComposeOptions, compose, sweep};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Fixture {
    tree: BTreeMap<String, String>,
    cases: Vec<Case>,
    sweep_files: BTreeMap<String, String>,
    sweeps: Vec<Sweep>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    overrides: Vec<String>,
    files: Files,
    #[serde(default)]
    tree_without: Option<Vec<String>>,
    config: String,
    yaml: Option<String>,
    value: Option<Value>,
    error: Option<String>,
    value_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Files {
    /// The tree that most cases share.
    Tree(String),
    Own(BTreeMap<String, String>),
}

#[derive(Deserialize)]
struct Sweep {
    overrides: Vec<String>,
    jobs: Vec<Vec<String>>,
    yaml: Vec<String>,
}

fn fixture() -> Fixture {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/hydra.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn write(files: &BTreeMap<String, String>, dir: &Path) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn options(dir: &Path, name: &str, overrides: &[String]) -> ComposeOptions {
    ComposeOptions {
        config_dir: dir.to_owned(),
        config_name: name.to_owned(),
        overrides: overrides.to_vec(),
        now: UNIX_EPOCH,
    }
}

/// Returns whether a value has only finite numbers. Infinite ones, `{"float": "inf"}`, become an
/// error because JSON cannot hold them, so values with one are not compared.
fn is_finite(value: &Value) -> bool {
    match value {
        Value::Object(object) => !object.contains_key("float") && object.values().all(is_finite),
        Value::Array(list) => list.iter().all(is_finite),
        _ => true,
    }
}

/// Composes one case and returns a description of the difference from Hydra, if any.
fn check(case: &Case, tree: &BTreeMap<String, String>) -> Result<(), String> {
    let mut files = match (&case.files, &case.tree_without) {
        (Files::Own(_), None) => BTreeMap::new(),
        _ => tree.clone(),
    };
    for path in case.tree_without.iter().flatten() {
        files.remove(path);
    }
    match &case.files {
        Files::Own(own) => files.extend(own.clone()),
        Files::Tree(name) => assert_eq!(name, "tree"),
    }
    let dir = tempfile::tempdir().unwrap();
    write(&files, dir.path());
    let composed = compose(&options(dir.path(), &case.config, &case.overrides));
    let composed = match (composed, &case.error) {
        (Ok(composed), None) => composed,
        (Err(_), Some(_)) => return Ok(()),
        (Ok(composed), Some(error)) => {
            // An interpolation that is not closed is found only when its value is asked for.
            return match composed.value() {
                Err(_) => Ok(()),
                Ok(_) => Err(format!("Hydra raises {error}; got\n{}", composed.to_yaml())),
            };
        }
        (Err(error), None) => return Err(format!("error: {error}")),
    };
    let yaml = case.yaml.as_ref().unwrap();
    if composed.to_yaml() != *yaml {
        return Err(format!("expected\n{yaml}\ngot\n{}", composed.to_yaml()));
    }
    match (composed.value(), &case.value, &case.value_error) {
        (Err(_), None, Some(_)) => Ok(()),
        (Ok(value), Some(expected), None) if value == *expected => Ok(()),
        (Err(_), Some(expected), None) if !is_finite(expected) => Ok(()),
        (Ok(value), expected, error) => {
            Err(format!("expected {expected:?} {error:?}\ngot {value}"))
        }
        (Err(error), expected, _) => Err(format!("expected {expected:?}\nerror: {error}")),
    }
}

/// The test runs itself again as a child process with the environment variables that the
/// interpolations read. It cannot set them in its own process because other tests run beside it.
#[test]
fn composes_as_hydra() {
    if std::env::var_os("CASE_A").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "composes_as_hydra", "--nocapture"])
            .env("CASE_A", "here")
            .env("CASE_N", "[1, 2]")
            .env_remove("CASE_UNSET")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let fixture = fixture();
    let failures: Vec<String> = fixture
        .cases
        .iter()
        .filter_map(|case| {
            let problem = check(case, &fixture.tree).err()?;
            Some(format!("## {} {:?}\n{problem}", case.name, case.overrides))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n{}",
        failures.len(),
        fixture.cases.len(),
        failures.join("\n")
    );
}

#[test]
fn sweeps_as_hydra() {
    let fixture = fixture();
    let dir = tempfile::tempdir().unwrap();
    write(&fixture.sweep_files, dir.path());
    for case in &fixture.sweeps {
        let jobs = sweep(&options(dir.path(), "main", &case.overrides)).unwrap();
        let lines: Vec<_> = jobs.iter().map(|(lines, _)| lines.clone()).collect();
        assert_eq!(lines, case.jobs, "{:?}", case.overrides);
        let yaml: Vec<_> = jobs.iter().map(|(_, composed)| composed.to_yaml()).collect();
        assert_eq!(yaml, case.yaml, "{:?}", case.overrides);
    }
}

#[test]
fn folders_of_runs_and_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let file = |text: &str| std::fs::write(dir.path().join("main.yaml"), text).unwrap();
    let run_dir = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
        compose(&options(dir.path(), "main", &overrides))
            .and_then(|composed| composed.run_dir())
            .map(|path| path.display().to_string())
            .map_err(|error| error.to_string())
    };
    file("a: 5\nout: ${hydra:runtime.output_dir}/x\n");
    assert_eq!(run_dir(&[]).unwrap(), "outputs/1970-01-01/00-00-00");
    assert_eq!(run_dir(&["hydra.run.dir=x/${a}"]).unwrap(), "x/5");
    assert_eq!(
        run_dir(&["hydra.run.dir=x/${hydra.job.override_dirname}", "a=6"]).unwrap(),
        "x/a=6"
    );
    let overrides = ["a=1,2", "hydra.sweep.dir=s", "hydra.sweep.subdir=${hydra.job.num}_${a}"];
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    let jobs = sweep(&options(dir.path(), "main", &overrides)).unwrap();
    let out: Vec<Value> = jobs.iter().map(|(_, job)| job.value().unwrap()["out"].clone()).collect();
    assert_eq!(out, ["s/0_1/x", "s/1_2/x"]);
    assert_eq!(jobs[1].1.overrides_yaml(), "- a=2\n");

    for (overrides, part) in [
        (&["hydra/launcher=joblib"][..], "hydra/launcher"),
        (&["hydra.verbose=true"], "hydra.verbose"),
        (&["+hydra.x=true"], "hydra.x"),
        (&["hydra.job.chdir=true"], "hydra.job.chdir"),
        (&["hydra.run.dir=null"], "hydra.runtime.output_dir"),
    ] {
        // An interpolation inside a string prints None, as in Python.
        match run_dir(overrides) {
            Err(text) => assert!(text.contains(part), "{overrides:?}: {text}"),
            Ok(dir) => panic!("{overrides:?}: {dir}"),
        }
    }
    file("hydra:\n  run:\n    dir: mine\n  output_subdir: null\n");
    assert_eq!(run_dir(&[]).unwrap(), "mine");
    file("hydra:\n  job_logging: disabled\n");
    assert!(run_dir(&[]).unwrap_err().contains("hydra.job_logging"));
}

/// With `version_base` 1.2, Hydra would nest the content under a key named `_group_`, which cannot
/// be what the user meant.
#[test]
fn a_package_header_may_name_the_group() {
    let dir = tempfile::tempdir().unwrap();
    let files = [("main.yaml", "defaults: [{g: x}]\n"), ("g/x.yaml", "# @package _group_\nc: 1\n")];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    write(&files.into_iter().collect(), dir.path());
    let composed = compose(&options(dir.path(), "main", &[])).unwrap();
    assert_eq!(composed.to_yaml(), "g:\n  c: 1\n");
}

#[test]
fn messages_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    write(&fixture().tree, dir.path());
    for (name, overrides, parts) in [
        (
            "main",
            &["training.learning_rat=1"][..],
            &["did you mean learning_rate?", "+training.learning_rat=1"][..],
        ),
        ("main", &["modle=large"], &["did you mean model?", "+modle=large"]),
        ("main", &["model=lage"], &["did you mean large?", "large, small"]),
        (
            "main",
            &["model.agg=max,sum"],
            &["-m", "'model.agg=[max,sum]'", "'model.agg=\"max,sum\"'"],
        ),
        ("main", &["+training.fp16=true"], &["++training.fp16=true"]),
        ("mian", &[], &["did you mean main?"]),
        ("main", &["training=needs"], &["training.learning_rate", "a value must be given"]),
        (
            "main",
            &["model.agg=${model.max_lenth}"],
            &["model.agg", "did you mean model.max_length?"],
        ),
        ("main", &["model.agg=${oc.env:NO_SUCH_VARIABLE}"], &["NO_SUCH_VARIABLE is not set"]),
        ("main", &["model.agg=${.agg}"], &["model.agg", "needs itself"]),
    ] {
        let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
        let error = compose(&options(dir.path(), name, &overrides))
            .and_then(|composed| composed.value())
            .unwrap_err();
        let error = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
        for part in parts {
            assert!(error.contains(part), "{overrides:?}: {error}");
        }
    }
}

proptest::proptest! {
    /// Any file and any override either composes or returns an error; nothing panics.
    #[test]
    fn nothing_panics(
        yaml in "(([a-c.$ ]|\\$\\{|[{}\\[\\]:,'\"\n?&*#|>%@!~<=-]|é|\\\\){0,60})",
        line in "[+~]{0,2}[a-c.]{1,3}=([a-c0-9 ,:.()\\\\'\"$é=e+-]|\\$\\{|[{}\\[\\]]){0,20}",
        value in "([a-c.:, ]|\\$\\{|[{}\\[\\]'\"\\\\é]){0,20}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let file = |text: &str| std::fs::write(dir.path().join("main.yaml"), text).unwrap();
        let run = |overrides: Vec<String>| {
            let options = options(dir.path(), "main", &overrides);
            if let Ok(composed) = compose(&options) {
                composed.to_yaml();
                let _ = composed.value();
            }
            let _ = sweep(&options);
        };
        file(&yaml);
        run(vec![]);
        let quoted = serde_json::to_string(&value).unwrap();
        file(&format!("a: 1\nb: [2, {{c: 3}}]\nc: {quoted}\n"));
        run(vec![line]);
    }
}
