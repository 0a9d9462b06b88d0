//! `light-splade export`: vectors in the forms of search engines, and models for other libraries.

use anyhow::{Result, bail};
use light_splade::models::{ExportModelOptions, HubUpload, ModelCard, export_model};
use light_splade::search_engines::{
    CiffScale, CsrForm, ElasticsearchField, ExportOptions, ExportTarget, OpenSearchType,
    PushTarget, export_documents,
};
use splade_io::counted;

use super::or_any_model;
use crate::args::{
    ElasticsearchType, ExportCommand, ExportModelArgs, IndexArgs, MatrixFormat, OpensearchArgs,
    OpensearchType, PushArgs, VectorsArgs,
};
use crate::closing;
use crate::interrupt;
use crate::output::print;
use crate::progress::Reporter;

pub(crate) fn run(command: &ExportCommand) -> Result<()> {
    let (vectors, target, push) = match command {
        ExportCommand::Model(args) => return model(args),
        ExportCommand::Lucene(args) => {
            (&args.vectors, ExportTarget::Lucene { scale: args.scale }, None)
        }
        ExportCommand::Elasticsearch(args) => {
            let kind = match args.kind {
                ElasticsearchType::SparseVector => ElasticsearchField::SparseVector,
                ElasticsearchType::RankFeatures => ElasticsearchField::RankFeatures,
            };
            let field = args.names.field.clone();
            let push = push(&args.names, &args.push);
            (&args.vectors, ExportTarget::Elasticsearch { field, kind }, push)
        }
        ExportCommand::Opensearch(args) => {
            let (field, kind) = (args.names.field.clone(), opensearch(args)?);
            let push = push(&args.names, &args.push);
            (&args.vectors, ExportTarget::OpenSearch { field, kind }, push)
        }
        ExportCommand::Qdrant(args) => {
            let (field, first_id) = (args.names.field.clone(), args.first_id);
            let push = push(&args.names, &args.push);
            (&args.vectors, ExportTarget::Qdrant { field, first_id }, push)
        }
        ExportCommand::Milvus(args) => {
            let (collection, field) = (args.names.index.clone(), args.names.field.clone());
            let target = ExportTarget::Milvus { collection, field, first_id: args.first_id };
            (&args.vectors, target, None)
        }
        ExportCommand::Vespa(args) => {
            let (schema, field) = (args.names.index.clone(), args.names.field.clone());
            (&args.vectors, ExportTarget::Vespa { schema, field, scale: args.scale }, None)
        }
        ExportCommand::Ciff(args) => {
            let scale = args.fit.map_or(CiffScale::By(args.scale), CiffScale::Fit);
            let target = ExportTarget::Ciff { scale, query_scale: args.query_scale };
            (&args.vectors, target, None)
        }
        ExportCommand::Pgvector(args) => {
            let target = ExportTarget::Pgvector {
                table: args.names.index.clone(),
                field: args.names.field.clone(),
                first_id: args.first_id,
                dimensions: args.dimensions,
            };
            (&args.vectors, target, None)
        }
        ExportCommand::Seismic(args) => (args, ExportTarget::Seismic, None),
        ExportCommand::Parquet(args) => (args, ExportTarget::Parquet, None),
        ExportCommand::Csr(args) => {
            let form = match args.format {
                MatrixFormat::Npz => CsrForm::Npz,
                MatrixFormat::Safetensors => CsrForm::Safetensors,
            };
            (&args.vectors, ExportTarget::Csr { form, dimensions: args.dimensions }, None)
        }
    };
    interrupt::listen()?;
    let exported = export_documents(&options(vectors, target, push), &mut Reporter::new());
    let exported = or_any_model(exported, "give vectors and tokens of one model")?;
    if !exported.was_complete {
        let what =
            format!("{} to {}", counted(exported.documents, "documents"), vectors.output.display());
        closing::made(&what, None);
    }
    Ok(())
}

fn options(args: &VectorsArgs, target: ExportTarget, push: Option<PushTarget>) -> ExportOptions {
    ExportOptions {
        vectors: args.vectors.clone(),
        queries: args.queries.clone(),
        out: args.output.clone(),
        target,
        model: args.model.clone(),
        tokens: args.tokens.clone(),
        terms: args.terms.into(),
        resume: args.resume,
        force: args.overwrite.force,
        shard_rows: args.shard_rows,
        any_model: args.any_model,
        check_ids: !args.no_id_check,
        push,
    }
}

/// The server, where one was named.
fn push(names: &IndexArgs, args: &PushArgs) -> Option<PushTarget> {
    Some(PushTarget {
        url: args.push.clone()?,
        index: names.index.clone(),
        api_key: args.api_key.as_ref().map(|key| key.0.clone()),
        ca_file: args.ca_file.clone(),
        append: args.append,
        batch_documents: args.batch_documents as usize,
        batch_bytes: args.batch_bytes,
        retries: args.retries,
    })
}

fn opensearch(args: &OpensearchArgs) -> Result<OpenSearchType> {
    let (ceiling, query_ceiling) = (args.ceiling, args.query_ceiling);
    match args.kind {
        OpensearchType::RankFeatures if ceiling.or(query_ceiling).is_some() => {
            bail!("--ceiling and --query-ceiling are for --type sparse-vector")
        }
        OpensearchType::RankFeatures => Ok(OpenSearchType::RankFeatures),
        OpensearchType::SparseVector => Ok(OpenSearchType::SparseVector { ceiling, query_ceiling }),
    }
}

/// A model is written in seconds: Ctrl-C ends the process at once, and the folder does not appear.
fn model(args: &ExportModelArgs) -> Result<()> {
    let upload = args.push.push_to_hub.clone().map(|name| HubUpload {
        name,
        revision: args.push.revision.clone(),
        private: args.push.private,
    });
    let options = ExportModelOptions {
        model: args.model.name(),
        out: args.output.clone(),
        dtype: args.dtype.into(),
        onnx: args.onnx.map(Into::into),
        max_length: args.max_length,
        mecab_dicdir: args.mecab_dicdir.clone(),
        card: ModelCard {
            name: args.card.name.clone(),
            languages: args.card.language.clone(),
            license: args.card.license.clone(),
            datasets: args.card.dataset.clone(),
            metrics: args.card.metrics.clone(),
        },
        upload,
    };
    print(&export_model(&options, &mut Reporter::new())?.readers_table())?;
    let folder = closing::shown(&args.output);
    closing::made(
        &format!("the model {}", args.output.display()),
        Some(format!("encode -m {folder} -t 'a text'")),
    );
    Ok(())
}
