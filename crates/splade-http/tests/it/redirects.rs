//! Tests of redirects and of the secrets that must not follow them.

use std::sync::{Arc, OnceLock};

use splade_http::{Address, Again, Content, Redirects, Request, Response, Secret};

use crate::servers::{Answer, Server, fixture, ok};
use crate::{get, http, request, text};

fn to(status: u16, location: &str) -> Answer {
    (status, vec![("Location", location.to_owned())], String::new())
}

/// Starts a server that redirects `/STATUS` to an address, and answers everything else.
fn redirecting(location: &str) -> Server {
    let location = location.to_owned();
    Server::start(move |seen| {
        match seen.line.rsplit('/').next().and_then(|status| status.parse().ok()) {
            Some(status) => to(status, &location),
            None => ok(&seen.line),
        }
    })
}

fn with_secret(method: &'static str, url: &str) -> Request {
    let server = Address::parse(url).expect("an address");
    let secret = Secret { server, header: "Authorization", value: "Bearer secret".to_owned() };
    Request { secret: Some(secret), ..request(method, url) }
}

#[test]
fn every_redirect_is_followed_and_the_secret_stays() {
    let other = Server::start(|_| ok("other"));
    let (far, near) = (redirecting(&other.url("/x?y=z")), redirecting("rel/./ative"));
    for status in [301, 302, 303, 307, 308] {
        let url = far.url(&format!("/a/{status}"));
        let answer = http(&[]).call(&with_secret("GET", &url), &mut ()).expect("followed");
        assert_eq!(answer.address.to_string(), other.url("/x"));
        assert_eq!(text(answer), "other");
        let (first, second) = (far.seen().remove(0), other.seen().remove(0));
        assert_eq!(first.headers["authorization"], "Bearer secret");
        assert_eq!(
            (second.line.as_str(), second.headers.get("authorization")),
            ("GET /x?y=z", None)
        );

        let url = near.url(&format!("/a/{status}"));
        let answer = http(&[]).call(&with_secret("GET", &url), &mut ()).expect("followed");
        assert_eq!(text(answer), "GET /a/rel/ative");
        let seen = near.seen();
        assert!(
            seen.iter().all(|seen| seen.headers["authorization"] == "Bearer secret"),
            "{seen:?}"
        );
    }
}

#[test]
fn content_is_sent_again_where_it_may_be() {
    let server = redirecting("/there");
    let content = Content::Bytes(b"content"[..].into());
    for (status, followed) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let request = Request {
            content: content.clone(),
            redirects: Redirects::SameServer,
            ..request("POST", &server.url(&format!("/{status}")))
        };
        let answer = http(&[]).call(&request, &mut ()).expect("answered");
        assert_eq!(answer.status, if followed { 200 } else { status });
        let seen = server.seen();
        assert!(seen.iter().all(|seen| seen.body == b"content"), "{status}");
        assert_eq!(seen.len(), if followed { 2 } else { 1 });
    }
}

#[test]
fn redirects_that_are_not_followed() {
    let own: Arc<OnceLock<u16>> = Arc::default();
    let port = Arc::clone(&own);
    let server = Server::start(move |seen| {
        let port = port.get().expect("a port");
        match seen.line.as_str() {
            "GET /circle" => to(302, "/back"),
            "GET /back" => to(302, &format!("http://127.0.0.1:{port}/circle")),
            "GET /other" => to(307, "http://other.test/x?signature"),
            "GET /ftp" => to(302, "ftp://127.0.0.1/x"),
            line => to(302, &format!("{}x", line.trim_start_matches("GET "))),
        }
    });
    own.set(server.port).expect("set once");
    let same = |path: &str| {
        let request = Request {
            redirects: Redirects::SameServer,
            again: Again::Always,
            ..request("GET", &server.url(path))
        };
        http(&[]).call(&request, &mut ()).expect_err(path).to_string()
    };
    let back = format!("{} redirects to {}, ", server.url("/back"), server.url("/circle"));
    assert_eq!(same("/circle"), format!("{back}which redirects back: this is a circle"));
    let other = format!(
        "{} redirects to http://other.test/x, which is another server",
        server.url("/other")
    );
    assert!(same("/other").starts_with(&other), "{}", same("/other"));
    assert!(
        same("/ftp").contains("/ftp redirects to an address that cannot be used"),
        "{}",
        same("/ftp")
    );
    assert!(same("/x").ends_with("which is one redirect too many"), "{}", same("/x"));
    let none = Request { redirects: Redirects::None, ..request("GET", &server.url("/x")) };
    assert_eq!(http(&[]).call(&none, &mut ()).expect("an answer").status, 302);

    let location = server.url("/x");
    let safe = Server::start_tls("server.pem", move |_| to(302, &location));
    let (url, authority) = (format!("https://localhost:{}/a", safe.port), fixture("authority.pem"));
    let vars = [("SSL_CERT_FILE", authority.to_str().expect("UTF-8"))];
    server.seen();
    let error = get(&vars, &url).expect_err("not encrypted").to_string();
    let expected = format!("{url} redirects to {}, which is not encrypted", server.url("/x"));
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(server.lines(), [""; 0]);
}

/// A redirect that is the wanted answer is returned.
#[test]
fn wanted_redirects() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "HEAD /a" => to(307, "/b"),
        _ => (
            302,
            vec![("Location", "http://other.test/".into()), ("x-size", "7".into())],
            String::new(),
        ),
    });
    let is_wanted = |response: &Response| response.header("x-size").is_some();
    let request = Request { is_wanted, ..request("HEAD", &server.url("/a")) };
    let answer = http(&[]).call(&request, &mut ()).expect("answered");
    assert_eq!((answer.status, answer.header("x-size")), (302, Some("7")));
    assert_eq!(server.lines(), ["HEAD /a", "HEAD /b"]);
}

#[test]
fn names_and_passwords_in_addresses() {
    let server = Server::start(|_| ok(""));
    get(&[], &format!("http://me:pw@127.0.0.1:{}/", server.port)).expect("answered");
    assert_eq!(server.seen()[0].headers["authorization"], "Basic bWU6cHc=");
}
