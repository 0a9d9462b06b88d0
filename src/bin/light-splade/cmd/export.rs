//! `light-splade export`: vectors in the forms of search engines, and models (`model.rs`).

mod card;
mod documents;
mod model;
#[cfg(feature = "push")]
mod push;
mod queries;
mod record;
mod terms;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use splade_export::Target;
#[cfg(not(feature = "push"))]
use splade_export::TextTarget as Server;
#[cfg(feature = "push")]
use splade_export::push::Server;
use splade_export::targets::{
    Ciff, Csr, CsrForm, Elasticsearch, ElasticsearchField, Lucene, Milvus, OpenSearch,
    OpenSearchField, Pgvector, Qdrant, Seismic, Vespa,
};
use splade_sparse::files::{RowWriter, Shard, ShardedWriter};

use crate::args::{
    CsrArgs, ElasticsearchType, ExportCommand, IndexArgs, MatrixFormat, OpensearchArgs,
    OpensearchType, PushArgs, VectorsArgs,
};
use crate::interrupt::{self, Interrupted};
use crate::progress::say;
use documents::{Documents, check_inputs, largest_weight};
use light_splade::Ended;
use terms::TermsOf;

/// The largest weight of queries that OpenSearch's Seismic tells apart, unless another is given.
const QUERY_CEILING: f32 = 16.0;

pub(crate) fn run(command: &ExportCommand) -> Result<()> {
    // A model is written in seconds: Ctrl-C ends that, and the next run replaces what it leaves.
    if !matches!(command, ExportCommand::Model(_)) {
        interrupt::listen()?;
    }
    match command {
        ExportCommand::Model(args) => model::run(args),
        ExportCommand::Lucene(args) => {
            let terms = TermsOf::open(&args.vectors)?;
            let target = Lucene::new(terms.names()?, args.scale);
            let options = json!({"target": "lucene", "scale": args.scale});
            export(&args.vectors, &terms, &Target::Text(Box::new(target)), &options)
        }
        ExportCommand::Elasticsearch(args) => {
            let terms = TermsOf::open(&args.vectors)?;
            let (kind, name) = match args.kind {
                ElasticsearchType::SparseVector => (ElasticsearchField::SparseVector, "sparse"),
                ElasticsearchType::RankFeatures => (ElasticsearchField::RankFeatures, "features"),
            };
            let (field, names) = (&args.names.field, terms.names()?);
            let options = json!({"target": "elasticsearch", "type": name, "field": field});
            let target = || Elasticsearch::new(names.clone(), field.clone(), kind);
            to_server(&args.vectors, &terms, target, (&args.names, &args.push), &options)
        }
        ExportCommand::Opensearch(args) => {
            let terms = TermsOf::open(&args.vectors)?;
            let (kind, options) = opensearch(args, &terms)?;
            let (field, names) = (&args.names.field, terms.names()?);
            let target = || OpenSearch::new(names.clone(), field.clone(), kind);
            to_server(&args.vectors, &terms, target, (&args.names, &args.push), &options)
        }
        ExportCommand::Qdrant(args) => {
            if args.push.append && args.first_id.is_none() {
                bail!(
                    "--append needs --first-id, a number above those of the points that are there: \
                     points of the same numbers are overwritten"
                );
            }
            let terms = TermsOf::open(&args.vectors)?;
            let (field, first) = (args.names.field.clone(), args.first_id.unwrap_or(0));
            let options = json!({"target": "qdrant", "field": field, "first_id": first});
            let target = || Qdrant::new(field.clone(), first);
            to_server(&args.vectors, &terms, target, (&args.names, &args.push), &options)
        }
        ExportCommand::Milvus(args) => {
            let field = free_field(&args.names.field, &["pk", "docid"])?;
            let terms = TermsOf::open(&args.vectors)?;
            let index = args.names.index.clone();
            let first = args.first_id;
            let options =
                json!({"target": "milvus", "index": index, "field": field, "first_id": first});
            let target = Milvus::new(index, field, first);
            export(&args.vectors, &terms, &Target::Text(Box::new(target)), &options)
        }
        ExportCommand::Vespa(args) => {
            let field = free_field(&args.names.field, &["docid"])?;
            let terms = TermsOf::open(&args.vectors)?;
            let index = args.names.index.clone();
            let options =
                json!({"target": "vespa", "index": index, "field": field, "scale": args.scale});
            let target = Vespa::new(index, field, args.scale);
            export(&args.vectors, &terms, &Target::Text(Box::new(target)), &options)
        }
        ExportCommand::Ciff(args) => {
            let terms = TermsOf::open(&args.vectors)?;
            let scale = match args.fit {
                Some(fit) => fit / largest_weight(&args.vectors.vectors, &terms)?,
                None => args.scale,
            };
            let queries = args.query_scale;
            let options = json!({"target": "ciff", "scale": scale, "query_scale": queries});
            let target = Ciff::new(terms.names()?, scale, queries);
            export(&args.vectors, &terms, &Target::Ciff(target), &options)
        }
        ExportCommand::Pgvector(args) => {
            let field = free_field(&args.names.field, &["id", "docid"])?;
            let terms = TermsOf::open(&args.vectors)?;
            let dimensions = terms.dimensions(args.dimensions)?;
            let index = args.names.index.clone();
            let first = args.first_id;
            let options = json!({
                "target": "pgvector", "index": index, "field": field, "first_id": first,
                "dimensions": dimensions,
            });
            let target = Pgvector::new(index, field, dimensions, first);
            let target = target.map_err(anyhow::Error::msg)?;
            export(&args.vectors, &terms, &Target::Text(Box::new(target)), &options)
        }
        ExportCommand::Seismic(args) => {
            let terms = TermsOf::open(args)?;
            let target = Seismic::new(terms.names()?);
            export(args, &terms, &Target::Text(Box::new(target)), &json!({"target": "seismic"}))
        }
        ExportCommand::Parquet(args) => {
            let terms = TermsOf::open(args)?;
            export(args, &terms, &Target::Parquet, &json!({"target": "parquet"}))
        }
        ExportCommand::Csr(args) => csr(args),
    }
}

/// The name of the field with the vectors, if it is none of the target's other fields.
fn free_field(field: &str, taken: &[&str]) -> Result<String> {
    match taken.contains(&field) {
        true => bail!("--field {field} is what another field is called there; name another"),
        false => Ok(field.to_owned()),
    }
}

/// Sends documents to a server, or writes its files.
fn to_server<T: Server + 'static>(
    args: &VectorsArgs,
    terms: &TermsOf,
    target: impl Fn() -> T,
    (names, push): (&IndexArgs, &PushArgs),
    options: &Value,
) -> Result<()> {
    let files = Target::Text(Box::new(target()));
    match &push.push {
        None => export(args, terms, &files, options),
        #[cfg(feature = "push")]
        Some(url) => push::run(args, terms, (&files, &target()), (url, names, push), options),
        #[cfg(not(feature = "push"))]
        Some(url) => bail!(
            "cannot send index {} to {url}: this program was built without the feature push",
            names.index
        ),
    }
}

/// The type of OpenSearch's field, and what the files depend on.
fn opensearch(args: &OpensearchArgs, terms: &TermsOf) -> Result<(OpenSearchField, Value)> {
    let kind = match args.kind {
        OpensearchType::RankFeatures if args.ceiling.or(args.query_ceiling).is_some() => {
            bail!("--ceiling and --query-ceiling are for --type sparse-vector")
        }
        OpensearchType::RankFeatures => OpenSearchField::RankFeatures,
        OpensearchType::SparseVector => OpenSearchField::Seismic {
            documents: match args.ceiling {
                Some(ceiling) => ceiling,
                None => largest_weight(&args.vectors.vectors, terms)?,
            },
            queries: args.query_ceiling.unwrap_or(QUERY_CEILING),
        },
    };
    if let Some(note) = terms.size().and_then(|size| kind.note(size)) {
        say(&format!("note: {note}"));
    }
    let mut options = json!({"target": "opensearch", "field": args.names.field});
    if let OpenSearchField::Seismic { documents, queries } = kind {
        options["ceilings"] = json!([documents, queries]);
    }
    Ok((kind, options))
}

fn csr(args: &CsrArgs) -> Result<()> {
    let terms = TermsOf::open(&args.vectors)?;
    let columns = terms.dimensions(args.dimensions)?;
    let (form, name) = match args.format {
        MatrixFormat::Npz => (CsrForm::Npz, "npz"),
        MatrixFormat::Safetensors => (CsrForm::Safetensors, "safetensors"),
    };
    let options = json!({"target": "csr", "format": name, "columns": columns});
    export(&args.vectors, &terms, &Target::Csr(Csr::new(form, columns)), &options)
}

/// Writes documents, setup and queries of a target.
fn export(args: &VectorsArgs, terms: &TermsOf, target: &Target, options: &Value) -> Result<()> {
    check_inputs(args, terms)?;
    let form = target.form();
    let form = args.shard_rows.map_or(form, |rows| form.with_rows(rows));
    let create = Box::new(|path: &Path, first| target.documents(path, first));
    let settings = settings(args, options);
    let mut writer = ShardedWriter::open(&args.out, settings, args.resume, form, create)?;
    if writer.manifest().complete {
        target.clean(&args.out, &writer.manifest().shards)?;
        say("everything is there already");
        return Ok(());
    }
    let queries = queries::write(args, terms, target)?;
    let mut documents = Documents::open(args, terms, done(&writer.manifest().shards));
    let ended = documents.each(|_, id, vector| {
        target.check_room(&args.out, &writer.manifest().shards)?;
        Ok(writer.write(id, vector)?)
    })?;
    if ended == Ended::Stopped {
        let rows = writer.pause()?.rows;
        return Err(Interrupted(format!("{rows} documents are kept; go on with --resume")).into());
    }
    writer.end_shard()?;
    if let Some(document) = documents.example().filter(|_| args.queries.is_empty()) {
        queries::write_example(args, target, document)?;
    }
    let shards = writer.manifest().shards.clone();
    target.complete(&args.out, &shards)?;
    Box::new(writer).finish()?;
    target.clean(&args.out, &shards)?;
    queries::say_effect(&target.quantisation(), &queries, &documents);
    Ok(())
}

/// What the files depend on: compared when a run is resumed.
fn settings(args: &VectorsArgs, options: &Value) -> Value {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let mut settings = json!({
        "vectors": args.vectors.iter().map(path).collect::<Vec<_>>(),
        "queries": args.queries.iter().map(path).collect::<Vec<_>>(),
        "model": args.model.as_ref().map(path),
        "tokens": args.tokens.as_ref().map(path),
        "terms": args.terms.to_string(),
    });
    for (key, value) in options.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    settings
}

/// The number of rows at the end of each file, and the id of its last row.
fn done(shards: &[Shard]) -> Vec<(u64, String)> {
    let rows = shards.iter().scan(0, |rows, shard| {
        *rows += shard.rows;
        Some((*rows, shard.last_id.clone()))
    });
    rows.collect()
}
