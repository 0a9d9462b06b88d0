//! `cross-encoder predict`.

use std::path::Path;

use anyhow::{Context, Result};
use splade_model::{CrossEncoder, CrossEncoderOptions};
use splade_train::teacher::{PredictConfig, PredictOptions, Watcher, predict};

use crate::args::TeacherPredictArgs;
use crate::input::Position;
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};

pub(crate) fn run(args: &TeacherPredictArgs) -> Result<()> {
    let config = PredictConfig::from_value(&super::config(&args.run)?)?;
    super::begin(&args.run)?;
    let quiet = args.run.quiet;
    if config.limits.queries_may_fill_pairs() {
        say("warning: max_query_len is no limit: a long query may leave no room for its document");
    }
    let folder = super::super::folder(Path::new(&config.model_path))?;
    let options = CrossEncoderOptions {
        max_length: Some(config.limits.max_token_len),
        mecab_dicdir: config.mecab_dicdir.clone(),
        ..CrossEncoderOptions::default()
    };
    let model = CrossEncoder::load(&folder, &options)
        .with_context(|| format!("cannot load the model {}", folder.display()))?;
    let options = PredictOptions {
        model: &folder,
        shard: args.shard,
        resume: args.run.resume,
        force: args.force,
    };
    let mut show = Show { quiet, progress: None, position: Position::default() };
    let prediction = predict(&config, &model, &options, &mut show);
    if let Some(progress) = show.progress.take() {
        match &prediction {
            Ok(prediction) if !prediction.stopped => progress.finish(),
            _ => progress.clear(),
        }
    }
    let prediction = prediction?;
    if prediction.stopped {
        let shard = args.shard.map(|shard| format!(" --shard {}/{}", shard.number, shard.of));
        let more = shard.unwrap_or_default();
        return Err(Interrupted(super::how_to_go_on("predict", &args.run, &more)).into());
    }
    if !quiet {
        if prediction.truncated > 0 {
            say(&format!(
                "note: {} pairs were cut off at {} tokens",
                prediction.truncated, config.limits.max_token_len
            ));
        }
        say(&format!("wrote {}", prediction.output.display()));
    }
    Ok(())
}

struct Show {
    quiet: bool,
    progress: Option<Progress>,
    position: Position,
}

impl Watcher for Show {
    fn warn(&mut self, warning: &str) {
        say(&format!("warning: {warning}"));
    }

    fn begin(&mut self, pairs: usize, done: usize) {
        self.position = Position::of((pairs - done) as u64);
        if self.quiet {
            return;
        }
        match done {
            0 => say(&format!("{pairs} pairs")),
            _ => say(&format!("{pairs} pairs, {done} of them scored before")),
        }
        self.progress = Some(Progress::start(self.position.clone(), "pairs"));
    }

    fn scored(&mut self, pairs: usize, tokens: usize) {
        self.position.read(pairs as u64);
        if let Some(progress) = &mut self.progress {
            progress.add(pairs, tokens);
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}
