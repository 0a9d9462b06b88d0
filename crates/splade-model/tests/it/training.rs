//! Tests of the training passes: the gradients of every parameter against PyTorch's, and invariance
//! to batches and threads.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_model::Isa;
use splade_model::folder::{Pooling, Saturation};
use splade_model::training::{Masked, Trainable, add_head, lacks_head};
use splade_model::weights::{Weights, WeightsWriter};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

/// Returns the texts of scripts/reference/tiny_gradients.py.
fn texts(folder: &Path) -> Vec<Vec<u32>> {
    let expected = json(&folder.join("expected.json"));
    let results = expected["results"].as_array().expect("results");
    let ids = |result: &Value| {
        let ids = result["input_ids"].as_array().expect("ids");
        ids.iter().map(|id| id.as_u64().expect("an id") as u32).collect()
    };
    results.iter().take(5).map(ids).collect()
}

/// Returns the coefficient of a term's weight in the loss of that script.
fn coefficient(text: usize, term: u32) -> f32 {
    ((7 * term as usize + 13 * text) % 11) as f32 / 5.0 - 1.0
}

/// Computes the gradients of the script's loss with `group` texts at a time.
fn take_gradients(model: &mut Trainable, texts: &[Vec<u32>], group: usize) {
    for (i, texts) in texts.chunks(group).enumerate() {
        let refs: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let keys: Vec<u64> = (0..texts.len()).map(|text| (i * group + text) as u64).collect();
        let pooled = model.forward(&refs, &keys);
        let of_text = |(text, terms): (usize, &Vec<splade_model::training::PooledTerm>)| {
            terms.iter().map(|term| coefficient(i * group + text, term.term)).collect()
        };
        let gradients: Vec<Vec<f32>> = pooled.iter().enumerate().map(of_text).collect();
        model.backward(&gradients);
    }
}

/// Copies a model and sets its dropout to zero.
fn without_dropout(model: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(model).expect("a model") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, dir.path().join(path.file_name().expect("a name"))).expect("copy");
        }
    }
    let path = dir.path().join("config.json");
    let mut config = json(&path);
    for (key, value) in config.as_object_mut().expect("an object") {
        if key.contains("dropout") && value.is_number() {
            *value = Value::from(0.0);
        }
    }
    std::fs::write(path, config.to_string()).expect("a config");
    dir
}

/// Returns the row-major gradients of every tensor with their names.
fn tensors(model: &mut Trainable) -> Vec<(String, Vec<f32>)> {
    let mut all = Vec::new();
    for (value, gradient) in model.parameters() {
        let tensors = value.layout().to_tensors(gradient.numbers);
        all.extend(tensors.into_iter().map(|tensor| (tensor.name, tensor.numbers)));
    }
    all
}

#[test]
fn gradients_equal_pytorch() {
    let expected = json(&fixtures().join("gradients.json"));
    let mut wrong = Vec::new();
    for (name, expected) in expected.as_object().expect("models") {
        let folder = without_dropout(&fixtures().join(name));
        let texts = texts(folder.path());
        for (pooling, key) in [(Pooling::Max, "max"), (Pooling::Sum, "sum")] {
            for isa in Isa::supported() {
                let mut model = Trainable::load(folder.path(), pooling, Saturation::Log1pRelu, isa)
                    .expect("a model");
                take_gradients(&mut model, &texts, 5);
                let at = format!("{name} {key} {isa}");
                wrong.extend(compare(&tensors(&mut model), &expected[key], &at));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Compares the loss of hidden tokens and its gradients, without and with FLOPS, with
/// scripts/reference/tiny_pretraining.py.
#[test]
fn masked_loss_and_gradients_equal_pytorch() {
    let expected = json(&fixtures().join("pretraining.json"));
    let mut wrong = Vec::new();
    for (name, expected) in expected.as_object().expect("models") {
        let folder = without_dropout(&fixtures().join(name));
        let number = |value: &Value| value.as_u64().expect("a number") as usize;
        let ids = |text: &Value| -> Vec<u32> {
            text.as_array().expect("ids").iter().map(|id| number(id) as u32).collect()
        };
        let texts: Vec<_> = expected["texts"].as_array().expect("texts").iter().map(ids).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let place = |row: &Value| Masked {
            token: texts[..number(&row[0])].iter().map(|text| text.len()).sum::<usize>()
                + number(&row[1]),
            id: number(&row[2]) as u32,
        };
        let masked: Vec<_> =
            expected["masked"].as_array().expect("masked").iter().map(place).collect();
        for (isa, regularized) in
            Isa::supported().into_iter().flat_map(|isa| [(isa, false), (isa, true)])
        {
            let mut model =
                Trainable::load(folder.path(), Pooling::Max, Saturation::Log1pRelu, isa)
                    .expect("a model");
            let plain = model.masked_loss(&texts, &masked);
            let pooled = model.forward_masked(&texts, &[1, 2, 3, 4], regularized).to_vec();
            let mut means = vec![0.0; model.vocab()];
            for term in pooled.iter().flatten() {
                means[term.term as usize] += term.weight / texts.len() as f32;
            }
            // These are the gradients of 0.05 · FLOPS.
            let by_term = |terms: &Vec<splade_model::training::PooledTerm>| -> Vec<f32> {
                let slope = |term: u32| 0.05 * 2.0 * means[term as usize] / texts.len() as f32;
                terms.iter().map(|term| slope(term.term)).collect()
            };
            let gradients: Vec<Vec<f32>> = pooled.iter().map(by_term).collect();
            let got = model.backward_masked(&masked, 1.0 / masked.len() as f32, &gradients);
            let at = format!("{name} {isa} {regularized}");
            assert_eq!(got.correct, number(&expected["correct"]), "{at}");
            let want = expected["loss"].as_f64().expect("a number") * masked.len() as f64;
            for loss in [got.loss, plain.loss] {
                // Logits that are 32-bit sums have errors of about 1e-6.
                assert!((loss - want).abs() < 1e-5 * want, "{at}: {loss}, not {want}");
            }
            let key = if regularized { "regularized" } else { "masked" };
            wrong.extend(compare(&tensors(&mut model), &expected["gradients"][key], &at));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns the differences from the norms and projections of PyTorch's gradients.
fn compare(got: &[(String, Vec<f32>)], expected: &Value, at: &str) -> Vec<String> {
    let expected = expected.as_object().expect("tensors");
    let mut wrong = Vec::new();
    if got.len() != expected.len() {
        let missing: Vec<_> =
            expected.keys().filter(|name| !got.iter().any(|(got, _)| got == *name)).collect();
        wrong.push(format!("{at}: {} tensors, not {}: {missing:?}", got.len(), expected.len()));
    }
    for (name, numbers) in got {
        let want = |i: usize| expected.get(name).and_then(|x| x[i].as_f64()).unwrap_or(f64::NAN);
        let norm = numbers.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let pattern = |i: usize| ((31 * i) % 17) as f64 / 8.0 - 1.0;
        let projection: f64 =
            numbers.iter().enumerate().map(|(i, x)| f64::from(*x) * pattern(i)).sum();
        // The tolerance allows for 32-bit sums of some hundred products through a few layers.
        // Gradients that are zero except for rounding (the biases of keys) have no norm for a
        // relative tolerance, hence the absolute part.
        let tolerance = 3e-4 * want(0) + 1e-4;
        let near = |x: f64, want: f64| (x - want).abs() <= tolerance;
        if !near(norm, want(0)) || !near(projection, want(1)) {
            wrong.push(format!("{at}: {name}: {norm} {projection}, not {} {}", want(0), want(1)));
        }
    }
    wrong
}

#[test]
fn company_and_threads_change_nothing_but_rounding() {
    for name in ["bert", "electra", "modernbert", "distilbert"] {
        let folder = fixtures().join(name);
        let texts = texts(&folder);
        let run = |threads: usize, group: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
            pool.install(|| {
                let isa = Isa::detect();
                let mut model = Trainable::load(&folder, Pooling::Max, Saturation::Log1pRelu, isa)
                    .expect("a model");
                take_gradients(&mut model, &texts, group);
                tensors(&mut model)
            })
        };
        let together = run(1, 5);
        // With the dropout of the folder, any number of threads gives the same bits.
        assert_eq!(together, run(2, 5), "{name}");
        assert_eq!(together, run(3, 5), "{name}");
        // Text by text, the same numbers are dropped; only the sums over texts are rounded
        // differently.
        for ((name_a, a), (_, b)) in together.iter().zip(&run(2, 1)) {
            let norm = a.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let pairs = a.iter().zip(b);
            let difference = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            assert!(difference <= 1e-5 * norm + 1e-5, "{name} {name_a}: {difference} of {norm}");
        }
    }
}

#[test]
fn a_saved_model_is_the_same() {
    for name in ["bert", "bert-untied", "roberta", "electra", "modernbert", "distilbert"] {
        let folder = fixtures().join(name);
        let isa = Isa::detect();
        let load = |folder: &Path| {
            Trainable::load(folder, Pooling::Max, Saturation::Log1pRelu, isa).expect("a model")
        };
        let mut model = load(&folder);
        let out = tempfile::tempdir().expect("a folder");
        model.save(out.path()).expect("saved");
        let (before, after) =
            (Weights::open(&folder).expect("weights"), Weights::open(out.path()).expect("weights"));
        for tensor in after.names() {
            if before.shape(tensor).is_some() {
                assert_eq!(
                    before.read_f32(tensor).expect("numbers"),
                    after.read_f32(tensor).expect("numbers"),
                    "{name} {tensor}"
                );
            } else {
                assert_eq!((name, tensor), ("roberta", "lm_head.decoder.weight"));
            }
        }
        let texts = texts(&folder);
        let refs: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        assert_eq!(model.encode(&refs), load(out.path()).encode(&refs), "{name}");
    }
}

/// Creates a folder with only the encoder of a model, whose tensors are named without a prefix.
fn without_head(model: &Path, prefix: &str) -> tempfile::TempDir {
    let dir = without_dropout(model);
    let weights = Weights::open(model).expect("weights");
    let names: Vec<&str> = weights.names().filter(|name| name.starts_with(prefix)).collect();
    let shape = |name: &str| weights.shape(name).expect("a shape").to_vec();
    let tensors: Vec<_> =
        names.iter().map(|name| (name[prefix.len()..].to_owned(), shape(name))).collect();
    let path = dir.path().join("model.safetensors");
    let mut file = WeightsWriter::create(&path, &tensors).expect("a file");
    for name in names {
        file.write(&weights.read_f32(name).expect("numbers")).expect("written");
    }
    file.finish().expect("written");
    dir
}

#[test]
fn an_encoder_without_a_head_gets_one_with_the_wanted_number_of_terms() {
    for (name, prefix) in [
        ("bert", "bert."),
        ("distilbert", "distilbert."),
        ("roberta", "roberta."),
        ("modernbert-biases", "model."),
    ] {
        let model = fixtures().join(name);
        assert!(!lacks_head(&model).expect("a model"), "{name}");
        let encoder = without_head(&model, prefix);
        assert!(lacks_head(encoder.path()).expect("a model"), "{name}");
        let out = tempfile::tempdir().expect("a folder");
        add_head(encoder.path(), out.path()).expect("a head");
        let isa = Isa::detect();
        let (pooling, saturation) = (Pooling::Max, Saturation::Log1pRelu);
        let mut model = Trainable::load(out.path(), pooling, saturation, isa).expect("a model");
        let texts = texts(&fixtures().join(name));
        let refs: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        for wanted in [20, 5] {
            model.calibrate(&refs, wanted).expect("a bias");
            let mut terms: Vec<usize> = model.encode(&refs).iter().map(Vec::len).collect();
            terms.sort_unstable();
            // The median text has exactly this number of terms, or one fewer if a logit is rounded
            // to zero.
            assert!(terms[terms.len() / 2].abs_diff(wanted) <= 1, "{name} {wanted}: {terms:?}");
        }
    }
}

#[test]
fn deberta_is_refused() {
    let error = Trainable::load(
        &fixtures().join("deberta-v2"),
        Pooling::Max,
        Saturation::Log1pRelu,
        Isa::detect(),
    );
    let message = error.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(message.contains("DeBERTa-v2 models cannot be trained"), "{message}");
}
