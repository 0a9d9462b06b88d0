//! Writes the settings of a run, resolved, in the layout that they are read in.

use serde_json::{Map, Value, json};
use splade_nn::Pooling;

use super::super::schema::{
    Compat, Config, IntervalStrategy, ModelConfig, QueryEncoder, RegularizerConfig,
    RegularizerKind, ResumeFrom, TrainingConfig,
};
use super::training::{COMPAT, OPTIMIZERS, SAVE_STRATEGIES, SCHEDULERS};
use super::{model::SATURATIONS, objective};
use crate::json::number;
use splade_data::DataConfig;

pub(super) fn config(config: &Config) -> Value {
    json!({
        "model": model(&config.model),
        "data": data(&config.data),
        "training": training(&config.training),
    })
}

/// The first word of a table that stands for a value.
fn word<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, of)| of == value)
        .map(|(word, _)| *word)
        .expect("a table has every value: this is a bug")
}

fn model(m: &ModelConfig) -> Value {
    let mut object = json!({
        "model_name_or_path": m.model_name_or_path,
        "model_name_or_path_q": m.model_name_or_path_q,
        "freeze_d_model": m.freeze_d_model,
        "agg": match m.agg { Pooling::Max => "max", Pooling::Sum => "sum" },
        "max_length": m.max_length,
        "activation": word(&SATURATIONS, &m.saturation),
        "query_encoder": "model",
        "init": {"target_terms": m.init.target_terms},
        "mecab_dicdir": m.mecab_dicdir,
        "device": m.device,
    });
    if let QueryEncoder::Table { path, freeze, learning_rate } = &m.query_encoder {
        object["query_encoder"] = json!("table");
        object["query_table"] =
            json!({"path": path, "freeze": freeze, "learning_rate": learning_rate});
    }
    object
}

fn data(d: &DataConfig) -> Value {
    json!({
        "train_doc_master": d.train_doc_master,
        "train_query_master": d.train_query_master,
        "train_positives": d.train_positives,
        "train_triplets": d.train_triplets,
        "hard_negative_scores": d.hard_negative_scores,
        "eval_loss_size": d.eval_loss_size,
        "validation_doc_master": d.validation_doc_master,
        "validation_query_master": d.validation_query_master,
        "validation_positives": d.validation_positives,
        "negatives_per_query": d.negatives_per_query,
        "shuffle": d.shuffle,
    })
}

fn training(t: &TrainingConfig) -> Value {
    let mut object = Map::new();
    for part in [objective_and_optimizer(t), loop_and_logs(t)] {
        if let Value::Object(part) = part {
            object.extend(part);
        }
    }
    Value::Object(object)
}

/// Settings of retrieval that runs of masked language modelling do not have.
const RETRIEVAL: [&str; 11] = [
    "training_loss",
    "loss_weights",
    "temperatures",
    "regularizers",
    "validation_metrics",
    "gradient_cache_tokens",
    "compat",
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
    "ignore_data_skip",
];

/// As `training`, of masked language modelling.
pub(super) fn masked(t: &TrainingConfig) -> Value {
    let mut value = training(t);
    if let Value::Object(object) = &mut value {
        object.retain(|name, _| !RETRIEVAL.contains(&name.as_str()));
    }
    value["regularizer"] = t.regularizers.doc.as_ref().map_or(Value::Null, regularizer);
    value
}

fn objective_and_optimizer(t: &TrainingConfig) -> Value {
    let scheduler = SCHEDULERS
        .iter()
        .find(|(_, kind, _)| *kind == t.lr_scheduler_type)
        .map(|(word, ..)| *word)
        .expect("the table has every scheduler: this is a bug");
    let kwargs: Map<String, Value> =
        t.lr_scheduler_kwargs.iter().map(|(name, value)| (name.clone(), number(*value))).collect();
    let losses: Vec<&str> = t.losses.iter().map(|l| objective::name_of(l.kind)).collect();
    let per_loss = |value: fn(&super::super::schema::LossConfig) -> Option<f64>| {
        let pairs = t.losses.iter().filter_map(|loss| {
            Some((objective::name_of(loss.kind).to_owned(), number(value(loss)?)))
        });
        Value::Object(pairs.collect())
    };
    json!({
        "output_dir": t.output_dir,
        "final_output_dir": t.final_output_dir,
        "logging_dir": t.logging_dir,
        "training_loss": losses.join(","),
        "loss_weights": per_loss(|loss| Some(loss.weight)),
        "temperatures": per_loss(|loss| {
            (loss.kind != super::super::schema::LossKind::MarginMse).then_some(loss.temperature)
        }),
        "regularizers": {
            "doc": t.regularizers.doc.as_ref().map(regularizer),
            "query": t.regularizers.query.as_ref().map(regularizer),
        },
        "validation_metrics": t.validation_metrics,
        "per_device_train_batch_size": t.per_device_train_batch_size,
        "per_device_eval_batch_size": t.per_device_eval_batch_size,
        "gradient_accumulation_steps": t.gradient_accumulation_steps,
        "max_grad_norm": t.max_grad_norm,
        "num_train_epochs": t.num_train_epochs,
        "max_steps": t.max_steps.map_or(json!(-1), |steps| json!(steps)),
        "learning_rate": t.learning_rate,
        "weight_decay": t.weight_decay,
        "adam_beta1": t.adam_beta1,
        "adam_beta2": t.adam_beta2,
        "adam_epsilon": t.adam_epsilon,
        "optim": word(&OPTIMIZERS, &t.optim),
        "lr_scheduler_type": scheduler,
        "lr_scheduler_kwargs": kwargs,
        "warmup_steps": t.warmup_steps,
        "warmup_ratio": t.warmup_ratio,
        "seed": t.seed,
        "data_seed": t.data_seed,
        "dataloader_drop_last": t.dataloader_drop_last,
        "gradient_cache_tokens": t.gradient_cache_tokens,
        "compat": compat(&t.compat),
    })
}

fn loop_and_logs(t: &TrainingConfig) -> Value {
    let strategy = |s: &IntervalStrategy| word(&SAVE_STRATEGIES, s);
    json!({
        "logging_strategy": strategy(&t.logging_strategy),
        "logging_steps": number(t.logging_steps),
        "logging_first_step": t.logging_first_step,
        "save_strategy": strategy(&t.save_strategy),
        "save_steps": number(t.save_steps),
        "save_total_limit": t.save_total_limit,
        "save_only_model": t.save_only_model,
        "do_eval": t.do_eval,
        "eval_strategy": strategy(&t.eval_strategy),
        "eval_steps": t.eval_steps.map(number),
        "eval_delay": number(t.eval_delay),
        "eval_on_start": t.eval_on_start,
        "load_best_model_at_end": t.load_best_model_at_end,
        "metric_for_best_model": t.metric_for_best_model,
        "greater_is_better": t.greater_is_better,
        "resume_from_checkpoint": match &t.resume_from_checkpoint {
            None => Value::Null,
            Some(ResumeFrom::Last) => json!(true),
            Some(ResumeFrom::Folder(path)) => json!(path),
        },
        "ignore_data_skip": t.ignore_data_skip,
        "report_to": if t.report_to.tensorboard { vec!["tensorboard"] } else { vec![] },
        "run_name": t.run_name,
        "disable_tqdm": t.disable_tqdm,
        "fp16": t.fp16,
        "bf16": t.bf16,
    })
}

fn regularizer(r: &RegularizerConfig) -> Value {
    let mut object = json!({"reg_type": "FLOPS", "lambda_": r.lambda, "T": number(r.steps)});
    match r.kind {
        RegularizerKind::Flops => {}
        RegularizerKind::L1 => object["reg_type"] = json!("L1"),
        RegularizerKind::ThresholdedFlops { threshold } => object["threshold"] = json!(threshold),
        RegularizerKind::DfFlops { alpha, beta, interval } => {
            object["reg_type"] = json!("DF_FLOPS");
            object["df_alpha"] = json!(alpha);
            object["df_beta"] = json!(beta);
            object["df_interval"] = json!(interval);
        }
    }
    object
}

fn compat(c: &Compat) -> Vec<&'static str> {
    let Compat { identical_ids, long_queries, zero_scores, linear_schedule, frozen_dropout } = *c;
    let on = [identical_ids, long_queries, zero_scores, linear_schedule, frozen_dropout];
    COMPAT.iter().zip(on).filter(|(_, on)| *on).map(|(name, _)| *name).collect()
}
