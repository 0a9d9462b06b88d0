//! Every setting of a training run as a typed field, with its default.
//!
//! The names are those of the Python library and of transformers' `TrainingArguments` (4.56). The
//! documentation of a field says "light-splade only" if neither of them has the setting.

use std::path::PathBuf;

use splade_data::DataConfig;

use splade_nn::{Pooling, Saturation};

/// All settings of a SPLADE training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The settings under `model.*`.
    pub model: ModelConfig,
    /// The settings under `data.*`.
    pub data: DataConfig,
    /// The settings under `training.*`.
    pub training: TrainingConfig,
}

/// The settings under `model.*`: the encoders and how they turn texts into vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The folder or hub name of the model from which the document encoder starts; without a query
    /// encoder of its own, it encodes the queries as well.
    pub model_name_or_path: String,
    /// The folder or hub name of a separate query encoder. `None` uses one encoder for both sides.
    pub model_name_or_path_q: Option<String>,
    /// Whether the document encoder is frozen. This needs a separate query encoder.
    pub freeze_d_model: bool,
    /// The pooling over the tokens (`agg`): `max` or `sum`.
    pub agg: Pooling,
    /// The maximum length of a text in tokens; longer texts are truncated.
    pub max_length: usize,
    /// The saturation (`activation`, light-splade only): `log1p_relu` applies the logarithm once
    /// (SPLADE), `log1p_log1p_relu` twice (the l0 recipe of arXiv 2504.14839).
    pub saturation: Saturation,
    /// The kind of query encoder (`query_encoder`, light-splade only).
    pub query_encoder: QueryEncoder,
    /// The initialization of the head (`init.*`, light-splade only).
    pub init: Initialization,
    /// The path of a compiled MeCab dictionary for Japanese models (light-splade only).
    pub mecab_dicdir: Option<PathBuf>,
    /// The device (`device`, light-splade only). Only `cpu` is implemented; the Python library uses
    /// any device that it finds.
    pub device: String,
}

/// The kind of encoder that encodes queries.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum QueryEncoder {
    /// `model`: a masked language model, either that of the documents or a separate one.
    #[default]
    Model,
    /// `table`: one trained weight for each token ("inference-free", arXiv 2411.04403). The weights
    /// start from the inverse document frequencies of the document master or from `idf.json`.
    Table {
        /// The file of the initial weights (`query_table.path`): a JSON object from token to
        /// weight.
        path: Option<PathBuf>,
        /// Whether the weights stay fixed (`query_table.freeze`).
        freeze: bool,
        /// The learning rate of the table (`query_table.learning_rate`). `None` uses the learning
        /// rate of the training.
        learning_rate: Option<f64>,
    },
}

/// The initialization of a model that is not yet a SPLADE model.
#[derive(Debug, Clone, PartialEq)]
pub struct Initialization {
    /// The median number of terms of a document at the start (`init.target_terms`): the bias of the
    /// decoder is shifted until the documents of the first batches have about so many terms. `None`
    /// does this only for a head that had to be made.
    pub target_terms: Option<usize>,
}

/// The settings under `training.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingConfig {
    /// The folder for checkpoints and logs.
    pub output_dir: PathBuf,
    /// The folder for the final model and the results. `None` uses `output_dir`.
    pub final_output_dir: Option<PathBuf>,
    /// The folder for TensorBoard event files. `None` uses `output_dir/runs/...`, as transformers
    /// does.
    pub logging_dir: Option<PathBuf>,
    /// The losses: `training_loss`, a comma-separated list, with `loss_weights.*` and
    /// `temperatures.*` (both light-splade only).
    pub losses: Vec<LossConfig>,
    /// The regularizers of queries and documents (`regularizers.*`).
    pub regularizers: Regularizers,
    /// The metrics of an evaluation (`validation_metrics`), such as `MRR@10`.
    pub validation_metrics: Vec<String>,

    /// The number of samples in a batch. A batch has (1 + 1 + negatives) times as many texts.
    pub per_device_train_batch_size: usize,
    /// The number of samples in a batch of an evaluation.
    pub per_device_eval_batch_size: usize,
    /// The number of batches in a step, whose gradients are accumulated.
    pub gradient_accumulation_steps: usize,
    /// The norm at which the gradients of all parameters together are clipped; 0 turns clipping
    /// off.
    pub max_grad_norm: f64,
    /// The number of epochs of a run without `max_steps`; it may be a fraction.
    pub num_train_epochs: f64,
    /// The number of steps of the run. `None` derives it from `num_train_epochs`.
    pub max_steps: Option<u64>,
    /// The highest learning rate of the schedule.
    pub learning_rate: f64,
    /// The weight decay. It applies to all parameters, as in the Python library.
    pub weight_decay: f64,
    /// The decay rate of Adam's running mean of gradients (β1).
    pub adam_beta1: f64,
    /// The decay rate of Adam's running mean of squared gradients (β2).
    pub adam_beta2: f64,
    /// The number that Adam adds to the denominator for numerical stability (ε).
    pub adam_epsilon: f64,
    /// The optimizer of the run (`optim`).
    pub optim: Optimizer,
    /// The form of the learning-rate schedule after the warm-up.
    pub lr_scheduler_type: SchedulerKind,
    /// The settings of the scheduler by name (`lr_scheduler_kwargs`), limited to those that are
    /// implemented.
    pub lr_scheduler_kwargs: Vec<(String, f64)>,
    /// The number of warm-up steps. A value above 0 overrides `warmup_ratio`.
    pub warmup_steps: u64,
    /// The share of all steps that belongs to the warm-up, from 0 to 1.
    pub warmup_ratio: f64,
    /// The seed of all random choices.
    pub seed: u64,
    /// The seed of the sampling. `None` uses `seed`.
    pub data_seed: Option<u64>,
    /// Whether an incomplete last batch of an epoch is dropped.
    pub dataloader_drop_last: bool,

    /// When losses are logged: never, every `logging_steps` steps or after each epoch.
    pub logging_strategy: IntervalStrategy,
    /// The number of steps between two log records; a value below 1 is a share of all steps.
    pub logging_steps: f64,
    /// Whether the first step is logged as well.
    pub logging_first_step: bool,
    /// When checkpoints are written.
    pub save_strategy: IntervalStrategy,
    /// The number of steps between two checkpoints, in the same form as `logging_steps`.
    pub save_steps: f64,
    /// The maximum number of checkpoints to keep. `None` keeps all.
    pub save_total_limit: Option<usize>,
    /// Whether checkpoints omit the optimizer's state. Such checkpoints cannot be resumed.
    pub save_only_model: bool,
    /// Whether the final model is evaluated.
    pub do_eval: bool,
    /// When the model is evaluated.
    pub eval_strategy: IntervalStrategy,
    /// The number of steps between two evaluations, in the same form as `logging_steps`. `None`
    /// uses `logging_steps`.
    pub eval_steps: Option<f64>,
    /// The number of steps or epochs before the first evaluation.
    pub eval_delay: f64,
    /// Whether the model is also evaluated before the first step.
    pub eval_on_start: bool,
    /// Whether the final model is the best checkpoint and not the last one.
    pub load_best_model_at_end: bool,
    /// The metric that selects the best model, such as `eval_MRR@10` or `loss`.
    pub metric_for_best_model: Option<String>,
    /// Whether a greater value of the metric is better. `None` decides by the metric's name.
    pub greater_is_better: Option<bool>,
    /// The checkpoint from which the run resumes.
    pub resume_from_checkpoint: Option<ResumeFrom>,
    /// Whether a resumed run restarts its epoch from the beginning.
    pub ignore_data_skip: bool,
    /// The destinations of the logs (`report_to`).
    pub report_to: ReportTo,
    /// The name of the run in the logs.
    pub run_name: Option<String>,
    /// Whether the progress bar is hidden.
    pub disable_tqdm: bool,
    /// Requests 16-bit floats (fp16). The run computes in 32 bits and prints a note about it.
    pub fp16: bool,
    /// Requests 16-bit floats (bf16). The run computes in 32 bits and prints a note about it.
    pub bf16: bool,

    /// The maximum number of tokens whose activations are held at once (light-splade only). A
    /// larger batch goes through the encoder twice (GradCache, arXiv 2101.06983). `None` holds the
    /// whole batch.
    pub gradient_cache_tokens: Option<usize>,
    /// The defects of the Python library that the run repeats (`compat`, light-splade only).
    pub compat: Compat,
}

/// A loss with its weight in the sum and its temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The loss function; see [`LossKind`].
    pub kind: LossKind,
    /// The factor of the loss in the sum.
    pub weight: f64,
    /// The divisor of the scores before a softmax; used by `kldiv` and the contrastive losses.
    pub temperature: f64,
}

/// The loss functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// `in_batch_negatives`: cross-entropy over the query's own documents and all other positives.
    InBatchNegatives,
    /// `pairwise_contrastive`: cross-entropy over the query's own documents.
    PairwiseContrastive,
    /// `kldiv`: Kullback-Leibler divergence from the teacher's distribution over the documents.
    KlDiv,
    /// `margin_mse`: squared difference between the margins of the student and of the teacher.
    MarginMse,
}

/// The regularizers of both sides (`regularizers.*`). `None` turns a regularizer off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Regularizers {
    /// The regularizer of the documents (`regularizers.doc`).
    pub doc: Option<RegularizerConfig>,
    /// The regularizer of the queries (`regularizers.query`).
    pub query: Option<RegularizerConfig>,
}

/// A regularizer with its schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct RegularizerConfig {
    /// The kind of regularizer (`reg_type`).
    pub kind: RegularizerKind,
    /// The final value of λ (`lambda_`).
    pub lambda: f64,
    /// The number of steps until λ is reached (`T`); λ grows with the square of the share of these
    /// steps. With 0 it is reached at once.
    pub steps: f64,
}

/// The kinds of regularizers (`reg_type`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RegularizerKind {
    /// `FLOPS`: the squared mean weight of each term (arXiv 2004.05665).
    Flops,
    /// `L1`: the mean sum of the weights of a text.
    L1,
    /// `FLOPS` with `threshold` (light-splade only): texts with at most so many terms add nothing
    /// (arXiv 2504.14839).
    ThresholdedFlops {
        /// The number of terms of a text above which it is penalised.
        threshold: usize,
    },
    /// `DF_FLOPS` (light-splade only): a term costs more if many documents have it (arXiv
    /// 2505.15070).
    DfFlops {
        /// The document frequency, as a share, at which the activation is one half (`df_alpha`).
        alpha: f64,
        /// The steepness of the activation (`df_beta`).
        beta: f64,
        /// The number of steps between two estimates of the document frequencies (`df_interval`).
        interval: u64,
    },
}

/// The optimizers (`optim`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimizer {
    /// `adamw_torch` or `adamw_torch_fused`: Adam with decoupled weight decay.
    AdamW,
    /// `sgd`: stochastic gradient descent without momentum.
    Sgd,
    /// `adagrad`: Adagrad.
    Adagrad,
    /// `rmsprop`: RMSprop.
    RmsProp,
}

/// The forms of the learning-rate schedule (`lr_scheduler_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerKind {
    /// `linear`: falls in a line to 0 at the last step.
    Linear,
    /// `cosine`: falls along a cosine.
    Cosine,
    /// `cosine_with_restarts`: falls along a cosine that starts again `num_cycles` times.
    CosineWithRestarts,
    /// `polynomial`: falls to `lr_end` with the power `power`.
    Polynomial,
    /// `constant`: stays the same and has no warm-up.
    Constant,
    /// `constant_with_warmup`: stays the same after the warm-up.
    ConstantWithWarmup,
    /// `inverse_sqrt`: falls with the inverse square root of the step.
    InverseSqrt,
}

/// When an action is due (`logging_strategy`, `save_strategy`, `eval_strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalStrategy {
    /// `no`: never.
    No,
    /// `steps`: every so many steps.
    Steps,
    /// `epoch`: at the end of each epoch.
    Epoch,
    /// `best`, in `save_strategy` only: after each evaluation whose metric is the best so far.
    Best,
}

/// The destinations of the logs (`report_to`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTo {
    /// Whether TensorBoard event files are written. The JSON-lines log is always written.
    pub tensorboard: bool,
}

/// The checkpoint from which a run resumes (`resume_from_checkpoint`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeFrom {
    /// `true`: the last checkpoint in `output_dir`.
    Last,
    /// The checkpoint in this folder.
    Folder(PathBuf),
}

/// The defects of the Python library that are repeated on request: `compat: true` for all, or a
/// list of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compat {
    /// `identical_ids`: a document with the same id as the query does not count in metrics.
    pub identical_ids: bool,
    /// `long_queries`: queries of an evaluation are truncated at the model's limit, not at
    /// `max_length`.
    pub long_queries: bool,
    /// `zero_scores`: documents that share no term with the query are ranked as well.
    pub zero_scores: bool,
    /// `linear_schedule`: `optim`, `lr_scheduler_type` and `warmup_ratio` are ignored.
    pub linear_schedule: bool,
    /// `frozen_dropout`: a frozen document encoder has dropout.
    pub frozen_dropout: bool,
}

impl Default for TrainingConfig {
    /// Returns the defaults of transformers and of the Python library. A config overrides them.
    fn default() -> Self {
        Self {
            output_dir: PathBuf::from("trainer_output"),
            final_output_dir: None,
            logging_dir: None,
            losses: vec![LossConfig {
                kind: LossKind::InBatchNegatives,
                weight: 1.0,
                temperature: 1.0,
            }],
            regularizers: Regularizers::default(),
            validation_metrics: vec!["MRR@10".to_owned(), "recall@10".to_owned()],
            per_device_train_batch_size: 8,
            per_device_eval_batch_size: 8,
            gradient_accumulation_steps: 1,
            max_grad_norm: 1.0,
            num_train_epochs: 3.0,
            max_steps: None,
            learning_rate: 5e-5,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            optim: Optimizer::AdamW,
            lr_scheduler_type: SchedulerKind::Linear,
            lr_scheduler_kwargs: Vec::new(),
            warmup_steps: 0,
            warmup_ratio: 0.0,
            seed: 42,
            data_seed: None,
            dataloader_drop_last: false,
            logging_strategy: IntervalStrategy::Steps,
            logging_steps: 500.0,
            logging_first_step: false,
            save_strategy: IntervalStrategy::Steps,
            save_steps: 500.0,
            save_total_limit: None,
            save_only_model: false,
            do_eval: false,
            eval_strategy: IntervalStrategy::No,
            eval_steps: None,
            eval_delay: 0.0,
            eval_on_start: false,
            load_best_model_at_end: false,
            metric_for_best_model: None,
            greater_is_better: None,
            resume_from_checkpoint: None,
            ignore_data_skip: false,
            report_to: ReportTo { tensorboard: true },
            run_name: None,
            disable_tqdm: false,
            fp16: false,
            bf16: false,
            gradient_cache_tokens: None,
            compat: Compat::default(),
        }
    }
}
