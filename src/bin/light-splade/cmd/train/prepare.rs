//! From settings to what a run is made of: checkpoint, data, tokenizer, encoders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use splade_data::{TrainingData, ValidationData};
use splade_model::folder::Table;
use splade_model::training::{add_head, lacks_head};
use splade_text::{Tokenizer, TokenizerOptions};
use splade_train::config::{Config, ModelConfig, QueryEncoder, TrainingConfig};
use splade_train::cpu::CpuEngine;
use splade_train::engine::Engine;
use splade_train::table::{COUNTED_DOCUMENTS, TableEngine, inverse_document_frequencies};
use splade_train::trainer::{QueryTower, Tokenization, Towers, TrainerOptions, check_outputs};

use crate::cmd::runs::{self, Show};

/// Opens everything, cheapest first: what is wrong is said before anything takes long.
pub(super) fn options(
    config: Config,
    dashboard: Option<u16>,
    show: &mut Show,
) -> Result<TrainerOptions> {
    let training = &config.training;
    check_outputs(training, training.resume_from_checkpoint.is_some())?;
    let resume = runs::resume(training, show)?;
    let document_folder = super::super::folder(Path::new(&config.model.model_name_or_path))?;
    let query_folder = config.model.model_name_or_path_q.as_deref();
    let query_folder = query_folder.map(|q| super::super::folder(Path::new(q))).transpose()?;
    let (document_folder, document_made) = with_head(document_folder, training, "start")?;
    let (query_folder, query_made) = match query_folder {
        Some(folder) => {
            let (folder, made) = with_head(folder, training, "start_query")?;
            (Some(folder), made)
        }
        None => (None, false),
    };

    let data = TrainingData::open(&config.data, training.data_seed.unwrap_or(training.seed))?;
    let validation = ValidationData::open(&config.data)?;
    let warnings = validation.as_ref().map_or(&[][..], |validation| &validation.warnings);
    for warning in data.warnings().iter().chain(warnings) {
        show.note(&format!("warning: {warning}"));
    }

    let options = TokenizerOptions { mecab_dicdir: config.model.mecab_dicdir.clone() };
    let tokenizer = Arc::new(Tokenizer::from_dir(&document_folder, &options)?);
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
    let mut document = load(&document_folder)?;
    let mut query = query_folder.as_deref().map(load).transpose()?;
    if tokenizer.len() > document.vocab() {
        bail!(
            "{}: the tokenizer has {} tokens but the model's vocabulary {}",
            document_folder.display(),
            tokenizer.len(),
            document.vocab()
        );
    }
    let target = config.model.init.target_terms;
    if resume.is_none() {
        let texts = first_documents(&data, &tokenizer, config.model.max_length)?;
        let mut calibrate = |engine: &mut CpuEngine, made: bool, name: &str| -> Result<()> {
            let Some(terms) = target.or(made.then_some(TARGET_TERMS)) else { return Ok(()) };
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let shift = engine.calibrate(&texts, terms)?;
            show.note(&format!(
                "the bias of the {name} encoder's decoder is shifted by {shift:.3}: half of {} \
                 documents have {terms} terms or more",
                texts.len()
            ));
            Ok(())
        };
        calibrate(&mut document, document_made, "document")?;
        if let Some(query) = &mut query {
            calibrate(query, query_made, "query")?;
        }
    }
    let limit = |engine: &CpuEngine| engine.max_tokens();
    let model_length = query.as_ref().map_or(limit(&document), limit).min(limit(&document));
    if config.model.max_length > model_length {
        bail!(
            "model.max_length: {} is more than the {model_length} tokens that the model takes",
            config.model.max_length
        );
    }
    let model = query.map(|query| QueryTower::Model(Box::new(query)));
    let resumes = resume.is_some();
    let table = table(&config.model, &data, &tokenizer, &document_folder, resumes, show)?;
    let tokenization = Tokenization {
        tokenizer,
        plain_queries: table.is_some(),
        max_length: config.model.max_length,
        model_length,
    };
    let towers = Towers {
        document: Box::new(document),
        query: model.or(table.map(QueryTower::Table)),
        freeze_document: config.model.freeze_d_model,
        frozen_dropout: training.compat.frozen_dropout,
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

/// Terms of a document where the head had to be made and no number is given.
const TARGET_TERMS: usize = 200;
/// Documents that terms are counted in.
const CALIBRATION: usize = 64;

/// A model with a head for words: the folder itself, or a copy with a new head in `output_dir`.
pub(in crate::cmd) fn with_head(
    folder: PathBuf,
    training: &TrainingConfig,
    name: &str,
) -> Result<(PathBuf, bool)> {
    if !lacks_head(&folder)? {
        return Ok((folder, false));
    }
    let out = training.output_dir.join(name);
    add_head(&folder, &out)?;
    Ok((out, true))
}

/// Token ids of the first documents.
fn first_documents(
    data: &TrainingData,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Result<Vec<Vec<u32>>> {
    let texts = (0..data.docs().len().min(CALIBRATION)).filter_map(|row| data.docs().text_at(row));
    texts.map(|text| Ok(tokenizer.encode(&text, Some(max_length))?.ids)).collect()
}

/// The table of the config, whose weights are those of the checkpoint where there is one.
fn table(
    config: &ModelConfig,
    data: &TrainingData,
    tokenizer: &Arc<Tokenizer>,
    folder: &Path,
    resumes: bool,
    show: &mut Show,
) -> Result<Option<TableEngine>> {
    let QueryEncoder::Table { path, freeze, .. } = &config.query_encoder else { return Ok(None) };
    let weights = match path {
        _ if resumes => vec![0.0; tokenizer.len()],
        Some(path) => {
            Table::Json(path.clone()).read(tokenizer).context("model.query_table.path")?
        }
        None => {
            let count = data.docs().len().min(COUNTED_DOCUMENTS);
            show.note(&format!("the weights of query tokens are counted in {count} documents"));
            inverse_document_frequencies(data.docs(), tokenizer)?
        }
    };
    Ok(Some(TableEngine::new(weights, Arc::clone(tokenizer), folder, *freeze)))
}
