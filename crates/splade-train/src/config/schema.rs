//! Every setting of a run, typed, with its default.
//!
//! Names are those of the Python library and of transformers' `TrainingArguments` (4.56); settings
//! that only this tool has say so.

use std::path::PathBuf;

use splade_data::DataConfig;

use splade_nn::{Pooling, Saturation};

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `model.*`
    pub model: ModelConfig,
    /// `data.*`
    pub data: DataConfig,
    /// `training.*`
    pub training: TrainingConfig,
}

/// `model.*`
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Folder or hub name of the (document) encoder to start from.
    pub model_name_or_path: String,
    /// Folder or hub name of a query encoder of its own; none: one encoder for both.
    pub model_name_or_path_q: Option<String>,
    /// The document encoder is not trained; needs a query encoder of its own.
    pub freeze_d_model: bool,
    /// `agg`: max or sum over the tokens.
    pub agg: Pooling,
    /// The longest text in tokens.
    pub max_length: usize,
    /// Ours, `activation`: `log1p_relu` is applied once (SPLADE) or twice (`log1p_log1p_relu`, the
    /// l0 recipe of arXiv 2504.14839).
    pub saturation: Saturation,
    /// Ours, `query_encoder`.
    pub query_encoder: QueryEncoder,
    /// Ours, `init.*`.
    pub init: Initialization,
    /// Ours: a compiled MeCab dictionary for Japanese models.
    pub mecab_dicdir: Option<PathBuf>,
    /// Ours, `device`: only `cpu` is implemented; Python takes what it finds.
    pub device: String,
}

/// What encodes queries.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum QueryEncoder {
    /// `model`: a masked language model, the documents' or one of its own.
    #[default]
    Model,
    /// `table`: one weight a token, trained; it starts from the inverse document frequencies of
    /// the document master, or from `idf.json` ("inference-free", arXiv 2411.04403).
    Table {
        /// `query_table.path`: a JSON object from token to weight.
        path: Option<PathBuf>,
        /// `query_table.freeze`
        freeze: bool,
        /// `query_table.learning_rate`; the training's if none.
        learning_rate: Option<f64>,
    },
}

/// How a model that is no SPLADE yet is started.
#[derive(Debug, Clone, PartialEq)]
pub struct Initialization {
    /// `init.target_terms`: the bias of the decoder is shifted so that documents of the first
    /// batches have about so many terms. None: only where the head had to be made.
    pub target_terms: Option<usize>,
}

/// `training.*`
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingConfig {
    /// Where checkpoints go.
    pub output_dir: PathBuf,
    /// Where the final model and results go; `output_dir` if none.
    pub final_output_dir: Option<PathBuf>,
    /// TensorBoard's files; `output_dir/runs/...` as transformers does if none.
    pub logging_dir: Option<PathBuf>,
    /// `training_loss`, a comma list, with `loss_weights.*` and `temperatures.*` of ours.
    pub losses: Vec<LossConfig>,
    /// `regularizers.*`
    pub regularizers: Regularizers,
    /// `validation_metrics`, such as `MRR@10`.
    pub validation_metrics: Vec<String>,

    /// Texts of a step are (1 + 1 + negatives) times this.
    pub per_device_train_batch_size: usize,
    /// The samples of a batch in evaluations.
    pub per_device_eval_batch_size: usize,
    /// The batches of a step.
    pub gradient_accumulation_steps: usize,
    /// The norm of all gradients together at which they are clipped; 0 for no clipping.
    pub max_grad_norm: f64,
    /// The epochs of a run without `max_steps`; may be a fraction.
    pub num_train_epochs: f64,
    /// The steps of the run; by epochs if none.
    pub max_steps: Option<u64>,
    /// The highest learning rate of the schedule.
    pub learning_rate: f64,
    /// The weight decay, of all parameters as in the Python library.
    pub weight_decay: f64,
    /// The decay rate of Adam's mean of gradients.
    pub adam_beta1: f64,
    /// The decay rate of Adam's mean of squared gradients.
    pub adam_beta2: f64,
    /// Adam's epsilon.
    pub adam_epsilon: f64,
    /// The optimizer.
    pub optim: Optimizer,
    /// The form of the learning rate after the warm-up.
    pub lr_scheduler_type: SchedulerKind,
    /// `lr_scheduler_kwargs` that are implemented, by name.
    pub lr_scheduler_kwargs: Vec<(String, f64)>,
    /// The steps of the warm-up; if above 0, `warmup_ratio` has no effect.
    pub warmup_steps: u64,
    /// The share of all steps that is warm-up.
    pub warmup_ratio: f64,
    /// The seed of everything random.
    pub seed: u64,
    /// The seed of the sampling; `seed` if none.
    pub data_seed: Option<u64>,
    /// Leaves out the last batch of an epoch where it is not full.
    pub dataloader_drop_last: bool,

    /// When losses are logged.
    pub logging_strategy: IntervalStrategy,
    /// A number of steps, or a share of all steps where below 1.
    pub logging_steps: f64,
    /// Whether step 1 is logged too.
    pub logging_first_step: bool,
    /// When checkpoints are written.
    pub save_strategy: IntervalStrategy,
    /// The steps between checkpoints, given as `logging_steps` is.
    pub save_steps: f64,
    /// The checkpoints that are kept; all if none.
    pub save_total_limit: Option<usize>,
    /// Whether checkpoints lack the optimizer's state, so that they cannot be continued.
    pub save_only_model: bool,
    /// Whether the final model is evaluated.
    pub do_eval: bool,
    /// When the model is evaluated.
    pub eval_strategy: IntervalStrategy,
    /// The steps between evaluations, given as `logging_steps` is; `logging_steps` if none.
    pub eval_steps: Option<f64>,
    /// The steps or epochs before the first evaluation.
    pub eval_delay: f64,
    /// Whether the model is evaluated before the first step too.
    pub eval_on_start: bool,
    /// Whether the final model is that of the best checkpoint.
    pub load_best_model_at_end: bool,
    /// The metric that models are chosen by, such as `eval_MRR@10` or `loss`.
    pub metric_for_best_model: Option<String>,
    /// Whether more of the metric is better; decided by its name if none.
    pub greater_is_better: Option<bool>,
    /// The checkpoint to continue.
    pub resume_from_checkpoint: Option<ResumeFrom>,
    /// Whether a run that is continued begins its epoch anew.
    pub ignore_data_skip: bool,
    /// `report_to`
    pub report_to: ReportTo,
    /// A name that logs show.
    pub run_name: Option<String>,
    /// Whether there is no progress bar.
    pub disable_tqdm: bool,
    /// Asks for 16 bits; the run computes in 32 and says so.
    pub fp16: bool,
    /// Asks for 16 bits; the run computes in 32 and says so.
    pub bf16: bool,

    /// Ours: texts whose activations are held at once, in tokens; larger batches go through the
    /// encoder twice (GradCache, arXiv 2101.06983). None: the whole batch at once.
    pub gradient_cache_tokens: Option<usize>,
    /// Ours, `compat`: where to do as the Python library does.
    pub compat: Compat,
}

/// A loss with its weight in the sum.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The loss function.
    pub kind: LossKind,
    /// The factor of the loss in the sum.
    pub weight: f64,
    /// Scores are divided by it before a softmax; `kldiv` and the contrastive losses.
    pub temperature: f64,
}

/// The losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// `in_batch_negatives`
    InBatchNegatives,
    /// `pairwise_contrastive`
    PairwiseContrastive,
    /// `kldiv`
    KlDiv,
    /// `margin_mse`
    MarginMse,
}

/// `regularizers.*`
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Regularizers {
    /// `regularizers.doc`
    pub doc: Option<RegularizerConfig>,
    /// `regularizers.query`
    pub query: Option<RegularizerConfig>,
}

/// A regularizer with its schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct RegularizerConfig {
    /// `reg_type`
    pub kind: RegularizerKind,
    /// `lambda_`: the final strength.
    pub lambda: f64,
    /// `T`: steps until it is reached, with the square of the share of them; 0: at once.
    pub steps: f64,
}

/// `reg_type`
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RegularizerKind {
    /// `FLOPS` (arXiv 2004.05665)
    Flops,
    /// `L1`
    L1,
    /// Ours, `FLOPS` with `threshold`: texts with at most so many terms add nothing (arXiv
    /// 2504.14839).
    ThresholdedFlops {
        /// Terms of a text; only texts with more are penalised.
        threshold: usize,
    },
    /// Ours, `DF_FLOPS`: terms of many documents cost more (arXiv 2505.15070).
    DfFlops {
        /// `df_alpha`: the document frequency, as a share, where the activation is a half.
        alpha: f64,
        /// `df_beta`: how steep it is.
        beta: f64,
        /// `df_interval`: steps between two estimates of document frequencies.
        interval: u64,
    },
}

/// `optim`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimizer {
    /// `adamw_torch`, `adamw_torch_fused`
    AdamW,
    /// `sgd`
    Sgd,
    /// `adagrad`
    Adagrad,
    /// `rmsprop`
    RmsProp,
}

/// `lr_scheduler_type`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerKind {
    /// `linear`
    Linear,
    /// `cosine`
    Cosine,
    /// `cosine_with_restarts`
    CosineWithRestarts,
    /// `polynomial`
    Polynomial,
    /// `constant`
    Constant,
    /// `constant_with_warmup`
    ConstantWithWarmup,
    /// `inverse_sqrt`
    InverseSqrt,
}

/// `logging_strategy`, `save_strategy`, `eval_strategy`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalStrategy {
    /// `no`
    No,
    /// `steps`
    Steps,
    /// `epoch`
    Epoch,
    /// `best`, of `save_strategy` only: whenever the metric is the best so far.
    Best,
}

/// `report_to`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTo {
    /// Event files of TensorBoard; the JSON-lines log is always written.
    pub tensorboard: bool,
}

/// `resume_from_checkpoint`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeFrom {
    /// `true`: the last checkpoint of `output_dir`.
    Last,
    /// A folder.
    Folder(PathBuf),
}

/// Defects of the Python library that are repeated on demand: `compat: true`, or a list of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compat {
    /// `identical_ids`: a document whose id is the query's does not count in metrics.
    pub identical_ids: bool,
    /// `long_queries`: queries of the evaluation are cut at the model's limit, not `max_length`.
    pub long_queries: bool,
    /// `zero_scores`: documents without a term of the query are ranked.
    pub zero_scores: bool,
    /// `linear_schedule`: `optim`, `lr_scheduler_type` and `warmup_ratio` are ignored.
    pub linear_schedule: bool,
    /// `frozen_dropout`: a document encoder that is not trained has dropout.
    pub frozen_dropout: bool,
}

impl Default for TrainingConfig {
    /// The defaults of transformers and the Python library; configs are read on top of them.
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
