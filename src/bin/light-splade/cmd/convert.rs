//! `light-splade convert`: training data out of what others publish, or out of texts alone.

use anyhow::Result;
use light_splade::data::{
    BeirOptions, ConvertOptions, ConvertSource, CorpusFilter, CorpusSource, Margins, MmarcoSource,
    MsMarcoSource, PairsOptions, convert,
};

use crate::args::{ConvertCommand, CorpusArgs, MmarcoArgs, MsMarcoArgs};
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
        ConvertCommand::Pairs(args) => {
            let options = PairsOptions {
                inputs: args.inputs.clone(),
                query_field: args.query_field.clone(),
                document_field: args.document_field.clone(),
                format: args.form.form(),
                validation_share: f64::from(args.validation_share),
                seed: args.seed,
            };
            (ConvertSource::Pairs(options), &args.output)
        }
        ConvertCommand::Corpus(args) => (ConvertSource::Corpus(corpus(args)), &args.output),
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

fn corpus(args: &CorpusArgs) -> CorpusSource {
    let filter = CorpusFilter {
        candidates: args.candidates,
        depth: args.depth,
        teachers: args.by.clone(),
        join: args.join.into(),
        worst_rank: args.worst_rank,
        margins: Margins {
            absolute: args.absolute_margin,
            relative: args.relative_margin,
            ..Margins::default()
        },
        ranker: args.ranker.options(),
    };
    CorpusSource {
        inputs: args.inputs.clone(),
        text_field: args.text_field.clone(),
        format: args.form.form(),
        kinds: args.queries.clone(),
        queries_per_document: args.queries_per_document,
        whole_share: f64::from(args.whole_share),
        validation_share: f64::from(args.validation_share),
        filter: (!args.unfiltered).then_some(filter),
        seed: args.seed,
    }
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
