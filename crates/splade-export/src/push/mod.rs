//! Pushing documents directly to a server of Elasticsearch, OpenSearch or Qdrant.
//!
//! [`Client`] sends requests and repeats them if the server is busy or unreachable. [`Server`]
//! defines the requests of a search engine. [`Pusher`] sends documents in batches, saves its state
//! after each batch, and writes the documents that the server rejects to a file.
//!
//! ```
//! use splade_export::push::{Client, ClientOptions, Request};
//!
//! # // A server that answers every request with the same document.
//! # use std::io::{Read, Write};
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let url = format!("http://{}", listener.local_addr()?);
//! # std::thread::spawn(move || {
//! #     for stream in listener.incoming() {
//! #         let mut stream = stream.unwrap();
//! #         let mut request = [0; 4096];
//! #         let _ = stream.read(&mut request);
//! #         let body = r#"{"count": 3}"#;
//! #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
//! #     }
//! # });
//! let client = Client::new(&url, ClientOptions::default())?;
//! let request = Request { method: "GET", path: "/texts/_count", content_type: "application/json", body: b"" };
//! assert_eq!(client.call(&request, &mut ())?.json()["count"], 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod error;
mod pusher;
mod server;
mod state;

pub use client::{Answer, Client, ClientOptions, Request};
pub use error::PushError;
pub use pusher::{PushOptions, Pushed, Pusher};
pub use server::{Refused, Server};
pub use splade_http::HttpOptions;
