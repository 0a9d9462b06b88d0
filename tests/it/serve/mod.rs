//! Tests of the service: what it replies is what the library computes.

pub(crate) mod client;
mod faults;
#[cfg(feature = "otel")]
mod traces;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use light_splade::encode::Side;
use light_splade::serve::{Keys, Limits, ServeOptions, Server};
use light_splade::{
    Index, IndexOptions, SearchOptions, Searcher, SparseEncoder, SparseEncoderOptions, SparseVector,
};
use serde_json::{Value, json};

use client::{get, post, raw, send};

/// A service on a free port, when it is ready.
fn start(options: ServeOptions) -> Server {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut server = Server::start(ServeOptions { address, ..options }).expect("it starts");
    server.ready().expect("it loads");
    server
}

/// One service for the tests that change nothing.
fn shared() -> SocketAddr {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| start(ServeOptions::default())).address()
}

fn encoder() -> &'static SparseEncoder {
    static ENCODER: OnceLock<SparseEncoder> = OnceLock::new();
    let load = || SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default());
    ENCODER.get_or_init(|| load().expect("the built-in model"))
}

/// The vectors of `/embed_sparse`.
fn vectors(reply: &Value) -> Vec<Vec<(u32, f32)>> {
    let value = |value: &Value| {
        let index = value["index"].as_u64().expect("an index") as u32;
        (index, value["value"].as_f64().expect("a weight") as f32)
    };
    let vector = |vector: &Value| vector.as_array().expect("terms").iter().map(value).collect();
    reply.as_array().expect("vectors").iter().map(vector).collect()
}

fn pairs(vector: &SparseVector) -> Vec<(u32, f32)> {
    vector.iter().map(|(term, weight)| (term.0, weight)).collect()
}

const TEXTS: [&str; 3] = ["大阪万博は2025年に開催されます。", "cheap flights to tokyo", "首都"];

#[test]
fn vectors_are_those_of_the_library_to_the_bit() {
    let expected = |side| -> Vec<_> {
        let encode = |text| match side {
            Side::Query => encoder().encode_query(text),
            Side::Document => encoder().encode_document(text),
        };
        TEXTS.iter().map(|text| pairs(&encode(text).expect("a vector"))).collect()
    };
    for path in ["/", "/embed_sparse", "/invocations"] {
        let reply = post(shared(), path, &json!({"inputs": TEXTS})).ok();
        assert_eq!(vectors(&reply), expected(Side::Document), "{path}");
    }
    for more in [json!({"side": "query"}), json!({"prompt_name": "query"})] {
        let mut request = json!({"inputs": TEXTS});
        request.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        let reply = post(shared(), "/embed_sparse", &request).ok();
        assert_eq!(vectors(&reply), expected(Side::Query));
    }
    let one = post(shared(), "/embed_sparse", &json!({"inputs": TEXTS[0]})).ok();
    assert_eq!(vectors(&one), expected(Side::Document)[..1]);

    // Ids are those of the tokens with special tokens.
    let tokens = post(shared(), "/tokenize", &json!({"inputs": TEXTS})).ok();
    let ids = |tokens: &Value| -> Vec<u64> {
        let tokens = tokens.as_array().expect("tokens").iter();
        tokens.map(|token| token["id"].as_u64().expect("an id")).collect()
    };
    let ids: Vec<Vec<u64>> = tokens.as_array().expect("lists").iter().map(ids).collect();
    // Places are counted in bytes, as by text-embeddings-inference; special tokens have none.
    assert_eq!((&tokens[0][0]["special"], &tokens[0][0]["start"]), (&json!(true), &Value::Null));
    assert_eq!(
        (&tokens[0][1]["text"], &tokens[0][1]["start"], &tokens[0][1]["stop"]),
        (&json!("大阪"), &json!(0), &json!(6))
    );
    let reply = post(shared(), "/embed_sparse", &json!({"inputs": ids})).ok();
    assert_eq!(vectors(&reply), expected(Side::Document));

    // The same vectors, with zeros.
    let dense = post(shared(), "/embed", &json!({"inputs": TEXTS[0], "normalize": false})).ok();
    let dense = dense[0].as_array().expect("numbers");
    assert_eq!(dense.len(), encoder().vocab());
    let kept = |(i, x): (usize, &Value)| {
        (x.as_f64() != Some(0.0)).then(|| (i as u32, x.as_f64().expect("a number") as f32))
    };
    let kept: Vec<_> = dense.iter().enumerate().filter_map(kept).collect();
    assert_eq!(kept, expected(Side::Document)[0]);
}

#[test]
fn requests_that_come_together_get_the_vectors_of_those_that_come_alone() {
    let texts: Vec<String> = (0..40).map(|n| format!("{} {n}", TEXTS[n % 3])).collect();
    let one = |text: &String| vectors(&post(shared(), "/", &json!({"inputs": text})).ok());
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = texts.iter().map(|text| scope.spawn(move || one(text))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a reply")).collect()
    });
    for (text, vector) in texts.iter().zip(together) {
        assert_eq!(vector[0], pairs(&encoder().encode_document(text).expect("a vector")), "{text}");
    }
}

#[test]
fn a_request_says_which_terms_it_wants_and_what_is_told_of_them() {
    let vector = encoder().encode_document(TEXTS[0]).expect("a vector");
    let top = post(shared(), "/", &json!({"inputs": TEXTS[0], "top_k": 3})).ok();
    assert_eq!(vectors(&top)[0], pairs(&vector.top_k(3)));
    let above = post(shared(), "/", &json!({"inputs": TEXTS[0], "threshold": 0.5})).ok();
    assert_eq!(vectors(&above)[0], pairs(&vector.at_least(0.5)));
    assert!(top[0][0].get("token").is_none() && top[0][0].get("position").is_none());

    let explanation = encoder().explain(Side::Document, TEXTS[0]).expect("an explanation");
    let told = post(shared(), "/", &json!({"inputs": TEXTS[0], "explain": true})).ok();
    let told = told[0].as_array().expect("terms");
    assert_eq!(told.len(), explanation.terms.len());
    for term in &explanation.terms {
        let found = told.iter().find(|told| told["index"] == term.term.0).expect("the term");
        assert_eq!(found["token"], encoder().token(term.term));
        assert_eq!(found["position"], term.position);
        assert_eq!(found["source"], explanation.tokens[term.position]);
    }
    let cost = format!("x-compute-tokens: {}\r\n", explanation.tokens.len());
    let reply = post(shared(), "/", &json!({"inputs": TEXTS[0], "explain": true}));
    assert!(reply.head.contains(&cost), "{}", reply.head);
    let page = post(shared(), "/v1/explain", &json!({"text": TEXTS[0]})).ok();
    assert_eq!(page["tokens"], json!(explanation.tokens));
    assert_eq!(page["special"][0], true);
    assert_eq!(page["truncated"], false);
    assert_eq!(page["terms"][0]["index"], explanation.terms[0].term.0);
}

#[test]
fn texts_that_are_too_long_are_cut_at_the_end_that_is_asked_for_or_refused() {
    let encoder_options = SparseEncoderOptions { max_length: Some(5), ..Default::default() };
    let server = start(ServeOptions { encoder: encoder_options, ..ServeOptions::default() });
    let address = server.address();
    let ids = |text: &str| -> Vec<u64> {
        let request = json!({"inputs": text, "add_special_tokens": false});
        let tokens = post(address, "/tokenize", &request).ok();
        let tokens = tokens[0].as_array().expect("tokens").clone();
        tokens.iter().map(|token| token["id"].as_u64().expect("an id")).collect()
    };
    let all = ids(TEXTS[0]);
    let special = |content: &[u64]| -> Vec<u64> { [&[2], content, &[3]].concat() };
    let (first, last) = (special(&all[..3]), special(&all[all.len() - 3..]));
    let of = |request: Value| vectors(&post(address, "/", &request).ok());
    let left = json!({"inputs": TEXTS[0], "truncation_direction": "left"});
    assert_eq!(of(json!({"inputs": TEXTS[0]})), of(json!({"inputs": first})));
    assert_eq!(of(left), of(json!({"inputs": last})));
    let explained = json!({"inputs": TEXTS[0], "truncation_direction": "left", "explain": true});
    assert_eq!(of(explained), of(json!({"inputs": last})));
    let refused = json!({"inputs": TEXTS[0], "truncate": false, "explain": true});
    assert_eq!(post(address, "/", &refused).status, 422);
    let refused = post(address, "/", &json!({"inputs": TEXTS[0], "truncate": false}));
    let message = format!("`inputs` must have less than 5 tokens. Given: {}", all.len() + 2);
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json(), json!({"error": message, "error_type": "Validation"}));
}

#[test]
fn search_engines_get_their_forms() {
    let vector = encoder().encode_query("首都").expect("a vector");
    let tokens: BTreeMap<String, f32> =
        vector.iter().map(|(term, weight)| (encoder().token(term), weight)).collect();
    let weights = |object: &Value| -> BTreeMap<String, f32> {
        let object = object.as_object().expect("an object").iter();
        object
            .map(|(token, weight)| (token.clone(), weight.as_f64().expect("a weight") as f32))
            .collect()
    };
    let body = json!({"inputs": ["首都"]});
    let array = post(shared(), "/v1/token_weights?side=query", &body).ok();
    assert_eq!(weights(&array[0]), tokens);
    let object = post(shared(), "/v1/sparse_embeddings?side=query", &body).ok();
    let list = object["sparse_embeddings"][0]["embedding"].as_array().expect("terms");
    let pair = |term: &Value| {
        let token = term["token"].as_str().expect("a token").to_owned();
        (token, term["weight"].as_f64().expect("a weight") as f32)
    };
    assert_eq!(list.iter().map(pair).collect::<BTreeMap<_, _>>(), tokens);

    let qdrant = |inference: &str| {
        let input =
            json!({"data": "首都", "data_type": "text", "model": "mini-ja-en", "options": {}});
        let request = json!({"inputs": [input], "inference": inference, "token": null});
        post(shared(), "/qdrant", &request).ok()
    };
    let of = |reply: Value| -> Vec<(u32, f32)> {
        let numbers = |name: &str| {
            let numbers = reply["embeddings"][0][name].as_array().expect("numbers").iter();
            numbers.map(|number| number.as_f64().expect("a number")).collect::<Vec<f64>>()
        };
        let pairs = numbers("indices").into_iter().zip(numbers("values"));
        pairs.map(|(index, value)| (index as u32, value as f32)).collect()
    };
    assert_eq!(of(qdrant("search")), pairs(&vector));
    let document = encoder().encode_document("首都").expect("a vector");
    assert_eq!(of(qdrant("update")), pairs(&document));

    let openai = post(shared(), "/v1/embeddings", &json!({"input": "首都", "side": "query"})).ok();
    let token = |token: &Value| {
        let id = token["token_id"].as_u64().expect("an id") as u32;
        (id, token["weight"].as_f64().expect("a weight") as f32)
    };
    let list = openai["data"][0]["sparse_embedding"].as_array().expect("terms");
    assert_eq!(list.iter().map(token).collect::<Vec<_>>(), pairs(&vector));
    assert_eq!(openai["usage"]["prompt_tokens"], 3);
}

#[test]
fn similarities_are_cosines() {
    let sentences = [TEXTS[1], "東京", TEXTS[0]];
    let request = json!({"inputs": {"source_sentence": TEXTS[0], "sentences": sentences}});
    let reply = post(shared(), "/similarity", &request).ok();
    let vector = |text| encoder().encode_document(text).expect("a vector");
    let source = vector(TEXTS[0]);
    for (sentence, cosine) in sentences.iter().zip(reply.as_array().expect("numbers")) {
        let other = vector(sentence);
        let product: f64 =
            source.iter().map(|(t, w)| f64::from(w) * f64::from(other.weight(t))).sum();
        let norm = |v: &SparseVector| {
            v.weights().iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt()
        };
        // The service adds in 32 bits.
        let difference =
            cosine.as_f64().expect("a number") - product / (norm(&source) * norm(&other));
        assert!(difference.abs() < 1e-5, "{sentence}: {difference}");
    }
}

#[test]
fn bad_requests_say_what_is_wrong() {
    let long = "あ".repeat(40);
    for (path, body, status, kind, message) in [
        ("/", r#"{"inputs": []}"#, 400, "Empty", "`inputs` cannot be empty"),
        ("/", r#"{"inputs": ""}"#, 400, "Empty", "`inputs` cannot be empty"),
        ("/", r#"{"inputs": ["a", ""]}"#, 400, "Empty", "`inputs` cannot be empty"),
        ("/", "{}", 422, "Validation", "missing field `inputs`"),
        ("/", r#"{"inputs": 3}"#, 422, "Validation", "does not fit the request"),
        ("/", r#"{"inputs": "#, 400, "Validation", "not valid JSON"),
        ("/", r#"{"inputs": "a"} x"#, 400, "Validation", "not valid JSON"),
        ("/", "", 400, "Validation", "not valid JSON"),
        ("/", r#"{"inputs": [[99999999]]}"#, 422, "Tokenizer", "no token 99999999"),
        ("/", r#"{"inputs": "a", "prompt_name": "x"}"#, 422, "Validation", "unknown variant `x`"),
        (
            "/",
            r#"{"inputs": "a", "side": "query", "prompt_name": "document"}"#,
            422,
            "Validation",
            "different towers",
        ),
        ("/embed", r#"{"inputs": "a"}"#, 424, "Backend", "`normalize` is not available"),
        ("/embed_all", r#"{"inputs": "a"}"#, 424, "Backend", "`/embed_all` is not available"),
        (
            "/rerank",
            r#"{"query": "a", "texts": ["b"]}"#,
            424,
            "Backend",
            "model is not a re-ranker model",
        ),
        ("/rerank", r#"{"query": "a", "texts": []}"#, 400, "Empty", "`texts` cannot be empty"),
        (
            "/predict",
            r#"{"inputs": ["a", "b"]}"#,
            424,
            "Backend",
            "model is not a classifier model",
        ),
        ("/decode", r#"{"ids": []}"#, 400, "Empty", "`ids` cannot be empty"),
        ("/decode", r#"{"ids": [99999999]}"#, 422, "Validation", "no token 99999999"),
        ("/v1/indexes/x/search", r#"{"text": "a"}"#, 404, "Validation", "there is no index \"x\""),
        ("/nowhere", "{}", 404, "Validation", "nothing at /nowhere"),
    ] {
        let reply = send(shared(), ("POST", path), &[], Some(body));
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.body);
        let error = reply.json();
        assert_eq!(error["error_type"], kind, "{path} {body}");
        let text = error["error"].as_str().expect("a message");
        assert!(text.contains(message), "{path} {body}: {text}");
    }
    let many: Vec<&str> = vec!["a"; 33];
    let reply = post(shared(), "/", &json!({"inputs": many}));
    assert_eq!(reply.status, 422);
    assert_eq!(reply.json()["error"], "batch size 33 > maximum allowed batch size 32");
    let plain = send(shared(), ("POST", "/"), &[("Content-Type", "text/plain")], Some(&long));
    assert_eq!((plain.status, &plain.json()["error_type"]), (415, &json!("Validation")));
    assert_eq!(send(shared(), ("DELETE", "/info"), &[], None).status, 405);
    // The forms of other clients.
    let openai = post(shared(), "/v1/embeddings", &json!({"input": []}));
    let body = json!({"message": "`input` cannot be empty", "code": 400, "type": "Empty"});
    assert_eq!((openai.status, openai.json()), (400, body));
    let qdrant = json!({"inputs": [{"data": "a", "model": "other"}], "inference": "search"});
    let qdrant = post(shared(), "/qdrant", &qdrant);
    let body = json!({"error": "the service has \"mini-ja-en\", not \"other\""});
    assert_eq!((qdrant.status, qdrant.json()), (400, body));
    // After all this it still answers.
    assert_eq!(get(shared(), "/health").status, 200);
}

#[test]
fn what_is_too_much_is_refused_at_once() {
    let limits = Limits { max_concurrent_requests: 2, payload_limit: 100, ..Limits::default() };
    let server = start(ServeOptions { limits, ..ServeOptions::default() });
    let overloaded = post(server.address(), "/", &json!({"inputs": ["a", "b", "c"]}));
    assert_eq!(overloaded.status, 429);
    assert!(overloaded.head.contains("retry-after: 1"));
    let body = json!({"error": "Model is overloaded", "error_type": "Overloaded"});
    assert_eq!(overloaded.json(), body);
    assert_eq!(post(server.address(), "/", &json!({"inputs": ["a", "b"]})).status, 200);
    let large = json!({"inputs": "a".repeat(200)});
    assert_eq!(post(server.address(), "/", &large).status, 413);
    // The same without a length, in chunks.
    let chunk = "a".repeat(200);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\nc8\r\n{chunk}\r\n0\r\n\r\n"
    );
    assert_eq!(raw(server.address(), request.as_bytes()).status, 413);
}

#[test]
fn keys_say_who_may_read_and_who_may_write() {
    let root = tempfile::tempdir().expect("a folder");
    let keys = Keys { read: vec!["r".to_owned()], write: vec!["w".to_owned()] };
    let index_root = Some(root.path().to_path_buf());
    let server = start(ServeOptions { keys, index_root, ..ServeOptions::default() });
    let status = |method: &str, path: &str, key: Option<&str>| {
        let header = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<_> = header.iter().map(|key| ("Authorization", key.as_str())).collect();
        let body = if method == "GET" { None } else { Some(r#"{"inputs": "a"}"#) };
        send(server.address(), (method, path), &headers, body)
    };
    for path in ["/health", "/ping", "/metrics", "/ui", "/docs", "/api-doc/openapi.json", "/"] {
        assert_eq!(status("GET", path, None).status, 200, "{path}");
    }
    for (method, path, key, expected) in [
        ("POST", "/embed_sparse", None, 401),
        ("POST", "/embed_sparse", Some("x"), 401),
        ("POST", "/embed_sparse", Some("r"), 200),
        ("POST", "/embed_sparse", Some("w"), 200),
        ("GET", "/info", None, 401),
        ("GET", "/v1/indexes", Some("r"), 200),
        ("PUT", "/v1/indexes/i", None, 401),
        ("PUT", "/v1/indexes/i", Some("r"), 403),
        ("PUT", "/v1/indexes/i", Some("w"), 422),
        ("POST", "/v1/indexes/i/search", None, 401),
        ("DELETE", "/v1/indexes/i", Some("r"), 403),
        ("DELETE", "/v1/indexes/i", Some("w"), 404),
    ] {
        let reply = status(method, path, key);
        assert_eq!(reply.status, expected, "{method} {path} {key:?}: {}", reply.body);
    }
    // As from text-embeddings-inference, the reply has no body.
    assert_eq!(status("POST", "/embed_sparse", None).body, "");
}

#[test]
fn indexes_are_created_changed_searched_and_dropped() {
    let root = tempfile::tempdir().expect("a folder");
    let index_root = Some(root.path().to_path_buf());
    let server = start(ServeOptions { index_root, ..ServeOptions::default() });
    let address = server.address();
    let call = |method: &str, path: &str, body: Value| {
        send(address, (method, path), &[], Some(&body.to_string()))
    };
    assert_eq!(call("PUT", "/v1/indexes/a", json!({})).status, 201);
    assert_eq!(call("PUT", "/v1/indexes/a", json!({})).status, 409);
    assert_eq!(call("PUT", "/v1/indexes/..", json!({})).status, 422);
    assert_eq!(call("PUT", "/v1/indexes/x%2Fy", json!({})).status, 422);
    assert_eq!(call("PUT", "/v1/indexes/b", json!({"weights": "u9"})).status, 422);

    let documents = json!([
        {"id": "1", "text": "日本の首都は東京です。"},
        {"id": "2", "text": "大阪万博は2025年に開催されます。"},
        {"id": "3", "title": "Tokyo", "text": "The night train leaves."},
    ]);
    let put = call("PUT", "/v1/indexes/a/documents", json!({"documents": documents})).ok();
    assert_eq!((&put["changed"], &put["index"]["documents"]), (&json!(3), &json!(3)));

    // The same index made by the library.
    let twin = root.path().join("twin");
    let mut index = Index::create(&twin, encoder(), &IndexOptions::default()).expect("an index");
    let texts = [
        ("1", "日本の首都は東京です。"),
        ("2", "大阪万博は2025年に開催されます。"),
        ("3", "Tokyo The night train leaves."),
    ];
    index.upsert(encoder(), texts, &mut ()).expect("documents");
    index.commit().expect("a commit");
    let searcher = Searcher::open(&twin, Some(encoder().clone())).expect("a searcher");
    for query in ["首都", "万博 2025", "night train"] {
        let hits = searcher.search(query, &SearchOptions::default()).expect("hits");
        let request = json!({"text": query, "explain": true});
        let reply = post(address, "/v1/indexes/a/search", &request).ok();
        let found = reply["hits"].as_array().expect("hits");
        assert_eq!(found.len(), hits.len());
        for (found, hit) in found.iter().zip(&hits) {
            assert_eq!(
                (&found["id"], found["score"].as_f64().map(|score| score as f32)),
                (&json!(hit.id), Some(hit.score))
            );
            let shares = found["explanation"].as_array().expect("shares").iter();
            let sum: f64 = shares.map(|share| share["score"].as_f64().expect("a share")).sum();
            // The score is rounded to 32 bits.
            assert!((sum - f64::from(hit.score)).abs() < 1e-4 * sum);
        }
        let vector = encoder().encode_query(query).expect("a vector");
        let indices: Vec<u32> = vector.terms().iter().map(|term| term.0).collect();
        let request = json!({"vector": {"indices": indices, "values": vector.weights()}});
        let by_vector = post(address, "/v1/indexes/a/search", &request).ok();
        let tokens: BTreeMap<_, _> = vector.iter().map(|(t, w)| (encoder().token(t), w)).collect();
        let by_tokens = post(address, "/v1/indexes/a/search", &json!({"vector": tokens})).ok();
        let ids = |reply: &Value| -> Vec<Value> {
            reply["hits"].as_array().expect("hits").iter().map(|hit| hit["id"].clone()).collect()
        };
        assert_eq!(ids(&by_vector), ids(&reply));
        assert_eq!(ids(&by_tokens), ids(&reply));
    }
    let only = json!({"text": "東京 Tokyo", "filter": {"ids": ["3", "9"]}});
    let only = post(address, "/v1/indexes/a/search", &only).ok();
    assert_eq!(only["hits"].as_array().map(Vec::len), Some(1));

    // Replacing, deleting, and several indexes at once.
    let again = json!({"documents": [{"id": "2", "text": "天気"}]});
    assert_eq!(call("PUT", "/v1/indexes/a/documents", again).ok()["index"]["documents"], 3);
    let deleted = call("DELETE", "/v1/indexes/a/documents", json!({"ids": ["1", "9"]})).ok();
    assert_eq!((&deleted["changed"], &deleted["index"]["documents"]), (&json!(1), &json!(2)));
    assert_eq!(call("PUT", "/v1/indexes/b", json!({"weights": "f32"})).status, 201);
    let other = json!({"documents": [{"id": "b1", "text": "日本の首都は東京です。"}]});
    call("PUT", "/v1/indexes/b/documents", other).ok();
    let both = post(address, "/v1/indexes/a,b/search", &json!({"text": "首都"})).ok();
    assert_eq!((&both["hits"][0]["id"], &both["hits"][0]["index"]), (&json!("b1"), &json!("b")));
    let merged = send(address, ("POST", "/v1/indexes/a/merge"), &[], None).ok();
    assert_eq!((&merged["index"]["segments"], &merged["index"]["deleted"]), (&json!(1), &json!(0)));

    // A request that fails changes nothing.
    let half = json!({"documents": [{"id": "new", "text": "x"}, {"id": "", "text": "y"}]});
    assert_eq!(call("PUT", "/v1/indexes/a/documents", half).status, 400);
    let neither = json!({"documents": [{"id": "new"}]});
    assert_eq!(call("PUT", "/v1/indexes/a/documents", neither).status, 422);
    assert_eq!(get(address, "/v1/indexes/a").ok()["documents"], 2);

    assert_eq!(send(address, ("DELETE", "/v1/indexes/b"), &[], None).status, 204);
    assert_eq!(get(address, "/v1/indexes/b").status, 404);
    assert!(!root.path().join("b").exists());
    server.stop();
    // What was acknowledged is on the disk.
    let searcher =
        Searcher::open(root.path().join("a"), Some(encoder().clone())).expect("an index");
    assert_eq!(searcher.index().info().documents, 2);
}

#[test]
fn many_writers_lose_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let index_root = Some(root.path().to_path_buf());
    let server = start(ServeOptions { index_root, ..ServeOptions::default() });
    let address = server.address();
    assert_eq!(send(address, ("PUT", "/v1/indexes/a"), &[], Some("{}")).status, 201);
    let write = |writer: usize| {
        for n in 0..5 {
            let vector = json!({"indices": [writer, 100 + n], "values": [1.0, 2.0]});
            let documents =
                json!({"documents": [{"id": format!("{writer}-{n}"), "vector": vector}]});
            let body = documents.to_string();
            send(address, ("PUT", "/v1/indexes/a/documents"), &[], Some(&body)).ok();
            // A reply means that searches see the document.
            let request = json!({"vector": vector, "k": 1});
            let found = post(address, "/v1/indexes/a/search", &request).ok();
            assert_eq!(found["hits"][0]["id"], format!("{writer}-{n}"));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|writer| scope.spawn(move || write(writer))).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it writes"));
    });
    let stats = get(address, "/v1/indexes/a").ok();
    assert_eq!(stats["documents"], 30);
    // Changes of several requests are committed together.
    assert!(stats["generation"].as_u64().expect("a number") < 31, "{stats}");
}

#[test]
fn pairs_are_scored_as_the_library_scores_them() {
    let score = |value: &Value| value["score"].as_f64().expect("a score") as f32;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates/splade-model/tests/fixtures/cross_encoders/bert");
    let reranker = Some(folder.clone());
    let server = start(ServeOptions { reranker, ..ServeOptions::default() });
    let texts = ["the night train leaves", "a cat", "tokyo"];
    let options = splade_model::CrossEncoderOptions::default();
    let model = splade_model::CrossEncoder::load(&folder, &options).expect("a model");
    let pairs: Vec<_> = texts.iter().map(|text| ("train", *text)).collect();
    let logits = model.logits(&pairs).expect("logits");
    let labels = logits[0].len();
    let request =
        json!({"query": "train", "texts": texts, "raw_scores": true, "return_text": true});
    let ranks = post(server.address(), "/rerank", &request);
    if labels == 1 {
        let ranks = ranks.ok();
        let ranks = ranks.as_array().expect("ranks");
        assert_eq!(ranks.len(), 3);
        assert!(
            ranks.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64())
        );
        for rank in ranks {
            let index = rank["index"].as_u64().expect("an index") as usize;
            assert_eq!(score(rank), logits[index][0]);
            assert_eq!(rank["text"], texts[index]);
        }
    } else {
        assert_eq!(ranks.status, 424);
    }
    let request = json!({"inputs": [["train", texts[0]]], "raw_scores": true});
    let classes = post(server.address(), "/predict", &request).ok();
    let classes = classes[0].as_array().expect("classes");
    assert_eq!(classes.len(), labels);
    let largest = logits[0].iter().copied().fold(f32::MIN, f32::max);
    assert_eq!(score(&classes[0]), largest);
}

#[test]
fn pairs_cost_their_tokens_and_classes_have_the_names_of_the_model() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates/splade-model/tests/fixtures/cross_encoders/bert-two-labels");
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(&fixtures).expect("a model") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name");
        std::fs::copy(&path, folder.path().join(name)).expect("a copy");
    }
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).expect("a config");
    let mut settings: Value = serde_json::from_str(&text).expect("JSON");
    settings["id2label"] = json!({"0": "other", "1": "relevant"});
    std::fs::write(&config, settings.to_string()).expect("it is written");

    let reranker = Some(folder.path().to_owned());
    let server = start(ServeOptions { reranker, ..ServeOptions::default() });
    let model = splade_model::CrossEncoder::load(folder.path(), &Default::default());
    let model = model.expect("a model");
    let long = "the night train ".repeat(100);
    let pairs = [("train", "the night train leaves"), ("a", long.as_str())];
    let tokens = model.tokenizer().encode(&pairs).expect("tokens");
    assert!(tokens[1].truncated && tokens[1].ids.len() == model.tokenizer().max_length());
    let count: usize = tokens.iter().map(|pair| pair.ids.len()).sum();

    let reply = post(server.address(), "/predict", &json!({"inputs": pairs}));
    assert!(reply.head.contains(&format!("x-compute-tokens: {count}\r\n")), "{}", reply.head);
    let reply = reply.ok();
    for (at, logits) in model.logits(&pairs).expect("logits").iter().enumerate() {
        let classes = reply[at].as_array().expect("classes").iter();
        let classes: BTreeMap<_, _> = classes
            .map(|class| {
                (
                    class["label"].as_str().expect("a name"),
                    class["score"].as_f64().expect("a score"),
                )
            })
            .collect();
        // The softmax of two numbers is a sigmoid of their difference.
        let relevant = 1.0 / (1.0 + f64::from(logits[0] - logits[1]).exp());
        assert_eq!(classes.keys().collect::<Vec<_>>(), [&"other", &"relevant"]);
        assert!((classes["relevant"] - relevant).abs() < 1e-6, "{classes:?}");
        assert!((classes["other"] + classes["relevant"] - 1.0).abs() < 1e-6);
    }
    let refused = post(server.address(), "/predict", &json!({"inputs": pairs, "truncate": false}));
    let whole = model.tokenizer().length_of(pairs[1].0, pairs[1].1).expect("tokens");
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains(&format!("Given: {whole}")), "{}", refused.body);
}

#[test]
fn every_route_of_the_description_is_there_and_metrics_have_their_names() {
    let api = get(shared(), "/api-doc/openapi.json").ok();
    let paths = api["paths"].as_object().expect("paths");
    assert!(paths.len() > 20);
    for (path, operations) in paths {
        for method in operations.as_object().expect("operations").keys() {
            let place = path.replace("{name}", "nothing");
            let body = if method == "get" { None } else { Some("{}") };
            let reply = send(shared(), (&method.to_uppercase(), &place), &[], body);
            let unknown = reply.body.contains("there is nothing at") || reply.status == 405;
            assert!(!unknown && reply.status != 500, "{method} {place}: {}", reply.body);
        }
    }
    post(shared(), "/", &json!({"inputs": "a"})).ok();
    let metrics = get(shared(), "/metrics").body;
    for name in [
        "te_request_count{method=\"single\"}",
        "te_request_success{method=\"single\"}",
        "te_embed_count",
        "te_embed_success",
        "te_request_duration_bucket",
        "te_request_tokenization_duration_sum",
        "te_request_queue_duration_count",
        "te_request_inference_duration_sum",
        "te_request_input_length_bucket",
        "te_batch_next_size_sum",
        "te_batch_next_tokens_sum",
        "te_queue_size",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    for (path, word) in [("/ui", "Terms of the vector"), ("/docs", "HTTP API")] {
        let page = get(shared(), path);
        assert!(page.status == 200 && page.body.contains(word), "{path}");
        assert!(
            !page.body.contains("http://") && !page.body.contains("https://"),
            "{path} loads from elsewhere"
        );
        assert!(page.head.contains("content-security-policy: default-src 'none'"));
    }
}

#[test]
fn a_service_that_cannot_load_its_model_says_so_and_is_never_ready() {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServeOptions { model: "nowhere".into(), address, ..ServeOptions::default() };
    let mut server = Server::start(options).expect("it listens");
    let error = server.ready().expect_err("there is no such model");
    assert!(error.to_string().contains("nowhere"), "{error}");
    let health = get(server.address(), "/health");
    let body = json!({"error": "starting", "error_type": "Unhealthy"});
    assert_eq!((health.status, health.json()), (503, body));
    assert_eq!(post(server.address(), "/", &json!({"inputs": "a"})).status, 503);
}

#[test]
fn hybrid_search_and_re_ranking_are_those_of_the_library() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates/splade-model/tests/fixtures/cross_encoders/bert");
    let (index_root, reranker) = (Some(root.path().to_path_buf()), Some(folder.clone()));
    let server = start(ServeOptions { index_root, reranker, ..ServeOptions::default() });
    let address = server.address();
    let call =
        |path: &str, body: Value| send(address, ("PUT", path), &[], Some(&body.to_string())).ok();
    call("/v1/indexes/a", json!({}));
    call("/v1/indexes/plain", json!({"store": false}));
    let texts = ["東京の天気", "大阪の天気と東京の電車", "電車の時刻", "天気予報"];
    let document =
        |(id, text): (usize, &&str)| json!({"id": id.to_string(), "text": text, "title": "t"});
    let documents: Vec<Value> = texts.iter().enumerate().map(document).collect();
    call("/v1/indexes/a/documents", json!({"documents": documents}));
    let searcher =
        Searcher::open(root.path().join("a"), Some(encoder().clone())).expect("an index");
    let query = "東京の天気";
    let search = |more: Value| {
        let mut request = json!({"text": query, "k": 3});
        request.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        post(address, "/v1/indexes/a/search", &request)
    };
    let ids = |reply: &Value| -> Vec<String> {
        let hits = reply["hits"].as_array().expect("hits").iter();
        hits.map(|hit| hit["id"].as_str().expect("an id").to_owned()).collect()
    };

    let options = SearchOptions { k: 3, ..SearchOptions::default() };
    let bm25 = searcher.search_bm25(query, &options).expect("hits");
    let expected: Vec<String> = bm25.iter().map(|hit| hit.id.clone()).collect();
    let reply = search(json!({"mode": "bm25", "explain": true, "return_text": true})).ok();
    assert_eq!(ids(&reply), expected);
    assert_eq!(reply["hits"][0]["title"], "t");
    assert_eq!(reply["hits"][0]["text"], texts[expected[0].parse::<usize>().expect("a number")]);
    assert!(reply["hits"][0]["explanation"][0]["score"].as_f64() > Some(0.0));

    let options = light_splade::search::HybridOptions { k: 3, ..Default::default() };
    let hybrid = searcher.search_hybrid(query, &options).expect("hits");
    let expected: Vec<String> = hybrid.iter().map(|hit| hit.id.clone()).collect();
    for more in
        [json!({"mode": "hybrid"}), json!({"mode": "hybrid", "fusion": {"method": "rrf", "k": 60}})]
    {
        let reply = search(more).ok();
        assert_eq!(ids(&reply), expected);
        let rank = hybrid[0].splade.map(|place| place.rank);
        assert_eq!(reply["hits"][0]["ranks"]["splade"].as_u64().map(|rank| rank as usize), rank);
    }
    search(json!({"mode": "hybrid", "fusion": {"method": "minmax", "weights": [0.7, 0.3]}})).ok();

    let options = splade_model::CrossEncoderOptions::default();
    let model = splade_model::CrossEncoder::load(&folder, &options).expect("a model");
    let found =
        searcher.search(query, &SearchOptions { k: 3, ..SearchOptions::default() }).expect("hits");
    let reranked =
        searcher.rerank(&model, query, found.iter().map(|hit| hit.id.as_str())).expect("scores");
    let reply = search(json!({"rerank": 3})).ok();
    let expected: Vec<String> = reranked.iter().map(|hit| hit.id.clone()).collect();
    assert_eq!(ids(&reply), expected);
    assert_eq!(reply["hits"][0]["ranks"]["before"], reranked[0].rank_before);
    assert!(reply["hits"][0].get("text").is_none());

    let reply = search(json!({"snippet": 20})).ok();
    let hit = &reply["hits"][0];
    assert_eq!(hit["title"], "t");
    let passage = hit["snippet"]["text"].as_str().expect("a passage");
    let marks = hit["snippet"]["marks"].as_array().expect("marks");
    let units: Vec<u16> = passage.encode_utf16().collect();
    let marked = |mark: &Value| {
        let at = |name: &str| mark[name].as_u64().expect("a place") as usize;
        String::from_utf16(&units[at("start")..at("stop")]).expect("UTF-16")
    };
    assert!(marks.iter().any(|mark| marked(mark) == "東京" && mark["kind"] == "word"), "{hit}");
    assert!(hit.get("text").is_none());

    for (more, message) in [
        (json!({"mode": "hybrid", "explain": true}), "has neither `explain` nor `threshold`"),
        (
            json!({"mode": "hybrid", "fusion": {"method": "minmax", "k": 1}}),
            "for the method `rrf` only",
        ),
        (json!({"mode": "hybrid", "fusion": {"weights": [0, 0]}}), "weight"),
        (json!({"mode": "bm25", "text": null}), "need a query as `text`"),
        (json!({"mode": "bm25", "vector": {"indices": [], "values": []}}), "has no `vector`"),
        (json!({"k": 0}), "`k` must be from 1"),
    ] {
        let reply = search(more.clone());
        assert_eq!(reply.status, 422, "{more}: {}", reply.body);
        assert!(reply.body.contains(message), "{more}: {}", reply.body);
    }
    for more in
        [json!({"text": query, "mode": "bm25"}), json!({"text": query, "return_text": true})]
    {
        assert_eq!(post(address, "/v1/indexes/plain/search", &more).status, 422);
    }
}

/// The program, when it has said that it is ready, and where it listens.
fn program(arguments: &[&str]) -> (Child, SocketAddr, BufReader<std::process::ChildStderr>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.args(["serve", "--port", "0", "--log-level", "info"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("a log"));
    let mut line = String::new();
    while !line.contains("ready at http://") {
        line.clear();
        assert!(log.read_line(&mut line).expect("a line") > 0, "it ended");
    }
    let at = line.split("http://").nth(1).and_then(|rest| rest.split(':').nth(1)).expect("a port");
    let port = at.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().expect("a port");
    (child, SocketAddr::from(([127, 0, 0, 1], port)), log)
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[cfg(unix)]
#[test]
fn the_program_loads_anew_and_stops_when_it_is_told() {
    let root = tempfile::tempdir().expect("a folder");
    let folder: PathBuf = root.path().join("docs");
    let mut index = Index::create(&folder, encoder(), &IndexOptions::default()).expect("an index");
    index.upsert(encoder(), [("1", "東京")], &mut ()).expect("a document");
    index.commit().expect("a commit");
    drop(index);
    let given = format!("wiki={}", folder.display());
    let (mut child, address, mut log) = program(&["--index", &given, "--dtype", "float16"]);
    assert_eq!(get(address, "/v1/indexes/wiki").ok()["documents"], 1);

    let mut index = Index::open(&folder, &IndexOptions::default()).expect("an index");
    index.upsert(encoder(), [("2", "大阪")], &mut ()).expect("a document");
    index.commit().expect("a commit");
    drop(index);
    signal(&child, "-HUP");
    let mut line = String::new();
    while !line.contains("loaded anew") {
        line.clear();
        assert!(log.read_line(&mut line).expect("a line") > 0, "it ended");
    }
    assert_eq!(get(address, "/v1/indexes/wiki").ok()["documents"], 2);

    // A request that is running when the service is told to stop gets its reply.
    let texts: Vec<String> = (0..32).map(|n| format!("{n} {}", "大阪万博 ".repeat(60))).collect();
    let running = std::thread::spawn(move || post(address, "/", &json!({"inputs": texts})));
    while !get(address, "/metrics").body.contains("te_embed_count 32") {
        std::thread::yield_now();
    }
    signal(&child, "-TERM");
    assert_eq!(running.join().expect("a reply").status, 200);
    assert!(child.wait().expect("it ends").success());
}
