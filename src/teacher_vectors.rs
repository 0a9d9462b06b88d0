//! The teachers of training runs that make vectors: their vectors of the texts of a run, from the folder
//! of vectors that scoring and mining use as well.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use splade_data::TrainingData;
use splade_io::{Event, Observer};
use splade_model::HeadKind;
use splade_train::config::{TeacherConfig, TeacherHead};
use splade_train::{SourceError, TeacherVectors};

use crate::dense_vectors::{DenseVectors, TextsOf};
use crate::encoder::SparseEncoderOptions;
use crate::model::require_head;
use crate::ranker::RankerOptions;

impl std::fmt::Debug for DenseVectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DenseVectors").field("about", &self.about).finish_non_exhaustive()
    }
}

impl TeacherVectors for DenseVectors {
    fn similarities(&self, queries: &[&str], documents: &[&str]) -> Result<Vec<f32>, SourceError> {
        let documents = documents.iter().map(|text| self.document(text));
        let documents = documents.collect::<Result<Vec<_>, _>>()?;
        let mut similarities = Vec::with_capacity(queries.len() * documents.len());
        for query in queries {
            let query = self.query(query)?;
            similarities.extend(documents.iter().map(|document| self.score(&query, document)));
        }
        Ok(similarities)
    }

    fn content(&self) -> Value {
        self.about.clone()
    }
}

/// Opens the teacher of a training run: the vectors of all texts that its samples use are read from
/// `model.teacher.vectors`, and those that are missing there are computed and added.
///
/// # Errors
/// If the model cannot be found or read or does not make such vectors, if the folder holds other
/// vectors, or if the observer asks to stop.
pub fn open_teacher(
    config: &TeacherConfig,
    data: &TrainingData,
    observer: &mut dyn Observer,
) -> Result<Arc<dyn TeacherVectors>, SourceError> {
    let model = Path::new(&config.model_name_or_path);
    let kind = match config.head {
        TeacherHead::Dense => HeadKind::Dense,
        TeacherHead::Colbert => HeadKind::MultiVector,
    };
    require_head(model, kind, observer)?;
    let encoder = SparseEncoderOptions {
        query_prompt: config.query_prompt.clone(),
        document_prompt: config.document_prompt.clone(),
        max_length: config.max_length,
        ..SparseEncoderOptions::default()
    };
    let options =
        RankerOptions { vectors: config.vectors.clone(), encoder, ..RankerOptions::default() };
    let (queries, documents) = data.used();
    let queries = TextsOf { texts: data.queries(), ids: Some(&queries) };
    let documents = TextsOf { texts: data.docs(), ids: Some(&documents) };
    let vectors = DenseVectors::open(model, kind, &options, &queries, &documents, observer)?;
    tell_prompts(&vectors, observer);
    Ok(Arc::new(vectors))
}

/// Tells which prompts the teacher has, since a model that was trained with prompts and gets none
/// compares badly, without an error.
fn tell_prompts(vectors: &DenseVectors, observer: &mut dyn Observer) {
    let prompt = |side: &str| vectors.about[side]["prompt"].as_str().unwrap_or_default();
    let note = match (prompt("query"), prompt("document")) {
        ("", "") => {
            "the teacher's folder names no prompts, so none are put before its texts; if the \
                     model was trained with prompts, set model.teacher.query_prompt and \
                     document_prompt"
                .to_owned()
        }
        (query, document) => {
            format!(
                "the teacher reads queries as {query:?} + text, and documents as {document:?} + text"
            )
        }
    };
    observer.event(Event::Note(&note));
}
