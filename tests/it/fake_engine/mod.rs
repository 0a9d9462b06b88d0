//! A fake search engine on a local port, with the requests that `doctor` sends: Elasticsearch,
//! OpenSearch without plugins, or Qdrant, working or with a fault.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// The search engine that the server identifies as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Elasticsearch,
    OpenSearch,
    Qdrant,
}

/// The fault of the search engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// All scores are multiplied by this factor.
    Factor(f64),
    /// Terms with small weights are pruned from queries, even if the query disables pruning.
    Prunes,
    /// Terms with small weights are pruned from queries unless the query disables pruning.
    PrunesByDefault,
    /// Terms whose names contain this text are not found.
    Loses(&'static str),
    /// Queries with a term whose name contains this text are rejected.
    Refuses(&'static str),
    /// After this number of searches, the server answers 503, with this `Retry-After` in seconds if
    /// there is one.
    BusyAfter(usize, Option<u64>),
    /// The type of the field is unknown.
    NoField,
    /// The second half of the documents is rejected.
    RefusesDocuments,
    /// The health is red because some data is missing.
    Red,
    /// Only requests with this key are accepted.
    Key(&'static str),
    /// Every search takes 200 ms.
    Slow,
}

type Vector = BTreeMap<String, f32>;

/// A running search engine. Its threads end with the test program.
#[derive(Debug, Clone)]
pub(crate) struct FakeEngine {
    pub(crate) url: String,
    says: Says,
    fault: Fault,
    /// The indexes with their documents.
    pub(crate) indexes: Arc<Mutex<BTreeMap<String, BTreeMap<String, Vector>>>>,
    /// The number of searches that were received.
    pub(crate) searches: Arc<Mutex<usize>>,
}

impl FakeEngine {
    pub(crate) fn start(says: Says, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let this = Self { url, says, fault, indexes: Arc::default(), searches: Arc::default() };
        let server = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(&stream));
            }
        });
        this
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a request");
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut length, mut key) = (0, String::new());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().expect("a number"),
                "authorization" | "api-key" => value.clone_into(&mut key),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("UTF-8");
        let (status, answer) = match self.fault {
            Fault::Key(wanted) if !key.ends_with(wanted) => {
                (401, json!({"error": {"reason": "missing authentication"}}))
            }
            _ => self.answer(&method, path.split('?').next().unwrap_or_default(), &body),
        };
        let answer = answer.to_string();
        let mut head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n",
            answer.len()
        );
        if let (503, Fault::BusyAfter(_, Some(seconds))) = (status, self.fault) {
            head.push_str(&format!("retry-after: {seconds}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = stream;
        // The client may have closed the connection.
        let _ =
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes()));
    }

    fn answer(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let path = path.strip_prefix("/collections").unwrap_or(path);
        let (index, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let mut indexes = self.indexes.lock().expect("no panic");
        match (method, index, rest) {
            ("GET", "", _) => (200, self.root()),
            ("GET", "readyz", _) => (200, Value::Null),
            ("GET", "_cluster", _) => {
                (200, json!({"status": if self.fault == Fault::Red { "red" } else { "green" }}))
            }
            ("PUT", _, "") if self.fault == Fault::NoField => {
                let reason = "No handler for type [sparse_vector] declared on field [splade]";
                (400, json!({"error": {"root_cause": [{"reason": reason}], "reason": reason}}))
            }
            ("PUT", _, "") => {
                serde_json::from_str::<Value>(body).expect("a mapping");
                indexes.insert(index.to_owned(), BTreeMap::new());
                (200, json!({"acknowledged": true}))
            }
            ("DELETE", _, "") => match indexes.remove(index) {
                Some(_) => (200, json!({})),
                None => (404, json!({})),
            },
            ("POST", _, "_bulk") => {
                let documents = indexes.get_mut(index).expect("an index");
                (200, json!({"items": self.bulk(documents, body)}))
            }
            ("PUT", _, "points") => {
                let documents = indexes.get_mut(index).expect("an index");
                let body: Value = serde_json::from_str(body).expect("points");
                for point in body["points"].as_array().expect("a list") {
                    let id = point["payload"]["docid"].as_str().expect("an id").to_owned();
                    documents.insert(id, lists(&point["vector"]["splade"]));
                }
                (200, json!({"status": "ok"}))
            }
            ("POST", _, "_refresh") if body.is_empty() => (200, json!({})),
            ("POST", _, "_refresh") => (400, json!({"error": "does not support having a body"})),
            ("POST", _, "_search" | "points/query") => {
                let documents = indexes.get(index).expect("an index").clone();
                drop(indexes);
                let searches = {
                    let mut searches = self.searches.lock().expect("no panic");
                    *searches += 1;
                    *searches
                };
                if let Fault::BusyAfter(most, _) = self.fault
                    && searches > most
                {
                    return (503, json!({"error": {"reason": "busy"}}));
                }
                if self.fault == Fault::Slow {
                    std::thread::sleep(Duration::from_millis(200));
                }
                self.search(&documents, &serde_json::from_str(body).expect("a query"))
            }
            _ => (405, json!({"error": format!("{method} {path}")})),
        }
    }

    fn root(&self) -> Value {
        match self.says {
            Says::Elasticsearch => {
                json!({"version": {"number": "9.5.3"}, "tagline": "You Know, for Search"})
            }
            Says::OpenSearch => {
                json!({"version": {"distribution": "opensearch", "number": "3.8.0"}})
            }
            Says::Qdrant => json!({"title": "qdrant - vector search engine", "version": "1.15.0"}),
        }
    }

    fn bulk(&self, documents: &mut BTreeMap<String, Vector>, body: &str) -> Vec<Value> {
        let lines: Vec<Value> =
            body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let half = lines.len() / 4;
        let put = |(place, lines): (usize, &[Value])| {
            let id = lines[0]["index"]["_id"].as_str().expect("an id");
            if self.fault == Fault::RefusesDocuments && place >= half {
                let reason = "the field is too long";
                let error = json!({"type": "document_parsing_exception", "reason": reason});
                return json!({"index": {"_id": id, "status": 400, "error": error}});
            }
            let weights = weights(&lines[1]["splade"]);
            // Lucene's FeatureField keeps this many bits of a weight.
            let kept = |weight: f32| f32::from_bits(weight.to_bits() & 0xffff_8000);
            let vector = weights.into_iter().map(|(term, weight)| (term, kept(weight))).collect();
            documents.insert(id.to_owned(), vector);
            json!({"index": {"_id": id, "status": 201}})
        };
        lines.chunks(2).enumerate().map(put).collect()
    }

    fn search(&self, documents: &BTreeMap<String, Vector>, body: &Value) -> (u16, Value) {
        let mut query = match self.says {
            Says::Qdrant => lists(&body["query"]),
            Says::Elasticsearch => weights(&body["query"]["sparse_vector"]["query_vector"]),
            Says::OpenSearch => match body["query"]["bool"]["should"].as_array() {
                Some(terms) => terms.iter().map(feature).collect(),
                None => {
                    let reason = "unknown query [neural_sparse]";
                    return (400, json!({"error": {"root_cause": [{"reason": reason}]}}));
                }
            },
        };
        let most = query.values().fold(0.0f32, |most, &weight| most.max(weight));
        let asked = body["query"]["sparse_vector"]["prune"] != json!(false);
        match self.fault {
            Fault::Prunes => query.retain(|_, weight| *weight > 0.2 * most),
            Fault::PrunesByDefault if asked => query.retain(|_, weight| *weight > 0.2 * most),
            Fault::Loses(part) => query.retain(|term, _| !term.contains(part)),
            Fault::Refuses(part) if query.keys().any(|term| term.contains(part)) => {
                return (400, json!({"error": {"reason": "a bad name"}}));
            }
            _ => {}
        }
        let factor = if let Fault::Factor(factor) = self.fault { factor } else { 1.0 };
        let score = |vector: &Vector| {
            let terms = query.iter().filter_map(|(t, w)| vector.get(t).map(|v| v * w));
            f64::from(terms.sum::<f32>()) * factor
        };
        let scored = documents.iter().map(|(id, vector)| (id, score(vector)));
        let mut hits: Vec<_> = scored.filter(|(_, score)| *score > 0.0).collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1));
        hits.truncate(10);
        let hits = hits.into_iter();
        (
            200,
            match self.says {
                Says::Qdrant => {
                    let point = |(id, score)| json!({"payload": {"docid": id}, "score": score});
                    json!({"result": {"points": hits.map(point).collect::<Vec<_>>()}})
                }
                _ => {
                    let hit = |(id, score)| json!({"_id": id, "_score": score});
                    json!({"hits": {"hits": hits.map(hit).collect::<Vec<_>>()}})
                }
            },
        )
    }
}

/// Parses an object of the form `{"term":weight,…}`.
fn weights(object: &Value) -> Vector {
    let pairs = object.as_object().expect("weights").iter();
    pairs.map(|(term, weight)| (term.clone(), weight.as_f64().expect("a weight") as f32)).collect()
}

/// Parses an object of the form `{"indices":[…],"values":[…]}`.
fn lists(object: &Value) -> Vector {
    let list = |key: &str| object[key].as_array().expect("a list").clone();
    let pairs = list("indices").into_iter().zip(list("values"));
    pairs
        .map(|(term, weight)| (term.to_string(), weight.as_f64().expect("a weight") as f32))
        .collect()
}

/// Parses a clause `{"rank_feature":{"field":"splade.term","boost":weight,"linear":{}}}`. The term
/// is after the last dot, as in OpenSearch.
fn feature(clause: &Value) -> (String, f32) {
    let feature = &clause["rank_feature"];
    assert_eq!(feature["linear"], json!({}));
    let (field, term) =
        feature["field"].as_str().and_then(|f| f.rsplit_once('.')).expect("a field");
    assert_eq!(field, "splade");
    (term.to_owned(), feature["boost"].as_f64().expect("a weight") as f32)
}
