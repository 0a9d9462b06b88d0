//! The part of HTTP/1.1 (RFC 9112) that the live page needs: GET requests without a body, one per
//! connection.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The time within which a whole request must arrive.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The time within which a client must read a whole answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// The size limit of a request in bytes. Browsers send about one thousand.
const LONGEST_REQUEST: usize = 16 * 1024;

/// A parsed request.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// The part of the target before the `?`.
    pub path: String,
    /// The part of the target after the `?`; empty if there is none.
    pub query: String,
}

/// A response.
pub(super) struct Answer {
    /// The status line's code and reason; may be followed by further header lines.
    pub status: &'static str,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns a response with one line of text, such as an error.
    pub(super) fn text(status: &'static str, line: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{line}\n").into() }
    }
}

/// Reads a request.
///
/// # Errors
///
/// Returns the answer to a request that is refused, or `None` if the client is gone or too slow.
pub(super) fn read_request(client: &mut TcpStream) -> Result<Request, Option<Answer>> {
    let deadline = Instant::now() + REQUEST_TIME;
    let mut request = Vec::new();
    let mut chunk = [0; 2048];
    let end = loop {
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        if request.len() > LONGEST_REQUEST {
            return Err(Some(Answer::text(
                "431 Request Header Fields Too Large",
                "the request is too long",
            )));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || client.set_read_timeout(Some(left)).is_err() {
            return Err(None);
        }
        match client.read(&mut chunk) {
            Ok(0) => return Err(None),
            Ok(length) => request.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(None),
        }
    };
    parse(&request[..end]).map_err(Some)
}

/// Parses a request; `head` does not include the empty line that ends it.
fn parse(head: &[u8]) -> Result<Request, Answer> {
    let bad = |why| Answer::text("400 Bad Request", why);
    let head = std::str::from_utf8(head).map_err(|_| bad("the request is not UTF-8"))?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("malformed request line"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(bad("only HTTP/1.1 is supported"));
    }
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("malformed header"))?;
        if name.eq_ignore_ascii_case("host") && !is_this_machine(value.trim()) {
            // This prevents DNS rebinding: a page on another site could otherwise let its own name
            // resolve to this machine and read the log.
            return Err(Answer::text("403 Forbidden", "the host must be 127.0.0.1 or localhost"));
        }
    }
    if method != "GET" {
        return Err(Answer::text("405 Method Not Allowed\r\nAllow: GET", "only GET is supported"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request { path: path.to_owned(), query: query.to_owned() })
}

/// Returns whether a `Host` header names this machine.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || ["127.0.0.1", "[::1]"].contains(&name)
}

/// Sends a response and gives up if the client does not read it in time.
pub(super) fn send(client: &mut TcpStream, answer: &Answer) -> io::Result<()> {
    let deadline = Instant::now() + ANSWER_TIME;
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.content_type,
        answer.body.len()
    );
    for part in [head.as_bytes(), &answer.body] {
        // A timeout applies to each write, so the body is sent in pieces. A slow client could
        // otherwise stretch a single large write indefinitely.
        for piece in part.chunks(16 * 1024) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            client.set_write_timeout(Some(left))?;
            client.write_all(piece)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_apart_or_refused() {
        let ok = |path: &str, query: &str| Ok((path.to_owned(), query.to_owned()));
        for (head, expected) in [
            ("GET / HTTP/1.1", ok("/", "")),
            ("GET /data?since=5&x HTTP/1.1\r\nHost: 127.0.0.1:80", ok("/data", "since=5&x")),
            ("GET / HTTP/1.1\r\nhost: LOCALHOST:8080\r\nAccept: */*", ok("/", "")),
            ("GET / HTTP/1.1\r\nHost: [::1]", ok("/", "")),
            ("GET / HTTP/1.1\r\nHost: [::1]:7", ok("/", "")),
            ("GET / HTTP/1.1\r\nHost: evil.example:80", Err("403")),
            ("GET / HTTP/1.1\r\nHost: localhost.evil.example", Err("403")),
            ("GET / HTTP/1.1\r\nHost:", Err("403")),
            ("GET / HTTP/1.1\r\nnothing", Err("400")),
            ("POST / HTTP/1.1", Err("405")),
            ("HEAD / HTTP/1.1", Err("405")),
            ("GET /", Err("400")),
            ("GET / HTTP/1.1 x", Err("400")),
            ("GET / HTTP/2", Err("400")),
            ("", Err("400")),
        ] {
            let parsed = parse(head.as_bytes());
            let parsed = parsed.map(|r| (r.path, r.query)).map_err(|a| a.status[..3].to_owned());
            assert_eq!(parsed, expected.map_err(str::to_owned), "{head:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(head in proptest::collection::vec(0u8.., 0..200)) {
            let _ = parse(&head);
        }
    }
}
