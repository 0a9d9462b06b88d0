//! Makes the target of an export from its settings.

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
use splade_io::{Event, Observer};

use super::documents::largest_weight;
use super::options::{CiffScale, ExportOptions, ExportTarget, OpenSearchType, PushTarget};
use super::terms::TermsOf;
use crate::error::{Error, advised};

/// The largest weight of queries that OpenSearch's Seismic tells apart, unless another is given.
const QUERY_CEILING: f32 = 16.0;

/// A target that is ready, and the settings of it that the files depend on.
pub(super) struct Chosen {
    /// The target as files.
    pub(super) target: Target,
    /// The same target as a server, where it has one.
    #[cfg_attr(not(feature = "push"), expect(dead_code, reason = "there is no server to send to"))]
    pub(super) server: Option<Box<dyn Server>>,
    pub(super) settings: Value,
}

impl Chosen {
    fn text(target: impl splade_export::TextTarget + 'static, settings: Value) -> Self {
        Self { target: Target::Text(Box::new(target)), server: None, settings }
    }

    /// A target that takes documents over HTTP as well.
    fn server<T: Server + 'static>(target: impl Fn() -> T, settings: Value) -> Self {
        let server: Box<dyn Server> = Box::new(target());
        Self { server: Some(server), ..Self::text(target(), settings) }
    }
}

impl ExportTarget {
    /// Checks what can be checked before any file is opened.
    pub(super) fn check(&self, push: Option<&PushTarget>) -> Result<(), Error> {
        match self {
            Self::Qdrant { first_id: None, .. } if push.is_some_and(|push| push.append) => {
                Err(advised(
                    "--append needs --first-id, because points of the same numbers are overwritten",
                    "give a number above those of the points that are there",
                ))
            }
            Self::Elasticsearch { .. } | Self::OpenSearch { .. } | Self::Qdrant { .. } => Ok(()),
            _ if push.is_some() => Err(advised(
                "documents can be sent to Elasticsearch, OpenSearch and Qdrant only",
                "leave out the server, and load the files as the target's documentation says",
            )),
            Self::Milvus { field, .. } if ["pk", "docid"].contains(&field.as_str()) => {
                Err(field_taken(field))
            }
            Self::Vespa { field, .. } if field == "docid" => Err(field_taken(field)),
            Self::Pgvector { field, .. } if ["id", "docid"].contains(&field.as_str()) => {
                Err(field_taken(field))
            }
            _ => Ok(()),
        }
    }

    /// Makes the target with the names of terms.
    pub(super) fn choose(
        &self,
        options: &ExportOptions,
        terms: &TermsOf,
        observer: &mut dyn Observer,
    ) -> Result<Chosen, Error> {
        Ok(match self {
            Self::Lucene { scale } => Chosen::text(
                Lucene::new(terms.names(observer)?, *scale),
                json!({"target": "lucene", "scale": scale}),
            ),
            Self::Elasticsearch { field, kind } => {
                let name = match kind {
                    ElasticsearchField::SparseVector => "sparse",
                    ElasticsearchField::RankFeatures => "features",
                };
                let names = terms.names(observer)?;
                let settings = json!({"target": "elasticsearch", "type": name, "field": field});
                Chosen::server(|| Elasticsearch::new(names.clone(), field.clone(), *kind), settings)
            }
            Self::OpenSearch { field, kind } => {
                let (kind, settings) = opensearch(*kind, field, options, terms, observer)?;
                let names = terms.names(observer)?;
                Chosen::server(|| OpenSearch::new(names.clone(), field.clone(), kind), settings)
            }
            Self::Qdrant { field, first_id } => {
                let first = first_id.unwrap_or(0);
                let settings = json!({"target": "qdrant", "field": field, "first_id": first});
                Chosen::server(|| Qdrant::new(field.clone(), first), settings)
            }
            Self::Milvus { collection, field, first_id } => Chosen::text(
                Milvus::new(collection.clone(), field.clone(), *first_id),
                json!({
                    "target": "milvus", "index": collection, "field": field, "first_id": first_id,
                }),
            ),
            Self::Vespa { schema, field, scale } => Chosen::text(
                Vespa::new(schema.clone(), field.clone(), *scale),
                json!({"target": "vespa", "index": schema, "field": field, "scale": scale}),
            ),
            Self::Ciff { scale, query_scale } => {
                let scale = match scale {
                    CiffScale::By(scale) => *scale,
                    CiffScale::Fit(fit) => fit / largest_weight(&options.vectors, terms, observer)?,
                };
                let settings =
                    json!({"target": "ciff", "scale": scale, "query_scale": query_scale});
                let target = Target::Ciff(Ciff::new(terms.names(observer)?, scale, *query_scale));
                Chosen { target, server: None, settings }
            }
            Self::Pgvector { table, field, first_id, dimensions } => {
                let dimensions = terms.dimensions(*dimensions)?;
                let settings = json!({
                    "target": "pgvector", "index": table, "field": field, "first_id": first_id,
                    "dimensions": dimensions,
                });
                let target = Pgvector::new(table.clone(), field.clone(), dimensions, *first_id);
                Chosen::text(target.map_err(Error::Invalid)?, settings)
            }
            Self::Seismic => {
                Chosen::text(Seismic::new(terms.names(observer)?), json!({"target": "seismic"}))
            }
            Self::Parquet => {
                let settings = json!({"target": "parquet"});
                Chosen { target: Target::Parquet, server: None, settings }
            }
            Self::Csr { form, dimensions } => {
                let columns = terms.dimensions(*dimensions)?;
                let name = match form {
                    CsrForm::Npz => "npz",
                    CsrForm::Safetensors => "safetensors",
                };
                let settings = json!({"target": "csr", "format": name, "columns": columns});
                let target = Target::Csr(Csr::new(*form, columns));
                Chosen { target, server: None, settings }
            }
        })
    }
}

/// The type of OpenSearch's field, and what the files depend on.
fn opensearch(
    kind: OpenSearchType,
    field: &str,
    options: &ExportOptions,
    terms: &TermsOf,
    observer: &mut dyn Observer,
) -> Result<(OpenSearchField, Value), Error> {
    let kind = match kind {
        OpenSearchType::RankFeatures => OpenSearchField::RankFeatures,
        OpenSearchType::SparseVector { ceiling, query_ceiling } => OpenSearchField::Seismic {
            documents: match ceiling {
                Some(ceiling) => ceiling,
                None => largest_weight(&options.vectors, terms, observer)?,
            },
            queries: query_ceiling.unwrap_or(QUERY_CEILING),
        },
    };
    if let Some(note) = terms.size().and_then(|size| kind.note(size)) {
        observer.event(Event::Note(&format!("note: {note}")));
    }
    let mut settings = json!({"target": "opensearch", "field": field});
    if let OpenSearchField::Seismic { documents, queries } = kind {
        settings["ceilings"] = json!([documents, queries]);
    }
    Ok((kind, settings))
}

/// The error of a field whose name the target needs for another.
fn field_taken(field: &str) -> Error {
    advised(format!("--field {field} is the name of another field there"), "name another")
}
