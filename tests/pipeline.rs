//! `pipeline`: what runs, what is skipped, and what is refused.

mod common;

use std::fs;
use std::path::Path;

use common::{failure, run};

/// Two steps: vectors of a file, and an index of these.
fn pipeline(dir: &Path) -> String {
    let file = dir.join("pipeline.yaml");
    let text = format!(
        "\
title: Two <steps>
work: {0}/work
model: models/demo
top_k: 3
steps:
  - name: encode
    run: encode --model ${{model}} --top-k ${{top_k}} {0}/texts.txt
    inputs: ${{model}}
    stdout: ${{work}}/vectors.ndjson
  - name: index
    run: [index, build, --vectors, '${{work}}/vectors.ndjson', --model, '${{model}}', --out, '${{work}}/index']
    inputs: ['${{work}}/vectors.ndjson']
    outputs: ['${{work}}/index']
",
        dir.display()
    );
    fs::write(&file, text).expect("written");
    fs::write(dir.join("texts.txt"), "朝の電車で東京へ\ncheap travel\n").expect("written");
    file.display().to_string()
}

/// What was said of each step.
fn steps(args: &[&str]) -> Vec<String> {
    let output = run(&[&["pipeline"], args].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    let lines =
        said.lines().filter(|line| line.starts_with("step ") && !line.contains(": done in"));
    lines.map(str::to_owned).collect()
}

#[test]
fn steps_run_when_something_changed() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = pipeline(dir.path());
    let state = |encode: &str, index: &str| {
        vec![format!("step 1 of 2, encode: {encode}"), format!("step 2 of 2, index: {index}")]
    };
    assert_eq!(steps(&[&file]), state("running", "running"));
    let vectors = fs::read_to_string(dir.path().join("work/vectors.ndjson")).expect("made");
    assert_eq!(vectors.lines().count(), 2);
    assert_eq!(steps(&[&file]), state("unchanged", "unchanged"));

    let again = steps(&[&file, "--again", "index"]);
    assert_eq!(again, state("unchanged", "running again, as asked"));
    let changed = |path: &str| format!("running, {}/{path} changed", dir.path().display());
    let other = steps(&[&file, "top_k=2"]);
    assert_eq!(other, state("running, the command changed", &changed("work/vectors.ndjson")));
    // What the other command made is not lost.
    let old = fs::read_to_string(dir.path().join("work/vectors.ndjson.old")).expect("moved");
    assert_eq!(old, vectors);

    fs::write(dir.path().join("texts.txt"), "travel\n").expect("written");
    assert_eq!(
        steps(&[&file, "top_k=2", "--until", "encode"]),
        [format!("step 1 of 2, encode: {}", changed("texts.txt"))]
    );
    assert_eq!(steps(&[&file, "top_k=2"])[0], "step 1 of 2, encode: unchanged");
    fs::remove_dir_all(dir.path().join("work/index")).expect("removed");
    assert_eq!(
        steps(&[&file, "top_k=2"])[1],
        format!("step 2 of 2, index: {}", changed("work/index"))
    );
    let report = fs::read_to_string(dir.path().join("work/report.html")).expect("made");
    for part in ["Two &lt;steps&gt;", "<td>encode</td>", "--top-k 2"] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
}

#[test]
fn a_dry_run_does_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = pipeline(dir.path());
    let output = run(&["pipeline", &file, "--dry-run"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let made = format!("index: running, {}/work/vectors.ndjson is made anew", dir.path().display());
    assert!(said.contains("encode: running\n") && said.contains(&made), "{said}");
    assert!(!dir.path().join("work").exists());
}

#[test]
fn a_step_that_fails_ends_the_run_and_runs_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = pipeline(dir.path());
    let bad = dir.path().join("bad");
    fs::create_dir(&bad).expect("made");
    let model = format!("model={}", bad.display());
    let said = failure(&["pipeline", &file, &model], 1);
    assert!(said.contains("step 1 of 2, encode: light-splade encode"), "{said}");
    assert!(!dir.path().join("work/vectors.ndjson").exists());
    let said = failure(&["pipeline", &file, &model], 1);
    assert!(said.contains("step 1 of 2, encode: going on"), "{said}");
    assert_eq!(steps(&[&file])[0], "step 1 of 2, encode: running, the command changed");
}

#[test]
fn wrong_pipelines_are_refused_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = pipeline(dir.path());
    let text = fs::read_to_string(&file).expect("read");
    for (old, new, part) in [
        ("--top-k", "--top-kk", "unexpected argument '--top-kk'"),
        ("inputs: ${model}", "inputs: nowhere", "there is no nowhere"),
        ("name: index", "name: encode", "two steps are called \"encode\""),
        ("name: index", "name: a/b", "must be letters"),
        ("stdout: ${work}/vectors.ndjson", "metrics: x", "a step makes something"),
        ("inputs: ${model}", "input: x", "input: there is no such key"),
        ("work:", "works:", "did you mean works?"),
    ] {
        assert!(text.contains(old));
        fs::write(&file, text.replacen(old, new, 1)).expect("written");
        let said = failure(&["pipeline", &file], 1);
        assert!(said.contains(part), "{part} is not in {said}");
        assert!(!dir.path().join("work").exists(), "{part}");
    }
    let said = failure(&["pipeline", &file.replace("pipeline.yaml", "none.yaml")], 1);
    assert!(said.contains("there is no pipeline"), "{said}");
}

#[test]
fn shipped_pipelines_are_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in fs::read_dir(root.join("config/pipeline")).expect("pipelines") {
        let file = entry.expect("a file").path().display().to_string();
        let dir = tempfile::tempdir().expect("a folder");
        let work = format!("work={}", dir.path().display());
        let mut call = vec!["pipeline", &file, &work, "--dry-run"];
        // Its texts do not come with the repository.
        if file.ends_with("pretrain_ja.yaml") {
            call.push("data=data/toy-beir");
        }
        let output = run(&call);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(": running"), "{file}: {said}");
        count += 1;
    }
    assert!(count >= 4);
}

#[test]
fn the_toy_is_distilled_from_its_teacher() {
    let dir = tempfile::tempdir().expect("a folder");
    let work = format!("work={}", dir.path().display());
    assert_eq!(steps(&["config/pipeline/toy_distil.yaml", &work]).len(), 5);
    let report = fs::read_to_string(dir.path().join("report.html")).expect("made");
    for part in ["<h2>train</h2>", "<polyline", "<td>MRR@10</td>", "at the last"] {
        assert!(report.contains(part), "{part} is not in the report");
    }
    let repeated = steps(&["config/pipeline/toy_distil.yaml", &work]);
    assert!(repeated.iter().all(|step| step.ends_with(": unchanged")), "{repeated:?}");
}
