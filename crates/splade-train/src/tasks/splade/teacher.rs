//! The interface to a teacher that makes vectors: what its vectors say about the pairs of a batch.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::Value;
use splade_data::TrainingData;
use splade_io::Observer;

use crate::config::TeacherConfig;
use crate::error::SourceError;

/// The vectors of a teacher for all queries and documents that a run uses.
pub trait TeacherVectors: Debug + Send + Sync {
    /// Returns the similarity of every query with every document, shape (queries, documents).
    ///
    /// # Errors
    /// Returns an error if a text has no vector.
    fn similarities(&self, queries: &[&str], documents: &[&str]) -> Result<Vec<f32>, SourceError>;

    /// Returns what the similarities depend on besides the texts. A run resumes only with the same
    /// value.
    fn content(&self) -> Value;
}

/// Returns the vectors of a teacher for the texts that the samples of a training set use.
pub type OpenTeacher<'a> = dyn Fn(
        &TeacherConfig,
        &TrainingData,
        &mut dyn Observer,
    ) -> Result<Arc<dyn TeacherVectors>, SourceError>
    + 'a;

/// The default of [`OpenTeacher`], which knows no teachers.
pub(crate) fn no_teacher(
    config: &TeacherConfig,
    _: &TrainingData,
    _: &mut dyn Observer,
) -> Result<Arc<dyn TeacherVectors>, SourceError> {
    Err(format!("TrainOptions::teacher does not open {}", config.model_name_or_path).into())
}
