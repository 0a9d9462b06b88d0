//! The logs of a training run: TensorBoard event files, a log of JSON lines, and a live page.
//!
//! [`Logs`] passes each record to all three. The names of logged values are in [`names`], the
//! format of the JSON log is described in `json_lines.rs`, and that of the page's server in
//! `dashboard`.

mod crc32c;
mod dashboard;
mod error;
mod json_lines;
mod logs;
pub mod names;
mod protobuf;
mod record;
mod tensorboard;

pub use dashboard::report_html;
pub use error::LogError;
pub use logs::{LogOptions, Logs, default_logging_dir};
pub use record::{Expansion, Status};
