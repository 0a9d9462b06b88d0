//! `light-splade vocab`: vocabularies that are learned from texts.

use anyhow::Result;
use light_splade::models::{VocabularyOptions, WordKind, learn_vocabulary};

use crate::args::{VocabCommand, VocabLearnArgs, WordsArg};
use crate::interrupt;
use crate::progress::Reporter;

pub(crate) fn run(command: &VocabCommand) -> Result<()> {
    match command {
        VocabCommand::Learn(args) => learn(args),
    }
}

fn learn(args: &VocabLearnArgs) -> Result<()> {
    let options = VocabularyOptions {
        inputs: args.inputs.clone(),
        text_field: args.text_field.clone(),
        format: args.form.form(),
        output: args.output.clone(),
        words: match args.words {
            WordsArg::Mecab => WordKind::Mecab,
            WordsArg::Bert => WordKind::Bert,
        },
        size: args.size,
        alphabet: args.alphabet,
        min_frequency: args.min_frequency,
        lowercase: args.lowercase,
        max_length: args.max_length,
        resume: args.resume,
    };
    interrupt::listen()?;
    learn_vocabulary(&options, &mut Reporter::new())?;
    Ok(())
}
