//! Reads and writes the settings under `data.*`.

use std::path::PathBuf;

use serde_json::{Value, json};
use splade_data::DataConfig;

use super::fields::Fields;
use super::names::Names;
use crate::error::TrainError;

/// Returns the names of the settings.
pub(super) fn names() -> Names {
    Names::of([
        "train_doc_master",
        "train_query_master",
        "train_positives",
        "train_triplets",
        "hard_negative_scores",
        "eval_loss_size",
        "validation_doc_master",
        "validation_query_master",
        "validation_positives",
        "negatives_per_query",
        "shuffle",
    ])
}

pub(super) fn read(value: Option<&Value>) -> Result<DataConfig, TrainError> {
    let mut fields = Fields::new("data", value)?;
    let path = |fields: &mut Fields<'_>, name| -> Result<Option<PathBuf>, TrainError> {
        Ok(fields.text(name)?.map(PathBuf::from))
    };
    let config = DataConfig {
        train_doc_master: fields.required_text("train_doc_master")?.into(),
        train_query_master: fields.required_text("train_query_master")?.into(),
        train_positives: fields.required_text("train_positives")?.into(),
        train_triplets: path(&mut fields, "train_triplets")?,
        hard_negative_scores: path(&mut fields, "hard_negative_scores")?,
        eval_loss_size: fields.count("eval_loss_size", 0, 0)? as usize,
        validation_doc_master: path(&mut fields, "validation_doc_master")?,
        validation_query_master: path(&mut fields, "validation_query_master")?,
        validation_positives: path(&mut fields, "validation_positives")?,
        negatives_per_query: fields.count("negatives_per_query", 1, 1)? as usize,
        shuffle: fields.flag("shuffle", true)?,
    };
    match (&config.train_triplets, &config.hard_negative_scores) {
        (Some(_), Some(_)) => {
            return Err(fields.error(
                "hard_negative_scores",
                "data.train_triplets is set as well, and a run trains on one of them; hint: \
                 remove one with ~data.train_triplets or ~data.hard_negative_scores",
            ));
        }
        (None, None) => {
            return Err(fields
                .error("train_triplets", "set data.train_triplets or data.hard_negative_scores"));
        }
        (Some(_), None) if config.negatives_per_query > 1 => {
            return Err(fields.error(
                "negatives_per_query",
                "a triplet has only one negative; several need data.hard_negative_scores",
            ));
        }
        _ => {}
    }
    let validation = [
        ("validation_doc_master", &config.validation_doc_master),
        ("validation_query_master", &config.validation_query_master),
        ("validation_positives", &config.validation_positives),
    ];
    let given = validation.iter().filter(|(_, path)| path.is_some()).count();
    if given % validation.len() != 0 {
        let missing = validation.iter().find(|(_, path)| path.is_none());
        let (name, _) = missing.expect("at least one path is missing: this is a bug");
        return Err(fields.error(
            name,
            "a validation set needs all of validation_doc_master, validation_query_master and \
             validation_positives; hint: set all of them, or none",
        ));
    }
    fields.finish()?;
    Ok(config)
}

/// Returns the value of `data` for `Config::to_value`.
pub(super) fn write(d: &DataConfig) -> Value {
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
