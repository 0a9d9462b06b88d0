//! `vocab`: vocabularies that are learned from texts.

use std::path::Path;

use anyhow::{Result, bail};
use rayon::prelude::*;
use splade_text::{Vocabulary, VocabularyOptions, WordCounts, WordKind, WordSplitter};

use crate::args::{VocabCommand, VocabLearnArgs, WordsArg};
use crate::input::{InputOptions, Inputs};
use crate::interrupt::{self, Interrupted};
use crate::partial::{PartialFolder, is_free};
use crate::progress::{Progress, say};

/// Bytes of texts whose words are counted at once.
const WINDOW: usize = 4 << 20;

pub(crate) fn run(command: &VocabCommand) -> Result<()> {
    match command {
        VocabCommand::Learn(args) => learn(args),
    }
}

fn learn(args: &VocabLearnArgs) -> Result<()> {
    let output = &args.output;
    if args.resume && is_tokenizer(output) {
        say(&format!("{} is whole; nothing is to be done", output.display()));
        return Ok(());
    }
    check_free(output)?;
    let input = InputOptions {
        text_field: args.text_field.clone(),
        no_ids: true,
        ..InputOptions::default()
    };
    let inputs = Inputs::open(&args.inputs, input)?;
    let partial = PartialFolder::create(output)?;
    let kind = match args.words {
        WordsArg::Mecab => WordKind::Mecab,
        WordsArg::Bert => WordKind::Bert,
    };
    let splitter = WordSplitter::new(kind, args.lowercase)?;
    interrupt::listen()?;
    let counts = count(&splitter, inputs, args.quiet)?;
    if counts.is_empty() {
        bail!("there is no word in the inputs");
    }
    let options = VocabularyOptions {
        size: args.size,
        alphabet: args.alphabet.unwrap_or(args.size / 4),
        min_frequency: args.min_frequency,
    };
    let vocabulary = Vocabulary::learn(&counts, &options)?;
    if vocabulary.left_out == counts.len() {
        bail!("all words have rare characters; raise --alphabet");
    }
    vocabulary.save(partial.path(), &splitter, args.max_length)?;
    // Joining pairs takes a while in which nothing asks.
    if interrupt::asked() {
        return Err(Interrupted("nothing was written".to_owned()).into());
    }
    partial.finish()?;
    if !args.quiet {
        say(&format!(
            "{} tokens of {} different words, {} of which were left out for rare characters or \
             their length; wrote {}",
            vocabulary.tokens.len(),
            counts.len(),
            vocabulary.left_out,
            output.display()
        ));
        if vocabulary.tokens.len() < args.size {
            say("note: there were no more pairs to join; the vocabulary is smaller than --size");
        }
    }
    Ok(())
}

/// Whether a folder is what this command writes: it appears whole.
fn is_tokenizer(folder: &Path) -> bool {
    folder.join("vocab.txt").is_file() && folder.join("tokenizer_config.json").is_file()
}

/// Whether the folder can be made.
fn check_free(output: &Path) -> Result<()> {
    if output.file_name().is_none() {
        bail!("--output {}: a folder is expected", output.display());
    }
    if !is_free(output) {
        bail!(
            "{} is there and not empty\nhint: name another --output, or remove it",
            output.display()
        );
    }
    Ok(())
}

/// Counts the words of all texts on all threads.
fn count(splitter: &WordSplitter, inputs: Inputs, quiet: bool) -> Result<WordCounts> {
    let mut counts = WordCounts::default();
    let mut progress = (!quiet).then(|| Progress::start(inputs.position(), "texts"));
    super::windows(inputs, WINDOW, |texts| {
        let part = texts.len().div_ceil(rayon::current_num_threads()).max(1);
        let of_part = |texts: &[String]| -> Result<WordCounts> {
            let mut counts = WordCounts::default();
            for text in texts {
                splitter.count(text, &mut counts)?;
            }
            Ok(counts)
        };
        let parts: Vec<_> = texts.par_chunks(part).map(of_part).collect::<Result<_>>()?;
        parts.into_iter().for_each(|part| counts.merge(part));
        if let Some(progress) = &mut progress {
            progress.add(texts.len(), 0);
        }
        match interrupt::asked() {
            true => Err(Interrupted("nothing was written".to_owned()).into()),
            false => Ok(()),
        }
    })?;
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(counts)
}
