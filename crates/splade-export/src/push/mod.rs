//! Pushing documents directly to a server of Elasticsearch, OpenSearch or Qdrant.
//!
//! [`Client`] sends requests and repeats them if the server is busy or unreachable. [`Server`]
//! defines the requests of a search engine. [`Pusher`] sends documents in batches, saves its state
//! after each batch, and writes the documents that the server rejects to a file.

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
