//! Tests of what clients should not send, and of clients that do not behave.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use light_splade::serve::{Keys, Limits, ServeOptions};
use serde_json::json;

use super::client::{get, post, raw, send};
use super::{TEXTS, shared, start};

#[test]
fn structs_are_objects_and_never_arrays() {
    // An array whose values would be the fields in their order.
    for (path, body) in [
        ("/", r#"["a"]"#),
        ("/", r#""a""#),
        ("/similarity", r#"{"inputs": ["a", ["b"]]}"#),
        (
            "/similarity",
            r#"{"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": []}"#,
        ),
        ("/qdrant", r#"{"inputs": [["a", "text", "mini-ja-en", null]], "inference": "search"}"#),
        ("/vertex", r#"{"instances": [["a"]]}"#),
    ] {
        let reply = send(shared(), ("POST", path), &[], Some(body));
        let expected = if path == "/qdrant" { 400 } else { 422 };
        assert_eq!(reply.status, expected, "{path} {body}: {}", reply.body);
    }
    let null = json!({"inputs": {"source_sentence": "a", "sentences": ["a"]}, "parameters": null});
    post(shared(), "/similarity", &null).ok();
}

#[test]
fn bytes_that_no_client_should_send_get_an_error_and_no_panic() {
    let deep = "[".repeat(50_000);
    for body in [
        format!("{{\"inputs\": {deep}").into_bytes(),
        format!("{{\"instances\": [{deep}").into_bytes(),
        b"{\"inputs\": \"\xff\"}".to_vec(),
        br#"{"inputs": "\ud800"}"#.to_vec(),
        br#"{"inputs": NaN}"#.to_vec(),
        br#"{"inputs": "a", "top_k": 18446744073709551616}"#.to_vec(),
        br#"{"inputs": "a", "inputs": "b"}"#.to_vec(),
    ] {
        for path in ["/", "/vertex", "/v1/token_weights", "/v1/embeddings"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let reply = raw(shared(), &[head.as_bytes(), &body].concat());
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert!(matches!(reply.status, 400 | 422), "{path} {shown}: {}", reply.status);
            // It is JSON in all forms.
            reply.json();
        }
    }
    // Sizes that no computer has are sizes nevertheless.
    post(shared(), "/", &json!({"inputs": "a", "top_k": u64::MAX, "threshold": -1e30})).ok();
}

#[test]
fn query_strings_and_paths_that_do_not_fit_are_errors_in_json() {
    let body = json!({"inputs": "a"}).to_string();
    for (path, status, message) in [
        ("/v1/token_weights?top_k=-1", 422, "the query string does not fit"),
        ("/v1/token_weights?side=x", 422, "the query string does not fit"),
        ("/v1/indexes/%ff/search", 422, "the path is not UTF-8"),
        ("/v1/indexes/a%2Fb/search", 404, "there is no index"),
        ("/v1/indexes/%2e%2e/search", 404, "there is no index"),
    ] {
        let reply = send(shared(), ("POST", path), &[], Some(&body));
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        let error = reply.json();
        let text = error["error"].as_str().expect("a message");
        assert!(text.contains(message), "{path}: {text}");
    }
}

#[test]
fn the_address_says_the_side_for_clients_that_cannot() {
    let ask = |path: &str, body: serde_json::Value| post(shared(), path, &body).ok();
    let of = |side: &str| ask("/embed_sparse", json!({"inputs": TEXTS[0], "side": side}));
    // The built-in model has one prompt for both sides, so a conflict shows which side is meant.
    for side in ["query", "document"] {
        let path = format!("/{side}/embed_sparse");
        assert_eq!(ask(&path, json!({"inputs": TEXTS[0]})), of(side));
    }
    let options = ServeOptions { default_query: true, ..ServeOptions::default() };
    let server = start(options);
    let explained = post(server.address(), "/document/v1/explain", &json!({"text": "首都"})).ok();
    assert_eq!(explained, post(shared(), "/v1/explain", &json!({"text": "首都"})).ok());
}

#[test]
fn bodies_of_search_engines_say_the_side_and_the_names_of_terms() {
    let with = |more: serde_json::Value| {
        let mut body = json!({"inputs": ["首都"]});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        post(shared(), "/v1/token_weights", &body).ok()[0].clone()
    };
    let names = |object: &serde_json::Value| -> Vec<String> {
        object.as_object().expect("an object").keys().cloned().collect()
    };
    let by_id = with(json!({"sparse_embedding_format": "token_id", "side": "query"}));
    let list = post(shared(), "/embed_sparse", &json!({"inputs": "首都", "side": "query"})).ok();
    let ids = list[0].as_array().expect("terms").iter().map(|term| term["index"].to_string());
    let (mut expected, mut found): (Vec<_>, _) = (ids.collect(), names(&by_id));
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(names(&with(json!({"top_k": 1, "side": "document"}))).len(), 1);
    // The body goes before the address.
    let path = "/v1/token_weights?top_k=1";
    let body = json!({"inputs": ["日本の首都"], "top_k": 2});
    assert_eq!(names(&post(shared(), path, &body).ok()[0]).len(), 2);
}

#[test]
fn predict_takes_the_forms_of_its_pairs() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crates/splade-model/tests/fixtures/cross_encoders/bert-japanese"
    );
    let server = start(ServeOptions { reranker: Some(folder.into()), ..ServeOptions::default() });
    let ask = |inputs: serde_json::Value| {
        post(server.address(), "/predict", &json!({ "inputs": inputs }))
    };
    let one = ask(json!(["首都", "東京"])).ok();
    assert_eq!(ask(json!([["首都", "東京"]])).ok(), json!([one]));
    for (inputs, status) in [
        (json!("首都"), 422),
        (json!(["首都"]), 422),
        (json!(["a", "b", "c"]), 422),
        (json!([["a"], ["b", "c"]]), 422),
        (json!([]), 400),
        (json!(["", ""]), 400),
    ] {
        let reply = ask(inputs.clone());
        assert_eq!(reply.status, status, "{inputs}: {}", reply.body);
    }
}

#[test]
fn qdrant_sends_its_key_in_the_body() {
    let keys = Keys { read: vec!["r".to_owned()], write: vec!["w".to_owned()] };
    let server = start(ServeOptions { keys, ..ServeOptions::default() });
    let input = json!({"data": "a", "data_type": "text", "model": "mini-ja-en", "options": null});
    for (token, status) in [
        (json!("r"), 200),
        (json!("w"), 200),
        (json!("x"), 401),
        (json!(""), 401),
        (json!(null), 401),
    ] {
        let body = json!({"inputs": [input], "inference": "update", "token": token});
        assert_eq!(post(server.address(), "/qdrant", &body).status, status, "{token}");
    }
    let body = json!({"inputs": [input], "inference": "search"}).to_string();
    let header = [("Authorization", "Bearer r")];
    assert_eq!(send(server.address(), ("POST", "/qdrant"), &header, Some(&body)).status, 200);
    // Without a valid body there is no key.
    assert_eq!(send(server.address(), ("POST", "/qdrant"), &[], Some("{")).status, 401);
}

#[test]
fn slow_clients_are_dropped_and_free_what_they_held() {
    let limits = Limits {
        payload_limit: 1000,
        max_connections: 70,
        read_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = start(ServeOptions { limits, ..ServeOptions::default() });
    // All memory for bodies is held by clients that send one byte.
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                 Content-Length: 1000\r\n\r\n{";
    let slow = |_| {
        let mut stream = TcpStream::connect(server.address()).expect("a connection");
        stream.write_all(head).expect("sent");
        stream
    };
    let slow: Vec<TcpStream> = (0..64).map(slow).collect();
    let replies = slow.into_iter().map(|mut stream| {
        let mut reply = String::new();
        _ = stream.read_to_string(&mut reply);
        reply.split(' ').nth(1).map(str::to_owned)
    });
    assert!(replies.into_iter().all(|status| status.as_deref() == Some("408")));
    // And so are all connections by clients whose heads do not end.
    let mut silent: Vec<TcpStream> =
        (0..70).map(|_| TcpStream::connect(server.address()).expect("a connection")).collect();
    silent.iter_mut().for_each(|stream| _ = stream.write_all(b"GET / HTTP/1.1\r\nX: "));
    post(server.address(), "/", &json!({"inputs": "a"})).ok();
}

#[test]
fn a_client_that_goes_takes_nothing_with_it() {
    let limits = Limits { max_concurrent_requests: 3, ..Limits::default() };
    let server = start(ServeOptions { limits, ..ServeOptions::default() });
    let body = json!({"inputs": TEXTS}).to_string();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address()).expect("a connection");
        let head = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        _ = stream.write_all(head.as_bytes());
        _ = stream.write_all(body.as_bytes());
        _ = stream.shutdown(Shutdown::Both);
    }
    // Its place in the queue is free again, at the latest when its batch has been computed.
    let status = || post(server.address(), "/", &json!({"inputs": TEXTS})).status;
    let first = std::iter::repeat_with(status).take(10_000).find(|status| *status != 429);
    assert_eq!(first, Some(200));
}

#[test]
fn a_batch_with_a_bad_document_changes_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let index_root = Some(root.path().to_path_buf());
    let server = start(ServeOptions { index_root, ..ServeOptions::default() });
    let put = |path: &str, body: serde_json::Value| {
        send(server.address(), ("PUT", path), &[], Some(&body.to_string()))
    };
    put("/v1/indexes/a", json!({})).ok();
    let path = "/v1/indexes/a/documents";
    for bad in [
        json!({"id": "x".repeat(70_000), "text": "a"}),
        json!({"id": "", "text": "a"}),
        json!({"id": "b"}),
        json!({"id": "b", "vector": {"indices": [1], "values": [-1]}}),
        json!({"id": "b", "vector": {"indices": [1], "values": [1e39]}}),
        json!({"id": "b", "vector": {"indices": [9_999_999], "values": [1]}}),
        json!(["b", "a", null, null]),
    ] {
        let reply = put(path, json!({"documents": [{"id": "good", "text": "a"}, bad]}));
        assert!(matches!(reply.status, 400 | 422), "{}: {}", reply.status, reply.body);
        let later = put(path, json!({"documents": [{"id": "later", "text": "b"}]})).ok();
        assert_eq!(later["index"]["documents"], 1);
    }
    for name in ["..", "a%2fb", "%2e%2e%2fb", ".b", "-b", "a,b", "%00", "%ff"] {
        let reply = put(&format!("/v1/indexes/{name}"), json!({}));
        assert_eq!(reply.status, 422, "{name}: {}", reply.body);
    }
    let names: Vec<_> = std::fs::read_dir(root.path()).expect("it is there").collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn the_description_says_what_all_routes_answer() {
    let api = get(shared(), "/api-doc/openapi.json").ok();
    for (path, operations) in api["paths"].as_object().expect("paths") {
        if matches!(path.as_str(), "/health" | "/metrics") {
            continue;
        }
        for (method, operation) in operations.as_object().expect("operations") {
            let responses = operation["responses"].as_object().expect("responses");
            let of_bodies: &[&str] = match operation.get("requestBody") {
                Some(_) => &["400", "408", "413", "415", "422"],
                None => &[],
            };
            for status in ["401", "429", "503"].iter().chain(of_bodies) {
                assert!(responses.contains_key(*status), "{method} {path} lacks {status}");
            }
        }
    }
    assert_eq!(api["components"]["schemas"]["Input"]["oneOf"][1]["minItems"], 1);
}
