//! `light-splade vocab`: vocabularies that are learned from texts.

use anyhow::Result;
use light_splade::models::{VocabularyOptions, WordKind, learn_vocabulary};

use crate::args::{VocabCommand, VocabLearnArgs, WordsArg};
use crate::closing;
use crate::interrupt;
use crate::progress::Reporter;
use splade_io::counted;

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
    if let Some(learned) = learn_vocabulary(&options, &mut Reporter::new())? {
        let (count, folder) = (counted(learned.tokens, "tokens"), closing::shown(&options.output));
        let next = format!("tokenize -m {folder} -t 'a text'");
        closing::made(
            &format!("a vocabulary of {count} to {}", options.output.display()),
            Some(next),
        );
    }
    Ok(())
}
