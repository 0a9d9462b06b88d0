//! What the files of a model folder say is followed or is an error, and files that are something
//! else are named.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_model::weights::{Weights, WeightsWriter};
use splade_model::{Encoder, EncoderOptions, ModelError, ModelFolder, Side};

use crate::whole;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference").join(name)
}

/// A copy of a model that a test changes.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for file in std::fs::read_dir(fixture(name)).expect("a model") {
            let file = file.expect("an entry");
            std::fs::copy(file.path(), folder.path().join(file.file_name())).expect("copied");
        }
        Self(folder)
    }

    /// Adds the files of sentence-transformers.
    fn with_modules(self, class: &str, settings: &Value, about: &Value) -> Self {
        let place = "sentence_transformers.sparse_encoder.models";
        let modules = json!([
            {"idx": 0, "name": "0", "path": "", "type": format!("{place}.{class}")},
            {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": format!("{place}.SpladePooling")},
        ]);
        self.write("modules.json", modules.to_string());
        self.write("sentence_bert_config.json", settings.to_string());
        self.write("config_sentence_transformers.json", about.to_string());
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), content).expect("written");
    }

    /// Sets keys of a JSON file.
    fn set(&self, name: &str, keys: &Value) {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap_or("{}".to_owned());
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        for (key, new) in keys.as_object().expect("keys") {
            value[key] = new.clone();
        }
        self.write(name, value.to_string());
    }

    fn load(&self, side: Side) -> Result<Encoder, ModelError> {
        let options = EncoderOptions { side, threads: Some(1), ..Default::default() };
        Encoder::load(self.path(), &options)
    }

    fn error(&self) -> String {
        whole(&self.load(Side::Document).expect_err("refused"))
    }
}

#[test]
fn keys_of_configs_are_followed_or_refused() {
    let mut wrong = Vec::new();
    for (model, file, keys, refused) in [
        // Notes of other tools and settings of newer versions that are off.
        (
            "bert",
            "config.json",
            json!({"_note": 1, "language": "ja", "torch_dtype": "float16"}),
            "",
        ),
        ("bert", "config.json", json!({"new_flag": false, "new": {}, "pooler_fc_size": 768}), ""),
        ("bert", "config.json", json!({"num_beams": 4, "sep_token_id": 3, "qa_dropout": 0.1}), ""),
        ("bert", "config.json", json!({"rope_scaling": {"factor": 2.0}}), "rope_scaling"),
        (
            "bert",
            "config.json",
            json!({"per_layer_config": {"0": {"hidden_act": "relu"}}}),
            "per_layer",
        ),
        ("bert", "config.json", json!({"attention_scale": 0.5}), "\"attention_scale\" (0.5)"),
        ("bert", "config.json", json!({"quantization_config": {"bits": 4}}), "quantization_config"),
        ("distilbert", "config.json", json!({"hidden_size": 7}), "hidden_size"),
        (
            "distilbert",
            "config.json",
            json!({"sinusoidal_pos_embds": true, "tie_weights_": true}),
            "",
        ),
        (
            "modernbert",
            "config.json",
            json!({"position_embedding_type": "rope", "layer_norm_eps": 1e-5}),
            "",
        ),
        ("modernbert", "config.json", json!({"rope_scaling": {"rope_type": "yarn"}}), "rope_type"),
        ("modernbert", "config.json", json!({"rope_scaling": {"rope_type": "default"}}), ""),
        (
            "modernbert",
            "config.json",
            json!({"rope_parameters": {"full_attention": {"factor": 2}}}),
            "factor",
        ),
        ("modernbert", "config.json", json!({"head_dim": 3}), "head_dim"),
        ("deberta-v2", "config.json", json!({"z_steps": 2}), "z_steps"),
        (
            "bert",
            "tokenizer_config.json",
            json!({"chat_template": "x", "is_local": true, "padding_side": "left"}),
            "",
        ),
        ("bert", "tokenizer_config.json", json!({"word_splitter": "new"}), "word_splitter"),
        ("bert", "tokenizer_config.json", json!({"model_max_length": "48"}), "model_max_length"),
        (
            "bert-untied",
            "tokenizer_config.json",
            json!({"do_basic_tokenize": false}),
            "do_basic_tokenize",
        ),
        ("bert", "tokenizer_config.json", json!({"do_basic_tokenize": false}), ""),
        ("bert", "tokenizer.json", json!({"new": {}}), ""),
        ("bert", "tokenizer.json", json!({"new": {"a": 1}}), "new"),
        ("bert", "adapter_config.json", json!({"peft_type": "LORA"}), "merge"),
        ("bert", "config.json", json!({"layer_norm_eps": -1e-12}), "a number from 0"),
        ("modernbert", "config.json", json!({"norm_eps": -1e-5}), "a number from 0"),
        ("deberta-v2", "config.json", json!({"layer_norm_eps": 1}), "a number from 0"),
    ] {
        let copy = Copy::of(model);
        copy.set(file, &keys);
        let result = copy.load(Side::Document).map(drop);
        match (result, refused) {
            (Ok(()), "") => {}
            (Err(error), wanted) if !wanted.is_empty() => {
                let error = whole(&error);
                if !(error.contains(wanted) && error.contains(file)) {
                    wrong.push(format!("{model} {keys}: {error}"));
                }
            }
            (result, _) => wrong.push(format!("{model} {keys}: {result:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn settings_of_sentence_transformers_are_followed() {
    for (settings, lengths) in [
        (json!({"max_seq_length": 30}), (30, 30)),
        (json!({"max_seq_length": 30, "query_length": 6}), (6, 30)),
        (json!({"query_length": 6, "document_length": 20}), (6, 20)),
        (json!({"processor_kwargs": {"model_max_length": 9}, "unpad_inputs": true}), (9, 9)),
        (
            json!({"processing_kwargs": {"text": {"max_length": 7, "padding": "max_length"}}, "query_length": 6}),
            (7, 7),
        ),
        (
            json!({"processing_kwargs": {"common": {"truncation": true}, "image": {"size": 2}}}),
            (48, 48),
        ),
        (
            json!({"modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
                "module_output_name": "token_embeddings", "transformer_task": "fill-mask"}),
            (48, 48),
        ),
    ] {
        let copy = Copy::of("bert").with_modules("MLMTransformer", &settings, &json!({}));
        let length = |side| copy.load(side).expect("a model").max_length();
        assert_eq!((length(Side::Query), length(Side::Document)), lengths, "{settings}");
        let text = "a b c d e f g h i j k l m n o p q r s t u v w x y z";
        let encoded = copy.load(Side::Query).expect("a model").encode_batch(&[text]).expect("ids");
        assert_eq!(encoded.tokens, lengths.0.min(28), "{settings}");
    }
    // The older names of the file.
    let copy = Copy::of("bert").with_modules("MLMTransformer", &json!({}), &json!({}));
    std::fs::rename(
        copy.path().join("sentence_bert_config.json"),
        copy.path().join("sentence_roberta_config.json"),
    )
    .expect("renamed");
    copy.set("sentence_roberta_config.json", &json!({"max_seq_length": 8}));
    assert_eq!(copy.load(Side::Document).expect("a model").max_length(), 8);
    for (class, settings, refused) in [
        ("Transformer", json!({}), "transformer_task"),
        ("MLMTransformer", json!({"transformer_task": "feature-extraction"}), "transformer_task"),
        ("MLMTransformer", json!({"query_expansion": {"length": 32}}), "query_expansion"),
        ("MLMTransformer", json!({"do_lower_case": true}), "do_lower_case"),
        ("MLMTransformer", json!({"max_seq_length": "30"}), "max_seq_length"),
        (
            "MLMTransformer",
            json!({"processing_kwargs": {"text": {"add_special_tokens": false}}}),
            "add_special",
        ),
        (
            "MLMTransformer",
            json!({"processing_kwargs": {"text": {"truncation": false}}}),
            "truncation",
        ),
        ("MLMTransformer", json!({"processing_kwargs": {"text": {"stride": 2}}}), "stride"),
        ("MLMTransformer", json!({"processing_kwargs": {"texts": {"max_length": 3}}}), "texts"),
        (
            "MLMTransformer",
            json!({"modality_config": {"message": {"method": "forward"}}}),
            "message",
        ),
        ("MLMTransformer", json!({"tokenizer_args": {"do_lower_case": true}}), "do_lower_case"),
        ("MLMTransformer", json!({"config_args": {"hidden_act": "relu"}}), "hidden_act"),
        ("MLMTransformer", json!({"document_prefix": "d: "}), "document_prefix"),
    ] {
        let copy = Copy::of("bert").with_modules(class, &settings, &json!({}));
        let error = copy.error();
        assert!(
            error.contains(refused) && error.contains("sentence_bert_config"),
            "{settings}: {error}"
        );
    }
    for (file, keys) in [
        ("config_sentence_transformers.json", json!({"sparsity": 3})),
        (
            "config_sentence_transformers.json",
            json!({"prompts": {"query": "q: "}, "default_prompt_name": "passage"}),
        ),
        ("1_SpladePooling/config.json", json!({"temperature": 2.0})),
        ("1_SpladePooling/config.json", json!({"activation_function": "gelu"})),
    ] {
        let copy = Copy::of("bert").with_modules("MLMTransformer", &json!({}), &json!({}));
        std::fs::create_dir_all(copy.path().join("1_SpladePooling")).expect("made");
        copy.set(file, &keys);
        assert!(copy.error().contains(file), "{keys}");
    }
}

/// Every vector of both sides keeps the terms with the largest weights, and an export says so.
#[test]
fn max_active_dims_keeps_the_largest_weights() {
    let all = Copy::of("bert").with_modules("MLMTransformer", &json!({}), &json!({}));
    let about = json!({"max_active_dims": 3, "similarity_fn_name": "dot", "__version__": {},
        "prompts": {"query": "q: ", "passage": "p: "}, "default_prompt_name": "passage"});
    let few = Copy::of("bert").with_modules("MLMTransformer", &json!({"query_length": 9}), &about);
    let text = "the night train";
    let whole =
        all.load(Side::Document).expect("a model").encode(&[text]).expect("a vector").remove(0);
    assert!(whole.len() > 3);
    let encoder = few.load(Side::Document).expect("a model");
    assert_eq!(encoder.encode(&[text]).expect("a vector")[0], whole.top_k(3));
    assert_eq!(encoder.prompt(), "", "as in encode_document");
    let explained = encoder.explain(text).expect("explained");
    let best: Vec<u32> = whole.by_weight().iter().take(3).map(|(term, _)| term.0).collect();
    assert_eq!(explained.terms.iter().map(|term| term.term.0).collect::<Vec<_>>(), best);
    let query = few.load(Side::Query).expect("a model");
    assert_eq!(query.prompt(), "q: ");
    assert_eq!(query.encode(&[text]).expect("a vector")[0].len(), 3);

    let out = tempfile::tempdir().expect("a folder");
    let to = out.path().join("model");
    splade_model::export::export_model(few.path(), &to, &Default::default()).expect("exported");
    let exported = ModelFolder::open(&to).expect("a model");
    assert_eq!(exported.document.max_active_dims, Some(3));
    assert_eq!(
        (exported.query.max_seq_length, exported.document.max_seq_length),
        (Some(9), Some(48))
    );
}

/// Windows editors put a byte order mark at the start of a text.
#[test]
fn byte_order_marks_are_passed_over() {
    let plain = Copy::of("bert-japanese");
    let vector = |copy: &Copy| copy.load(Side::Document).expect("a model").encode(&["東京の夜"]);
    for name in ["config.json", "tokenizer_config.json", "vocab.txt", "light_splade.json"] {
        let marked = Copy::of("bert-japanese");
        let text = std::fs::read(marked.path().join(name)).unwrap_or(b"{}".to_vec());
        marked.write(name, [b"\xef\xbb\xbf", &text[..]].concat());
        assert_eq!(vector(&marked).expect(name), vector(&plain).expect("a vector"), "{name}");
    }
}

#[test]
fn files_that_are_something_else_are_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 440449768\n";
    let bin = "pytorch_model.bin";
    for (name, content, wanted) in [
        ("model.safetensors", pointer.as_bytes(), "Git LFS pointer to a file of 440449768 bytes"),
        (bin, pointer.as_bytes(), "Git LFS pointer"),
        ("tokenizer.json", pointer.as_bytes(), "Git LFS pointer"),
        ("tokenizer_config.json", pointer.as_bytes(), "Git LFS pointer"),
        ("config.json", pointer.as_bytes(), "Git LFS pointer"),
        ("light_splade.json", pointer.as_bytes(), "Git LFS pointer"),
        ("model.safetensors", b"<!DOCTYPE html>\n<html>", "web page"),
        ("config.json", b"<html><body>404", "web page"),
        (bin, b"{\"error\":\"Repository not found\"}", "Repository not found"),
        ("config.json", b"{\"error\":\"Repository not found\"}", "Repository not found"),
        ("model.safetensors", b"Entry not found", "Entry not found"),
        ("model.safetensors", b"PK\x03\x04\0\0\0\0\0\0\0\0", "name it pytorch_model.bin"),
        ("model.safetensors", b"\x1f\x8b\x08\0\0\0\0\0\0\0", "gzip"),
        (
            "model.safetensors",
            b"\x40\0\0\0\0\0\0\0{\"a",
            "cut off: it has 11 bytes, but its header ends at byte 72",
        ),
        ("model.safetensors", b"\x40\0\0", "cut off"),
        (bin, b"\x10\0\0\0\0\0\0\0{\"a\": 1}", "name it model.safetensors"),
        (bin, b"\x80\x04\x95\0\0\0\0\0\0\0\0.", "not of torch.save"),
        ("config.json", b"", "empty"),
        ("config.json", b"{\"model_type\": \"bert\",", "EOF"),
    ] {
        let copy = Copy::of("bert");
        if name == bin {
            std::fs::remove_file(copy.path().join("model.safetensors")).expect("removed");
        }
        copy.write(name, content);
        let error = copy.error();
        assert!(error.contains(wanted) && error.contains(name), "{name}: {error}");
    }
    let copy = Copy::of("bert-untied");
    copy.write("vocab.txt", pointer);
    assert!(copy.error().contains("Git LFS pointer"), "{}", copy.error());
    // A file that ends within the numbers, and one with a part of another download after it.
    let copy = Copy::of("bert");
    let weights = std::fs::read(copy.path().join("model.safetensors")).expect("weights");
    copy.write("model.safetensors", &weights[..weights.len() - 4]);
    let sizes = format!(
        "it has {} bytes, but its last tensor ends at byte {}",
        weights.len() - 4,
        weights.len()
    );
    assert!(copy.error().contains(&sizes), "{}", copy.error());
    copy.write("model.safetensors", [&weights[..], b"0000"].concat());
    assert!(copy.error().contains("two downloads"), "{}", copy.error());
}

/// Rewrites the weights of a model with some tensors renamed, left out or changed.
fn rewrite(copy: &Copy, change: impl Fn(&str, Vec<f32>) -> Vec<(String, Vec<f32>)>) {
    let weights = Weights::open(copy.path()).expect("weights");
    let mut tensors = Vec::new();
    for name in weights.names() {
        let shape = weights.shape(name).expect("a shape").to_vec();
        let Ok(numbers) = weights.read_f32(name) else { continue };
        tensors.extend(change(name, numbers).into_iter().map(|(name, n)| (name, shape.clone(), n)));
    }
    let announced: Vec<_> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    let path = copy.path().join("model.safetensors");
    let mut file = WeightsWriter::create(&path, &announced).expect("a file");
    for (_, _, numbers) in &tensors {
        file.write(numbers).expect("written");
    }
    file.finish().expect("written");
}

/// safetensors stores a tensor that is used twice once, under the name that comes first.
#[test]
fn tied_weights_may_have_either_name() {
    for (model, embedding, decoder) in [
        ("bert", "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
        ("distilbert", "distilbert.embeddings.word_embeddings.weight", "vocab_projector.weight"),
        ("roberta", "roberta.embeddings.word_embeddings.weight", "lm_head.decoder.weight"),
        ("electra", "electra.embeddings.word_embeddings.weight", "generator_lm_head.weight"),
        ("modernbert", "model.embeddings.tok_embeddings.weight", "decoder.weight"),
        ("bert", "cls.predictions.bias", "cls.predictions.decoder.bias"),
        ("roberta", "lm_head.bias", "lm_head.decoder.bias"),
    ] {
        let original = Copy::of(model);
        let vector = |copy: &Copy| {
            let encoder = copy
                .load(Side::Document)
                .unwrap_or_else(|error| panic!("{model} {decoder}: {error}"));
            encoder.encode(&["a night train"]).expect("a vector")
        };
        let keep = |name: &str, numbers| vec![(name.to_owned(), numbers)];
        for (form, names) in [("other name", vec![decoder]), ("both", vec![embedding, decoder])] {
            let copy = Copy::of(model);
            rewrite(&copy, |name, numbers| match name {
                _ if name == decoder => vec![],
                _ if name == embedding => {
                    names.iter().map(|name| ((*name).to_owned(), numbers.clone())).collect()
                }
                _ => keep(name, numbers),
            });
            assert_eq!(vector(&copy), vector(&original), "{model} {decoder}: {form}");
        }
        let copy = Copy::of(model);
        rewrite(&copy, |name, numbers| match name {
            _ if name == decoder => vec![],
            _ if name == embedding => {
                let other = numbers.iter().map(|x| x + 1.0).collect();
                vec![(embedding.to_owned(), numbers), (decoder.to_owned(), other)]
            }
            _ => keep(name, numbers),
        });
        assert!(copy.error().contains(decoder), "{}", copy.error());
    }
}

#[test]
fn numbers_that_no_model_has_are_errors() {
    for (tensor, number, shown) in [
        ("bert.encoder.layer.1.output.dense.weight", f32::NAN, "NaN"),
        ("bert.embeddings.word_embeddings.weight", f32::INFINITY, "inf"),
        ("cls.predictions.bias", f32::NEG_INFINITY, "-inf"),
        ("bert.encoder.layer.0.output.LayerNorm.weight", -3e30, "-3"),
    ] {
        let copy = Copy::of("bert");
        rewrite(&copy, |name, mut numbers| {
            if name == tensor {
                *numbers.last_mut().expect("numbers") = number;
            }
            vec![(name.to_owned(), numbers)]
        });
        let error = copy.error();
        assert!(error.contains(tensor) && error.contains(shown), "{error}");
    }
    // Every number is sound, but equal numbers have no variance to divide by.
    for (model, key) in [("bert", "layer_norm_eps"), ("modernbert", "norm_eps")] {
        let copy = Copy::of(model);
        copy.set("config.json", &json!({key: 0.0}));
        rewrite(&copy, |name, mut numbers| {
            if name.contains("embeddings.") && !name.contains("orm") {
                numbers.fill(0.5);
            }
            vec![(name.to_owned(), numbers)]
        });
        let encoder = copy.load(Side::Document).expect("a model");
        let texts = ["", "a night train"];
        let error = encoder.encode(&texts[1..]).expect_err("not finite").to_string();
        assert!(error.contains("\"a night train\"") && error.contains("not finite"), "{error}");
        assert!(encoder.explain(texts[1]).is_err(), "{model}");
    }
}
