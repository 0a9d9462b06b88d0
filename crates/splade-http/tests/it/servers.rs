//! Servers on local ports: an HTTP server, with TLS or without, a proxy for CONNECT, and a SOCKS proxy. Their threads
//! end with the test program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as a server received it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The first line without the version: `GET /path`.
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The status, the headers and the body of an answer.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, String);

pub(crate) fn ok(body: &str) -> Answer {
    (200, Vec::new(), body.to_owned())
}

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts a server that answers requests with a function.
    pub(crate) fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::accept(move |stream, seen| serve(stream, seen, &answer))
    }

    /// Starts a server with a certificate of the fixtures.
    pub(crate) fn start_tls(
        certificate: &str,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let chain = CertificateDer::pem_file_iter(fixture(certificate)).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(fixture("server.key")).expect("a key");
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(chain.map(|one| one.expect("a certificate")).collect(), key)
                .expect("a certificate with its key");
        let config = Arc::new(config);
        Self::accept(move |stream, seen| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            serve(StreamOwned::new(connection, stream), seen, &answer);
        })
    }

    /// Starts a proxy that connects to any port of this computer, and notes the requests to do so.
    pub(crate) fn start_connect(status: u16) -> Self {
        Self::accept(move |mut stream, seen| {
            let Some(request) = read(&mut BufReader::new(&stream)) else { return };
            let port = request.line.rsplit(':').next().expect("a port").parse().expect("a port");
            seen.lock().expect("no panic").push(request);
            write!(stream, "HTTP/1.1 {status} X\r\n\r\n").expect("written");
            if status == 200 {
                tunnel(stream, port);
            }
        })
    }

    /// Starts a SOCKS proxy that connects to any port of this computer, and notes the wanted servers.
    pub(crate) fn start_socks() -> Self {
        Self::accept(|mut stream, seen| {
            let (line, port) = socks(&mut stream);
            seen.lock().expect("no panic").push(Seen { line, ..Seen::default() });
            tunnel(stream, port);
        })
    }

    /// Starts a server that reads and never answers.
    pub(crate) fn start_silent() -> Self {
        Self::accept(|mut stream, _| _ = std::io::copy(&mut stream, &mut std::io::sink()))
    }

    /// Starts a server that answers anything with the status 400.
    pub(crate) fn start_refusing() -> Self {
        Self::accept(|mut stream, _| {
            _ = stream.read(&mut [0; 512]);
            _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        })
    }

    fn accept(handle: impl Fn(TcpStream, &Mutex<Vec<Seen>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let this = Self { port, seen: Arc::default() };
        let (handle, seen) = (Arc::new(handle), Arc::clone(&this.seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handle, seen) = (Arc::clone(&handle), Arc::clone(&seen));
                std::thread::spawn(move || handle(stream, &seen));
            }
        });
        this
    }

    /// Returns the URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().expect("no panic"))
    }

    /// Returns the first lines of the requests since the last call.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Returns the port of a server that does not exist: its listener is closed at once.
pub(crate) fn dead_port() -> u16 {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    address.expect("a port").port()
}

fn serve(mut stream: impl Read + Write, seen: &Mutex<Vec<Seen>>, answer: &dyn Fn(&Seen) -> Answer) {
    let Some(request) = read(&mut BufReader::new(&mut stream)) else { return };
    seen.lock().expect("no panic").push(request.clone());
    let (status, headers, body) = answer(&request);
    let headers: String = headers.iter().map(|(k, v)| format!("{k}: {v}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    let body = if request.line.starts_with("HEAD") { "" } else { &body };
    // The client may have gone.
    _ = write!(stream, "{head}{body}").and_then(|()| stream.flush());
}

fn read(reader: &mut impl BufRead) -> Option<Seen> {
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let line = lines.next()?;
    let line = line.rsplit_once(' ')?.0.to_owned();
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_owned())))
        .collect();
    let length =
        headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { line, headers, body })
}

/// Connects a client with a port of this computer.
fn tunnel(client: TcpStream, port: u16) {
    let server = TcpStream::connect(("127.0.0.1", port)).expect("a server");
    let copy = |from: &TcpStream, to: &TcpStream| {
        let (mut from, mut to) =
            (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
        std::thread::spawn(move || {
            _ = std::io::copy(&mut from, &mut to);
            _ = to.shutdown(std::net::Shutdown::Write);
        })
    };
    let up = copy(&client, &server);
    let down = copy(&server, &client);
    up.join().expect("no panic");
    down.join().expect("no panic");
}

/// Answers the handshake of SOCKS 4, 4a or 5 (RFC 1928, 1929). Returns the wanted server and its port.
fn socks(stream: &mut TcpStream) -> (String, u16) {
    fn bytes(stream: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).expect("bytes");
        bytes
    }
    fn until_zero(stream: &mut TcpStream) -> String {
        let next = || Some(bytes(stream, 1)[0]).filter(|byte| *byte != 0);
        String::from_utf8(std::iter::from_fn(next).collect()).expect("UTF-8")
    }
    fn text(stream: &mut TcpStream) -> String {
        let length = bytes(stream, 1)[0];
        String::from_utf8(bytes(stream, usize::from(length))).expect("UTF-8")
    }
    fn ip(ip: &[u8]) -> String {
        ip.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
    }
    if bytes(stream, 1)[0] == 4 {
        let head = bytes(stream, 7);
        until_zero(stream);
        let host = match &head[3..] {
            [0, 0, 0, 1] => until_zero(stream),
            address => ip(address),
        };
        stream.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).expect("written");
        return (format!("socks4 {host}"), u16::from_be_bytes([head[1], head[2]]));
    }
    let count = bytes(stream, 1)[0];
    let methods = bytes(stream, usize::from(count));
    let mut user = String::new();
    if methods.contains(&2) {
        stream.write_all(&[5, 2]).expect("written");
        bytes(stream, 1);
        user = format!("{}:{}@", text(stream), text(stream));
        stream.write_all(&[1, 0]).expect("written");
    } else {
        stream.write_all(&[5, 0]).expect("written");
    }
    let host = match bytes(stream, 4)[3] {
        1 => ip(&bytes(stream, 4)),
        3 => text(stream),
        kind => panic!("an address of the kind {kind}"),
    };
    let port = bytes(stream, 2);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).expect("written");
    (format!("socks5 {user}{host}"), u16::from_be_bytes([port[0], port[1]]))
}
