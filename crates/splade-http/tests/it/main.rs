//! Tests of the client against small servers and proxies on local ports. No test uses the network or reads the
//! environment.

mod servers;

mod certificates;
mod proxies;
mod redirects;
mod waits;

use std::time::Duration;

use splade_http::{Address, Http, HttpError, HttpOptions, Request, Response};

/// Makes a client from environment variables; its waits are short.
fn http(vars: &[(&str, &str)]) -> Http {
    let var = |name: &str| {
        vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let mut options = HttpOptions::from_vars(&var);
    (options.retries, options.wait) = (2, Duration::from_millis(1));
    Http::new(options)
}

fn request(method: &'static str, url: &str) -> Request {
    Request::new(method, Address::parse(url).expect("an address"))
}

fn get(vars: &[(&str, &str)], url: &str) -> Result<Response, HttpError> {
    http(vars).call(&request("GET", url), &mut ())
}

fn text(response: Response) -> String {
    String::from_utf8(response.bytes(1 << 20, &mut ()).expect("a body")).expect("UTF-8")
}
