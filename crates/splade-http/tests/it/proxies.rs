//! Tests of the ways through proxies.

use splade_http::{Content, HttpError, Request};

use crate::servers::{Server, dead_port, fixture, ok};
use crate::{get, http, request, text};

/// An HTTP proxy gets requests to `http` addresses with the whole address, as from curl, and not CONNECT.
#[test]
fn plain_requests_are_forwarded() {
    let proxy = Server::start(|seen| ok(&format!("{} bytes", seen.body.len())));
    let address = format!("http://me:p%40ss@127.0.0.1:{}", proxy.port);
    let client = http(&[("HTTP_PROXY", &address)]);
    let large: Vec<u8> = vec![7; 300_000];
    for (method, body) in [("GET", &[][..]), ("POST", &large), ("HEAD", &[])] {
        let content = if body.is_empty() { Content::None } else { Content::Bytes(body.into()) };
        let request = Request { content, ..request(method, "http://no.such.host.test:81/a/b?c=d") };
        let response = client.call(&request, &mut ()).expect("forwarded");
        let answer = text(response);
        let seen = proxy.seen().remove(0);
        assert_eq!(seen.line, format!("{method} http://no.such.host.test:81/a/b?c=d"));
        assert_eq!(seen.headers["host"], "no.such.host.test:81");
        assert_eq!(seen.headers["proxy-authorization"], "Basic bWU6cEBzcw==");
        assert_eq!(seen.body, body);
        assert!(method == "HEAD" || answer == format!("{} bytes", body.len()), "{answer}");
    }
}

#[test]
fn encrypted_requests_are_tunnelled() {
    let server = Server::start_tls("server.pem", |_| ok("hello"));
    let proxy = Server::start_connect(200);
    let (url, authority) =
        (format!("https://localhost:{}/x", server.port), fixture("authority.pem"));
    let authority = authority.to_str().expect("UTF-8");
    for scheme in ["http://", ""] {
        let address = format!("{scheme}me:pw@127.0.0.1:{}", proxy.port);
        let vars = [("https_proxy", address.as_str()), ("SSL_CERT_FILE", authority)];
        assert_eq!(text(get(&vars, &url).expect("tunnelled")), "hello");
        let seen = proxy.seen().remove(0);
        assert_eq!(seen.line, format!("CONNECT localhost:{}", server.port));
        assert_eq!(seen.headers["proxy-authorization"], "Basic bWU6cHc=");
        assert_eq!(server.lines(), ["GET /x"]);
    }
}

#[test]
fn an_encrypted_proxy() {
    let proxy = Server::start_tls("server.pem", |_| ok("hello"));
    let (address, authority) =
        (format!("https://localhost:{}", proxy.port), fixture("authority.pem"));
    let vars =
        [("http_proxy", address.as_str()), ("SSL_CERT_FILE", authority.to_str().expect("UTF-8"))];
    assert_eq!(text(get(&vars, "http://host.test/x").expect("forwarded")), "hello");
    assert_eq!(proxy.lines(), ["GET http://host.test/x"]);
}

/// SOCKS proxies are given the address of the server, or its name, as their kind says.
#[test]
fn socks_proxies() {
    let (server, proxy) = (Server::start(|_| ok("hello")), Server::start_socks());
    for (kind, user, expected) in [
        ("socks4", "", "socks4 127.0.0.1"),
        ("socks4a", "", "socks4 localhost"),
        ("socks5", "", "socks5 127.0.0.1"),
        ("socks5h", "", "socks5 localhost"),
        ("socks5h", "me:p%40ss@", "socks5 me:p@ss@localhost"),
    ] {
        let address = format!("{kind}://{user}127.0.0.1:{}", proxy.port);
        let url = format!("http://localhost:{}/x", server.port);
        let answer = get(&[("ALL_PROXY", &address)], &url).expect(kind);
        assert_eq!(text(answer), "hello");
        assert_eq!(
            (proxy.lines(), server.lines()),
            (vec![expected.to_owned()], vec!["GET /x".to_owned()])
        );
    }
}

/// A proxy for the other scheme, and a server in `NO_PROXY`, are no reason to use a proxy.
#[test]
fn direct_requests() {
    let server = Server::start(|_| ok("hello"));
    let dead = format!("http://127.0.0.1:{}", dead_port());
    for vars in [
        &[("HTTPS_PROXY", dead.as_str())][..],
        &[("ALL_PROXY", &dead), ("http_proxy", "")],
        &[("ALL_PROXY", &dead), ("NO_PROXY", "example.com, 127.0.0.0/8")],
        &[("http_proxy", &dead), ("no_proxy", "127.0.0.1")],
    ] {
        assert_eq!(text(get(vars, &server.url("/")).expect("direct")), "hello");
    }
}

#[test]
fn errors_name_the_proxy_and_not_its_password() {
    let dead = dead_port();
    let wants_key = Server::start(|_| (407, Vec::new(), String::new()));
    let (refuses, asks) = (Server::start_connect(403), Server::start_connect(407));
    for (variable, port, url, reason) in [
        ("http_proxy", dead, "http://host.test/", "refused"),
        ("HTTPS_PROXY", dead, "https://host.test/", "refused"),
        ("ALL_PROXY", wants_key.port, "http://host.test/", "a name and a password (407)"),
        ("https_proxy", refuses.port, "https://host.test/", "answered 403"),
        ("all_proxy", asks.port, "https://host.test/", "a name and a password (407)"),
    ] {
        let value = format!("http://me:secret@127.0.0.1:{port}");
        let error = get(&[(variable, &value)], url).expect_err("no way");
        let (message, remedy) = (error.to_string(), error.remedy(None).expect("a remedy"));
        let expected = format!(
            "{} cannot be reached through the proxy http://127.0.0.1:{port} of {variable}: ",
            url.trim_end_matches('/')
        );
        assert!(message.starts_with(&expected) && message.contains(reason), "{message}");
        assert!(!message.contains("secret"), "{message}");
        assert_eq!(
            remedy,
            format!(
                "check {variable}, or add host.test to NO_PROXY if it is reached without a proxy"
            )
        );
    }
    let error =
        get(&[("ALL_PROXY", "socks6://me:secret@h")], "http://host.test/").expect_err("unknown");
    assert!(matches!(error, HttpError::Setting(_)), "{error}");
    assert!(error.to_string().starts_with("ALL_PROXY is socks6://h, "), "{error}");
}
