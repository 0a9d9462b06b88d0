//! The client: requests with their redirects and retries.

use std::time::Duration;

use splade_io::Observer;
use ureq::http;

use crate::address::Address;
use crate::agents::{Agents, Route};
use crate::error::HttpError;
use crate::exchange::{Content, Exchange, Response};
use crate::failure::refused_by_proxy;
use crate::options::HttpOptions;
use crate::wait::{LONGEST_ASKED, pause};

/// The maximum number of redirects of a request.
const MAX_REDIRECTS: usize = 10;

/// An HTTP client. It keeps connections open and uses them again.
///
/// ```
/// use splade_http::{Address, Http, HttpOptions, Request};
///
/// # // A server that answers every request with the same text.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}/status", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nready");
/// #     }
/// # });
/// let http = Http::new(HttpOptions::default());
/// let request = Request::new("GET", Address::parse(&url)?);
/// // The second request uses the connection of the first one again.
/// for _ in 0..2 {
///     assert!(http.call(&request, &mut ())?.is_success());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Http {
    options: HttpOptions,
    agents: Agents,
}

/// A request.
///
/// ```
/// use splade_http::{Address, Again, Http, HttpOptions, Redirects, Request};
///
/// # // A server that answers every request with the same text.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}/status", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nready");
/// #     }
/// # });
/// let request = Request {
///     headers: vec![("accept", "text/plain".to_owned())],
///     redirects: Redirects::SameServer,
///     again: Again::Never,
///     ..Request::new("GET", Address::parse(&url)?)
/// };
/// assert_eq!(Http::new(HttpOptions::default()).call(&request, &mut ())?.status, 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    /// The HTTP method, such as `GET`.
    pub method: &'static str,
    /// The address.
    pub address: Address,
    /// The headers except for [`secret`](Self::secret).
    pub headers: Vec<(&'static str, String)>,
    /// A token or key.
    pub secret: Option<Secret>,
    /// The content.
    pub content: Content,
    /// The redirects that are followed.
    pub redirects: Redirects,
    /// Tells whether an answer is the one that is wanted although it is a redirect; by default none is.
    pub is_wanted: fn(&Response) -> bool,
    /// The failures after which the request is tried again.
    pub again: Again,
}

/// A token or key, which is sent to one server only.
///
/// ```
/// use splade_http::{Address, Request, Secret};
///
/// let address = Address::parse("https://huggingface.co/api/whoami-v2")?;
/// let value = "Bearer hf_secret".to_owned();
/// let secret = Secret { server: address.clone(), header: "authorization", value };
/// let request = Request { secret: Some(secret), ..Request::new("GET", address) };
/// assert!(!format!("{request:?}").contains("hf_secret"));
/// # Ok::<(), splade_http::HttpError>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    /// An address of the server.
    pub server: Address,
    /// The name of the header.
    pub header: &'static str,
    /// The value of the header.
    pub value: String,
}

/// Prints everything except the value.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The redirects that a request follows. A request with content is repeated with it after the statuses 307 and 308
/// only; after 301, 302 and 303 it is not.
///
/// ```
/// use splade_http::{Address, Http, HttpOptions, Redirects, Request};
///
/// # // A server that answers every request with the same text.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}/status", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let _ = write!(stream, "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nready");
/// #     }
/// # });
/// let request = Request { redirects: Redirects::None, ..Request::new("GET", Address::parse(&url)?) };
/// let response = Http::new(HttpOptions::default()).call(&request, &mut ())?;
/// assert_eq!((response.status, response.header("location")), (302, Some("/elsewhere")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// None: the redirect is the answer.
    None,
    /// Those to the same server.
    SameServer,
    /// Those to any server, but none from `https` to `http`.
    AnyServer,
}

/// The failures after which a request is tried again.
///
/// ```
/// use splade_http::{Address, Again, Http, HttpOptions, Request};
///
/// # // A server that answers every request with the same text.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}/status", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let _ = write!(stream, "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nready");
/// #     }
/// # });
/// // A request that must not be sent twice.
/// let request = Request { again: Again::Never, ..Request::new("POST", Address::parse(&url)?) };
/// assert_eq!(Http::new(HttpOptions::default()).call(&request, &mut ())?.status, 503);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    /// None.
    Never,
    /// A server that refused the request because it is busy (429, 503).
    Busy,
    /// A server that is busy or failed (429, 5xx), for requests that may be sent twice.
    Failed,
    /// These, and no answer.
    Always,
}

impl Request {
    /// Makes a request without content that follows all redirects and is tried again if the server fails.
    pub fn new(method: &'static str, address: Address) -> Self {
        Self {
            method,
            address,
            headers: Vec::new(),
            secret: None,
            content: Content::None,
            redirects: Redirects::AnyServer,
            is_wanted: |_| false,
            again: Again::Failed,
        }
    }

    /// Returns whether the request has no effect on the server, so that every redirect can be followed.
    fn is_harmless(&self) -> bool {
        ["GET", "HEAD"].contains(&self.method)
    }
}

impl Http {
    /// Makes a client.
    pub fn new(options: HttpOptions) -> Self {
        Self { agents: Agents::new(options.clone()), options }
    }

    /// Sends a request, and tries it again as long as its failures allow it. If no retries are left, or the server
    /// asks to wait for longer than five minutes, the last answer is returned.
    ///
    /// # Errors
    /// Returns an error if there is no answer, if a redirect is not followed, or if the observer asks to stop.
    pub fn call(
        &self,
        request: &Request,
        observer: &mut dyn Observer,
    ) -> Result<Response, HttpError> {
        let mut tries = 0;
        loop {
            let answer = self.send(request, observer);
            let (trouble, asked) = match &answer {
                Ok(response) => match response.status {
                    429 | 503 if request.again >= Again::Busy => self.trouble(response),
                    500.. if request.again >= Again::Failed => self.trouble(response),
                    _ => return answer,
                },
                Err(error @ (HttpError::Unreachable { .. } | HttpError::Proxy { .. }))
                    if request.again == Again::Always =>
                {
                    (error.to_string(), None)
                }
                Err(_) => return answer,
            };
            if tries >= self.options.retries || asked > Some(LONGEST_ASKED) {
                return answer;
            }
            drop(answer);
            pause(tries, self.options.wait, asked, &trouble, observer)?;
            tries += 1;
        }
    }

    fn trouble(&self, response: &Response) -> (String, Option<Duration>) {
        let server = response.address.origin();
        (format!("{server} answered {}", response.status), response.retry_after())
    }

    /// Sends a request once and follows its redirects.
    fn send(&self, request: &Request, observer: &mut dyn Observer) -> Result<Response, HttpError> {
        let mut address = request.address.clone();
        let mut visited = vec![address.clone()];
        loop {
            let response = self.hop(request, &address, observer)?;
            let Some(next) = next(request, &address, &response)? else { return Ok(response) };
            let refuse = |message| {
                let (from, to) = (address.to_string(), next.to_string());
                Err(HttpError::Redirect { from, to, message })
            };
            if address.is_https() && !next.is_https() {
                return refuse("which is not encrypted and is therefore not followed");
            }
            if request.redirects == Redirects::SameServer && !next.is_same_server(&address) {
                return refuse("which is another server; if it is the right one, give its address");
            }
            if visited.contains(&next) {
                return refuse("which redirects back: this is a circle");
            }
            if visited.len() > MAX_REDIRECTS {
                return refuse("which is one redirect too many");
            }
            visited.push(next.clone());
            address = next;
        }
    }

    /// Sends a request to an address and returns the answer, even if it is a redirect.
    fn hop(
        &self,
        request: &Request,
        address: &Address,
        observer: &mut dyn Observer,
    ) -> Result<Response, HttpError> {
        if observer.stop() {
            return Err(HttpError::Stopped);
        }
        let (route, agent) = self.agents.choose(address)?;
        let mut builder =
            http::Request::builder().method(request.method).uri(address.uri().clone());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let secret = request.secret.as_ref().filter(|secret| secret.server.is_same_server(address));
        if let Some(Secret { header, value, .. }) = secret {
            builder = builder.header(*header, value);
        } else if let Some(basic) = address.basic() {
            builder = builder.header("Authorization", basic);
        }
        if let Route::Forward(proxy) = &route
            && let Some(authorization) = proxy.authorization()
        {
            builder = builder.header("Proxy-Authorization", authorization);
        }
        let way = (address.clone(), route);
        let exchange = Exchange::start(agent, builder, &request.content, way, &self.options)?;
        let response = exchange.response(&request.content, observer)?;
        match response.route() {
            Route::Forward(proxy) if response.status == 407 => Err(HttpError::Proxy {
                server: address.origin(),
                host: address.host().to_owned(),
                proxy: proxy.to_string(),
                variable: proxy.variable,
                message: refused_by_proxy(407),
            }),
            _ => Ok(response),
        }
    }
}

/// Returns the address that an answer redirects to, if the request should go there.
fn next(
    request: &Request,
    address: &Address,
    response: &Response,
) -> Result<Option<Address>, HttpError> {
    let follows = match response.status {
        _ if request.redirects == Redirects::None || (request.is_wanted)(response) => false,
        307 | 308 => true,
        301..=303 => request.is_harmless(),
        _ => false,
    };
    match response.header("location").filter(|_| follows) {
        Some(location) => address.join(location).map(Some).map_err(|_| HttpError::Redirect {
            from: address.to_string(),
            to: "an address that cannot be used".to_owned(),
            message: "so the redirect is not followed",
        }),
        None => Ok(None),
    }
}
