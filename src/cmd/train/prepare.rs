//! From settings to what a run is made of: checkpoint, data, tokenizer, encoders.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use splade_text::{Tokenizer, TokenizerOptions};
use splade_train::config::{Config, QueryEncoder};
use splade_train::cpu::CpuEngine;
use splade_train::data::{TrainingData, ValidationData};
use splade_train::engine::Engine;
use splade_train::trainer::{
    Tokenization, Towers, TrainerOptions, check_outputs, checkpoint_to_resume,
};

use super::show::Show;

/// Opens everything, cheapest first: what is wrong is said before anything takes long.
pub(super) fn options(
    config: Config,
    dashboard: Option<u16>,
    show: &mut Show,
) -> Result<TrainerOptions> {
    refuse_what_is_missing(&config)?;
    let training = &config.training;
    check_outputs(&config, training.resume_from_checkpoint.is_some())?;
    let resume = match &training.resume_from_checkpoint {
        None => None,
        Some(from) => {
            let folder = checkpoint_to_resume(&training.output_dir, from)?;
            match &folder {
                Some(folder) => show.note(&format!("going on from {}", folder.display())),
                None => show.note(&format!(
                    "there is no checkpoint in {}: beginning at the start",
                    training.output_dir.display()
                )),
            }
            folder
        }
    };
    let document_folder = super::super::folder(Path::new(&config.model.model_name_or_path))?;
    let query_folder = config.model.model_name_or_path_q.as_deref();
    let query_folder = query_folder.map(|q| super::super::folder(Path::new(q))).transpose()?;

    let data = TrainingData::open(&config.data, training.data_seed.unwrap_or(training.seed))?;
    let validation = ValidationData::open(&config.data)?;
    let warnings = validation.as_ref().map_or(&[][..], |validation| &validation.warnings);
    for warning in data.warnings().iter().chain(warnings) {
        show.note(&format!("warning: {warning}"));
    }

    let options = TokenizerOptions { mecab_dicdir: config.model.mecab_dicdir.clone() };
    let tokenizer = Tokenizer::from_dir(&document_folder, &options)?;
    if let Some(folder) = &query_folder {
        let other = Tokenizer::from_dir(folder, &options)?;
        let tokens = |tokenizer: &Tokenizer| -> Vec<Option<String>> {
            (0..tokenizer.len() as u32).map(|id| tokenizer.token(id).map(str::to_owned)).collect()
        };
        if tokens(&tokenizer) != tokens(&other) {
            bail!(
                "model.model_name_or_path_q: the two encoders have different vocabularies\nhint: \
                 both must come from models with the same tokenizer"
            );
        }
    }
    let load = |folder: &Path| {
        CpuEngine::load(folder, config.model.agg, config.model.saturation)
            .with_context(|| format!("cannot load the model {}", folder.display()))
    };
    let document = load(&document_folder)?;
    let query = query_folder.as_deref().map(load).transpose()?;
    let limit = |engine: &CpuEngine| engine.max_tokens();
    let model_length = query.as_ref().map_or(limit(&document), limit).min(limit(&document));
    if config.model.max_length > model_length {
        bail!(
            "model.max_length: {} is more than the {model_length} tokens that the model takes",
            config.model.max_length
        );
    }
    let tokenization = Tokenization {
        tokenizer: Arc::new(tokenizer),
        plain_queries: false,
        max_length: config.model.max_length,
        model_length,
    };
    let towers = Towers {
        document: Box::new(document),
        query: query.map(|query| Box::new(query) as Box<dyn Engine>),
        freeze_document: config.model.freeze_d_model,
    };
    Ok(TrainerOptions {
        settings: config.to_value(),
        towers,
        tokenization,
        data,
        validation,
        resume,
        dashboard,
        config,
    })
}

/// Settings that are read and not made yet.
fn refuse_what_is_missing(config: &Config) -> Result<()> {
    if config.model.query_encoder != QueryEncoder::Model {
        bail!("model.query_encoder: table is not implemented yet");
    }
    if config.model.init.target_terms.is_some() {
        bail!("model.init.target_terms is not implemented yet");
    }
    Ok(())
}
