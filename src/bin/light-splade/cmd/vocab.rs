//! `light-splade vocab`: vocabularies that are learned from texts, and models with more words.

use anyhow::Result;
use light_splade::Observer;
use light_splade::models::{
    ExtendOptions, VocabularyOptions, WordKind, extend_vocabulary, learn_vocabulary,
};

use crate::args::{VocabCommand, VocabExtendArgs, VocabLearnArgs, WordsArg};
use crate::interrupt;
use crate::progress::{Reporter, Silent};

pub(crate) fn run(command: &VocabCommand) -> Result<()> {
    match command {
        VocabCommand::Learn(args) => learn(args),
        VocabCommand::Extend(args) => extend(args),
    }
}

fn extend(args: &VocabExtendArgs) -> Result<()> {
    let options = ExtendOptions {
        model: args.model.clone(),
        inputs: args.inputs.clone(),
        text_field: args.text_field.clone(),
        format: args.form.form(),
        output: args.output.clone(),
        most: args.words,
        min_count: args.min_count,
        mecab_dicdir: args.mecab_dicdir.clone(),
        resume: args.resume,
    };
    interrupt::listen()?;
    extend_vocabulary(&options, observer(args.quiet).as_mut())?;
    Ok(())
}

/// The observer of the terminal, or one that says nothing.
fn observer(quiet: bool) -> Box<dyn Observer> {
    match quiet {
        true => Box::new(Silent),
        false => Box::new(Reporter::new()),
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
    learn_vocabulary(&options, observer(args.quiet).as_mut())?;
    Ok(())
}
