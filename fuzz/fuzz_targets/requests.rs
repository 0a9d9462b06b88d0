//! Bodies of requests to the HTTP service: the first byte chooses the route, and the rest is the body. The whole
//! service answers them, with tiny models, a re-ranker, and an index that may change. Every reply must be JSON with a
//! status that the service documents; a panic anywhere ends the run.
#![no_main]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use libfuzzer_sys::fuzz_target;
use light_splade::serve::{Limits, ServeOptions, Server};

/// The routes with a body. Those that change the index wait for the disk, so they are few.
const ROUTES: [(&str, &str); 22] = [
    ("POST", "/embed_sparse"),
    ("POST", "/embed_sparse"),
    ("POST", "/query/embed_sparse"),
    ("POST", "/embed"),
    ("POST", "/embed_all"),
    ("POST", "/similarity"),
    ("POST", "/rerank"),
    ("POST", "/predict"),
    ("POST", "/tokenize"),
    ("POST", "/decode"),
    ("POST", "/vertex"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/token_weights"),
    ("POST", "/v1/sparse_embeddings?side=query"),
    ("POST", "/v1/explain"),
    ("POST", "/qdrant"),
    ("POST", "/v1/indexes/fuzz/search"),
    ("POST", "/v1/indexes/fuzz/search"),
    ("POST", "/v1/indexes/fuzz/search"),
    ("PUT", "/v1/indexes/fuzz"),
    ("PUT", "/v1/indexes/fuzz/documents"),
    ("DELETE", "/v1/indexes/fuzz/documents"),
];

/// The statuses that the documentation lists for requests of this kind.
const STATUSES: [u16; 7] = [200, 400, 404, 409, 422, 424, 429];

struct Service {
    address: SocketAddr,
    connection: Mutex<Option<BufReader<TcpStream>>>,
    _server: Server,
    _root: tempfile::TempDir,
}

fn service() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let reranker = "crates/splade-model/tests/fixtures/cross_encoders/bert-japanese";
        let root = tempfile::tempdir().expect("a folder");
        let mut server = Server::start(ServeOptions {
            model: repository.join("models/demo"),
            reranker: Some(repository.join(reranker)),
            index_root: Some(root.path().to_owned()),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            limits: Limits { commit_interval: std::time::Duration::ZERO, ..Limits::default() },
            ..ServeOptions::default()
        })
        .expect("it starts");
        server.ready().expect("it loads");
        let address = server.address();
        let service =
            Service { address, connection: Mutex::default(), _server: server, _root: root };
        assert_eq!(service.ask("PUT", "/v1/indexes/fuzz", b"{}").0, 201);
        let documents = r#"{"documents": [{"id": "1", "title": "東京", "text": "日本の首都"}, {"id": "2", "text": "電車"}]}"#;
        assert_eq!(service.ask("PUT", "/v1/indexes/fuzz/documents", documents.as_bytes()).0, 200);
        service
    })
}

impl Service {
    /// Sends a request on the connection of the last one, and returns the status and the body of the reply.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut connection = self.connection.lock().expect("one thread");
        let connect = || BufReader::new(TcpStream::connect(self.address).expect("a connection"));
        let stream = connection.get_or_insert_with(connect);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: f\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(&[head.as_bytes(), body].concat()).expect("it is sent");
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(stream.read_line(&mut line).expect("a line") > 0, "the connection was closed");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            } else if line.is_empty() {
                break;
            }
        }
        let mut reply = vec![0; length];
        stream.read_exact(&mut reply).expect("the body");
        (status, reply)
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((route, body)) = input.split_first() else { return };
    let (method, path) = ROUTES[*route as usize % ROUTES.len()];
    let (status, reply) = service().ask(method, path, body);
    let shown = String::from_utf8_lossy(&reply);
    assert!(STATUSES.contains(&status), "{method} {path}: {status} {shown}");
    let json: Result<serde_json::Value, _> = serde_json::from_slice(&reply);
    assert!(json.is_ok(), "{method} {path}: {status} {shown}");
});
