//! `pretrain`: masked language models, as configs describe them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use splade_data::{Corpus, CorpusOptions, Masking};
use splade_model::folder::{Pooling, Saturation};
use splade_text::{Tokenizer, TokenizerOptions};
use splade_train::config::{PretrainConfig, Start, TrainingConfig};
use splade_train::cpu::CpuEngine;
use splade_train::engine::Engine;
use splade_train::error::TrainError;
use splade_train::trainer::{Outcome, Pretrainer, PretrainerOptions, check_outputs, new_model};

use super::runs::{self, Run, Show};
use super::train::with_head;
use crate::args::TrainArgs;
use crate::input::{InputOptions, Inputs};
use crate::interrupt::{self, Interrupted};
use crate::progress::Progress;

/// Bytes of texts that are tokenized at once.
const WINDOW: usize = 4 << 20;

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    runs::run::<PretrainConfig>(args)
}

impl Run for PretrainConfig {
    const COMMAND: &'static str = "pretrain";

    fn read(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        PretrainConfig::from_value(value)
    }

    fn training(&mut self) -> &mut TrainingConfig {
        &mut self.training
    }

    fn make(
        self,
        dashboard: Option<u16>,
        show: &mut Show,
        begin: &dyn Fn() -> Result<()>,
    ) -> Result<Outcome> {
        let mut pretrainer = Pretrainer::new(options(self, dashboard, show)?)?;
        begin()?;
        Ok(pretrainer.run(show)?)
    }
}

/// Opens everything, cheapest first.
fn options(
    config: PretrainConfig,
    dashboard: Option<u16>,
    show: &mut Show,
) -> Result<PretrainerOptions> {
    let training = &config.training;
    check_outputs(training, training.resume_from_checkpoint.is_some())?;
    let input = InputOptions {
        text_field: config.data.text_field.clone(),
        no_ids: true,
        ..InputOptions::default()
    };
    let inputs = Inputs::open(&config.data.train_files, input)?;
    let resume = runs::resume(training, show)?;
    let named = match &config.model.start {
        Start::Model(name) => name,
        Start::New(new) => &new.tokenizer,
    };
    let folder = super::folder(Path::new(named))?;
    let options = TokenizerOptions { mecab_dicdir: config.model.mecab_dicdir.clone() };
    let (folder, tokenizer) = match &config.model.start {
        Start::Model(_) => {
            let (folder, made) = with_head(folder, training, "start")?;
            if made {
                show.note("note: the model has no head for words; it starts with a new one");
            }
            let tokenizer = Tokenizer::from_dir(&folder, &options)?;
            (folder, tokenizer)
        }
        Start::New(new) => {
            let tokenizer =
                Tokenizer::from_dir(&folder, &options).context("model.new.tokenizer")?;
            let start = training.output_dir.join("start");
            new_model(new, &tokenizer, &folder, &start, training.seed)?;
            (start, tokenizer)
        }
    };
    let engine = CpuEngine::load(&folder, Pooling::Max, Saturation::Log1pRelu)
        .with_context(|| format!("cannot load the model {}", folder.display()))?;
    if config.model.max_length > engine.max_tokens() {
        bail!(
            "model.max_length: {} is more than the {} tokens that the model takes",
            config.model.max_length,
            engine.max_tokens()
        );
    }
    if tokenizer.len() > engine.vocab() {
        bail!(
            "the tokenizer of {} has {} tokens, the model {} terms; give the tokenizer of the model",
            folder.display(),
            tokenizer.len(),
            engine.vocab()
        );
    }
    let (share, whole_words) = (config.data.mask_share, config.data.whole_words);
    let masking = Masking::new(&tokenizer, share, whole_words)?;
    if whole_words && !masking.knows_words() {
        show.note("note: no token goes on with a word (##): tokens are hidden one by one");
    }
    let corpus = corpus(&config, &tokenizer, inputs, show)?;
    Ok(PretrainerOptions { config, engine, corpus, masking, resume, dashboard })
}

/// Reads and tokenizes all texts.
fn corpus(
    config: &PretrainConfig,
    tokenizer: &Tokenizer,
    inputs: Inputs,
    show: &mut Show,
) -> Result<Corpus> {
    let mut corpus = Corpus::new(
        tokenizer,
        CorpusOptions {
            max_length: config.model.max_length,
            eval_share: config.data.eval_share,
            shuffle: config.data.shuffle,
            seed: config.training.data_seed.unwrap_or(config.training.seed),
        },
    )?;
    let mut progress = show.counts().then(|| Progress::start(inputs.position(), "texts"));
    super::windows(inputs, WINDOW, |texts| {
        let tokens = corpus.add(tokenizer, texts)?;
        if let Some(progress) = &mut progress {
            progress.add(texts.len(), tokens);
        }
        match interrupt::asked() {
            true => Err(Interrupted("nothing was trained".to_owned()).into()),
            false => Ok(()),
        }
    })?;
    if let Some(progress) = progress {
        progress.finish();
    }
    if corpus.is_empty() {
        bail!(match corpus.documents() {
            0 => "data.train_files: there is no text in them",
            _ => "data.eval_share: all texts are held out; lower it",
        });
    }
    show.note(&format!(
        "{} texts: {} sequences to train on, {} held out",
        corpus.documents(),
        corpus.len(),
        corpus.held_out()
    ));
    Ok(corpus)
}
