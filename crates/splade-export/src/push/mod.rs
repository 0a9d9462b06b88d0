//! Documents straight to a server of Elasticsearch, OpenSearch or Qdrant.
//!
//! [`Client`] makes requests that survive busy and unreachable servers; [`Server`] is what an engine
//! wants to be asked; [`Pusher`] sends documents in batches, remembers after each what is done, and
//! writes what the engine refuses into a file.

mod client;
mod error;
mod pusher;
mod server;
mod state;

pub use client::{Answer, Client, ClientOptions, Request};
pub use error::PushError;
pub use pusher::{PushOptions, Pushed, Pusher};
pub use server::{Refused, Server};
