//! Settings are read with the names, types and defaults of transformers' `TrainingArguments`
//! (recorded by `scripts/reference/training_arguments.py`) and of the Python library.

#![allow(clippy::unwrap_used, reason = "a test may")]

use serde_json::{Value, json};
use splade_nn::Isa;
use splade_train::config::{
    Compat, Config, IntervalStrategy, LossKind, QueryEncoder, QueryTable, RegularizerKind,
    Regularizers, ResumeFrom, Strength, TableStart, TeacherHead, redact,
};

fn transformers() -> Value {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/training_arguments.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the smallest valid config of a triplet run or of a distillation.
fn least(distillation: bool) -> Value {
    let mut value = json!({
        "model": {"model_name_or_path": "models/demo"},
        "data": {
            "DATA_PATH": "data/toy",
            "train_doc_master": "d",
            "train_query_master": "q",
            "train_positives": "p",
        },
        "training": {},
    });
    let name = if distillation { "hard_negative_scores" } else { "train_triplets" };
    value["data"][name] = json!("t");
    if distillation {
        value["training"]["training_loss"] = json!("kldiv");
    }
    value
}

/// Sets values by their paths, such as `training.a.b`.
fn with(mut value: Value, pairs: &[(&str, Value)]) -> Value {
    for (path, new) in pairs {
        let mut place = &mut value;
        for key in path.split('.') {
            place = &mut place[key];
        }
        *place = new.clone();
    }
    value
}

fn read(value: &Value) -> Config {
    match Config::from_value(value) {
        Ok((config, _)) => config,
        Err(error) => panic!("{error}"),
    }
}

fn error(value: &Value) -> String {
    let error = Config::from_value(value).unwrap_err();
    format!("{error}\nhint: {}", error.hint().unwrap_or_default())
}

#[test]
fn defaults_are_those_of_transformers() {
    let fields = transformers()["fields"].clone();
    let ours = read(&least(false)).to_value()["training"].clone();
    // transformers fills in these values itself when it starts.
    let filled = ["output_dir", "report_to", "lr_scheduler_kwargs", "disable_tqdm"];
    let mut compared = 0;
    for (name, value) in ours.as_object().unwrap() {
        let Some(default) = fields.get(name) else {
            continue;
        };
        if filled.contains(&name.as_str()) {
            continue;
        }
        compared += 1;
        let same = value == default || (value.is_number() && value.as_f64() == default.as_f64());
        assert!(same, "training.{name}: {value}, but transformers has {default}");
    }
    assert!(compared > 35, "{compared}");
    assert_eq!(ours["output_dir"], "trainer_output");
    assert_eq!(ours["report_to"], json!(["tensorboard"]));
    assert_eq!(ours["training_loss"], "in_batch_negatives");
    assert_eq!(ours["validation_metrics"], json!(["MRR@10", "recall@10"]));
}

#[test]
fn every_field_of_transformers_is_known() {
    for (name, default) in transformers()["fields"].as_object().unwrap() {
        let value = with(least(false), &[(&format!("training.{name}"), default.clone())]);
        if let Err(error) = Config::from_value(&value) {
            panic!("training.{name}: {default}: {error}");
        }
    }
}

#[test]
fn what_is_not_implemented_is_an_error() {
    let known = transformers();
    for (setting, list, implemented) in
        [("training.optim", "optimizers", 5), ("training.lr_scheduler_type", "schedulers", 7)]
    {
        let names = known[list].as_array().unwrap();
        let results: Vec<_> = names
            .iter()
            .map(|name| Config::from_value(&with(least(false), &[(setting, name.clone())])))
            .collect();
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), implemented);
        for error in results.iter().filter_map(|r| r.as_ref().err()) {
            assert!(error.to_string().contains("is not implemented"), "{error}");
        }
    }
    for (path, value) in [
        ("training.label_smoothing_factor", json!(0.1)),
        ("training.group_by_length", json!(true)),
        ("training.push_to_hub", json!(true)),
        ("training.deepspeed", json!("ds.json")),
        ("training.fsdp", json!("full_shard")),
        ("training.neftune_noise_alpha", json!(5)),
        ("training.report_to", json!(["comet_ml"])),
        ("training.save_safetensors", json!(false)),
        ("model.device", json!("cuda")),
    ] {
        let text = error(&with(least(false), &[(path, value)]));
        assert!(text.contains("is not implemented"), "{path}: {text}");
        assert!(text.starts_with(path), "{text}");
    }
}

#[test]
fn settings_that_have_no_effect_are_taken() {
    let value = with(
        least(false),
        &[
            ("training.dataloader_num_workers", json!(4)),
            ("training.dataloader_pin_memory", json!(false)),
            ("training.save_safetensors", json!(true)),
            ("training.gradient_checkpointing", json!(true)),
            ("training.hub_token", json!("secret")),
            ("training.label_smoothing_factor", json!(0)),
            ("training.fsdp", json!([])),
            ("training.SOME_PATH", json!("x")),
            ("EXPERIMENT", json!("x")),
        ],
    );
    let (config, notes) = Config::from_value(&value).unwrap();
    assert!(notes.is_empty());
    assert!(!config.to_value().to_string().contains("secret"));
    let mut composed = value.clone();
    redact(&mut composed);
    assert_eq!(composed["training"]["hub_token"], "<HUB_TOKEN>");
}

#[test]
fn sixteen_bits_are_noted_once() {
    // On a CPU with products of bfloat16, `bf16` has its effect and needs no note.
    let bf16 = Isa::bf16().is_none().then_some("bf16");
    for name in ["fp16", "fp16_full_eval"].into_iter().chain(bf16) {
        let path = format!("training.{name}");
        let (_, notes) = Config::from_value(&with(least(false), &[(&path, json!(true))])).unwrap();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains(name) && notes[0].contains("32 bits"));
    }
}

#[test]
fn wrong_values_name_path_value_and_what_is_right() {
    for (path, value, parts) in [
        (
            "training.learning_rate",
            json!("1e-3"),
            &["training.learning_rate", "\"1e-3\"", "without quotes"][..],
        ),
        ("training.learning_rate", json!(-1), &["a number of at least 0", "-1"]),
        ("training.learning_rate", Value::Null, &["got null"]),
        ("training.seed", json!(1.5), &["a whole number", "1.5"]),
        ("training.per_device_train_batch_size", json!(0), &["at least 1"]),
        ("training.max_steps", json!(10.5), &["whole number"]),
        ("training.fp16", json!("yes"), &["true or false"]),
        ("training.warmup_ratio", json!(2), &["from 0 to 1"]),
        ("training.adam_beta1", json!(1), &["below 1"]),
        ("training.eval_strategy", json!("step"), &["no, steps, epoch", "did you mean steps?"]),
        ("training.logging_steps", json!(0), &["above 0"]),
        ("training.logging_steps", json!(10.5), &["whole number"]),
        ("training.warmup_stesp", json!(1), &["did you mean warmup_steps?"]),
        ("training.evaluation_strategy", json!("steps"), &["eval_strategy, which is its name"]),
        ("training.validation_metrics", json!(["mrr"]), &["MRR@10"]),
        ("training.validation_metrics", json!([]), &["At least one metric must be provided!"]),
        (
            "training.compat",
            json!(["all"]),
            &["identical_ids, long_queries, zero_scores, linear_schedule"],
        ),
        ("training.resume_from_checkpoint", json!(3), &["folder of a checkpoint"]),
        (
            "training.lr_scheduler_kwargs",
            json!({"num_cycles": 2}),
            &["training.lr_scheduler_kwargs.num_cycles", "linear", "none"],
        ),
        ("training.load_best_model_at_end", json!(true), &["save_strategy and eval_strategy"]),
        ("training.save_strategy", json!("best"), &["needs a metric"]),
        (
            "training.training_loss",
            json!("mse"),
            &[
                "Unsupported training loss: mse. Only ['in_batch_negatives', 'pairwise_contrastive', 'kldiv', 'margin_mse', 'in_batch_kldiv'] is supported.",
            ],
        ),
        (
            "training.training_loss",
            json!("in_batch_negatives,kldiv"),
            &["data.hard_negative_scores"],
        ),
        ("training.training_loss", json!("in_batch_negatives,in_batch_negatives"), &["twice"]),
        (
            "training.loss_weights",
            json!({"kldiv": 1}),
            &["training.loss_weights.kldiv", "is not in training.training_loss"],
        ),
        ("training.loss_weights", json!({"kldv": 1}), &["did you mean kldiv?"]),
        ("training.temperatures", json!({"in_batch_negatives": 0}), &["above 0"]),
        (
            "training.regularizers",
            json!({"doc": {"reg_type": "FLOP", "lambda_": 1, "T": 1}}),
            &["did you mean FLOPS?"],
        ),
        (
            "training.regularizers",
            json!({"doc": {"reg_type": "FLOPS", "T": 1}}),
            &["training.regularizers.doc.lambda_"],
        ),
        ("training.regularizers", json!({"docs": {}}), &["did you mean doc?"]),
        (
            "training.regularizers",
            json!({"doc": {"reg_type": "L1", "lambda_": 1, "T": 1, "threshold": 5}}),
            &["threshold"],
        ),
        (
            "training.regularizers",
            json!({"doc": {"reg_type": "L1", "lambda_": 1, "T": 1, "df_beta": 5}}),
            &["DF_FLOPS"],
        ),
        ("model.agg", json!("mean"), &["agg must be one of ['max', 'sum'], but got mean"]),
        (
            "model.freeze_d_model",
            json!(true),
            &[
                "Freezing the document encoder requires q_model_path to ensure the query encoder differs from the document encoder.",
            ],
        ),
        ("model.model_name_or_path", Value::Null, &["required"]),
        ("model.trust_remote_code", json!(true), &["there is no such setting"]),
        ("model.query_table", json!({"freeze": true}), &["query_encoder: table"]),
        ("model.activation", json!("relu"), &["log1p_relu, log1p_log1p_relu"]),
        ("model", json!([1]), &["expected a mapping"]),
        ("data.train_doc_master", Value::Null, &["data.train_doc_master", "required"]),
        (
            "data.train_triplets",
            Value::Null,
            &["data.train_triplets, or data.hard_negative_scores"],
        ),
        ("data.hard_negative_scores", json!("s"), &["trains on one of them"]),
        ("data.validation_positives", json!("s"), &["data.validation_doc_master"]),
        (
            "data.negatives_per_query",
            json!(8),
            &["several negatives need data.hard_negative_scores"],
        ),
        ("trainig", json!({}), &["did you mean training?"]),
    ] {
        let text = error(&with(least(false), &[(path, value)]));
        for part in parts {
            assert!(text.contains(part), "{path}: `{part}` is not in: {text}");
        }
    }
}

/// `no` without quotes is a boolean in YAML, and transformers has the word `no` in several settings.
#[test]
fn words_that_yaml_reads_as_booleans() {
    let off = [
        "training.eval_strategy",
        "training.save_strategy",
        "training.logging_strategy",
        "training.report_to",
        "training.fsdp",
        "training.debug",
        "training.include_num_input_tokens_seen",
        "training.resume_from_checkpoint",
    ];
    for (path, value) in off.iter().flat_map(|path| [(path, json!(false)), (path, json!("no"))]) {
        if *path == "training.resume_from_checkpoint" && value.is_string() {
            continue;
        }
        let config = read(&with(least(false), &[(path, value.clone())])).training;
        let strategy = match *path {
            "training.eval_strategy" => config.eval_strategy,
            "training.save_strategy" => config.save_strategy,
            "training.logging_strategy" => config.logging_strategy,
            "training.report_to" => {
                assert!(!config.report_to.tensorboard, "{value}");
                continue;
            }
            _ => continue,
        };
        assert_eq!(strategy, IntervalStrategy::No, "{path}: {value}");
    }
    for (path, value, part) in [
        ("training.eval_strategy", json!(true), "in quotes"),
        ("training.report_to", json!(true), "in quotes"),
        ("training.optim", json!(false), "in quotes"),
        ("training.run_name", json!(false), "in quotes"),
        ("training.run_name", json!(2024), "in quotes"),
        ("training.output_dir", json!(true), "in quotes"),
        ("model.model_name_or_path", json!(false), "in quotes"),
        ("training.fp16", json!("no"), "without quotes"),
        ("training.greater_is_better", json!("True"), "without quotes"),
    ] {
        let text = error(&with(least(false), &[(path, value.clone())]));
        let hint = text.split_once("hint: ").map(|(_, hint)| hint);
        assert!(hint.is_some_and(|hint| hint.contains(part)), "{path}: {value}: {text}");
    }
}

/// Names are checked before values and before relations between settings.
#[test]
fn unknown_names_are_reported_first_and_all_at_once() {
    let value = with(
        least(false),
        &[
            ("training.load_best_model_at_end", json!(true)),
            ("training.learning_rate", json!("fast")),
            ("model.freeze_d_model", json!(true)),
            ("training.evaluation_strategy", json!("steps")),
            ("training.per_gpu_train_batch_size", json!(8)),
            ("training.regularizers", json!({"doc": {"reg_typ": "FLOPS"}})),
            ("training.max_length", json!(128)),
            ("data.nonsense", json!(1)),
            ("model.trust_remote_code", json!(true)),
            ("training.MINE", json!(1)),
        ],
    );
    let message = "there are no such 6 settings: \
        \n  model.trust_remote_code\
        \n  data.nonsense\
        \n  training.evaluation_strategy: write eval_strategy, which is its name now\
        \n  training.per_gpu_train_batch_size: write per_device_train_batch_size, which is its name \
        now\
        \n  training.regularizers.doc.reg_typ: did you mean reg_type?\
        \n  training.max_length: did you mean model.max_length?\
        \nhint: variables for interpolations are written in capitals";
    let mut lines: Vec<String> = error(&value).lines().map(str::to_owned).collect();
    let mut want: Vec<String> = message.lines().map(str::to_owned).collect();
    lines.sort();
    want.sort();
    assert_eq!(lines, want);
    let null = [
        ("training.evaluation_strategy", Value::Null),
        ("training.lr", Value::Null),
        ("model.max_seq_length", Value::Null),
    ];
    read(&with(least(false), &null));
    let text = error(&with(least(false), &[("training.lr", json!(1e-3))]));
    assert_eq!(
        text,
        "training.lr: there is no such setting\nhint: write learning_rate, which is its name now"
    );
}

/// Every remedy of an old name is a setting.
#[test]
fn new_names_exist() {
    for (old, value) in [
        ("evaluation_strategy", json!("steps")),
        ("evaluate_during_training", json!(true)),
        ("per_gpu_eval_batch_size", json!(1)),
        ("batch_size", json!(4)),
        ("epochs", json!(3)),
        ("optimizer", json!("sgd")),
        ("num_warmup_steps", json!(3)),
        ("tensorboard_dir", json!("x")),
        ("max_seq_length", json!(128)),
    ] {
        let text = error(&with(least(false), &[(&format!("training.{old}"), value.clone())]));
        let new = text.split_once("write ").and_then(|(_, rest)| rest.split_once(", which"));
        let new = new.unwrap_or_else(|| panic!("{text}")).0;
        let (new, value) = match new.split_once(": ") {
            Some((new, value)) => (new, json!(value)),
            None => (new, value),
        };
        let path = if new.contains('.') { new.to_owned() } else { format!("training.{new}") };
        read(&with(least(false), &[(&path, value)]));
    }
}

/// In transformers 5, `warmup_steps` below 1 is what `warmup_ratio` was.
#[test]
fn warmup_steps_may_be_a_share() {
    for (steps, ratio, want) in [
        (json!(0.1), json!(0), (0, 0.1)),
        (json!(100), json!(0.5), (100, 0.5)),
        (json!(1.0), json!(0), (1, 0.0)),
        (json!(0), json!(0.5), (0, 0.5)),
    ] {
        let pairs = [("training.warmup_steps", steps), ("training.warmup_ratio", ratio)];
        let config = read(&with(least(false), &pairs)).training;
        assert_eq!((config.warmup_steps, config.warmup_ratio), want);
    }
    let text = error(&with(least(false), &[("training.warmup_steps", json!(1.5))]));
    assert!(text.contains("share of all steps below 1, got 1.5"), "{text}");
}

#[test]
fn checks_of_the_best_model() {
    let best = |save: Value, eval: Value| {
        let value = with(
            least(false),
            &[
                ("training.load_best_model_at_end", json!(true)),
                ("training.eval_strategy", json!("steps")),
                ("training.save_steps", save),
                ("training.eval_steps", eval),
            ],
        );
        Config::from_value(&value).map(|(config, _)| config.training)
    };
    let config = best(json!(100), json!(50)).unwrap();
    assert_eq!(config.metric_for_best_model.as_deref(), Some("loss"));
    assert_eq!(config.greater_is_better, Some(false));
    assert!(config.do_eval);
    assert!(best(json!(0.3), json!(0.1)).is_ok());
    assert!(best(json!(100), json!(30)).is_err());
    assert!(best(json!(0.25), json!(0.1)).is_err());
    assert!(best(json!(100), json!(0.1)).is_err());
    let value = with(least(false), &[("training.metric_for_best_model", json!("eval_MRR@10"))]);
    assert_eq!(read(&value).training.greater_is_better, Some(true));
}

#[test]
fn our_own_settings() {
    let value = with(
        least(true),
        &[
            ("training.training_loss", json!("kldiv, margin_mse")),
            ("training.loss_weights", json!({"kldiv": 0.99, "margin_mse": 0.05})),
            ("training.temperatures", json!({"kldiv": 2})),
            (
                "training.regularizers.doc",
                json!({"reg_type": "flops", "lambda_": 0.08, "T": 4e4, "threshold": 150}),
            ),
            (
                "training.regularizers.query",
                json!({"reg_type": "DF_FLOPS", "lambda_": 1, "T": 0, "df_interval": 10}),
            ),
            ("training.gradient_cache_tokens", json!(8192)),
            ("training.compat", json!(["zero_scores"])),
            ("training.max_steps", json!(-1)),
            ("training.resume_from_checkpoint", json!("out/checkpoint-5")),
            ("training.lr_scheduler_type", json!("polynomial")),
            ("training.lr_scheduler_kwargs", json!({"power": 2, "lr_end": 1e-8})),
            ("training.save_total_limit", json!(0)),
            ("training.report_to", json!("none")),
            ("model.activation", json!("log1p_log1p_relu")),
            ("model.query_encoder", json!("table")),
            (
                "model.query_table",
                json!({"path": "idf.json", "freeze": true, "learning_rate": 1e-3}),
            ),
            ("model.freeze_d_model", json!(true)),
            ("model.init", json!({"target_terms": 100})),
            ("data.negatives_per_query", json!(8)),
            ("data.shuffle", json!(false)),
        ],
    );
    let config = read(&value);
    let kinds: Vec<_> =
        config.training.losses.iter().map(|l| (l.kind, l.weight, l.temperature)).collect();
    assert_eq!(kinds, [(LossKind::KlDiv, 0.99, 2.0), (LossKind::MarginMse, 0.05, 1.0)]);
    let doc = config.training.regularizers.doc.clone().unwrap();
    assert_eq!(doc.kind, RegularizerKind::ThresholdedFlops { threshold: 150 });
    assert_eq!(doc.strength, Strength::Schedule { lambda: 0.08, steps: 40_000.0 });
    let query = config.training.regularizers.query.clone().unwrap();
    let df = RegularizerKind::DfFlops { alpha: 0.1, beta: 10.0, interval: 10 };
    assert_eq!(query.kind, df);
    assert_eq!(config.training.gradient_cache_tokens, Some(8192));
    assert_eq!(config.training.compat, Compat { zero_scores: true, ..Compat::default() });
    assert_eq!(config.training.max_steps, None);
    assert_eq!(
        config.training.resume_from_checkpoint,
        Some(ResumeFrom::Folder("out/checkpoint-5".into()))
    );
    assert_eq!(
        config.training.lr_scheduler_kwargs,
        [("power".to_owned(), 2.0), ("lr_end".to_owned(), 1e-8)]
    );
    assert_eq!(config.training.save_total_limit, None);
    assert!(!config.training.report_to.tensorboard);
    assert_eq!(config.training.logging_strategy, IntervalStrategy::Steps);
    assert_eq!(
        config.model.query_encoder,
        QueryEncoder::Table(QueryTable {
            path: Some("idf.json".into()),
            start: TableStart::Idf,
            freeze: true,
            learning_rate: Some(1e-3)
        })
    );
    assert_eq!(config.model.init.target_terms, Some(100));
    assert_eq!((config.data.negatives_per_query, config.data.shuffle), (8, false));
    // The settings are the same after they are written and read again.
    assert_eq!(read(&config.to_value()), config);
    let all = with(least(false), &[("training.compat", json!(true))]);
    let all = read(&all);
    assert!(all.training.compat.linear_schedule && all.training.compat.identical_ids);
    assert_eq!(read(&all.to_value()), all);
}

/// λ by a budget, teachers of other scales and teachers that make vectors.
#[test]
fn settings_of_budgets_and_teachers() {
    let value = with(
        least(true),
        &[
            ("training.training_loss", json!("kldiv,margin_mse,in_batch_kldiv")),
            ("training.teacher_temperatures", json!({"kldiv": 0.5, "in_batch_kldiv": 0.05})),
            ("training.standardize_teacher", json!({"margin_mse": true, "kldiv": false})),
            (
                "training.regularizers.doc",
                json!({"reg_type": "FLOPS", "target_terms": 150, "lambda_": 1e-3}),
            ),
            (
                "training.regularizers.query",
                json!({"reg_type": "L1", "target_terms": 12.5, "T": 40}),
            ),
            ("data.negatives_per_query", json!(3)),
            (
                "model.teacher",
                json!({"model_name_or_path": "e5", "by": "colbert", "query_prompt": "query: "}),
            ),
        ],
    );
    let config = read(&value);
    let losses: Vec<_> = config
        .training
        .losses
        .iter()
        .map(|loss| (loss.kind, loss.teacher_temperature, loss.standardize))
        .collect();
    let want = [
        (LossKind::KlDiv, Some(0.5), false),
        (LossKind::MarginMse, None, true),
        (LossKind::InBatchKlDiv, Some(0.05), false),
    ];
    assert_eq!(losses, want);
    let Regularizers { doc, query } = config.training.regularizers.clone();
    let budget = |target_terms, lambda, steps| Strength::Budget { target_terms, lambda, steps };
    assert_eq!(doc.unwrap().strength, budget(150.0, Some(1e-3), None));
    assert_eq!(query.unwrap().strength, budget(12.5, None, Some(40.0)));
    let teacher = config.model.teacher.clone().unwrap();
    assert_eq!(
        (teacher.head, teacher.query_prompt),
        (TeacherHead::Colbert, Some("query: ".into()))
    );
    assert_eq!(read(&config.to_value()), config);

    for (changes, expected) in [
        (
            vec![("training.regularizers.doc", json!({"reg_type": "FLOPS"}))],
            "training.regularizers.doc.lambda_",
        ),
        (
            vec![("training.regularizers.doc.target_terms", json!(0))],
            "training.regularizers.doc.target_terms",
        ),
        (
            vec![("training.regularizers.doc.lambda_", json!(0))],
            "training.regularizers.doc.lambda_",
        ),
        (
            vec![("data.negatives_per_query", json!(1))],
            "training.standardize_teacher.margin_mse: two scores are always +1 and -1",
        ),
        (
            vec![("training.teacher_temperatures.kldiv", json!(0))],
            "training.teacher_temperatures.kldiv",
        ),
        (
            vec![("training.temperatures", json!({"margin_mse": 2}))],
            "training.teacher_temperatures.margin_mse divides",
        ),
        (
            vec![("training.training_loss", json!("kldiv,margin_mse"))],
            "training.teacher_temperatures.in_batch_kldiv: in_batch_kldiv is not in",
        ),
        (vec![("model.teacher", Value::Null)], "in_batch_kldiv needs a teacher that makes vectors"),
        (vec![("model.teacher.by", json!("bm25"))], "model.teacher.by"),
    ] {
        let message = error(&with(value.clone(), &changes));
        assert!(message.contains(expected), "{changes:?}: {message}");
    }
    let without_teacher = with(
        least(false),
        &[
            ("training.training_loss", json!("in_batch_negatives")),
            ("training.standardize_teacher", json!({"in_batch_negatives": true})),
        ],
    );
    let message = error(&without_teacher);
    assert!(message.contains("in_batch_negatives has no teacher"), "{message}");
}
