//! Vectors in files: encoded into them, and exported from them for search engines.

use std::path::PathBuf;

use light_splade::Error;
use light_splade::encode::{
    EncodeOptions, Pruning, TermKeys, VectorForm, encode_files as front_encode_files,
};
use light_splade::input::{Position, TextOptions, Texts};
use light_splade::search_engines::{
    CiffScale, CsrForm, ElasticsearchField, ExportOptions, ExportTarget, OpenSearchType,
    PushTarget, export_documents,
};
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use serde::Deserialize;

use crate::encoder::{Encoder, side};
use crate::errors;
use crate::observer::observed;
use crate::records::PyRecords;
use crate::settings::{self, choice};

/// Settings of [`encode_files`]; those that are not given are the front door's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodeSettings {
    output: PathBuf,
    side: String,
    form: Option<String>,
    #[serde(default)]
    resume: bool,
    #[serde(default)]
    force: bool,
    shard_rows: Option<u64>,
    keys: Option<String>,
    decimals: Option<u8>,
    top_k: Option<usize>,
    threshold: Option<f32>,
    text_field: Option<String>,
    id_field: Option<String>,
}

/// Where texts come from.
#[derive(FromPyObject)]
pub(crate) enum TextSource {
    /// An iterator over pairs of an id and a text.
    Iterator(Py<PyIterator>),
    /// Files and folders.
    Paths(Vec<PathBuf>),
}

/// Encodes texts into a file or a folder of shards; returns how many were written and how many were there already.
#[pyfunction]
#[pyo3(signature = (encoder, texts, settings, reporter = None))]
pub(crate) fn encode_files(
    py: Python<'_>,
    encoder: PyRef<'_, Encoder>,
    texts: TextSource,
    settings: &str,
    reporter: Option<Py<PyAny>>,
) -> PyResult<(u64, u64)> {
    let settings: EncodeSettings = settings::read(py, settings)?;
    let forms = [("parquet", VectorForm::Parquet), ("ndjson", VectorForm::Ndjson)];
    let form = settings.form.as_deref().map(|name| choice(py, "form", name, &forms));
    let keys = settings.keys.as_deref().map(|name| choice(py, "keys", name, &KEYS));
    let default = EncodeOptions::default();
    let mut options = EncodeOptions {
        side: side(py, &settings.side)?,
        output: settings.output,
        form: form.transpose()?,
        resume: settings.resume,
        force: settings.force,
        shard_rows: settings.shard_rows.unwrap_or(default.shard_rows),
        keys: keys.transpose()?.unwrap_or_default(),
        decimals: settings.decimals.unwrap_or(default.decimals),
        pruning: Pruning {
            top_k: settings.top_k,
            threshold: settings.threshold,
            ..Pruning::default()
        },
        texts: TextOptions {
            text_field: settings.text_field,
            id_field: settings.id_field,
            ..TextOptions::default()
        },
        ..EncodeOptions::default()
    };
    if options.shard_rows == 0 {
        return Err(errors::invalid(py, "shard_rows is 0", None));
    }
    let encoder: &Encoder = &encoder;
    let encoded = observed(py, reporter, |observer| {
        options.check()?;
        let encoder = encoder.get()?;
        match texts {
            TextSource::Paths(paths) => {
                let texts = Texts::open(&paths, options.texts.clone())?;
                let position = texts.position();
                options.inputs = paths;
                front_encode_files(&encoder, texts, position, &options, observer)
            }
            TextSource::Iterator(iterator) => {
                let (records, raised) = PyRecords::new(iterator);
                // An iterator that raises must not look like one that ends: the files would be complete.
                let records = records.map(Some).chain(std::iter::once_with(|| None));
                let records = records.map_while(|record| match record {
                    Some(record) => Some(record),
                    None if raised.has() => {
                        Some(Err(Error::Stopped { kept: "the files are not complete".to_owned() }))
                    }
                    None => None,
                });
                let encoded =
                    front_encode_files(&encoder, records, Position::default(), &options, observer);
                if let Some(error) = raised.take() {
                    observer.raise(error);
                }
                encoded
            }
        }
    })?;
    Ok((encoded.written, encoded.kept))
}

const KEYS: [(&str, TermKeys); 2] = [("tokens", TermKeys::Tokens), ("ids", TermKeys::Ids)];

/// Settings of [`export`]; those that are not given are the front door's. Which of them a target has, the Python
/// function says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportSettings {
    vectors: Vec<PathBuf>,
    #[serde(default)]
    queries: Vec<PathBuf>,
    out: Option<PathBuf>,
    model: Option<PathBuf>,
    tokens: Option<PathBuf>,
    terms: Option<String>,
    #[serde(default)]
    resume: bool,
    #[serde(default)]
    force: bool,
    shard_rows: Option<u64>,
    #[serde(default)]
    any_model: bool,
    target: Target,
    push: Option<Push>,
}

/// A target with its own settings.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
enum Target {
    Lucene {
        scale: Option<f32>,
    },
    Elasticsearch {
        field: Option<String>,
        kind: Option<String>,
    },
    Opensearch {
        field: Option<String>,
        kind: Option<String>,
        ceiling: Option<f32>,
        query_ceiling: Option<f32>,
    },
    Qdrant {
        field: Option<String>,
        first_id: Option<u64>,
    },
    Milvus {
        field: Option<String>,
        collection: Option<String>,
        first_id: Option<u64>,
    },
    Vespa {
        field: Option<String>,
        schema: Option<String>,
        scale: Option<f32>,
    },
    Ciff {
        scale: Option<f32>,
        fit: Option<f32>,
        query_scale: Option<f32>,
    },
    Pgvector {
        field: Option<String>,
        table: Option<String>,
        first_id: Option<u64>,
        dimensions: Option<usize>,
    },
    Seismic {},
    Parquet {},
    Csr {
        form: Option<String>,
        dimensions: Option<usize>,
    },
}

/// A server that receives documents.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    url: String,
    index: Option<String>,
    api_key: Option<String>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    append: bool,
}

/// The factor of integer weights that Anserini and its successors use.
const SCALE: f32 = 100.0;

fn or_splade(name: Option<String>) -> String {
    name.unwrap_or_else(|| "splade".to_owned())
}

impl Target {
    fn front(self, py: Python<'_>) -> PyResult<ExportTarget> {
        let elasticsearch = [
            ("sparse_vector", ElasticsearchField::SparseVector),
            ("rank_features", ElasticsearchField::RankFeatures),
        ];
        let forms = [("npz", CsrForm::Npz), ("safetensors", CsrForm::Safetensors)];
        Ok(match self {
            Self::Lucene { scale } => ExportTarget::Lucene { scale: scale.unwrap_or(SCALE) },
            Self::Elasticsearch { field, kind } => ExportTarget::Elasticsearch {
                field: or_splade(field),
                kind: choice(
                    py,
                    "kind",
                    kind.as_deref().unwrap_or("sparse_vector"),
                    &elasticsearch,
                )?,
            },
            Self::Opensearch { field, kind, ceiling, query_ceiling } => {
                let seismic = OpenSearchType::SparseVector { ceiling, query_ceiling };
                let kinds =
                    [("rank_features", OpenSearchType::RankFeatures), ("sparse_vector", seismic)];
                let kind = choice(py, "kind", kind.as_deref().unwrap_or("rank_features"), &kinds)?;
                if kind == OpenSearchType::RankFeatures
                    && (ceiling.is_some() || query_ceiling.is_some())
                {
                    let message = "rank_features have no ceiling";
                    return Err(errors::invalid(py, message, Some("give kind=\"sparse_vector\"")));
                }
                ExportTarget::OpenSearch { field: or_splade(field), kind }
            }
            Self::Qdrant { field, first_id } => {
                ExportTarget::Qdrant { field: or_splade(field), first_id }
            }
            Self::Milvus { field, collection, first_id } => ExportTarget::Milvus {
                collection: or_splade(collection),
                field: or_splade(field),
                first_id: first_id.unwrap_or(0),
            },
            Self::Vespa { field, schema, scale } => ExportTarget::Vespa {
                schema: schema.unwrap_or_else(|| "doc".to_owned()),
                field: or_splade(field),
                scale: scale.unwrap_or(SCALE),
            },
            Self::Ciff { scale: Some(_), fit: Some(_), .. } => {
                return Err(errors::invalid(py, "scale and fit are both given", Some("give one")));
            }
            Self::Ciff { scale, fit, query_scale } => ExportTarget::Ciff {
                scale: fit.map_or(CiffScale::By(scale.unwrap_or(SCALE)), CiffScale::Fit),
                query_scale: query_scale.unwrap_or(SCALE),
            },
            Self::Pgvector { field, table, first_id, dimensions } => ExportTarget::Pgvector {
                table: table.unwrap_or_else(|| "documents".to_owned()),
                field: or_splade(field),
                first_id: first_id.unwrap_or(0),
                dimensions,
            },
            Self::Seismic {} => ExportTarget::Seismic,
            Self::Parquet {} => ExportTarget::Parquet,
            Self::Csr { form, dimensions } => ExportTarget::Csr {
                form: choice(py, "form", form.as_deref().unwrap_or("npz"), &forms)?,
                dimensions,
            },
        })
    }
}

/// Writes vectors for a search engine, or sends them there; returns the number of documents and whether an earlier
/// run had written all of them.
#[pyfunction]
#[pyo3(signature = (settings, reporter = None))]
pub(crate) fn export(
    py: Python<'_>,
    settings: &str,
    reporter: Option<Py<PyAny>>,
) -> PyResult<(u64, bool)> {
    let settings: ExportSettings = settings::read(py, settings)?;
    let keys = settings.terms.as_deref().map(|name| choice(py, "terms", name, &KEYS));
    let default = PushTarget::default();
    let push = settings.push.map(|push| PushTarget {
        url: push.url,
        index: push.index.unwrap_or_else(|| default.index.clone()),
        api_key: push.api_key,
        ca_file: push.ca_file,
        append: push.append,
        ..default.clone()
    });
    let options = ExportOptions {
        vectors: settings.vectors,
        queries: settings.queries,
        out: settings.out.unwrap_or_default(),
        target: settings.target.front(py)?,
        model: settings.model,
        tokens: settings.tokens,
        terms: keys.transpose()?.unwrap_or_default(),
        resume: settings.resume,
        force: settings.force,
        shard_rows: settings.shard_rows,
        any_model: settings.any_model,
        push,
        ..ExportOptions::default()
    };
    let exported = observed(py, reporter, |observer| export_documents(&options, observer))?;
    Ok((exported.documents, exported.was_complete))
}
