//! `light-splade convert`: training data out of what others publish.

use anyhow::Result;
use light_splade::data::{
    BeirOptions, ConvertOptions, ConvertSource, MmarcoSource, MsMarcoSource, convert,
};

use crate::args::{ConvertCommand, MmarcoArgs, MsMarcoArgs};
use crate::closing;
use crate::progress::Reporter;

pub(crate) fn run(command: &ConvertCommand) -> Result<()> {
    let (source, output) = match command {
        ConvertCommand::Mmarco(args) => (mmarco(args), &args.output),
        ConvertCommand::Beir(args) => {
            let options = BeirOptions {
                dir: args.data.clone(),
                train: args.train.clone(),
                validation: args.validation.clone(),
                judged_only: args.judged_only,
            };
            (ConvertSource::Beir(options), &args.output)
        }
        ConvertCommand::Msmarco(args) => (msmarco(args), &args.output),
        ConvertCommand::Squad(args) => {
            let (data, titles) = (args.data.clone(), !args.no_titles);
            (ConvertSource::Squad { data, titles }, &args.output)
        }
        ConvertCommand::Join(args) => (ConvertSource::Join(args.dirs.clone()), &args.output),
    };
    let options = ConvertOptions {
        source,
        out: output.output.clone(),
        force: output.force,
        resume: output.resume,
    };
    if convert(&options, &mut Reporter::interruptible())?.is_some() {
        let what = format!("train and validation to {}", options.out.display());
        closing::made(&what, Some(format!("check-data {}", closing::shown(&options.out))));
    }
    Ok(())
}

fn mmarco(args: &MmarcoArgs) -> ConvertSource {
    ConvertSource::Mmarco(MmarcoSource {
        data: args.data.clone(),
        purpose: args.purpose.into(),
        language: args.language.clone(),
        translation: args.translation.clone(),
        collection: args.collection.clone(),
        train_queries: args.train_queries.clone(),
        dev_queries: args.dev_queries.clone(),
        triples: args.triples.clone(),
        max_negatives: args.draw.max_negatives_per_query,
        seed: args.draw.seed,
    })
}

fn msmarco(args: &MsMarcoArgs) -> ConvertSource {
    ConvertSource::MsMarco(MsMarcoSource {
        data: args.data.clone(),
        triples: args.triples.clone(),
        hard_negatives: args.hard_negatives.clone(),
        max_negatives: args.draw.max_negatives_per_query,
        validation_docs: args.validation_docs,
        seed: args.draw.seed,
    })
}
