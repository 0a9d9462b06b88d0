//! Tests of trusted certificates.

use splade_http::{Http, HttpOptions};

use crate::servers::{Server, fixture, ok};
use crate::{get, request, text};

fn path(name: &str) -> String {
    fixture(name).to_str().expect("UTF-8").to_owned()
}

#[test]
fn certificates_that_variables_name_are_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::copy(fixture("authority.pem"), folder.join("company.pem")).expect("copied");
    let folder = folder.to_str().expect("UTF-8");
    let server = Server::start_tls("server.pem", |_| ok("hello"));
    let self_signed = Server::start_tls("self-signed.pem", |_| ok("hello"));
    for (vars, port) in [
        (&[("SSL_CERT_FILE", path("authority.pem"))][..], server.port),
        (&[("REQUESTS_CA_BUNDLE", path("authority.pem"))], server.port),
        (&[("CURL_CA_BUNDLE", path("authority.pem"))], server.port),
        (&[("REQUESTS_CA_BUNDLE", folder.to_owned())], server.port),
        (&[("SSL_CERT_DIR", format!("/no/such/folder:{folder}"))], server.port),
        (
            &[
                ("SSL_CERT_FILE", path("self-signed.pem")),
                ("CURL_CA_BUNDLE", path("authority.pem")),
            ],
            server.port,
        ),
        (&[("SSL_CERT_FILE", path("self-signed.pem"))], self_signed.port),
    ] {
        let vars: Vec<(&str, &str)> = vars.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let answer = get(&vars, &format!("https://localhost:{port}/"));
        assert_eq!(text(answer.unwrap_or_else(|error| panic!("{vars:?}: {error}"))), "hello");
    }
    let pem = std::fs::read(fixture("authority.pem")).expect("a certificate");
    let given = Http::new(HttpOptions::default().trusting(pem));
    let url = format!("https://localhost:{}/", server.port);
    assert_eq!(text(given.call(&request("GET", &url), &mut ()).expect("trusted")), "hello");
}

#[test]
fn others_are_refused_with_a_remedy() {
    let server = Server::start_tls("server.pem", |_| ok("hello"));
    let self_signed = Server::start_tls("self-signed.pem", |_| ok("hello"));
    let expired = Server::start_tls("expired.pem", |_| ok("hello"));
    let authority = path("authority.pem");
    for (vars, host, port, reason) in [
        (&[][..], "localhost", server.port, "its authority is not among the "),
        (
            &[("CURL_CA_BUNDLE", path("self-signed.pem"))],
            "localhost",
            server.port,
            "its authority is not among the authorities of CURL_CA_BUNDLE",
        ),
        (
            &[("SSL_CERT_FILE", authority.clone())],
            "localhost",
            self_signed.port,
            "its authority is not among the authorities of SSL_CERT_FILE",
        ),
        (&[("SSL_CERT_FILE", authority.clone())], "localhost", expired.port, "it has expired"),
        (&[("SSL_CERT_FILE", authority.clone())], "127.0.0.1", server.port, "it is one for "),
        (
            &[("SSL_CERT_FILE", path("self-signed.pem"))],
            "127.0.0.1",
            self_signed.port,
            "it is one for ",
        ),
    ] {
        let vars: Vec<(&str, &str)> = vars.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let error = get(&vars, &format!("https://{host}:{port}/")).expect_err(reason);
        let expected = format!("the certificate of {host}:{port} is not accepted: {reason}");
        assert!(error.to_string().starts_with(&expected), "{error}");
        let remedy = error.remedy(Some("--ca-file")).expect("a remedy");
        assert!(
            remedy.ends_with("in SSL_CERT_FILE or REQUESTS_CA_BUNDLE or --ca-file"),
            "{remedy}"
        );
    }
    assert_eq!(server.lines(), [""; 0]);
}

/// A variable that names nothing usable is an error of encrypted requests only.
#[test]
fn files_without_certificates() {
    let (plain, server) =
        (Server::start(|_| ok("hello")), Server::start_tls("server.pem", |_| ok("hello")));
    for file in [path("no-such-file.pem"), path("README.md")] {
        for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            let vars = [(variable, file.as_str())];
            let error =
                get(&vars, &format!("https://localhost:{}/", server.port)).expect_err(&file);
            let message = error.to_string();
            let expected =
                format!("cannot read the certificates of {file}, which {variable} names (");
            assert!(message.starts_with(&expected), "{message}");
            assert_eq!(text(get(&vars, &plain.url("/")).expect("not encrypted")), "hello");
        }
    }
}

#[test]
fn a_server_without_tls() {
    let plain = Server::start_refusing();
    let error =
        get(&[], &format!("https://127.0.0.1:{}/", plain.port)).expect_err("no TLS").to_string();
    assert!(error.contains("does the server want http:// in place of https://?"), "{error}");
}
