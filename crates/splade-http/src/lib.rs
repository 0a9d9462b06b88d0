//! An HTTP client that reaches servers as curl and Python's tools do from the same shell.
//!
//! - [`HttpOptions::from_env`] reads the proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) and the
//!   trusted certificates (`SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`).
//! - [`Http::call`] sends a request, follows its redirects, and retries it while the server is busy. A token or key
//!   is sent to its own server only.
//! - Every wait asks the observer several times a second whether to stop.
//!
//! The crate knows nothing of the servers that it speaks to. [`HttpError`] says what failed and where; what a status
//! means and what to do about it, the callers know.
//!
//! ```
//! use splade_http::{Address, Http, HttpOptions, Request};
//!
//! # // A server that answers every request with the same text.
//! # use std::io::{Read, Write};
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let url = format!("http://{}/status", listener.local_addr()?);
//! # std::thread::spawn(move || {
//! #     for stream in listener.incoming() {
//! #         let mut stream = stream.unwrap();
//! #         let mut request = [0; 4096];
//! #         let _ = stream.read(&mut request);
//! #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nready");
//! #     }
//! # });
//! let request = Request::new("GET", Address::parse(&url)?);
//! let response = Http::new(HttpOptions::default()).call(&request, &mut ())?;
//! assert_eq!(response.bytes(1 << 20, &mut ())?, b"ready");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod error;
mod no_proxy;
mod proxy;
mod trust;

mod options;

mod tls;
mod forward;
mod failure;
mod agents;

mod exchange;
mod wait;

mod client;

pub use address::Address;
pub use client::{Again, Http, Redirects, Request, Secret};
pub use error::HttpError;
pub use exchange::{Content, Response};
pub use options::HttpOptions;
pub use wait::pause;
