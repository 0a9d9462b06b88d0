//! What a training run tells: TensorBoard's event files, a log of JSON lines, a live page.
//!
//! [`Logs`] takes records and hands each to all three. The names of values are in [`names`], the
//! records of the JSON log in `json_lines.rs`, the page and its server in `dashboard`.

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
