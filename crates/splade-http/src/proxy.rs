//! The proxies of the environment, and which of them a request goes through.

use std::fmt;

use ureq::ProxyProtocol;

use crate::address::{Address, basic, decoded, without_userinfo};
use crate::error::HttpError;
use crate::no_proxy::NoProxy;

/// The variables that name proxies and the servers without one. Nothing is checked before a request needs it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    all: Option<Setting>,
    none: NoProxy,
}

/// A variable and its value.
type Setting = (&'static str, String);

/// Prints the variables without their values, which may contain passwords.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = [&self.http, &self.https, &self.all].into_iter().flatten();
        f.debug_list().entries(set.map(|(variable, _)| variable)).finish()
    }
}

impl Proxies {
    /// Reads the variables as curl and Python's requests do: the name in lower case goes before the one in upper
    /// case, and an empty value means no proxy.
    pub(crate) fn from_vars(var: &dyn Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, var(name)?.trim().to_owned())))
        };
        // A web server puts the header `Proxy` of a visitor into HTTP_PROXY of a program that it calls.
        let is_cgi = var("REQUEST_METHOD").is_some();
        let http = first(["http_proxy", "HTTP_PROXY"]);
        Self {
            http: http.filter(|(name, _)| !(is_cgi && *name == "HTTP_PROXY")),
            https: first(["https_proxy", "HTTPS_PROXY"]),
            all: first(["all_proxy", "ALL_PROXY"]),
            none: NoProxy::parse(&first(["no_proxy", "NO_PROXY"]).unwrap_or_default().1),
        }
    }

    /// Returns the proxy for a request to an address, or `None` if it goes to the server directly.
    ///
    /// # Errors
    /// Returns an error if the variable has no address of a proxy that can be used.
    pub(crate) fn choose(&self, address: &Address) -> Result<Option<Proxy>, HttpError> {
        let own = if address.is_https() { &self.https } else { &self.http };
        match own.as_ref().or(self.all.as_ref()) {
            Some((variable, value))
                if !value.is_empty() && !self.none.matches(address.host(), address.port()) =>
            {
                Proxy::parse(variable, value).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// A proxy. As text it has no name and password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// The variable that names the proxy.
    pub(crate) variable: &'static str,
    pub(crate) protocol: ProxyProtocol,
    /// The host, in brackets if it is an IPv6 address.
    host: String,
    port: u16,
    /// The name and password, decoded.
    user: Option<(String, String)>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, host, port, .. } = self;
        write!(f, "{}://{host}:{port}", scheme(*protocol))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Proxy {
    fn parse(variable: &'static str, value: &str) -> Result<Self, HttpError> {
        let wrong = |why: &str| {
            let shown = without_userinfo(value);
            HttpError::Setting(format!(
                "{variable} is {shown}, {why}; give http://HOST:PORT, or https, socks4, socks4a, socks5 or socks5h \
                 in place of http"
            ))
        };
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        let (protocol, default_port) = match scheme.to_lowercase().as_str() {
            "http" => (ProxyProtocol::Http, 80),
            "https" => (ProxyProtocol::Https, 443),
            "socks4" => (ProxyProtocol::Socks4, 1080),
            "socks4a" => (ProxyProtocol::Socks4A, 1080),
            "socks5" => (ProxyProtocol::Socks5, 1080),
            "socks5h" => (ProxyProtocol::Socks5h, 1080),
            "socks" => return Err(wrong("which does not say which version of SOCKS it speaks")),
            _ => return Err(wrong("a kind of proxy that is not supported")),
        };
        let (userinfo, server) = match rest.rsplit_once('@') {
            Some((userinfo, server)) => (Some(userinfo), server),
            None => (None, rest),
        };
        let server = server.split('/').next().unwrap_or_default();
        let no_address = || wrong("which is not the address of a proxy");
        let colon = server.rfind(':').filter(|at| !server[*at..].contains(']'));
        let (host, port) = match colon {
            Some(at) => (&server[..at], server[at + 1..].parse().map_err(|_| no_address())?),
            None => (server, default_port),
        };
        if host.is_empty() || Address::parse(&format!("http://{host}")).is_err() {
            return Err(no_address());
        }
        let user = userinfo.filter(|userinfo| !userinfo.is_empty()).map(|userinfo| {
            let (name, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            (decoded(name), decoded(password))
        });
        if user.is_some() && matches!(protocol, ProxyProtocol::Socks4 | ProxyProtocol::Socks4A) {
            return Err(wrong("and a name for SOCKS 4 is not supported"));
        }
        Ok(Self { variable, protocol, host: host.to_owned(), port, user })
    }

    /// Returns whether the proxy speaks HTTP, so that it is sent requests to `http` addresses as they are.
    pub(crate) fn is_http(&self) -> bool {
        matches!(self.protocol, ProxyProtocol::Http | ProxyProtocol::Https)
    }

    /// Returns the proxy as the HTTP library takes it.
    pub(crate) fn to_ureq(&self) -> Result<ureq::Proxy, HttpError> {
        let mut proxy = ureq::Proxy::builder(self.protocol).host(&self.host).port(self.port);
        if let Some((name, password)) = &self.user {
            proxy = proxy.username(name).password(password);
        }
        proxy.build().map_err(|_| {
            HttpError::Setting(format!(
                "{} is {self}, which is not the address of a proxy",
                self.variable
            ))
        })
    }

    /// Returns the value of a header `Proxy-Authorization`.
    pub(crate) fn authorization(&self) -> Option<String> {
        self.user.as_ref().map(|(name, password)| basic(name, password))
    }
}

fn scheme(protocol: ProxyProtocol) -> &'static str {
    match protocol {
        ProxyProtocol::Https => "https",
        ProxyProtocol::Socks4 => "socks4",
        ProxyProtocol::Socks4A => "socks4a",
        ProxyProtocol::Socks5 => "socks5",
        ProxyProtocol::Socks5h => "socks5h",
        _ => "http",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(vars: &[(&str, &str)], address: &str) -> String {
        let var = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let address = Address::parse(address).expect("an address");
        match Proxies::from_vars(&var).choose(&address) {
            Ok(Some(proxy)) => format!("{} {proxy}", proxy.variable),
            Ok(None) => "direct".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// The expected values are those of curl 8 and requests 2.32, which agree on all of these.
    #[test]
    fn each_scheme_has_its_variable() {
        let (http, https) = ("http://h/", "https://h/");
        for (vars, address, expected) in [
            (&[][..], https, "direct"),
            (&[("HTTPS_PROXY", "http://p:1")], https, "HTTPS_PROXY http://p:1"),
            (&[("HTTPS_PROXY", "http://p:1")], http, "direct"),
            (&[("HTTP_PROXY", "p:1")], http, "HTTP_PROXY http://p:1"),
            (&[("HTTP_PROXY", "p:1")], https, "direct"),
            (&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], http, "direct"),
            (&[("HTTP_PROXY", "p:1"), ("http_proxy", "q:2")], http, "http_proxy http://q:2"),
            (&[("HTTPS_PROXY", "p:1"), ("https_proxy", "")], https, "direct"),
            (&[("ALL_PROXY", "socks5h://p")], http, "ALL_PROXY socks5h://p:1080"),
            (&[("ALL_PROXY", "socks5h://p")], https, "ALL_PROXY socks5h://p:1080"),
            (&[("ALL_PROXY", "p:1"), ("HTTPS_PROXY", "q:2")], https, "HTTPS_PROXY http://q:2"),
            (&[("all_proxy", "p:1"), ("NO_PROXY", "x, h")], https, "direct"),
            (
                &[("all_proxy", "p:1"), ("NO_PROXY", "h"), ("no_proxy", "")],
                https,
                "all_proxy http://p:1",
            ),
            (&[("HTTPS_PROXY", "p:1")], "https://localhost:9200", "HTTPS_PROXY http://p:1"),
        ] {
            assert_eq!(chosen(vars, address), expected, "{vars:?} {address}");
        }
    }

    #[test]
    fn addresses_of_proxies() {
        for (value, expected) in [
            ("proxy", "http://proxy:80"),
            ("https://proxy", "https://proxy:443"),
            ("http://proxy:3128/", "http://proxy:3128"),
            ("http://[::1]:3128", "http://[::1]:3128"),
            ("http://[::1]", "http://[::1]:80"),
            ("socks4://proxy", "socks4://proxy:1080"),
            ("SOCKS5://me:p@ss%3Aword@proxy:9", "socks5://proxy:9"),
        ] {
            let proxy = Proxy::parse("V", value).expect(value);
            assert_eq!(
                (proxy.to_string(), format!("{proxy:?}")),
                (expected.into(), expected.into())
            );
            assert!(proxy.to_ureq().is_ok(), "{value}");
        }
        let user = Proxy::parse("V", "me:p@ss%3Aword@proxy:9").expect("a proxy").user;
        assert_eq!(user, Some(("me".to_owned(), "p@ss:word".to_owned())));
        for value in [
            "ftp://me:secret@proxy",
            "socks://me:secret@proxy",
            "socks4://me:secret@proxy",
            "http://me:secret@",
            "http://me:secret@proxy:port",
            "http://me:secret@a b",
        ] {
            let error = Proxy::parse("ALL_PROXY", value).expect_err(value).to_string();
            assert!(error.starts_with("ALL_PROXY is ") && !error.contains("secret"), "{error}");
        }
    }
}
