//! Tests of the command `merge-models`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_model::weights::{Weights, WeightsWriter};

use crate::common::{MODEL, failure, stdout};

/// Copies a model with numbers that are moved a little, so that the two differ everywhere.
fn moved(dir: &Path, name: &str, by: f32) -> PathBuf {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL), dir.join(name));
    std::fs::create_dir(&to).expect("made");
    for entry in std::fs::read_dir(&from).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    let weights = Weights::open(&from).expect("weights");
    let tensors: Vec<(String, Vec<usize>)> = weights
        .names()
        .map(|name| (name.to_owned(), weights.shape(name).expect("a shape").to_vec()))
        .collect();
    let mut writer =
        WeightsWriter::create(&to.join("model.safetensors"), &tensors).expect("created");
    for (name, _) in &tensors {
        let numbers = weights.read_f32(name).expect("numbers");
        let wave = |place: usize| by * ((place % 17) as f32 - 8.0);
        let numbers: Vec<f32> = numbers.iter().enumerate().map(|(i, x)| x + wave(i)).collect();
        writer.write(&numbers).expect("written");
    }
    writer.finish().expect("finished");
    to
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn read(folder: &Path, name: &str) -> Vec<f64> {
    let numbers = Weights::open(folder).expect("weights").read_f32(name).expect("numbers");
    numbers.into_iter().map(f64::from).collect()
}

/// The reference computes both averages over whole tensors in f64.
#[test]
fn numbers_are_averages() {
    let dir = tempfile::tempdir().expect("a folder");
    let models =
        [moved(dir.path(), "a", 0.0), moved(dir.path(), "b", 0.01), moved(dir.path(), "c", 0.2)];
    let [a, b, c] = models.each_ref().map(|model| path(model));
    let (linear, slerp) = (dir.path().join("linear"), dir.path().join("slerp"));
    stdout(&["merge-models", a, b, c, "--weights", "1,2,5", "--output", path(&linear)]);
    let call = ["merge-models", a, c, "--method", "slerp", "--weights", "3,1", "--output"];
    stdout(&[&call[..], &[path(&slerp)]].concat());
    let names: Vec<String> =
        Weights::open(&models[0]).expect("weights").names().map(str::to_owned).collect();
    let mut bent = 0;
    for name in &names {
        let [one, two, three] = models.each_ref().map(|model| read(model, name));
        let got = read(&linear, name);
        for i in 0..one.len() {
            let want = (one[i] + 2.0 * two[i] + 5.0 * three[i]) / 8.0;
            // One rounding to 32 bits.
            assert!((got[i] - want).abs() <= 1e-7 * want.abs().max(1e-6), "{name} {i}");
        }
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let cosine = dot(&one, &three) / (dot(&one, &one) * dot(&three, &three)).sqrt();
        let angle = cosine.acos();
        let (s, t) = match cosine.is_finite() && cosine.abs() <= 0.9995 {
            true => ((0.75 * angle).sin() / angle.sin(), (0.25 * angle).sin() / angle.sin()),
            false => (0.75, 0.25),
        };
        bent += usize::from(s + t > 1.0 + 1e-6);
        for (i, got) in read(&slerp, name).iter().enumerate() {
            let want = s * one[i] + t * three[i];
            // One rounding to 32 bits, and sines of nearly equal angles.
            assert!((got - want).abs() <= 1e-6 * want.abs().max(1e-3), "{name} {i}: {got} {want}");
        }
    }
    assert!(bent > names.len() / 2, "{bent} of {} tensors are not parallel", names.len());
    // The result is a model, and says what it was made of.
    stdout(&["encode", "--model", path(&slerp), "--text", "東京"]);
    let record = std::fs::read_to_string(slerp.join("merged.json")).expect("a record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!((&record["method"], &record["models"][0]["weight"]), (&"slerp".into(), &3.0.into()));
}

/// A model that is averaged with itself is itself, in every layout with weights of its own.
#[test]
fn an_average_of_equal_models_is_that_model() {
    let dir = tempfile::tempdir().expect("a folder");
    let a = moved(dir.path(), "a", 0.0);
    for (folder, file) in [("query_model", true), ("query_0_SparseStaticEmbedding", false)] {
        _ = std::fs::remove_dir_all(a.join(folder));
        _ = std::fs::remove_file(a.join("idf.json"));
        if file {
            std::fs::create_dir(a.join(folder)).expect("made");
            for name in std::fs::read_dir(&a).expect("a folder") {
                let path = name.expect("an entry").path();
                if path.is_file() {
                    let to = a.join(folder).join(path.file_name().expect("a name"));
                    std::fs::copy(path, to).expect("copied");
                }
            }
        } else {
            _ = std::fs::remove_dir_all(a.join("query_model"));
            std::fs::write(a.join("idf.json"), "{\"東京\": 1.5, \"の\": 0.25}\n").expect("written");
        }
        for method in ["linear", "slerp"] {
            let out = dir.path().join(format!("{folder}-{method}"));
            let call = ["merge-models", path(&a), path(&a), "--method", method, "--output"];
            stdout(&[&call[..], &[path(&out)]].concat());
            for side in ["query", "document"] {
                let encode = |model: &Path| {
                    let call = ["encode", "--text", "東京の首都", "--as", side, "--model"];
                    stdout(&[&call[..], &[path(model)]].concat())
                };
                assert_eq!(encode(&out), encode(&a), "{folder} {method} {side}");
            }
        }
    }
}

#[test]
fn models_that_do_not_fit_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let (a, b) = (moved(dir.path(), "a", 0.0), moved(dir.path(), "b", 0.1));
    let out = dir.path().join("out");
    let refused = |more: &[&str]| {
        let call = [&["merge-models", path(&a), path(&b), "--output", path(&out)][..], more];
        let message = failure(&call.concat(), 1);
        assert!(!out.exists());
        message
    };
    let message = refused(&["--weights", "1"]);
    assert!(message.contains("--weights has 1 numbers for 2 models"), "{message}");
    let message = refused(&["--weights", "0,0"]);
    assert!(message.contains("the sum of the weights"), "{message}");
    let three = ["merge-models", path(&a), path(&b), path(&a), "--method", "slerp", "--output"];
    let message = failure(&[&three[..], &[path(&out)]].concat(), 1);
    assert!(message.contains("slerp is defined for two models, not for 3"), "{message}");

    // Another number of heads fits the same tensors, and gives other vectors.
    let config = b.join("config.json");
    let text = std::fs::read_to_string(&config).expect("a config");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    value["num_attention_heads"] = 1.into();
    std::fs::write(&config, value.to_string()).expect("written");
    let message = refused(&[]);
    assert!(message.contains("config.json is not that of"), "{message}");
    assert!(message.contains("num_attention_heads is 1, not"), "{message}");
    std::fs::write(&config, text).expect("written");

    let vocab = b.join("vocab.txt");
    let text = std::fs::read_to_string(&vocab).expect("a vocabulary");
    let mut tokens: Vec<&str> = text.lines().collect();
    let last = tokens.len() - 1;
    tokens.swap(last, last - 1);
    std::fs::write(&vocab, tokens.join("\n")).expect("written");
    let message = refused(&[]);
    assert!(message.contains("its tokenizer of documents is not that of"), "{message}");
    std::fs::write(&vocab, text).expect("written");

    std::fs::write(b.join("sparse_linear.pt"), "x").expect("written");
    let message = refused(&[]);
    assert!(message.contains("only ") && message.contains("has sparse_linear.pt"), "{message}");
    std::fs::remove_file(b.join("sparse_linear.pt")).expect("removed");

    // What is there is replaced only with --force, and only if it is a merged model.
    let call = ["merge-models", path(&a), path(&b), "--output", path(&out)];
    stdout(&call);
    let before = std::fs::read(out.join("model.safetensors")).expect("a model");
    failure(&call, 1);
    stdout(&[&call[..], &["--force", "--weights", "3,1"]].concat());
    assert_ne!(std::fs::read(out.join("model.safetensors")).expect("a model"), before);
    let call = ["merge-models", path(&a), path(&b), "--force", "--output"];
    failure(&[&call[..], &[path(&a)]].concat(), 1);
    let other = dir.path().join("notes");
    std::fs::create_dir(&other).expect("made");
    std::fs::write(other.join("mine.txt"), "mine").expect("written");
    failure(&[&call[..], &[path(&other)]].concat(), 1);
    assert_eq!(std::fs::read_to_string(other.join("mine.txt")).expect("there"), "mine");
}

/// The state of a run is not part of a model that its checkpoints give.
#[test]
fn checkpoints_are_averaged_without_the_state_of_their_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("run");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    stdout(&[
        "train",
        "--config-dir",
        path(&root.join("config")),
        "--config-name",
        "toy_splade_ja",
        "training.max_steps=4",
        "training.save_steps=2",
        "training.eval_strategy=no",
        "training.load_best_model_at_end=false",
        &format!("hydra.run.dir={}", output.display()),
    ]);
    let out = dir.path().join("soup");
    let checkpoints = ["checkpoint-2", "checkpoint-4"].map(|name| output.join(name));
    let [two, four] = checkpoints.each_ref().map(|checkpoint| path(checkpoint));
    stdout(&["merge-models", two, four, "--output", path(&out)]);
    for name in ["optimizer.safetensors", "trainer_state.json", "training_args.json"] {
        assert!(!out.join(name).exists(), "{name}");
    }
    let text = std::fs::read_to_string(out.join("light_splade.json")).expect("the use");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert!(value["run"].is_null() && value["agg"] == "max", "{value}");
    stdout(&["encode", "--model", path(&out), "--text", "東京"]);
}
