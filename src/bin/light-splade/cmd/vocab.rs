//! `light-splade vocab`: vocabularies that are learned from texts, and models with more words.

use anyhow::Result;
use light_splade::encode::{Idf, Side};
use light_splade::models::{
    ExtendOptions, MergeVocabulariesOptions, TrimOptions, Vocabulary, VocabularyOptions, WordKind,
    extend_vocabulary, learn_vocabulary, merge_vocabularies, trim_vocabulary,
};
use light_splade::outputs::check_output;
use light_splade::search::VectorSources;
use splade_text::TokenizerOptions;

use super::advised;
use crate::args::{
    VocabCommand, VocabExtendArgs, VocabIdfArgs, VocabLearnArgs, VocabMergeArgs, VocabTrimArgs,
    WordsArg,
};
use crate::closing;
use crate::interrupt;
use crate::progress::Reporter;
use splade_io::counted;

pub(crate) fn run(command: &VocabCommand) -> Result<()> {
    match command {
        VocabCommand::Learn(args) => learn(args),
        VocabCommand::Extend(args) => extend(args),
        VocabCommand::Trim(args) => trim(args),
        VocabCommand::Merge(args) => merge(args),
        VocabCommand::Idf(args) => idf(args),
    }
}

fn idf(args: &VocabIdfArgs) -> Result<()> {
    let mut reporter = Reporter::new();
    let own = VectorSources::read(&args.vectors)?.joined()?.and_then(|found| found.model);
    let model =
        args.model.clone().or(own).ok_or_else(|| {
            advised("the vectors do not name their model", "name it with --model")
        })?;
    check_output(&args.output, &args.vectors, args.overwrite.force)?;
    let options = TokenizerOptions::default();
    let vocabulary = Vocabulary::open(&model, Side::Document, &options, &mut reporter)?;
    interrupt::listen()?;
    let idf = Idf::of_vectors(&args.vectors, &vocabulary, &mut reporter)?;
    Ok(idf.write(&args.output, &vocabulary, args.overwrite.force)?)
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
    extend_vocabulary(&options, &mut Reporter::new())?;
    Ok(())
}

fn trim(args: &VocabTrimArgs) -> Result<()> {
    let options = TrimOptions {
        model: args.model.clone(),
        inputs: args.inputs.clone(),
        text_field: args.text_field.clone(),
        format: args.form.form(),
        output: args.output.clone(),
        size: args.size,
        min_count: args.min_count,
        mecab_dicdir: args.mecab_dicdir.clone(),
        resume: args.resume,
    };
    interrupt::listen()?;
    trim_vocabulary(&options, &mut Reporter::new())?;
    Ok(())
}

fn merge(args: &VocabMergeArgs) -> Result<()> {
    let options = MergeVocabulariesOptions {
        model: args.model.clone(),
        tokenizer: args.tokenizer.clone(),
        output: args.output.clone(),
        seed: args.seed,
        mecab_dicdir: args.mecab_dicdir.clone(),
        resume: args.resume,
    };
    interrupt::listen()?;
    merge_vocabularies(&options, &mut Reporter::new())?;
    Ok(())
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
