//! The fields of transformers' `TrainingArguments` that are not settings of light-splade: those of
//! version 4.56, those that version 5 added, and the old names of settings.
//!
//! A config that was written for the Python library may contain any of them. Fields that cannot
//! change what a run on a CPU computes are accepted and ignored; the others must have their default
//! value.

use hydra_compose::settings::{Fields, OldName, SettingError};
use serde_json::Value;

enum Rule {
    /// Any value is accepted, for this reason.
    Ignored(&'static str),
    /// Only this value (as JSON) or null is accepted, for this reason.
    Only(&'static str, &'static str),
    /// Any value is accepted; `true` gives a note that it has no effect.
    Precision,
}
use Rule::{Ignored, Only, Precision};

const GPU: &str = "it concerns GPUs and other devices";
const PROCESSES: &str = "a run has only one process";
const LOADER: &str = "it concerns PyTorch's data loader; samples are read from memory";
const HUB: &str = "it has no effect without push_to_hub";
const COMPILER: &str = "it changes how PyTorch runs, not what it computes";
const SCRIPTS: &str = "only transformers' example scripts read it";
const VERBOSITY: &str = "it concerns the messages of Python";
const METRICS: &str = "the metrics of an evaluation are those of validation_metrics";

const RULES: &[(&str, Rule)] = &[
    ("overwrite_output_dir", Ignored(SCRIPTS)),
    ("do_train", Ignored(SCRIPTS)),
    ("do_predict", Ignored(SCRIPTS)),
    ("prediction_loss_only", Only("false", METRICS)),
    ("eval_accumulation_steps", Ignored("it concerns the memory of devices")),
    ("torch_empty_cache_steps", Ignored(GPU)),
    ("log_level", Ignored(VERBOSITY)),
    ("log_level_replica", Ignored(VERBOSITY)),
    ("log_on_each_node", Ignored(PROCESSES)),
    ("logging_nan_inf_filter", Only("true", "a loss that is not finite ends the run")),
    ("save_safetensors", Only("true", "weights are written as safetensors")),
    ("save_on_each_node", Ignored(PROCESSES)),
    ("restore_callback_states_from_checkpoint", Ignored("there are no Python callbacks")),
    ("no_cuda", Ignored(GPU)),
    ("use_cpu", Ignored(GPU)),
    ("use_mps_device", Only("false", "only the CPU is implemented")),
    ("jit_mode_eval", Ignored(COMPILER)),
    ("use_ipex", Ignored(COMPILER)),
    ("fp16_opt_level", Ignored("it has no effect in 32 bits")),
    ("half_precision_backend", Ignored("it has no effect in 32 bits")),
    ("fp16_backend", Ignored("it has no effect in 32 bits")),
    ("bf16_full_eval", Precision),
    ("fp16_full_eval", Precision),
    ("tf32", Ignored(GPU)),
    ("local_rank", Ignored(PROCESSES)),
    ("ddp_backend", Ignored(PROCESSES)),
    ("ddp_find_unused_parameters", Ignored(PROCESSES)),
    ("ddp_bucket_cap_mb", Ignored(PROCESSES)),
    ("ddp_broadcast_buffers", Ignored(PROCESSES)),
    ("ddp_timeout", Ignored(PROCESSES)),
    ("tpu_num_cores", Ignored(GPU)),
    ("tpu_metrics_debug", Ignored(GPU)),
    ("mp_parameters", Ignored(PROCESSES)),
    ("ray_scope", Ignored(PROCESSES)),
    ("average_tokens_across_devices", Ignored(PROCESSES)),
    ("eval_use_gather_object", Ignored(PROCESSES)),
    ("debug", Only("\"\"", "PyTorch's debugging tools are not available")),
    ("dataloader_num_workers", Ignored(LOADER)),
    ("dataloader_prefetch_factor", Ignored(LOADER)),
    ("dataloader_pin_memory", Ignored(LOADER)),
    ("dataloader_persistent_workers", Ignored(LOADER)),
    ("past_index", Only("-1", "the implemented models have no past states")),
    ("remove_unused_columns", Ignored("samples have no columns")),
    ("label_names", Ignored("samples have no labels")),
    ("fsdp", Only("\"\"", PROCESSES)),
    ("fsdp_min_num_params", Ignored("it has no effect without fsdp")),
    ("fsdp_config", Ignored("it has no effect without fsdp")),
    ("fsdp_transformer_layer_cls_to_wrap", Ignored("it has no effect without fsdp")),
    ("accelerator_config", Only("null", "the library accelerate is not used")),
    ("parallelism_config", Only("null", PROCESSES)),
    ("deepspeed", Only("null", PROCESSES)),
    ("label_smoothing_factor", Only("0.0", "the losses of SPLADE do not smooth labels")),
    (
        "optim_args",
        Only("null", "the settings of optimizers are adam_beta1, adam_beta2 and adam_epsilon"),
    ),
    ("optim_target_modules", Only("null", "every parameter is trained")),
    ("adafactor", Only("false", "training.optim selects the optimizer")),
    ("group_by_length", Only("false", "batches are drawn at random")),
    ("length_column_name", Ignored("it has no effect without group_by_length")),
    ("skip_memory_metrics", Only("true", "memory is not reported as a metric")),
    ("use_legacy_prediction_loop", Only("false", "there is only one evaluation loop")),
    ("push_to_hub", Only("false", "models are not uploaded")),
    ("hub_model_id", Ignored(HUB)),
    ("hub_strategy", Ignored(HUB)),
    ("hub_token", Ignored(HUB)),
    ("hub_private_repo", Ignored(HUB)),
    ("hub_always_push", Ignored(HUB)),
    ("hub_revision", Ignored(HUB)),
    ("push_to_hub_model_id", Ignored(HUB)),
    ("push_to_hub_organization", Ignored(HUB)),
    ("push_to_hub_token", Ignored(HUB)),
    (
        "gradient_checkpointing",
        Ignored("it saves memory and changes no number; see gradient_cache_tokens"),
    ),
    ("gradient_checkpointing_kwargs", Ignored("it has no effect, like gradient_checkpointing")),
    ("include_inputs_for_metrics", Only("false", METRICS)),
    ("include_for_metrics", Only("[]", METRICS)),
    ("eval_do_concat_batches", Only("true", METRICS)),
    ("batch_eval_metrics", Only("false", METRICS)),
    ("auto_find_batch_size", Only("false", "the batch size is always the one that is set")),
    ("full_determinism", Ignored("runs are always deterministic")),
    ("torchdynamo", Ignored(COMPILER)),
    ("torch_compile", Ignored(COMPILER)),
    ("torch_compile_backend", Ignored(COMPILER)),
    ("torch_compile_mode", Ignored(COMPILER)),
    ("use_liger_kernel", Ignored(COMPILER)),
    ("liger_kernel_config", Ignored(COMPILER)),
    ("include_tokens_per_second", Only("false", "tokens per second are always logged")),
    ("include_num_input_tokens_seen", Only("false", "tokens seen are not logged")),
    ("neftune_noise_alpha", Only("null", "noise on embeddings is not implemented")),
    // Of version 5.
    ("use_cache", Ignored("the implemented models have no past states")),
    ("project", Ignored("it concerns Trackio")),
    ("trackio_space_id", Ignored("it concerns Trackio")),
    ("enable_jit_checkpoint", Only("false", "a run that Ctrl-C stops writes a checkpoint")),
    (
        "train_sampling_strategy",
        Only("\"random\"", "set data.shuffle to false for the order of the files"),
    ),
    // Of versions before 4.56.
    ("n_gpu", Ignored(GPU)),
    ("_n_gpu", Ignored(GPU)),
    ("xpu_backend", Ignored(PROCESSES)),
    ("sharded_ddp", Only("\"\"", PROCESSES)),
    ("dispatch_batches", Ignored(PROCESSES)),
    ("split_batches", Ignored(PROCESSES)),
];

/// The old names of settings, and names that other trainers have for them, by the mapping in which
/// they may stand.
pub(super) const OLD_NAMES: [(&str, &[OldName]); 2] = [
    (
        "model",
        &[
            ("d_model_path", "model_name_or_path"),
            ("model_path", "model_name_or_path"),
            ("q_model_path", "model_name_or_path_q"),
            ("max_seq_length", "max_length"),
        ],
    ),
    (
        "training",
        &[
            ("evaluation_strategy", "eval_strategy"),
            ("evaluate_during_training", "eval_strategy: steps"),
            ("evaluation_steps", "eval_steps"),
            ("per_gpu_train_batch_size", "per_device_train_batch_size"),
            ("per_gpu_eval_batch_size", "per_device_eval_batch_size"),
            ("train_batch_size", "per_device_train_batch_size"),
            ("eval_batch_size", "per_device_eval_batch_size"),
            ("batch_size", "per_device_train_batch_size"),
            ("lr", "learning_rate"),
            ("optimizer", "optim"),
            ("scheduler", "lr_scheduler_type"),
            ("lr_scheduler", "lr_scheduler_type"),
            ("num_warmup_steps", "warmup_steps"),
            ("warmup_proportion", "warmup_ratio"),
            ("clip_grad_norm", "max_grad_norm"),
            ("epochs", "num_train_epochs"),
            ("num_epochs", "num_train_epochs"),
            ("num_train_steps", "max_steps"),
            ("max_train_steps", "max_steps"),
            ("total_steps", "max_steps"),
            ("log_steps", "logging_steps"),
            ("tensorboard_dir", "logging_dir"),
            ("resume", "resume_from_checkpoint"),
            ("max_seq_length", "model.max_length"),
            ("loss", "training_loss"),
        ],
    ),
];

/// Returns the old names of the settings in a mapping.
pub(super) fn old_names(at: &str) -> &'static [OldName] {
    OLD_NAMES.iter().find(|(path, _)| *path == at).map_or(&[], |(_, names)| names)
}

/// Returns the names of the table.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

/// Returns the fields of transformers that are accepted and ignored, each with the reason why it
/// changes nothing.
pub fn ignored_settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().filter_map(|(name, rule)| match rule {
        Ignored(reason) => Some((*name, *reason)),
        Only(..) | Precision => None,
    })
}

/// Returns the note for a run whose config requests 16-bit floats.
pub(super) fn precision_note(name: &str) -> String {
    format!("training.{name}: this run computes in 32 bits, as the Python library does on a CPU")
}

/// Reads the fields of the table, and adds a note for each setting without effect.
pub(super) fn read(fields: &mut Fields<'_>, notes: &mut Vec<String>) -> Result<(), SettingError> {
    for (name, rule) in RULES {
        let value = fields.raw(name);
        let Some(value) = value else {
            continue;
        };
        match rule {
            Ignored(_) => {}
            Precision => {
                if *value == Value::Bool(true) {
                    notes.push(precision_note(name));
                }
            }
            Only(default, reason) => {
                let default: Value = serde_json::from_str(default)
                    .expect("a default of the table is not JSON: this is a bug");
                if !value.is_null() && !same(value, &default) {
                    return Err(fields
                        .error(name, format!("{value} is not implemented: {reason}"))
                        .with_remedy("remove the setting"));
                }
            }
        }
    }
    Ok(())
}

/// Returns whether two values are equal, where `0` equals `0.0`, and all values that turn a setting
/// off are equal: false, an empty string or list, and the words `no`, `none` and `off`.
fn same(a: &Value, b: &Value) -> bool {
    let is_off = |value: &Value| match value {
        Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::String(text) => ["", "no", "none", "off"].contains(&text.as_str()),
        _ => false,
    };
    a == b || (a.is_number() && a.as_f64() == b.as_f64()) || (is_off(a) && is_off(b))
}
