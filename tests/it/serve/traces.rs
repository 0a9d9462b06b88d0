//! Traces: what a collector of OpenTelemetry gets. The messages are read by the numbers of their fields in
//! opentelemetry-proto's `trace.proto`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use light_splade::serve::{OtlpOptions, ServeOptions};
use serde_json::json;

use super::client::{get, post, send};
use super::start;

/// What a collector got: the head of a request in lower case, and its body.
type Got = (String, Vec<u8>);

/// A collector that answers with a status and a body.
fn collector(status: &'static str, answer: &'static [u8]) -> (SocketAddr, Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let (mut head, mut length) = (None, usize::MAX);
            let mut buffer = [0; 4096];
            while head.is_none_or(|head| bytes.len() < head + length) {
                let read = stream.read(&mut buffer).expect("bytes");
                assert!(read > 0, "the request broke off");
                bytes.extend_from_slice(&buffer[..read]);
                if let (None, Some(end)) =
                    (head, bytes.windows(4).position(|end| end == b"\r\n\r\n"))
                {
                    let text = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                    let told = text.lines().find_map(|line| line.strip_prefix("content-length: "));
                    length = told.expect("a length").parse().expect("a number");
                    head = Some(end + 4);
                }
            }
            let body = bytes.split_off(head.expect("a head"));
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n\r\n"
            );
            stream.write_all(&[head.as_bytes(), answer].concat()).expect("an answer");
            _ = sender.send((String::from_utf8_lossy(&bytes).to_lowercase(), body));
        }
    });
    (address, got)
}

/// A message of Protocol Buffers: the values of each field. Numbers of all kinds are bytes, too.
#[derive(Debug, Clone, Default)]
struct Message(BTreeMap<u64, Vec<Vec<u8>>>);

impl Message {
    fn read(mut bytes: &[u8]) -> Self {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let (byte, rest) = bytes.split_first().expect("a byte");
                *bytes = rest;
                value |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            value
        }
        let mut message = Self::default();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let length = match tag & 7 {
                0 => {
                    let value = varint(&mut bytes).to_le_bytes().to_vec();
                    message.0.entry(tag >> 3).or_default().push(value);
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                kind => panic!("there is no wire type {kind}"),
            };
            let (value, rest) = bytes.split_at(length);
            bytes = rest;
            message.0.entry(tag >> 3).or_default().push(value.to_vec());
        }
        message
    }

    fn all(&self, field: u64) -> Vec<Self> {
        self.0.get(&field).into_iter().flatten().map(|bytes| Self::read(bytes)).collect()
    }

    fn one(&self, field: u64) -> Self {
        self.all(field).pop().unwrap_or_default()
    }

    fn bytes(&self, field: u64) -> Vec<u8> {
        self.0.get(&field).and_then(|values| values.last()).cloned().unwrap_or_default()
    }

    fn text(&self, field: u64) -> String {
        String::from_utf8(self.bytes(field)).expect("UTF-8")
    }

    fn number(&self, field: u64) -> u64 {
        let bytes = self.bytes(field);
        bytes.try_into().map_or(0, u64::from_le_bytes)
    }

    fn hex(&self, field: u64) -> String {
        self.bytes(field).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The `AnyValue` of a `KeyValue` in the list of attributes of this message.
    fn attribute(&self, list: u64, key: &str) -> Self {
        let pair = self.all(list).into_iter().find(|pair| pair.text(1) == key);
        pair.unwrap_or_else(|| panic!("no attribute {key}")).one(2)
    }
}

/// The spans of a request to a collector: `resource_spans`, `scope_spans`, `spans`.
fn spans(body: &[u8]) -> (Message, Vec<Message>) {
    let resource_spans = Message::read(body).one(1);
    (resource_spans.one(1), resource_spans.one(2).all(2))
}

fn options(address: SocketAddr, path: &str) -> ServeOptions {
    let endpoint = format!("http://{address}{path}");
    let headers = vec![("X-Team".to_owned(), "a%20key".to_owned())];
    let otlp = Some(OtlpOptions { endpoint, service_name: "search".to_owned(), headers });
    ServeOptions { otlp, ..ServeOptions::default() }
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn a_collector_gets_the_spans_of_requests() {
    let (address, got) = collector("200 OK", b"");
    let server = start(options(address, ""));
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let headers = [("traceparent", parent.as_str()), ("x-request-id", "mine")];
    let body = json!({"inputs": ["東京", "大阪"]}).to_string();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos() as u64;
    let reply = send(server.address(), ("POST", "/query/embed_sparse"), &headers, Some(&body));
    let tokens = reply.head.lines().find_map(|line| line.strip_prefix("x-compute-tokens: "));
    let tokens: u64 = tokens.expect("a header").parse().expect("a number");
    // A caller that does not record its trace, and what asks all the time.
    let unrecorded = parent.replace("-01", "-00");
    let ignored = [("traceparent", unrecorded.as_str())];
    send(server.address(), ("POST", "/embed_sparse"), &ignored, Some(&body));
    get(server.address(), "/health");
    post(server.address(), "/v1/indexes/no/search", &json!({"text": "a"}));
    let after = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos() as u64;
    server.stop();

    let (head, body) = got.recv_timeout(Duration::from_secs(10)).expect("spans");
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    assert!(head.contains("x-team: a key"), "{head}");
    let (resource, spans) = spans(&body);
    assert_eq!(resource.attribute(1, "service.name").text(1), "search");
    let by_name: BTreeMap<String, &Message> =
        spans.iter().map(|span| (span.text(5), span)).collect();
    let names: Vec<&str> = by_name.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["POST /query/embed_sparse", "POST /v1/indexes/{name}/search", "encode", "tokenize"]
    );
    assert_eq!(spans.len(), 4);

    let request = by_name["POST /query/embed_sparse"];
    assert_eq!((request.hex(1).as_str(), request.hex(4).as_str()), (TRACE, "b7ad6b7169203331"));
    // SPAN_KIND_SERVER, and no status: the request succeeded.
    assert_eq!((request.number(6), request.bytes(15)), (2, Vec::new()));
    assert_eq!(request.attribute(9, "http.route").text(1), "/query/embed_sparse");
    assert_eq!(request.attribute(9, "http.request.method").text(1), "POST");
    assert_eq!(request.attribute(9, "http.response.status_code").number(3), 200);
    let id = request.attribute(9, "http.request.header.x-request-id");
    assert_eq!(id.one(5).one(1).text(1), "mine");
    let told = format!("traceparent: 00-{TRACE}-{}-01", request.hex(2));
    assert!(reply.head.contains(&told), "{} {told}", reply.head);
    for part in ["tokenize", "encode"] {
        let span = by_name[part];
        assert_eq!((span.hex(1), span.hex(4)), (request.hex(1), request.hex(2)), "{part}");
        assert_ne!(span.hex(2), request.hex(2));
        assert_eq!(span.number(6), 1, "SPAN_KIND_INTERNAL");
        assert!(request.number(7) <= span.number(7) && span.number(8) <= request.number(8));
    }
    assert_eq!(by_name["encode"].attribute(9, "splade.texts").number(3), 2);
    assert_eq!(by_name["encode"].attribute(9, "splade.tokens").number(3), tokens);
    assert!(before <= request.number(7) && request.number(8) <= after);

    let search = by_name["POST /v1/indexes/{name}/search"];
    assert_eq!(search.attribute(9, "url.path").text(1), "/v1/indexes/no/search");
    assert_eq!(search.attribute(9, "http.response.status_code").number(3), 404);
    assert_ne!(search.hex(1), TRACE);
    assert!(search.bytes(4).is_empty(), "a request without a caller's span begins a trace");
}

#[test]
fn a_collector_that_does_not_take_spans_is_no_trouble_for_requests() {
    // `partial_success { rejected_spans: 3 }`, and a server that is no collector.
    let refusing = collector("200 OK", &[0x0a, 0x02, 0x08, 0x03]).0;
    let other = collector("404 Not Found", b"").0;
    for (address, path) in [(refusing, "/v1/traces"), (other, "/")] {
        let server = start(options(address, path));
        post(server.address(), "/embed_sparse", &json!({"inputs": "a"})).ok();
        // Spans are sent after five seconds at the latest.
        let dropped = || get(server.address(), "/metrics").body.contains("ls_dropped_spans 3");
        let begun = std::time::Instant::now();
        while !dropped() && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(dropped(), "{address}");
        post(server.address(), "/embed_sparse", &json!({"inputs": "a"})).ok();
        server.stop();
    }
}

#[test]
fn an_address_that_is_none_is_told_at_the_start() {
    let otlp = Some(OtlpOptions { endpoint: "collector:4318".to_owned(), ..Default::default() });
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let started =
        light_splade::serve::Server::start(ServeOptions { address, otlp, ..Default::default() });
    let error = started.expect_err("no address");
    assert!(error.to_string().contains("collector:4318"), "{error}");
    assert!(error.hint().expect("a hint").contains("http://HOST:4318"));
}
