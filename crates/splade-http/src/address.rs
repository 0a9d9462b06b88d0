//! Addresses of requests: their parts, their comparison, and the addresses that redirects name.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use ureq::http::Uri;

use crate::error::HttpError;

/// An address of the scheme `http` or `https`, without a fragment.
///
/// As text it has neither its query, which may be a signature that grants access, nor a name and password.
///
/// ```
/// use splade_http::Address;
///
/// let address = Address::parse("https://huggingface.co/api/models?limit=1")?;
/// assert_eq!((address.host(), address.port()), ("huggingface.co", 443));
/// let next = address.join("/api/datasets")?;
/// assert!(address.is_same_server(&next));
/// assert_eq!(next.to_string(), "https://huggingface.co/api/datasets");
/// # Ok::<(), splade_http::HttpError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address without a name and password.
    uri: Uri,
    /// The name and password as the value of a header `Authorization`.
    basic: Option<String>,
}

impl Address {
    /// Parses an address such as `https://huggingface.co/api/models`.
    ///
    /// # Errors
    /// Returns an error if the address is not a valid one of the scheme `http` or `https`.
    pub fn parse(text: &str) -> Result<Self, HttpError> {
        let wrong =
            |why: &str| HttpError::Setting(format!("the address {} {why}", without_userinfo(text)));
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| ["http", "https"].contains(&scheme.to_lowercase().as_str()))
            .ok_or_else(|| wrong("does not begin with http:// or https://"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let uri: Uri = format!("{}://{host}{}", scheme.to_lowercase(), quoted(path))
            .parse()
            .map_err(|_| wrong("is not valid"))?;
        if uri.host().unwrap_or_default().is_empty() {
            return Err(wrong("has no host"));
        }
        let basic = userinfo.filter(|userinfo| !userinfo.is_empty()).map(|userinfo| {
            let (name, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            basic(&decoded(name), &decoded(password))
        });
        Ok(Self { uri, basic })
    }

    /// Returns the address that a redirect from this address names, by the rules of RFC 3986.
    ///
    /// # Errors
    /// Returns an error if it is not an address of the scheme `http` or `https`.
    pub fn join(&self, location: &str) -> Result<Self, HttpError> {
        let location = location.trim().split('#').next().unwrap_or_default();
        let (scheme, base) = (self.scheme(), self.uri.path());
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        if has_scheme(location) {
            return Self::parse(location);
        }
        let (path, query) = match location.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (location, None),
        };
        let (path, query) = match path {
            "" => (base.to_owned(), query.or(self.uri.query())),
            _ if path.starts_with('/') => (without_dots(path), query),
            _ => {
                let folder = &base[..base.rfind('/').map_or(0, |at| at + 1)];
                (without_dots(&format!("{folder}{path}")), query)
            }
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Self::parse(&format!("{}{path}{query}", self.origin()))
    }

    /// Returns whether a request to this address is encrypted.
    pub fn is_https(&self) -> bool {
        self.scheme() == "https"
    }

    /// Returns the host without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// Returns the port, which the scheme gives where the address does not name one.
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Returns whether two addresses are of the same server: equal in scheme, host and port.
    pub fn is_same_server(&self, other: &Self) -> bool {
        self.scheme() == other.scheme()
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port() == other.port()
    }

    /// Returns the scheme, the host and the port: `https://localhost:9200`.
    pub fn origin(&self) -> String {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{}://{authority}", self.scheme())
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn basic(&self) -> Option<&str> {
        self.basic.as_deref()
    }

    fn scheme(&self) -> &str {
        self.uri.scheme_str().unwrap_or_default()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.uri.path())
    }
}

/// Returns the value of a header that authenticates with a name and a password.
pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{name}:{password}")))
}

/// Decodes a percent-encoded name or password.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Returns an address without name and password, for messages about addresses that cannot be parsed.
pub(crate) fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
            format!("{scheme}{host}")
        }
        None => text.to_owned(),
    }
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Percent-encodes bytes that no address may contain but some servers send.
fn quoted(text: &str) -> String {
    let byte = |b: u8| match b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Resolves the parts `.` and `..` of a path that begins with a slash (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => _ = kept.pop(),
            part => kept.push(part),
        }
    }
    let ends_in_folder = ["/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if ends_in_folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).expect(text)
    }

    /// The examples of RFC 3986, section 5.4, and addresses that servers send.
    #[test]
    fn redirects_are_joined() {
        let base = address("http://a/b/c/d;p?q");
        for (location, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g#s", "http://a/b/c/g"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("https://b:8443/x?y#z", "https://b:8443/x?y"),
            ("HTTP://B/x", "http://B/x"),
            (" /with space?q=é ", "http://a/with%20space?q=%C3%A9"),
        ] {
            assert_eq!(base.join(location).expect(location).uri().to_string(), expected);
        }
        for location in ["ftp://a/b", "javascript:1", "https://", "http:///x"] {
            assert!(base.join(location).is_err(), "{location}");
        }
    }

    #[test]
    fn servers_are_compared_by_scheme_host_and_port() {
        let base = address("https://huggingface.co/api");
        for (other, same) in [
            ("https://huggingface.co:443/x?y", true),
            ("https://HuggingFace.co", true),
            ("http://huggingface.co", false),
            ("https://huggingface.co:8443", false),
            ("https://huggingface.co.evil.com/a", false),
            ("https://huggingface.co@evil.com/a", false),
            ("https://evil.com?https://huggingface.co/", false),
        ] {
            assert_eq!(base.is_same_server(&address(other)), same, "{other}");
        }
    }

    #[test]
    fn names_and_passwords_are_sent_and_not_shown() {
        let with = address("https://me:p%40ss@host:1/x?sig=secret");
        assert_eq!(with.to_string(), "https://host:1/x");
        assert_eq!(with.basic(), Some("Basic bWU6cEBzcw=="));
        assert_eq!((address("http://[::1]:9/").host(), address("http://h").port()), ("::1", 80));
        let error = Address::parse("ftp://me:secret@host").expect_err("not HTTP").to_string();
        assert!(error.contains("ftp://host") && !error.contains("secret"), "{error}");
    }
}
