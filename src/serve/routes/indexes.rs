//! Indexes: statistics and changes.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use splade_index::bm25::Bm25Options;
use splade_index::{IndexInfo, IndexWriter, WeightFormat};
use utoipa::ToSchema;

use crate::index::IndexOptions;
use crate::pruning::Pruning;
use crate::record::Record;
use crate::serve::blocking::blocking;
use crate::serve::body::{Json, Name, Object};
use crate::serve::error::{ApiError, ErrorBody};
use crate::serve::hosted::{Change, Document, Hosted};
use crate::serve::model::Model;
use crate::serve::routes::vector_input::VectorInput;
use crate::serve::state::App;

/// An index.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IndexStats {
    name: String,
    /// The documents that searches can return.
    documents: u64,
    /// The documents that were deleted or replaced but take space until a merge.
    deleted: u64,
    postings: u64,
    bytes: u64,
    /// How weights are kept: `u8`, `f16` or `f32`.
    weights: String,
    /// Whether titles and texts are kept, for replies and for re-ranking.
    store: bool,
    /// Whether BM25 is there, for the modes `bm25` and `hybrid`.
    bm25: bool,
    /// The number of commits.
    generation: u64,
    segments: usize,
}

impl IndexStats {
    fn new(name: &str, info: &IndexInfo) -> Self {
        Self {
            name: name.to_owned(),
            documents: info.documents,
            deleted: info.deleted,
            postings: info.postings,
            bytes: info.all_bytes(),
            store: info.stored_bytes.is_some(),
            bm25: info.bm25.is_some(),
            weights: format!("{:?}", info.weights).to_lowercase(),
            generation: info.generation,
            segments: info.segments,
        }
    }
}

/// All indexes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IndexList {
    indexes: Vec<IndexStats>,
}

/// Lists the indexes.
#[utoipa::path(
    get,
    path = "/v1/indexes",
    tag = "Indexes",
    responses((status = 200, description = "All indexes", body = IndexList))
)]
pub(crate) async fn list(State(app): State<App>) -> Reply<IndexList> {
    let stats =
        |index: &Arc<Hosted>| IndexStats::new(index.name(), &index.searcher().index().info());
    Reply(IndexList { indexes: app.indexes.all().iter().map(stats).collect() })
}

/// Tells what is in an index.
#[utoipa::path(
    get,
    path = "/v1/indexes/{name}",
    tag = "Indexes",
    params(("name" = String, Path, description = "The name of the index")),
    responses(
        (status = 200, description = "The index", body = IndexStats),
        (status = 404, description = "There is no such index", body = ErrorBody),
    )
)]
pub(crate) async fn stats(
    State(app): State<App>,
    Name(name): Name,
) -> Result<Reply<IndexStats>, ApiError> {
    let index = app.indexes.find(&name)?;
    Ok(Reply(IndexStats::new(&name, &index.searcher().index().info())))
}
/// The settings of a new index.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CreateRequest {
    /// How weights are kept: `u8`, `f16` or `f32`. The default is `u8`.
    weights: Option<String>,
    /// Keeps titles and texts, for replies, for re-ranking and for BM25. The default is true.
    store: Option<bool>,
    /// Ranks by BM25, too. The default is true, unless `store` is false.
    bm25: Option<bool>,
    /// Keeps the terms with the largest weights of a document only, at most so many.
    top_k: Option<usize>,
    /// Keeps the terms with at least this weight only.
    threshold: Option<f32>,
}

/// Creates an empty index in the folder of `--index-root`.
#[utoipa::path(
    put,
    path = "/v1/indexes/{name}",
    tag = "Indexes",
    params(("name" = String, Path, description = "The name of the new index")),
    request_body = CreateRequest,
    responses(
        (status = 201, description = "The index", body = IndexStats),
        (status = 403, description = "The key may not write", body = ErrorBody),
        (status = 409, description = "There is an index of this name", body = ErrorBody),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 507, description = "There is no room on the disk", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Name(name): Name,
    Json(request): Json<CreateRequest>,
) -> Result<(StatusCode, Reply<IndexStats>), ApiError> {
    let weights = match request.weights.as_deref() {
        None | Some("u8") => WeightFormat::U8,
        Some("f16") => WeightFormat::F16,
        Some("f32") => WeightFormat::F32,
        Some(other) => {
            return Err(ApiError::validation(format!(
                "`weights` is {other:?}; it must be \"u8\", \"f16\" or \"f32\""
            )));
        }
    };
    let store = request.store.unwrap_or(true);
    let bm25 = request.bm25.unwrap_or(store);
    if bm25 && !store {
        return Err(ApiError::validation("BM25 needs the texts: leave out `store`"));
    }
    let options = IndexOptions {
        weights,
        pruning: Pruning {
            top_k: request.top_k,
            threshold: request.threshold,
            ..Pruning::default()
        },
        store,
        bm25: bm25.then(Bm25Options::default),
        ..IndexOptions::default()
    };
    let model = app.model()?;
    blocking(move || {
        let index = app.indexes.create(&name, &model, &options)?;
        let info = index.searcher().index().info();
        Ok((StatusCode::CREATED, Reply(IndexStats::new(&name, &info))))
    })
    .await?
}

/// Removes an index of the folder of `--index-root` with all its documents.
#[utoipa::path(
    delete,
    path = "/v1/indexes/{name}",
    tag = "Indexes",
    params(("name" = String, Path, description = "The name of the index")),
    responses(
        (status = 204, description = "The index is gone"),
        (status = 403, description = "The key may not write, or the index is elsewhere", body = ErrorBody),
        (status = 404, description = "There is no such index", body = ErrorBody),
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Name(name): Name,
) -> Result<StatusCode, ApiError> {
    blocking(move || app.indexes.drop(&name).map(|()| StatusCode::NO_CONTENT)).await?
}

/// Documents to add, or to replace where their ids are there.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PutRequest {
    #[schema(min_items = 1, value_type = Vec<DocumentInput>)]
    documents: Vec<Object<DocumentInput>>,
}

/// A document.
#[derive(Debug, Deserialize, ToSchema)]
struct DocumentInput {
    #[schema(example = "1", min_length = 1)]
    id: String,
    /// The text, which the model encodes.
    #[serde(default)]
    #[schema(example = "東京は日本の首都です。")]
    text: Option<String>,
    /// A title, which is put before the text.
    #[serde(default)]
    title: Option<String>,
    /// The vector, in place of a text.
    #[serde(default)]
    vector: Option<VectorInput>,
}

impl DocumentInput {
    fn document(self, model: &Model) -> Result<Document, ApiError> {
        let id = self.id;
        if id.is_empty() {
            return Err(ApiError::empty("id"));
        }
        if id.len() > IndexWriter::LONGEST_ID {
            let (length, longest) = (id.len(), IndexWriter::LONGEST_ID);
            return Err(ApiError::validation(format!(
                "an id has {length} bytes; at most {longest} fit"
            )));
        }
        match (self.text, self.vector) {
            (Some(text), None) => {
                Ok(Document::Text(Record::titled(id, &self.title.unwrap_or_default(), text)))
            }
            (None, Some(vector)) => Ok(Document::Vector(id, vector.vector(model)?)),
            _ => Err(ApiError::validation(format!(
                "the document {id:?} must have either `text` or `vector`"
            ))),
        }
    }
}

/// What a change did. It is committed: searches see it, and it is on the disk.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeReply {
    /// The number of documents that were added, replaced or deleted.
    changed: usize,
    index: IndexStats,
}

async fn change(
    app: &App,
    name: &str,
    model: &Arc<Model>,
    change: Change,
) -> Result<Reply<ChangeReply>, ApiError> {
    let changed = app.indexes.find(name)?.change(model, change).await?;
    let index = IndexStats::new(name, &changed.info);
    Ok(Reply(ChangeReply { changed: changed.documents, index }))
}

/// Adds documents, and replaces those whose ids are there. The reply comes when the change is
/// committed.
#[utoipa::path(
    method(put, post),
    path = "/v1/indexes/{name}/documents",
    tag = "Indexes",
    params(("name" = String, Path, description = "The name of the index")),
    request_body = PutRequest,
    responses(
        (status = 200, description = "The change is committed", body = ChangeReply),
        (status = 403, description = "The key may not write", body = ErrorBody),
        (status = 404, description = "There is no such index", body = ErrorBody),
        (status = 422, description = "The request is not valid; nothing is changed", body = ErrorBody),
        (status = 429, description = "Too many changes are waiting", body = ErrorBody),
        (status = 507, description = "There is no room on the disk; nothing is changed", body = ErrorBody),
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    Name(name): Name,
    Json(request): Json<PutRequest>,
) -> Result<Reply<ChangeReply>, ApiError> {
    if request.documents.is_empty() {
        return Err(ApiError::empty("documents"));
    }
    let model = app.model()?;
    let documents = request.documents.into_iter().map(|Object(document)| document.document(&model));
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
    change(&app, &name, &model, Change::Put(documents)).await
}

/// The ids of documents.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct DeleteRequest {
    #[schema(example = json!(["1"]), min_items = 1)]
    ids: Vec<String>,
}

/// Deletes documents. Ids that are not there are no error. The reply comes when the change is
/// committed.
#[utoipa::path(
    delete,
    path = "/v1/indexes/{name}/documents",
    tag = "Indexes",
    params(("name" = String, Path, description = "The name of the index")),
    request_body = DeleteRequest,
    responses(
        (status = 200, description = "The change is committed", body = ChangeReply),
        (status = 403, description = "The key may not write", body = ErrorBody),
        (status = 404, description = "There is no such index", body = ErrorBody),
        (status = 429, description = "Too many changes are waiting", body = ErrorBody),
        (status = 507, description = "There is no room on the disk; nothing is changed", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Name(name): Name,
    Json(request): Json<DeleteRequest>,
) -> Result<Reply<ChangeReply>, ApiError> {
    if request.ids.is_empty() {
        return Err(ApiError::empty("ids"));
    }
    let model = app.model()?;
    change(&app, &name, &model, Change::Delete(request.ids)).await
}

/// Rewrites an index without its deleted documents, in as few files as possible.
#[utoipa::path(
    post,
    path = "/v1/indexes/{name}/merge",
    tag = "Indexes",
    params(("name" = String, Path, description = "The name of the index")),
    responses(
        (status = 200, description = "The index is merged", body = ChangeReply),
        (status = 403, description = "The key may not write", body = ErrorBody),
        (status = 404, description = "There is no such index", body = ErrorBody),
        (status = 507, description = "There is no room on the disk; nothing is changed", body = ErrorBody),
    )
)]
pub(crate) async fn merge(
    State(app): State<App>,
    Name(name): Name,
) -> Result<Reply<ChangeReply>, ApiError> {
    let model = app.model()?;
    change(&app, &name, &model, Change::Merge).await
}
