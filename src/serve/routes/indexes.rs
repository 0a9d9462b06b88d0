//! Indexes: search, statistics and changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use splade_index::{IndexInfo, LONGEST_ID, SearchOptions, WeightFormat};
use splade_model::Side;
use splade_sparse::{SparseVector, TermId};
use utoipa::ToSchema;

use crate::pruning::Pruning;
use crate::serve::body::{Json, Name, Object};
use crate::serve::encode::{self, How, InputText};
use crate::serve::error::{ApiError, ErrorBody, ErrorType};
use crate::serve::hosted::{Change, Content, Document, Hosted};
use crate::serve::model::Model;
use crate::serve::state::App;

/// The largest number of hits of a search.
const MOST_HITS: usize = 10_000;

/// A vector of a client: ids of terms with their weights, or tokens with their weights.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
enum VectorInput {
    /// Ids in any order, and as many weights.
    Indices(Object<IndicesInput>),
    /// Tokens of the model's vocabulary.
    #[schema(value_type = Object)]
    Tokens(BTreeMap<String, f32>),
}

/// Ids of terms, and as many weights.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct IndicesInput {
    indices: Vec<u32>,
    /// Above zero.
    values: Vec<f32>,
}

impl VectorInput {
    fn vector(self, model: &Model) -> Result<SparseVector, ApiError> {
        let pairs: Vec<(TermId, f32)> = match self {
            Self::Indices(Object(IndicesInput { indices, values })) => {
                if indices.len() != values.len() {
                    return Err(ApiError::validation(format!(
                        "a vector has {} indices but {} values",
                        indices.len(),
                        values.len()
                    )));
                }
                let vocab = model.encoder.vocab();
                if let Some(term) = indices.iter().find(|term| **term as usize >= vocab) {
                    return Err(ApiError::validation(format!(
                        "a vector has the term {term}, but the vocabulary has {vocab} terms"
                    )));
                }
                indices.into_iter().map(TermId).zip(values).collect()
            }
            Self::Tokens(tokens) => {
                let tokenizer = model.tower(Side::Document).tokenizer();
                let pair = |(token, weight): (String, f32)| match tokenizer.id(&token) {
                    Some(id) => Ok((TermId(id), weight)),
                    None => Err(ApiError::validation(format!("the model has no token {token:?}"))),
                };
                tokens.into_iter().map(pair).collect::<Result<_, _>>()?
            }
        };
        SparseVector::from_pairs(pairs).map_err(|error| ApiError::validation(error.to_string()))
    }
}

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
            bytes: info.bytes,
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

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SearchRequest {
    /// The query as a text, which the model encodes.
    #[serde(default)]
    #[schema(example = "首都")]
    text: Option<String>,
    /// The query as a vector. With a text, the weights of both are added.
    #[serde(default)]
    vector: Option<VectorInput>,
    /// The number of hits.
    #[serde(default = "ten")]
    #[schema(minimum = 1, maximum = 10_000)]
    k: usize,
    /// The smallest score of a hit.
    #[serde(default)]
    threshold: Option<f32>,
    /// Which documents may be hits; all by default.
    #[serde(default)]
    #[schema(value_type = Option<FilterInput>)]
    filter: Option<Object<FilterInput>>,
    /// Adds to each hit what each term gave to its score.
    #[serde(default)]
    explain: bool,
}

fn ten() -> usize {
    10
}

/// Which documents may be hits.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct FilterInput {
    /// The ids of the documents.
    ids: Vec<String>,
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchReply {
    /// The best documents first.
    hits: Vec<HitReply>,
    /// The time of the search in milliseconds, without that of encoding the query.
    milliseconds: f64,
}

/// A document that was found.
#[derive(Debug, Serialize, ToSchema)]
struct HitReply {
    id: String,
    score: f32,
    /// The index of the document, if several were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    /// What each term gave to the score, the largest share first.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<ShareReply>>,
}

/// What a term gave to a score: the product of two weights.
#[derive(Debug, Serialize, ToSchema)]
struct ShareReply {
    index: u32,
    token: String,
    query_weight: f32,
    document_weight: f32,
    score: f32,
}

/// Searches an index, or several whose names are separated by commas.
#[utoipa::path(
    post,
    path = "/v1/indexes/{name}/search",
    tag = "Indexes",
    params(("name" = String, Path, description = "The name of the index, or several: a,b")),
    request_body = SearchRequest,
    responses(
        (status = 200, description = "The best documents", body = SearchReply),
        (status = 404, description = "There is no such index", body = ErrorBody),
        (status = 422, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many requests are waiting", body = ErrorBody),
    )
)]
pub(crate) async fn search(
    State(app): State<App>,
    Name(names): Name,
    Json(request): Json<SearchRequest>,
) -> Result<Reply<SearchReply>, ApiError> {
    if request.k == 0 || request.k > MOST_HITS {
        return Err(ApiError::validation(format!("`k` must be from 1 to {MOST_HITS}")));
    }
    let model = app.model()?;
    let indexes = names.split(',').map(|name| app.indexes.find(name));
    let indexes = indexes.collect::<Result<Vec<_>, _>>()?;
    let query = query(&app, &model, request.text, request.vector).await?;
    let permit = Arc::clone(&app.texts).try_acquire_owned().map_err(|_| ApiError::overloaded())?;
    let (k, threshold, filter) = (request.k, request.threshold, request.filter);
    let work = move || {
        let _permit = permit;
        let start = Instant::now();
        let several = indexes.len() > 1;
        let mut hits: Vec<HitReply> = Vec::new();
        for index in &indexes {
            let begun = Instant::now();
            let searcher = index.searcher();
            let filter = filter
                .as_ref()
                .map(|Object(filter)| searcher.filter(filter.ids.iter().map(String::as_str)).0);
            let options = SearchOptions { k, threshold, filter, ..SearchOptions::default() };
            let found = searcher.search_vector(&query, &options);
            let seconds = begun.elapsed().as_secs_f64();
            app.metrics.search_duration.with_label_values(&[index.name()]).observe(seconds);
            hits.extend(found.into_iter().map(|hit| HitReply {
                index: several.then(|| index.name().to_owned()),
                explanation: request.explain.then(|| {
                    let shares = searcher.index().explain(&query, &hit.id).unwrap_or_default();
                    shares.iter().map(|share| share_of(&model, share)).collect()
                }),
                id: hit.id,
                score: hit.score,
            }));
        }
        if several {
            hits.sort_by(|a, b| b.score.total_cmp(&a.score));
            hits.truncate(k);
        }
        SearchReply { hits, milliseconds: start.elapsed().as_secs_f64() * 1e3 }
    };
    let lost = |_| ApiError::new(ErrorType::Backend, "the search was lost");
    Ok(Reply(tokio::task::spawn_blocking(work).await.map_err(lost)?))
}

fn share_of(model: &Model, share: &splade_index::Share) -> ShareReply {
    ShareReply {
        index: share.term.0,
        token: model.encoder.token(share.term),
        query_weight: share.query_weight,
        document_weight: share.document_weight,
        score: share.score,
    }
}

/// The vector of a query: that of its text, the one that was sent, or the sum of both.
async fn query(
    app: &App,
    model: &Arc<Model>,
    text: Option<String>,
    vector: Option<VectorInput>,
) -> Result<SparseVector, ApiError> {
    let sent = vector.map(|vector| vector.vector(model)).transpose()?;
    let encoded = match text {
        None => None,
        Some(text) if text.is_empty() => return Err(ApiError::empty("text")),
        Some(text) => {
            let how = How::new(app, Some(Side::Query));
            let mut encoded = encode::encode(app, model, vec![InputText::Text(text)], how).await?;
            encoded.vectors.pop()
        }
    };
    match (encoded, sent) {
        (None, None) => Err(ApiError::validation("give a query as `text`, `vector` or both")),
        (Some(vector), None) | (None, Some(vector)) => Ok(vector),
        (Some(a), Some(b)) => {
            let mut weights: BTreeMap<TermId, f32> = a.iter().collect();
            b.iter().for_each(|(term, weight)| *weights.entry(term).or_default() += weight);
            SparseVector::from_pairs(weights.into_iter().collect())
                .map_err(|error| ApiError::validation(error.to_string()))
        }
    }
}

/// The settings of a new index.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CreateRequest {
    /// How weights are kept: `u8`, `f16` or `f32`. The default is `u8`.
    weights: Option<String>,
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
    let pruning = Pruning { top_k: request.top_k, threshold: request.threshold };
    let model = app.model()?;
    blocking(move || {
        let index = app.indexes.create(&name, &model, weights, pruning)?;
        let info = index.searcher().index().info();
        Ok((StatusCode::CREATED, Reply(IndexStats::new(&name, &info))))
    })
    .await
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
    blocking(move || app.indexes.drop(&name).map(|()| StatusCode::NO_CONTENT)).await
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
        let content = match (self.text, self.vector) {
            (Some(text), None) => Content::Text(match self.title {
                Some(title) if !title.is_empty() => format!("{title} {text}"),
                _ => text,
            }),
            (None, Some(vector)) => Content::Vector(vector.vector(model)?),
            _ => {
                let id = self.id;
                return Err(ApiError::validation(format!(
                    "the document {id:?} must have either `text` or `vector`"
                )));
            }
        };
        match self.id.len() {
            0 => Err(ApiError::empty("id")),
            1..=LONGEST_ID => Ok(Document { id: self.id, content }),
            long => Err(ApiError::validation(format!(
                "an id has {long} bytes; it may have at most {LONGEST_ID}"
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
    )
)]
pub(crate) async fn merge(
    State(app): State<App>,
    Name(name): Name,
) -> Result<Reply<ChangeReply>, ApiError> {
    let model = app.model()?;
    change(&app, &name, &model, Change::Merge).await
}

/// Runs work on files on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let lost = |_| ApiError::new(ErrorType::Backend, "the work was lost");
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
