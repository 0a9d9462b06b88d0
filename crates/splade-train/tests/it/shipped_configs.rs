//! Every config of the repository is composed and read, and gives the expected settings.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::{Path, PathBuf};

use hydra_compose::{ComposeOptions, compose};
use serde_json::Value;
use splade_train::config::{
    Config, LossKind, PretrainConfig, QueryEncoder, RegularizerKind, Start, Strength,
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn value(name: &str, overrides: &[&str]) -> Value {
    let overrides = overrides.iter().map(|o| (*o).to_owned()).collect();
    let options = ComposeOptions::new(repository().join("config"), name, overrides);
    match compose(&options).and_then(|composed| composed.value()) {
        Ok(value) => value,
        Err(error) => panic!("{name}: {error}"),
    }
}

fn read(name: &str, overrides: &[&str]) -> (Config, Vec<String>) {
    match Config::from_value(&value(name, overrides)) {
        Ok(read) => read,
        Err(error) => panic!("{name}: {error}"),
    }
}

/// The configs of `pretrain`.
const PRETRAINING: [&str; 4] =
    ["adapt_pretrain", "pretrain_ja", "pretrain_middle", "pretrain_mini_ja_en"];

#[test]
fn all_are_read() {
    let mut count = 0;
    for entry in std::fs::read_dir(repository().join("config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        if PRETRAINING.contains(&name) {
            continue;
        }
        let (config, _) = read(name, &[]);
        let again = Config::from_value(&config.to_value()).unwrap().0;
        assert_eq!(again, config, "{name}");
        assert!(config.training.output_dir.starts_with("outputs"), "{name}");
        count += 1;
    }
    assert_eq!(count, 16);
}

#[test]
fn masked_language_models() {
    for name in PRETRAINING {
        let (config, notes) = PretrainConfig::from_value(&value(name, &[])).unwrap();
        // A CPU without AMX is told of in a note.
        assert!(notes.iter().all(|note| note.starts_with("training.bf16")), "{notes:?}");
        let again = PretrainConfig::from_value(&config.to_value()).unwrap().0;
        assert_eq!(again, config, "{name}");
        let is_regularized = ["adapt_pretrain", "pretrain_middle"].contains(&name);
        assert_eq!(config.training.regularizers.doc.is_some(), is_regularized, "{name}");
        assert_eq!(matches!(config.model.start, Start::New(_)), name == "pretrain_ja");
    }
}

/// Settings that belong to retrieval only, or to no kind of run, are refused.
#[test]
fn settings_of_others_are_refused() {
    for (change, at) in [
        ("+training.training_loss=kldiv", "training.training_loss"),
        ("+training.load_best_model_at_end=true", "training.load_best_model_at_end"),
        ("model.new.hidden_size=30", "model.new.num_attention_heads"),
        ("model.new.model_type=gpt", "model.new.model_type"),
        ("+model.model_name_or_path=x", "model.model_name_or_path"),
        ("data.train_files=[]", "data.train_files"),
        ("+data.mask_share=1", "data.mask_share"),
        ("+training.save_strategy=best", "training.save_strategy"),
    ] {
        let error = PretrainConfig::from_value(&value("pretrain_ja", &[change]));
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with(at), "{change}: {message}");
    }
}

#[test]
fn the_python_librarys_runs() {
    let (triplet, notes) = read("splade_mmarco_ja_triplet", &[]);
    assert_eq!(notes.len(), 1, "fp16 is noted: {notes:?}");
    assert_eq!(triplet.training.max_steps, Some(100_000));
    assert_eq!(triplet.training.losses[0].kind, LossKind::InBatchNegatives);
    let (doc, query) = (triplet.training.regularizers.doc, triplet.training.regularizers.query);
    for (side, lambda) in [(doc, 0.008), (query, 0.01)] {
        let strength = side.unwrap().strength;
        assert!(matches!(strength, Strength::Schedule { lambda: l, .. } if l == lambda));
    }
    let (distil, _) = read("splade_mmarco_ja_distil", &["data.DATA_PATH=elsewhere"]);
    assert_eq!(distil.training.warmup_steps, 4000);
    assert_eq!(
        distil.data.hard_negative_scores,
        Some("elsewhere/hard-negatives-cross-encoder-scores.ndjson.gz".into())
    );
    let (swapped, _) = read("splade_mmarco_ja_triplet", &["training=toy_triplet", "model=demo"]);
    assert_eq!(swapped.training.max_steps, Some(80));
}

#[test]
fn recipes() {
    let (v3, _) = read("splade_v3", &[]);
    let losses: Vec<_> = v3.training.losses.iter().map(|l| (l.kind, l.weight)).collect();
    assert_eq!(losses, [(LossKind::KlDiv, 0.99), (LossKind::MarginMse, 0.05)]);
    assert_eq!((v3.data.negatives_per_query, v3.training.max_steps), (8, None));
    let (efficient, _) = read("efficient_splade_v_large", &[]);
    assert!(efficient.model.model_name_or_path_q.is_some());
    let regularizers = efficient.training.regularizers;
    assert_eq!(regularizers.query.unwrap().kind, RegularizerKind::L1);
    assert_eq!(regularizers.doc.unwrap().kind, RegularizerKind::Flops);
    let (l0, _) = read("l0_inference_free", &[]);
    let doc = l0.training.regularizers.doc.unwrap();
    assert_eq!(doc.kind, RegularizerKind::ThresholdedFlops { threshold: 150 });
    assert!(matches!(&l0.model.query_encoder, QueryEncoder::Table(table) if table.freeze));
    assert_eq!(l0.training.max_grad_norm, 0.0);
}

/// The toy runs need only files of the repository.
#[test]
fn toy_files_exist() {
    for name in ["toy_splade_ja", "toy_splade_ja_distil"] {
        let (config, _) = read(name, &[]);
        let data = &config.data;
        let optional = [
            &data.train_triplets,
            &data.hard_negative_scores,
            &data.validation_doc_master,
            &data.validation_query_master,
            &data.validation_positives,
        ];
        let paths = [
            Some(&data.train_doc_master),
            Some(&data.train_query_master),
            Some(&data.train_positives),
        ];
        for path in paths.into_iter().chain(optional.map(Option::as_ref)).flatten() {
            assert!(repository().join(path).is_file(), "{}", path.display());
        }
        let model = repository().join(&config.model.model_name_or_path);
        assert!(model.join("config.json").is_file());
    }
}
