//! Tests of `pipeline`: which steps run, which are skipped, and which pipelines are rejected.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{MODEL, failure, run};
use serde_json::Value;

/// Writes a pipeline with two steps: vectors of a file, and an index of the vectors.
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
    run: [index, build, --vectors, '${{work}}/vectors.ndjson', --model, '${{model}}', -o, '${{work}}/index']
    inputs: ['${{work}}/vectors.ndjson']
    outputs: ['${{work}}/index']
",
        dir.display()
    );
    fs::write(&file, text).expect("written");
    fs::write(dir.join("texts.txt"), "朝の電車で東京へ\ncheap travel\n").expect("written");
    file.display().to_string()
}

/// Runs a pipeline and returns the line that it prints for each step.
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
    let second = fs::read_to_string(dir.path().join("work/vectors.ndjson")).expect("made");

    fs::write(dir.path().join("texts.txt"), "travel\n").expect("written");
    assert_eq!(
        steps(&[&file, "top_k=2", "--until", "encode"]),
        [format!("step 1 of 2, encode: {}", changed("texts.txt"))]
    );
    // Outputs of earlier runs are kept under other names.
    for (name, want) in [("vectors.ndjson.old", &vectors), ("vectors.ndjson.old.2", &second)] {
        let old = fs::read_to_string(dir.path().join("work").join(name)).expect("moved");
        assert_eq!(old, *want, "{name}");
    }
    assert_eq!(steps(&[&file, "top_k=2"])[0], "step 1 of 2, encode: unchanged");
    fs::remove_dir_all(dir.path().join("work/index")).expect("removed");
    assert_eq!(
        steps(&[&file, "top_k=2"])[1],
        format!("step 2 of 2, index: {}", changed("work/index"))
    );
    let report = fs::read_to_string(dir.path().join("work/report.html")).expect("made");
    for part in [
        "<title>Two &lt;steps&gt;</title>",
        "All steps are done.",
        "<th scope=\"row\">encode</th><td><span class=\"badge done\">done earlier</span></td>",
        "<dt>Total time</dt>",
        "--top-k 2",
    ] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
}

/// The file does not exist when the pipeline is read for the first time.
#[test]
fn a_named_file_of_an_earlier_step_is_an_input() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = pipeline(dir.path());
    let text = fs::read_to_string(&file).expect("read");
    let undeclared = text.replace("    inputs: ['${work}/vectors.ndjson']\n", "");
    assert_ne!(undeclared, text);
    fs::write(&file, undeclared).expect("written");
    assert_eq!(steps(&[&file])[1], "step 2 of 2, index: running");
    assert_eq!(steps(&[&file])[1], "step 2 of 2, index: unchanged");
    let vectors = dir.path().join("work/vectors.ndjson");
    assert_eq!(
        steps(&[&file, "top_k=2"])[1],
        format!("step 2 of 2, index: running, {} changed", vectors.display())
    );
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
    let report = fs::read_to_string(dir.path().join("work/report.html")).expect("made");
    for part in [
        "Step encode failed: the step failed (exit status: 1). Its messages are in \
         steps/encode.log of the work folder. 0 of 2 steps are done.",
        "<span class=\"badge failed\">failed</span>",
        "<th scope=\"row\">index</th><td><span class=\"badge\">not yet run</span>",
    ] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
    // Unfinished outputs are kept only for the same settings.
    let unfinished = ["work/vectors.ndjson.parts"].map(|name| dir.path().join(name));
    unfinished.iter().for_each(|path| fs::create_dir(path).expect("made"));
    let said = failure(&["pipeline", &file, &model], 1);
    assert!(said.contains("step 1 of 2, encode: going on"), "{said}");
    assert!(unfinished.iter().all(|path| path.exists()));
    assert_eq!(steps(&[&file])[0], "step 1 of 2, encode: running, the command changed");
    for path in unfinished {
        assert!(!path.exists() && path.with_added_extension("old").exists(), "{}", path.display());
    }
}

#[test]
fn a_step_that_goes_on_keeps_its_time_and_log() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = pipeline(dir.path());
    let text = fs::read_to_string(&file).expect("read");
    fs::write(&file, text.replace("    inputs: ${model}\n", "")).expect("written");
    let late = dir.path().join("late");
    fs::create_dir(&late).expect("made");
    let model = format!("model={}", late.display());
    let call = [file.as_str(), &model, "--until", "encode"];
    failure(&[&["pipeline"], &call[..]].concat(), 1);

    let path = dir.path().join("work/steps/encode.json");
    let record =
        || -> Value { serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON") };
    let mut earlier = record();
    assert!(earlier["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{earlier}");
    earlier["seconds"] = 5000.0.into();
    earlier["peak_mib"] = 99_999.0.into();
    fs::write(&path, earlier.to_string()).expect("written");
    let log = || fs::read_to_string(dir.path().join("work/steps/encode.log")).expect("a log");
    let error = log();
    assert!(error.contains("error: "), "{error}");
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL)).expect("a model") {
        let entry = entry.expect("a file");
        fs::copy(entry.path(), late.join(entry.file_name())).expect("copied");
    }
    assert_eq!(steps(&call), ["step 1 of 2, encode: going on"]);
    assert!(log().starts_with(&error), "{}", log());
    assert!(record()["seconds"].as_f64().is_some_and(|seconds| seconds > 5000.0), "{}", record());
    assert_eq!(record()["peak_mib"], 99_999.0);
    // A changed step starts again.
    steps(&[&call[..], &["top_k=2"]].concat());
    assert!(!log().contains(&error), "{}", log());
    assert!(record()["seconds"].as_f64().is_some_and(|seconds| seconds < 5000.0), "{}", record());
}

/// Starts a pipeline whose first step takes a while, and waits for its first vector. `before` is
/// put before the command.
#[cfg(unix)]
fn begin(dir: &Path, texts: usize, before: &[&str]) -> std::process::Child {
    let file = pipeline(dir);
    let text = |i| format!("朝の電車 {i} cheap travel\n");
    fs::write(dir.join("texts.txt"), (0..texts).map(text).collect::<String>()).expect("written");
    let words = [before, &[env!("CARGO_BIN_EXE_light-splade"), "pipeline", &file]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("started");
    wait_until("a vector", || unfinished(dir).is_some_and(|text| !text.is_empty()));
    child
}

/// Returns the vectors that a running step has written so far.
#[cfg(unix)]
fn unfinished(dir: &Path) -> Option<String> {
    let entries = fs::read_dir(dir.join("work")).ok()?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let is_temporary = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("vectors.ndjson.") && name.ends_with(".tmp")
    };
    fs::read_to_string(paths.find(is_temporary)?).ok()
}

#[cfg(unix)]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(120), "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
fn signal(child: &std::process::Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
}

#[cfg(unix)]
#[test]
fn signals_stop_the_step_which_then_goes_on() {
    // SIGHUP is not tested here, because it has no effect if the tests run under nohup.
    for name in ["-INT", "-TERM"] {
        let dir = tempfile::tempdir().expect("a folder");
        let child = begin(dir.path(), 200_000, &[]);
        signal(&child, name);
        let output = child.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{name}: {said}");
        // Both the step and the pipeline report the interruption.
        for part in ["\n  interrupted; ", "\ninterrupted; the same command goes on with this step"]
        {
            assert!(said.contains(part), "{name}: {said}");
        }
        let file = dir.path().join("pipeline.yaml").display().to_string();
        let output = run(&["pipeline", &file, "--dry-run"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("encode: going on\n"), "{name}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn what_nohup_started_outlives_its_terminal() {
    let dir = tempfile::tempdir().expect("a folder");
    let child = begin(dir.path(), 20_000, &["nohup"]);
    signal(&child, "-HUP");
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The pipeline process is stopped until the step is done, and then continues with a pending
/// signal.
#[cfg(unix)]
#[test]
fn a_step_that_was_done_when_it_was_to_stop_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let child = begin(dir.path(), 20_000, &[]);
    signal(&child, "-STOP");
    let vectors = dir.path().join("work/vectors.ndjson");
    wait_until("the last vector", || {
        let lines = unfinished(dir.path()).map_or(0, |text| text.matches('\n').count());
        lines == 20_000 || vectors.exists()
    });
    signal(&child, "-TERM");
    signal(&child, "-CONT");
    let output = child.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let file = dir.path().join("pipeline.yaml").display().to_string();
    assert_eq!(steps(&[&file, "--until", "encode"]), ["step 1 of 2, encode: unchanged"]);
}

/// Returns the process id of the step in the lock file while the process runs.
#[cfg(target_os = "linux")]
fn process_of_step(dir: &Path) -> Option<String> {
    let holder = fs::read_to_string(dir.join("work/steps/lock")).ok()?;
    let process = holder.split_once("(process ")?.1.split(')').next()?.to_owned();
    // A process that has ended but was not waited for counts as ended.
    let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let state = status.rsplit_once(") ")?.1.chars().next()?;
    (state != 'Z').then_some(process)
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_pipeline_leaves_no_step_behind_and_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut child = begin(dir.path(), 200_000, &[]);
    assert!(process_of_step(dir.path()).is_some(), "no step runs");
    let file = dir.path().join("pipeline.yaml").display().to_string();
    // No other pipeline can use the folder in the meantime.
    let said = failure(&["pipeline", &file], 1);
    let holder = format!("of the pipeline of process {}", child.id());
    assert!(said.contains("another process is writing to it (step encode (process "), "{said}");
    assert!(said.contains(&holder), "{said}");
    assert!(!said.contains("step 1 of 2"), "{said}");
    child.kill().expect("killed");
    child.wait().expect("ended");
    wait_until("the end of the step", || process_of_step(dir.path()).is_none());
    fs::write(dir.path().join("texts.txt"), "travel\n").expect("written");
    let changed = format!("running, {}/texts.txt changed", dir.path().display());
    assert_eq!(steps(&[&file])[0], format!("step 1 of 2, encode: {changed}"));
}

/// Changes the record of a step to that of a pipeline that was killed just before it recorded the
/// end of the step.
fn forget_the_end(dir: &Path, step: &str) {
    let path = dir.join(format!("work/steps/{step}.json"));
    let mut record: Value =
        serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
    assert_eq!(record["format"], 1, "{record}");
    assert!(record["outputs"].is_object(), "{record}");
    record["outputs"] = Value::Null;
    fs::write(&path, record.to_string()).expect("written");
}

#[test]
fn a_step_whose_end_was_not_recorded_does_not_stay_stuck() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = pipeline(dir.path());
    // The step has two outputs: a file that it writes itself and the file for its standard output.
    let text = fs::read_to_string(&file).expect("read");
    let text = text.replace("${top_k} ", "${top_k} -o ${work}/rows.ndjson ").replace(
        "    stdout: ${work}/vectors.ndjson\n",
        "    stdout: ${work}/vectors.ndjson\n    outputs: ${work}/rows.ndjson\n",
    );
    let text =
        text.replace("--vectors, '${work}/vectors.ndjson'", "--vectors, '${work}/rows.ndjson'");
    fs::write(&file, text).expect("written");
    steps(&[&file]);
    let made =
        || fs::metadata(dir.path().join("work/rows.ndjson")).and_then(|file| file.modified());
    let before = made().expect("a time");
    // Complete files are recognised, so the step does not run again.
    forget_the_end(dir.path(), "encode");
    // A folder cannot be recognised as complete, so it is built again, and the old one is kept.
    forget_the_end(dir.path(), "index");
    let going_on = ["step 1 of 2, encode: going on", "step 2 of 2, index: going on"];
    assert_eq!(steps(&[&file]), going_on);
    assert_eq!(made().expect("a time"), before);
    assert!(dir.path().join("work/index.old").is_dir());
    let unchanged = ["step 1 of 2, encode: unchanged", "step 2 of 2, index: unchanged"];
    assert_eq!(steps(&[&file]), unchanged);
    // Without its record, a step does not overwrite existing outputs.
    fs::remove_file(dir.path().join("work/steps/encode.json")).expect("removed");
    steps(&[&file]);
    assert!(dir.path().join("work/rows.ndjson.old").is_file());
    assert!(dir.path().join("work/vectors.ndjson.old").is_file());
}

#[test]
fn a_changed_config_of_pretraining_is_noticed() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path().display();
    let file = dir.path().join("pipeline.yaml");
    let text = format!(
        "\
work: {at}/work
steps:
  - name: pretrain
    run: pretrain {at}/tiny.yaml
    outputs: {at}/run
"
    );
    fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let said_with = |steps: &str| {
        let text = format!(
            "\
model:
  model_name_or_path: {MODEL}
data:
  train_files: {at}/none.txt
training:
  output_dir: {at}/run
  {steps}
"
        );
        fs::write(dir.path().join("tiny.yaml"), text).expect("written");
        failure(&["pipeline", &file], 1)
    };
    // The texts do not exist, so the step starts and fails.
    for (setting, part) in [
        ("max_steps: 1", "pretrain: running\n"),
        ("max_steps: 1", "pretrain: going on\n"),
        ("max_steps: 2", "pretrain: running, the config changed\n"),
    ] {
        let said = said_with(setting);
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let said = said_with("max_stepz: 2");
    assert!(said.contains("training.max_stepz: there is no such setting"), "{said}");
    assert!(!said.contains("step 1 of 1"), "{said}");
}

#[test]
fn the_report_has_the_baseline_beside() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("pipeline.yaml");
    let text = format!(
        "\
work: {}
steps:
  - name: evaluate
    run: evaluate data/toy/validation --model {MODEL} --bm25 --json
    stdout: ${{work}}/evaluation.json
    metrics: ${{work}}/evaluation.json
",
        dir.path().display()
    );
    fs::write(&file, text).expect("written");
    steps(&[&file.display().to_string()]);
    let json = fs::read(dir.path().join("evaluation.json")).expect("made");
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    let (metrics, baseline) = (&json["metrics"], &json["baseline"]["metrics"]);
    assert_ne!(metrics, baseline);
    let number = |value: &Value| format!("{:.4}", value.as_f64().expect("a number"));
    let row = |(name, value): (&String, &Value)| {
        let of_baseline = number(&baseline[name]);
        let number_text = number(value);
        let cell = |text: &str| format!("<td class=\"number\">{text}</td>");
        let difference = value.as_f64().unwrap_or(0.0) - baseline[name].as_f64().unwrap_or(0.0);
        let class = match format!("{difference:+.4}").as_str() {
            "+0.0000" | "-0.0000" => "number",
            text if text.starts_with('+') => "number better",
            _ => "number worse",
        };
        let last = format!("<td class=\"{class}\">{difference:+.4}</td>");
        format!("<th scope=\"row\">{name}</th>{}{}{last}", cell(&number_text), cell(&of_baseline))
    };
    let mut parts: Vec<String> = metrics.as_object().expect("metrics").iter().map(row).collect();
    assert!(parts.len() > 1, "{json}");
    parts.push("<bdi lang=\"en\">BM25 with k1 0.9 and b 0.4</bdi></th>".to_owned());
    // What a step makes is named without the work folder.
    parts.push("<div><code>evaluation.json</code></div>".to_owned());
    let report = fs::read_to_string(dir.path().join("report.html")).expect("made");
    for part in parts {
        assert!(report.contains(&part), "{part} is not in {report}");
    }
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
        ("stdout: ${work}/vectors.ndjson", "metrics: x", "a step must make something"),
        ("inputs: ${model}", "input: x", "input: there is no such setting"),
        (
            "[index, build, --vectors, '${work}/vectors.ndjson', --model, '${model}', -o, '${work}/index']",
            "train config/toy_splade_ja.yaml +training.max_stepz=1",
            "training.max_stepz: there is no such setting",
        ),
        (
            "[index, build, --vectors, '${work}/vectors.ndjson', --model, '${model}', -o, '${work}/index']",
            "cross-encoder train config/cross_encoder/toy_train.yaml ++num_epochz=1",
            "num_epochz: there is no such setting",
        ),
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
        // The texts of these pipelines are not part of the repository.
        if ["jaquad_distil.yaml", "from_scratch.yaml"].iter().any(|name| file.ends_with(name)) {
            call.push("jaquad=data/toy-beir");
        }
        if file.ends_with("from_scratch.yaml") {
            call.push("nq=data/toy-beir");
        }
        if file.ends_with("mini_ja_en.yaml") {
            call.extend(["english=models/demo", "former=models/demo", "e5=models/demo"]);
            // What scripts/recipes/mini_ja_en.py writes.
            for name in ["jaquad", "ja", "en", "train"] {
                fs::create_dir_all(dir.path().join("data").join(name)).expect("made");
            }
            for name in ["jaquad", "nq", "scifact"] {
                fs::create_dir_all(dir.path().join("data/choose").join(name)).expect("made");
            }
            for name in ["text.ndjson", "text-ja.ndjson"] {
                fs::write(dir.path().join("data").join(name), "").expect("written");
            }
        }
        if file.ends_with("adapt.yaml") {
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
    for part in [
        "<h2>Training of step train</h2>",
        "data-runs=\"log-",
        "\"kind\":\"expansions\"",
        "<th scope=\"row\">MRR@10</th>",
    ] {
        assert!(report.contains(part), "{part} is not in the report");
    }
    let repeated = steps(&["config/pipeline/toy_distil.yaml", &work]);
    assert!(repeated.iter().all(|step| step.ends_with(": unchanged")), "{repeated:?}");
}
