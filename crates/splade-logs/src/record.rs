//! The records of a run other than numbers and texts.

use serde::{Deserialize, Serialize};

/// What is trained, as a run says it at its beginning.
///
/// ```
/// use splade_logs::{LogOptions, Logs, RunInfo};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?;
/// logs.run(&RunInfo {
///     command: "train".to_owned(),
///     model: "mini-ja-en".to_owned(),
///     data: "data/toy".to_owned(),
///     steps: 100,
///     ..RunInfo::default()
/// });
/// logs.flush()?;
/// assert!(std::fs::read_to_string(&json)?.contains("data/toy"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The command: `train`, `pretrain` or `cross-encoder train`.
    pub command: String,
    /// The name of the config, if the run has one.
    pub config: Option<String>,
    /// The model that the run starts from.
    pub model: String,
    /// The data that it is trained on.
    pub data: String,
    /// The version of light-splade.
    pub version: String,
    /// The number of steps of the whole run.
    pub steps: u64,
}

/// How a run ended.
///
/// ```
/// use splade_logs::{EndKind, LogOptions, Logs, RunEnd};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?;
/// // Somebody pressed Ctrl-C.
/// logs.end(&RunEnd { outcome: EndKind::Stopped, step: 42, best: None, message: None })?;
/// assert!(std::fs::read_to_string(&json)?.contains("stopped"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndKind {
    /// All steps were made, and all results are written.
    Finished,
    /// The run was asked to stop. It can be resumed.
    Stopped,
    /// The run ended with an error.
    Failed,
}

/// The end of a run. A run that was killed has none.
///
/// ```
/// use splade_logs::{EndKind, LogOptions, Logs, RunEnd};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?;
/// let message = Some("the disk is full".to_owned());
/// logs.end(&RunEnd { outcome: EndKind::Failed, step: 42, best: None, message })?;
/// assert!(std::fs::read_to_string(&json)?.contains("the disk is full"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// Whether the run was finished, stopped or failed.
    pub outcome: EndKind,
    /// The last step that the run made.
    pub step: u64,
    /// The best value of the metric that selects the best model.
    pub best: Option<BestValue>,
    /// The error of a run that failed.
    pub message: Option<String>,
}

/// The best value of a metric.
///
/// ```
/// use splade_logs::{BestValue, EndKind, LogOptions, Logs, RunEnd};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?;
/// let best = Some(BestValue { metric: "eval_MRR@10".to_owned(), value: 0.5, step: 80 });
/// logs.end(&RunEnd { outcome: EndKind::Finished, step: 100, best, message: None })?;
/// assert!(std::fs::read_to_string(&json)?.contains("eval_MRR@10"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestValue {
    /// The name of the metric, such as `eval_MRR@10`.
    pub metric: String,
    /// The value of the metric after that step.
    pub value: f64,
    /// The step after which it was measured.
    pub step: u64,
}

/// The progress of a run, for the live page.
///
/// ```
/// use splade_logs::{LogOptions, Logs, Status};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json, dashboard: Some(0), ..LogOptions::default() })?;
/// // The live page shows it at once.
/// logs.status(Status { phase: "evaluating", step: 50, total: 100, ..Status::default() });
/// assert!(logs.dashboard_address().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    /// The current activity: `training`, `evaluating` or `saving`.
    pub phase: &'static str,
    /// The last completed step.
    pub step: u64,
    /// The number of steps of the whole run.
    pub total: u64,
    /// The loss of the last step.
    pub loss: Option<f64>,
    /// The number of tokens per second that pass through the encoders.
    pub tokens_per_second: Option<f64>,
    /// The estimated number of seconds until the run ends.
    pub seconds_left: Option<f64>,
}

/// The expansion of a text by the model at some step.
///
/// ```
/// use splade_logs::{Expansion, LogOptions, Logs};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?;
/// let terms = vec![("tea".to_owned(), 1.5), ("drink".to_owned(), 0.5)];
/// let text = "a cup of tea".to_owned();
/// logs.expansions(50, vec![Expansion { side: "query", text, terms }])?;
/// assert!(std::fs::read_to_string(&json)?.contains("drink"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expansion {
    /// The side of the text: `query` or `document`.
    pub side: &'static str,
    /// The text that is expanded.
    pub text: String,
    /// The terms with their weights, highest weight first.
    pub terms: Vec<(String, f32)>,
}
