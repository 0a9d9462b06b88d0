//! A search engine with an index of its own that is there for the examination alone.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use splade_export::push::{Answer, Client, ClientOptions, PushError, Request, Server};
use splade_export::targets::{
    Elasticsearch, ElasticsearchField, OpenSearch, OpenSearchField, Qdrant,
};
use splade_export::{Quantisation, TermNames};
use splade_io::{Event, Observer};
use splade_sparse::SparseVector;

use super::options::{DoctorOptions, SearchEngineKind};
use super::wrong::Wrong;

/// Name of the field.
const FIELD: &str = "splade";

/// How often a request is tried again.
const RETRIES: u32 = 2;

/// How long a stopped examination waits for its index to be deleted.
const CLEANUP: Duration = Duration::from_secs(5);

/// A server of a known kind, and the temporary index there, which is deleted in the end.
pub(super) struct SearchEngine<'a> {
    client: Client,
    pub(super) kind: SearchEngineKind,
    version: String,
    /// Its name.
    pub(super) index: String,
    server: Box<dyn Server>,
    created: bool,
    /// Whether OpenSearch lacks the plugin of `neural_sparse`.
    without_plugin: bool,
    /// Hears of waits, and may end them.
    pub(super) observer: &'a mut dyn Observer,
}

impl<'a> SearchEngine<'a> {
    /// Asks a server what it is.
    pub(super) fn reach(
        options: &DoctorOptions,
        authorities: Option<&[u8]>,
        terms: &TermNames,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, Wrong> {
        // Search engines want the key in one of two headers.
        let mut kinds = match options.kind {
            Some(kind) => vec![kind],
            None => vec![SearchEngineKind::Elasticsearch, SearchEngineKind::Qdrant],
        };
        let (client, root) = loop {
            let server = server(kinds.remove(0), terms);
            let key = options.api_key.as_ref().filter(|key| !key.is_empty());
            let key = key.map(|key| server.key(key));
            let mut http = ClientOptions::http_from_env(authorities.map(<[u8]>::to_vec));
            http.retries = RETRIES;
            let client = Client::new(&options.url, ClientOptions { key, http })?;
            let root = call(&client, "GET", "/", &[], observer)?;
            match root.status {
                401 | 403 if kinds.is_empty() => return Err(refused("GET /", &root)),
                401 | 403 => {}
                _ => break (client, root.json()),
            }
        };
        let kind = options.kind.or_else(|| kind_of(&root)).ok_or_else(|| {
            let what = format!("{} does not say that it is a known search engine", options.url);
            Wrong::new(what, "give --kind elasticsearch, opensearch or qdrant")
        })?;
        let version = root.pointer("/version/number").or(root.get("version"));
        let version = version.and_then(Value::as_str).map(str::to_owned);
        let version = version.or_else(|| version_of_node(&client, observer));
        let version = version.unwrap_or_else(|| "of an unknown version".to_owned());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let index = format!("light-splade-doctor-{since}-{}", std::process::id());
        let (created, without_plugin) = (false, false);
        let server = server(kind, terms);
        Ok(Self { client, kind, version, index, server, created, without_plugin, observer })
    }

    /// Name, version and address.
    pub(super) fn name(&self) -> String {
        let name = match self.kind {
            SearchEngineKind::Elasticsearch => "Elasticsearch",
            SearchEngineKind::OpenSearch => "OpenSearch",
            SearchEngineKind::Qdrant => "Qdrant",
        };
        format!("{name} {} at {}", self.version, self.client.url())
    }

    /// What the search engine keeps of weights.
    pub(super) fn kept(&self) -> Quantisation {
        self.server.quantisation()
    }

    pub(super) fn health(&mut self) -> Result<String, Wrong> {
        if self.kind == SearchEngineKind::Qdrant {
            return self.ask("GET", "/readyz", &[]).map(|_| "ready".to_owned());
        }
        let health = self.ask("GET", "/_cluster/health", &[])?.json();
        match health["status"].as_str() {
            Some("red") => Err(Wrong::new(
                "red: some data cannot be searched".to_owned(),
                "see _cluster/allocation/explain",
            )),
            status => Ok(status.unwrap_or("not told").to_owned()),
        }
    }

    /// Creates the index as an export would have it.
    pub(super) fn create(&mut self) -> Result<String, Wrong> {
        let setup = self.server.setup(&[]);
        let (_, body) = setup.first().expect("an index is created by JSON: this is a bug");
        // From here on there may be something to delete, whatever comes back.
        self.created = true;
        let path = self.server.index(&self.index);
        if let Err(mut wrong) = self.ask("PUT", &path, body.as_bytes()) {
            let text = wrong.what.to_lowercase();
            wrong.hint = match self.kind {
                SearchEngineKind::Elasticsearch if text.contains("sparse_vector") => {
                    "sparse_vector needs Elasticsearch 8.11; its query 8.15".into()
                }
                SearchEngineKind::OpenSearch if text.contains("rank_features") => {
                    "rank_features is in the module mapper-extras, which is not loaded".into()
                }
                _ => wrong.hint,
            };
            return Err(wrong);
        }
        let kind = match self.kind {
            SearchEngineKind::Elasticsearch => "sparse_vector",
            SearchEngineKind::OpenSearch => "rank_features",
            SearchEngineKind::Qdrant => "a sparse vector",
        };
        Ok(format!("{kind}, in the temporary index {}", self.index))
    }

    /// Puts documents into the index, ready to be searched.
    pub(super) fn put(&mut self, documents: &[(String, SparseVector)]) -> Result<String, Wrong> {
        let frame = self.server.frame();
        let mut body = frame.head.clone().into_bytes();
        for (row, (id, vector)) in (0u64..).zip(documents) {
            if row > 0 {
                body.extend_from_slice(frame.between.as_bytes());
            }
            let put = self.server.document(row, id, vector, &mut body);
            put.map_err(|message| {
                Wrong::new(format!("document {id}: {message}"), "leave it out of the export")
            })?;
        }
        body.extend_from_slice(frame.tail.as_bytes());
        let (method, path, _) = self.server.load(&self.index);
        let answer = self.ask(method, &path, &body)?.json();
        let refused = self.server.refused(&answer);
        if let Some(first) = refused.first() {
            let id = documents.get(first.place).map_or("", |(id, _)| id);
            let (taken, count) = (documents.len() - refused.len(), documents.len());
            let reason = &first.reason;
            return Err(Wrong::new(
                format!("{taken} of {count} taken; the first that is refused: {id}, {reason}"),
                "if a name of a term is the reason, that is a defect of this tool: please report it",
            ));
        }
        if !self.server.is_answer(&answer, documents.len()) {
            let what = "the answer to documents is no list of what became of them".to_owned();
            return Err(Wrong::new(what, "is this the search engine itself?"));
        }
        if let Some(path) = self.server.refresh(&self.index) {
            self.ask("POST", &path, &[])?;
        }
        Ok(format!("{} taken", documents.len()))
    }

    /// The best documents for a query, as the export would ask. `default_pruning` leaves out that
    /// nothing is to be pruned.
    pub(super) fn search(
        &mut self,
        query: &SparseVector,
        default_pruning: bool,
    ) -> Result<Vec<(String, f64)>, Wrong> {
        let mut line = Vec::new();
        let written = self.server.query("q", query, &mut line);
        written.map_err(|problem| {
            let hint = problem.hint().unwrap_or("give other queries").to_owned();
            Wrong::new(problem.to_string(), hint)
        })?;
        let mut line: Value = serde_json::from_slice(&line).unwrap_or_default();
        if default_pruning {
            let prune =
                line.pointer_mut("/body/query/sparse_vector").and_then(Value::as_object_mut);
            prune.map(|query| query.remove("prune"));
        }
        let path = self.server.index(&self.index)
            + match self.kind {
                SearchEngineKind::Qdrant => "/points/query",
                SearchEngineKind::Elasticsearch | SearchEngineKind::OpenSearch => "/_search",
            };
        if !self.without_plugin {
            let body = line["body"].to_string();
            let answer = call(&self.client, "POST", &path, body.as_bytes(), self.observer)?;
            match answer.status {
                200..300 => return self.hits(&answer.json()),
                400 if answer.text.contains("unknown query [neural_sparse]") => {
                    self.without_plugin = true;
                }
                _ => return Err(refused("a query", &answer)),
            }
        }
        let body = line["without_plugin"].to_string();
        let answer = self.ask("POST", &path, body.as_bytes())?.json();
        self.hits(&answer)
    }

    /// How queries are asked.
    pub(super) fn form_of_queries(&self) -> &'static str {
        match (self.kind, self.without_plugin) {
            (SearchEngineKind::Elasticsearch, _) => "sparse_vector",
            (SearchEngineKind::OpenSearch, false) => "neural_sparse",
            (SearchEngineKind::OpenSearch, true) => {
                "rank_feature (there is no neural-search plugin: use `without_plugin` of an export)"
            }
            (SearchEngineKind::Qdrant, _) => "points/query",
        }
    }

    fn hits(&self, answer: &Value) -> Result<Vec<(String, f64)>, Wrong> {
        let (list, id, score) = match self.kind {
            SearchEngineKind::Qdrant => ("/result/points", "/payload/docid", "/score"),
            SearchEngineKind::Elasticsearch | SearchEngineKind::OpenSearch => {
                ("/hits/hits", "/_id", "/_score")
            }
        };
        let hits = answer.pointer(list).and_then(Value::as_array);
        let hit = |hit: &Value| {
            let id = hit.pointer(id)?.as_str()?.to_owned();
            Some((id, hit.pointer(score)?.as_f64()?))
        };
        let hits = hits.and_then(|hits| hits.iter().map(hit).collect());
        hits.ok_or_else(|| {
            Wrong::new(
                "an answer has no list of hits".to_owned(),
                "is this the search engine itself?",
            )
        })
    }

    /// Deletes the index.
    pub(super) fn delete(&mut self) -> Result<String, Wrong> {
        let path = self.server.index(&self.index);
        deleted(call(&self.client, "DELETE", &path, &[], self.observer)?)?;
        self.created = false;
        Ok("deleted".to_owned())
    }

    /// An answer, if the server did what was asked.
    fn ask(&mut self, method: &'static str, path: &str, body: &[u8]) -> Result<Answer, Wrong> {
        let answer = call(&self.client, method, path, body, self.observer)?;
        match answer.is_success() {
            true => Ok(answer),
            false => Err(refused(&format!("{method} {path}"), &answer)),
        }
    }
}

impl Drop for SearchEngine<'_> {
    /// After a failure or a stop.
    fn drop(&mut self) {
        if !self.created {
            return;
        }
        let path = self.server.index(&self.index);
        let mut patient =
            Patient { observer: &mut *self.observer, until: Instant::now() + CLEANUP };
        if let Err(wrong) = call(&self.client, "DELETE", &path, &[], &mut patient).and_then(deleted)
        {
            let note = format!("delete {path} yourself: {}", wrong.what);
            self.observer.event(Event::Note(&note));
        }
    }
}

/// Lets the last request end although its observer asked to stop, for a while.
struct Patient<'a> {
    observer: &'a mut dyn Observer,
    until: Instant,
}

impl Observer for Patient<'_> {
    fn event(&mut self, event: Event<'_>) {
        self.observer.event(event);
    }

    fn stop(&mut self) -> bool {
        Instant::now() > self.until
    }
}

/// What the answer at `/` tells.
fn kind_of(root: &Value) -> Option<SearchEngineKind> {
    if root.pointer("/version/distribution") == Some(&json!("opensearch")) {
        return Some(SearchEngineKind::OpenSearch);
    }
    if root["title"].as_str().is_some_and(|title| title.starts_with("qdrant")) {
        return Some(SearchEngineKind::Qdrant);
    }
    let elastic = root["tagline"].as_str() == Some("You Know, for Search");
    elastic.then_some(SearchEngineKind::Elasticsearch)
}

/// The version of the node that answers, where `/` does not tell.
fn version_of_node(client: &Client, observer: &mut dyn Observer) -> Option<String> {
    let nodes = call(client, "GET", "/_nodes/_local", &[], observer).ok()?.json();
    let node = nodes["nodes"].as_object()?.values().next()?;
    node["version"].as_str().map(str::to_owned)
}

/// What is exported for a search engine.
fn server(kind: SearchEngineKind, terms: &TermNames) -> Box<dyn Server> {
    let (terms, field) = (terms.clone(), FIELD.to_owned());
    match kind {
        SearchEngineKind::Elasticsearch => {
            Box::new(Elasticsearch::new(terms, field, ElasticsearchField::SparseVector))
        }
        SearchEngineKind::OpenSearch => {
            Box::new(OpenSearch::new(terms, field, OpenSearchField::RankFeatures))
        }
        SearchEngineKind::Qdrant => Box::new(Qdrant::new(field, 0)),
    }
}

/// An answer, whatever it says.
fn call(
    client: &Client,
    method: &'static str,
    path: &str,
    body: &[u8],
    observer: &mut dyn Observer,
) -> Result<Answer, Wrong> {
    let content_type = match path.ends_with("/_bulk") {
        true => "application/x-ndjson",
        false => "application/json",
    };
    let request = Request { method, path, content_type, body };
    Ok(client.call(&request, observer)?)
}

/// Whether the index is gone after a request to delete it.
fn deleted(answer: Answer) -> Result<(), Wrong> {
    match answer.status {
        200..300 | 404 => Ok(()),
        _ => Err(refused("DELETE", &answer)),
    }
}

/// What a refusal says.
fn refused(what: &str, answer: &Answer) -> Wrong {
    let hint = match answer.status {
        401 | 403 => "set LIGHT_SPLADE_API_KEY to a key that may create and delete indexes",
        429 | 502..=504 => "the server is overloaded or not ready; try again later",
        _ => "the server's log may tell more",
    };
    let body = answer.json();
    let places = ["/error/root_cause/0/reason", "/error/reason", "/status/error", "/error"];
    let reason = places.iter().find_map(|place| body.pointer(place)?.as_str());
    let reason = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
    let what = format!("{what} is answered with {}{reason}", answer.status);
    Wrong { what, hint: hint.into(), unanswered: matches!(answer.status, 429 | 502..=504) }
}

impl From<PushError> for Wrong {
    fn from(error: PushError) -> Self {
        // A push would be continued, an examination is begun anew.
        let remedy = match &error {
            PushError::Unreachable(problem) | PushError::Options(problem) => problem.hint(),
            _ => None,
        };
        let hint = match remedy {
            Some(remedy) => remedy.to_owned().into(),
            None => "check the address, http or https, and that the server runs".into(),
        };
        let what = error.to_string();
        Self { what, hint, unanswered: true }
    }
}

/// Places of documents by their ids.
pub(super) struct Places<'a>(HashMap<&'a str, usize>);

impl<'a> Places<'a> {
    pub(super) fn of(documents: &'a [(String, SparseVector)]) -> Self {
        Self(documents.iter().enumerate().map(|(place, (id, _))| (id.as_str(), place)).collect())
    }

    /// Hits with places in the stead of ids.
    pub(super) fn find(&self, hits: &[(String, f64)]) -> Result<Vec<(usize, f64)>, Wrong> {
        let place = |(id, score): &(String, f64)| Some((*self.0.get(id.as_str())?, *score));
        let places = hits.iter().map(place).collect::<Option<_>>();
        places.ok_or_else(|| {
            let what = "a hit is no document that was put there".to_owned();
            Wrong::new(what, "something else writes to the index, or there are aliases")
        })
    }
}
