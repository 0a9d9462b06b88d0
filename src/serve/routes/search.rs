//! Search in indexes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json as Reply;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use splade_eval::fuse::{Fusion, FusionMethod, Place};
use splade_index::{Hit, SearchOptions};
use splade_model::Side;
use splade_sparse::{SparseVector, TermId};
use utoipa::ToSchema;

use crate::document::StoredDocument;
use crate::hybrid::{HybridHit, HybridOptions};
use crate::searcher::Searcher;
use crate::serve::blocking::blocking;
use crate::serve::body::{Json, Name, Object};
use crate::serve::encode::{self, How, InputText, check_reranker};
use crate::serve::error::{ApiError, ErrorBody};
use crate::serve::hosted::Hosted;
use crate::serve::model::Model;
use crate::serve::routes::vector_input::VectorInput;
use crate::serve::state::App;
use crate::serve::trace;
use crate::snippet::{Mark, MarkKind, Snippet};

/// The longest passage of a hit in characters.
const LONGEST_SNIPPET: usize = 10_000;
/// The largest number of hits of a search.
const MOST_HITS: usize = 10_000;
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
    /// Adds to each hit what each term gave to its score; not in the mode `hybrid`.
    #[serde(default)]
    explain: bool,
    /// What ranks the documents. `bm25` and `hybrid` need a text, and an index with BM25.
    #[serde(default)]
    mode: Mode,
    /// How the mode `hybrid` joins both rankings.
    #[serde(default)]
    #[schema(value_type = Option<FusionInput>)]
    fusion: Option<Object<FusionInput>>,
    /// Orders so many of the best hits by the re-ranker, which reads their stored texts.
    #[serde(default)]
    rerank: Option<usize>,
    /// Adds the title and the text of each hit, where the index stores them.
    #[serde(default)]
    return_text: bool,
    /// Adds the title of each hit and the passage that fits the query best, at most so many
    /// characters.
    #[serde(default)]
    #[schema(maximum = 10_000)]
    snippet: Option<usize>,
}

/// What ranks documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// The vectors of the model.
    #[default]
    Splade,
    /// BM25.
    Bm25,
    /// Both, joined.
    Hybrid,
}

/// How two rankings become one.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FusionInput {
    /// `rrf` for reciprocal rank fusion, or `minmax` for the sum of scores that are scaled to 0 to 1.
    #[serde(default)]
    method: FusionName,
    /// The constant of reciprocal rank fusion; 60 by default.
    k: Option<f64>,
    /// The weights of SPLADE and of BM25; 1 each by default.
    weights: Option<[f64; 2]>,
    /// The number of hits that each ranking brings; 100 by default, and at least `k` of the search.
    depth: Option<usize>,
}

/// The name of a way to join rankings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FusionName {
    #[default]
    Rrf,
    Minmax,
}

impl FusionInput {
    fn fusion(&self) -> Result<Fusion, ApiError> {
        let method = match (self.method, self.k) {
            (FusionName::Rrf, k) => FusionMethod::Rrf { k: k.unwrap_or(60.0) },
            (FusionName::Minmax, None) => FusionMethod::MinMax,
            (FusionName::Minmax, Some(_)) => {
                return Err(ApiError::validation("`fusion.k` is for the method `rrf` only"));
            }
        };
        let weights = self.weights.map(|weights| weights.to_vec()).unwrap_or_default();
        let fusion = Fusion { method, weights };
        fusion.check(2).map_err(|error| ApiError::validation(error.to_string()))?;
        Ok(fusion)
    }
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
    /// The title, if the request asked for texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The text without the title, if the request asked for texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The passage that fits the query best, if the request asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<SnippetReply>,
    /// The ranks, from 1, in the rankings that made this one.
    #[serde(skip_serializing_if = "Ranks::is_empty")]
    ranks: Ranks,
    /// What each term gave to the score, the largest share first.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<ShareReply>>,
}

/// A passage of a text.
#[derive(Debug, Serialize, ToSchema)]
struct SnippetReply {
    text: String,
    /// The words of the passage that match the query, in their order.
    marks: Vec<MarkReply>,
}

/// A word of a passage that matches the query.
#[derive(Debug, Serialize, ToSchema)]
struct MarkReply {
    /// The place of its first UTF-16 unit in the passage, as strings of JavaScript count.
    start: usize,
    /// The place after its last UTF-16 unit.
    stop: usize,
    kind: MarkName,
}

/// Why a word is marked.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum MarkName {
    /// The query has the word.
    Word,
    /// The model added the word to the query.
    Expanded,
}

/// The ranks of a document, from 1, in the rankings that have it.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
struct Ranks {
    #[serde(skip_serializing_if = "Option::is_none")]
    splade: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bm25: Option<usize>,
    /// The rank before the re-ranker.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<usize>,
}

impl Ranks {
    fn is_empty(&self) -> bool {
        self.splade.is_none() && self.bm25.is_none() && self.before.is_none()
    }
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
    let plan = Arc::new(Plan::new(&app, &model, indexes, request).await?);
    let permit = Arc::clone(&app.texts).try_acquire_owned().map_err(|_| ApiError::overloaded())?;
    let work = {
        let (plan, model, app) = (Arc::clone(&plan), Arc::clone(&model), app.clone());
        move || {
            let _permit = permit;
            plan.search(&model, &app)
        }
    };
    let mut span = trace::span("search");
    span.set("splade.indexes", names.as_str());
    span.set("splade.k", plan.count());
    let mut reply = blocking(work).await??;
    span.set("splade.hits", reply.hits.len());
    drop(span);
    if let Some(count) = plan.rerank {
        rerank(&app, &model, &plan, count, &mut reply.hits).await?;
    }
    reply.hits.truncate(plan.k);
    if !plan.return_text {
        reply.hits.iter_mut().for_each(|hit| hit.text = None);
        if plan.snippet.is_none() {
            reply.hits.iter_mut().for_each(|hit| hit.title = None);
        }
    }
    Ok(Reply(reply))
}

/// A search that has been checked and whose query is encoded.
#[derive(Debug)]
struct Plan {
    indexes: Vec<Arc<Hosted>>,
    text: Option<String>,
    vector: SparseVector,
    k: usize,
    threshold: Option<f32>,
    filter: Option<FilterInput>,
    explain: bool,
    mode: Mode,
    fusion: Fusion,
    depth: usize,
    rerank: Option<usize>,
    return_text: bool,
    snippet: Option<usize>,
}

impl Plan {
    async fn new(
        app: &App,
        model: &Arc<Model>,
        indexes: Vec<Arc<Hosted>>,
        request: SearchRequest,
    ) -> Result<Self, ApiError> {
        let fusion = request.fusion.map(|Object(fusion)| fusion).unwrap_or_default();
        let depth = fusion.depth.unwrap_or(100).min(MOST_HITS);
        let fusion = fusion.fusion()?;
        let needs_text =
            request.mode != Mode::Splade || request.rerank.is_some() || request.snippet.is_some();
        if needs_text && request.text.is_none() {
            return Err(ApiError::validation(
                "BM25, the re-ranker and snippets need a query as `text`",
            ));
        }
        if request.mode == Mode::Hybrid && (request.explain || request.threshold.is_some()) {
            return Err(ApiError::validation(
                "the mode `hybrid` has neither `explain` nor `threshold`: its scores are not sums of \
                 shares of terms",
            ));
        }
        if request.rerank.is_some() {
            check_reranker(model)?;
        }
        if request.snippet.is_some_and(|length| length == 0 || length > LONGEST_SNIPPET) {
            return Err(ApiError::validation(format!(
                "`snippet` must be from 1 to {LONGEST_SNIPPET} characters"
            )));
        }
        for index in &indexes {
            let searcher = index.searcher();
            let (index, name) = (searcher.index(), index.name());
            if request.mode != Mode::Splade && index.bm25().is_none() {
                return Err(ApiError::validation(format!("the index {name:?} has no BM25")));
            }
            let texts =
                request.return_text || request.rerank.is_some() || request.snippet.is_some();
            if texts && !index.stores() {
                return Err(ApiError::validation(format!("the index {name:?} stores no texts")));
            }
        }
        if request.mode == Mode::Bm25 && request.vector.is_some() {
            return Err(ApiError::validation(
                "the mode `bm25` has no `vector`: it ranks by the text",
            ));
        }
        let vector = match request.mode {
            Mode::Bm25 => SparseVector::default(),
            _ => query(app, model, request.text.clone(), request.vector).await?,
        };
        Ok(Self {
            indexes,
            text: request.text,
            vector,
            k: request.k,
            threshold: request.threshold,
            filter: request.filter.map(|Object(filter)| filter),
            explain: request.explain,
            mode: request.mode,
            fusion,
            depth,
            rerank: request.rerank,
            return_text: request.return_text,
            snippet: request.snippet,
        })
    }

    /// The best documents of all indexes, with their texts where they are needed.
    fn search(&self, model: &Model, app: &App) -> Result<SearchReply, ApiError> {
        let start = Instant::now();
        let mut hits = Vec::new();
        for index in &self.indexes {
            let begun = Instant::now();
            let searcher = index.searcher();
            let name = (self.indexes.len() > 1).then_some(index.name());
            hits.extend(self.search_one(&searcher, name, model)?);
            let seconds = begun.elapsed().as_secs_f64();
            app.metrics.search_duration.with_label_values(&[index.name()]).observe(seconds);
        }
        if self.indexes.len() > 1 {
            hits.sort_by(|a, b| b.score.total_cmp(&a.score));
            hits.truncate(self.count());
        }
        Ok(SearchReply { hits, milliseconds: start.elapsed().as_secs_f64() * 1e3 })
    }

    /// The number of hits that are looked for: those of the reply, and those for the re-ranker.
    fn count(&self) -> usize {
        self.k.max(self.rerank.unwrap_or(0)).min(MOST_HITS)
    }

    fn search_one(
        &self,
        searcher: &Searcher,
        index: Option<&str>,
        model: &Model,
    ) -> Result<Vec<HitReply>, ApiError> {
        let k = self.count();
        let ids = |filter: &FilterInput| searcher.filter(filter.ids.iter().map(String::as_str)).0;
        let filter = self.filter.as_ref().map(ids);
        let text = self.text.as_deref().unwrap_or_default();
        let options = || SearchOptions {
            k,
            threshold: self.threshold,
            filter: filter.clone(),
            ..SearchOptions::default()
        };
        let found: Vec<(String, f32, Ranks)> = match self.mode {
            Mode::Splade => plain(searcher.search_vector(&self.vector, &options())),
            Mode::Bm25 => plain(searcher.search_bm25(text, &options())?),
            Mode::Hybrid => {
                let (fusion, depth, filter) = (self.fusion.clone(), self.depth, filter.clone());
                let options =
                    HybridOptions { k, depth, fusion, filter, ..HybridOptions::default() };
                let hits = searcher.search_hybrid_with(&self.vector, text, &options)?;
                let rank = |place: Option<Place>| place.map(|place| place.rank);
                let ranks = |hit: &HybridHit| Ranks {
                    splade: rank(hit.splade),
                    bm25: rank(hit.bm25),
                    before: None,
                };
                hits.into_iter().map(|hit| (hit.id.clone(), hit.score, ranks(&hit))).collect()
            }
        };
        let with_text = self.return_text || self.rerank.is_some() || self.snippet.is_some();
        let terms = self.snippet.map(|_| searcher.query_terms(text_of(&self.text))).transpose()?;
        let reply = |(id, score, ranks): (String, f32, Ranks)| {
            let document = if with_text { searcher.document(&id)? } else { None };
            let (title, text) = document.map(|document| (document.title, document.text)).unzip();
            let explanation = match (self.explain, self.mode) {
                (true, Mode::Splade) => searcher.index().explain(&self.vector, &id),
                (true, Mode::Bm25) => searcher.explain_bm25(text_of(&self.text), &id)?,
                _ => None,
            };
            let explanation = explanation
                .map(|shares| shares.iter().map(|share| share_of(model, share)).collect());
            let index = index.map(str::to_owned);
            let snippet = match (self.snippet, &terms, &text) {
                (Some(length), Some(terms), Some(text)) => {
                    Some(snippet(text, &searcher.snippet(terms, text, length)?))
                }
                _ => None,
            };
            Ok(HitReply { id, score, index, title, text, snippet, ranks, explanation })
        };
        found.into_iter().map(reply).collect()
    }
}

/// A passage as clients get it.
fn snippet(text: &str, snippet: &Snippet) -> SnippetReply {
    let units = |bytes: std::ops::Range<usize>| text[bytes].encode_utf16().count();
    let begin = snippet.range.start;
    let mark = |mark: &Mark| {
        let start = units(begin..mark.range.start);
        let kind = match mark.kind {
            MarkKind::Word => MarkName::Word,
            MarkKind::Expansion => MarkName::Expanded,
        };
        MarkReply { start, stop: start + units(mark.range.clone()), kind }
    };
    SnippetReply {
        text: text[snippet.range.clone()].to_owned(),
        marks: snippet.marks.iter().map(mark).collect(),
    }
}

fn text_of(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn plain(hits: Vec<Hit>) -> Vec<(String, f32, Ranks)> {
    hits.into_iter().map(|hit| (hit.id, hit.score, Ranks::default())).collect()
}

/// Orders the best hits by the cross-encoder; the others stay after them.
async fn rerank(
    app: &App,
    model: &Arc<Model>,
    plan: &Plan,
    count: usize,
    hits: &mut Vec<HitReply>,
) -> Result<(), ApiError> {
    let others = hits.split_off(count.min(hits.len()));
    let text = |hit: &HitReply| {
        let title = hit.title.clone().unwrap_or_default();
        let text = hit.text.clone().unwrap_or_default();
        StoredDocument { title, text }.full_text()
    };
    let query = text_of(&plan.text);
    let pairs = hits.iter().map(|hit| (query.to_owned(), text(hit))).collect();
    let (logits, _) = encode::score(app, model, pairs, true).await?;
    for (before, (hit, logits)) in hits.iter_mut().zip(logits).enumerate() {
        hit.ranks.before = Some(before + 1);
        hit.score = logits.first().copied().unwrap_or(f32::NEG_INFINITY);
        hit.explanation = None;
    }
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    // The scores of the others are of another kind.
    if hits.len() < plan.k {
        hits.extend(others.into_iter().map(|hit| HitReply { explanation: None, ..hit }));
    }
    Ok(())
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
