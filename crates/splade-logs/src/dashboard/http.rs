//! The little of HTTP/1.1 (RFC 9112) that the live page needs: GET without a body, one request a
//! connection.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A request has to be here whole in this time, an answer to be taken.
const REQUEST_TIME: Duration = Duration::from_secs(5);
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request. Browsers send about one thousand.
const LONGEST_REQUEST: usize = 16 * 1024;

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// Before the `?`.
    pub path: String,
    /// Behind it.
    pub query: String,
}

/// An answer.
pub(super) struct Answer {
    pub status: &'static str,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer of a line of text, such as an error.
    pub(super) fn text(status: &'static str, line: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{line}\n").into() }
    }
}

/// Reads a request.
///
/// # Errors
/// The answer to a request that is refused; none if there is nobody to answer to.
pub(super) fn read_request(client: &mut TcpStream) -> Result<Request, Option<Answer>> {
    let deadline = Instant::now() + REQUEST_TIME;
    let mut request = Vec::new();
    let mut chunk = [0; 2048];
    let end = loop {
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        if request.len() > LONGEST_REQUEST {
            return Err(Some(Answer::text("431 Request Header Fields Too Large", "too long")));
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

/// Takes a request apart; `head` is without the empty line that ends it.
fn parse(head: &[u8]) -> Result<Request, Answer> {
    let bad = |why| Answer::text("400 Bad Request", why);
    let head = std::str::from_utf8(head).map_err(|_| bad("not text"))?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("not a request line"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(bad("not HTTP/1.1"));
    }
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("not a header"))?;
        if name.eq_ignore_ascii_case("host") && !is_this_machine(value.trim()) {
            // A page elsewhere whose name was made to lead here could read the log otherwise.
            return Err(Answer::text("403 Forbidden", "ask for 127.0.0.1 or localhost"));
        }
    }
    if method != "GET" {
        return Err(Answer::text("405 Method Not Allowed\r\nAllow: GET", "only GET"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request { path: path.to_owned(), query: query.to_owned() })
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || ["127.0.0.1", "[::1]"].contains(&name)
}

/// Sends an answer; a client that does not take it is given up.
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
        // In pieces: a timeout is of one write, and a slow client would stretch one for ever.
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
