//! The list of `NO_PROXY`: the servers that are reached without a proxy.

use std::net::IpAddr;

/// The entries of `NO_PROXY`, separated by commas or blanks.
///
/// | entry | matches |
/// |---|---|
/// | `*` | every server |
/// | `example.com`, `.example.com`, `*.example.com` | the host and all hosts below it |
/// | `example.com:8080` | these hosts at this port |
/// | `10.0.0.1`, `::1`, `[::1]`, `[::1]:8080` | this IP address |
/// | `10.0.0.0/8`, `fd00::/8` | all IP addresses of the network |
///
/// curl, Python's urllib and requests each know a part of these forms; where they know a form, it means the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NoProxy(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// A host in lower case, without a dot at either end, and all hosts below it.
    Below(String),
    /// The first bits of an IP address.
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Reads the list. Entries of no known form match nothing.
    pub(crate) fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(entries.filter(|entry| !entry.is_empty()).filter_map(Entry::parse).collect())
    }

    /// Returns whether a server is reached without a proxy. An IPv6 address has no brackets.
    pub(crate) fn matches(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|entry| entry.matches(host, port))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self { hosts: Hosts::All, port: None });
        }
        if let Some((network, bits)) = text.split_once('/') {
            let network = network.trim_start_matches('[').trim_end_matches(']');
            let (network, bits) = (network.parse().ok()?, bits.parse().ok()?);
            let hosts = (bits <= width(network)).then_some(Hosts::Network(network, bits))?;
            return Some(Self { hosts, port: None });
        }
        let of_ip = |ip: IpAddr| Hosts::Network(ip, width(ip));
        if let Ok(ip) = text.parse() {
            return Some(Self { hosts: of_ip(ip), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (text, None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let hosts = match host.parse() {
            Ok(ip) => of_ip(ip),
            Err(_) => {
                let host = host.strip_prefix('*').unwrap_or(host);
                let host = host.trim_matches('.').to_lowercase();
                (!host.is_empty()).then_some(Hosts::Below(host))?
            }
        };
        Some(Self { hosts, port })
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_lowercase();
        let of_host = match (&self.hosts, host.parse::<IpAddr>()) {
            (Hosts::All, _) => true,
            (Hosts::Below(_), Ok(_)) | (Hosts::Network(..), Err(_)) => false,
            (Hosts::Below(domain), Err(_)) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            (Hosts::Network(network, bits), Ok(ip)) => is_in(ip, *network, *bits),
        };
        of_host && self.port.is_none_or(|wanted| wanted == port)
    }
}

/// Returns the number of bits of an address.
fn width(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn is_in(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    let ignored = width(network) - bits;
    let kept = |ip: IpAddr| number(ip).checked_shr(ignored).unwrap_or(0);
    width(ip) == width(network) && kept(ip) == kept(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        for (list, host, port, expected) in [
            ("", "a.com", 80, false),
            ("*", "a.com", 80, true),
            ("x,*", "10.1.2.3", 80, true),
            ("a.com", "a.com", 80, true),
            ("a.com", "A.COM.", 80, true),
            ("a.com", "www.a.com", 80, true),
            ("a.com", "ba.com", 80, false),
            ("a.com", "a.com.evil.com", 80, false),
            (".a.com", "a.com", 80, true),
            (".a.com", "www.a.com", 80, true),
            ("*.a.com", "www.a.com", 80, true),
            ("a.com.", "a.com", 80, true),
            ("localhost , a.com", "a.com", 80, true),
            ("localhost\t a.com b.com", "b.com", 80, true),
            ("a.com:8080", "a.com", 8080, true),
            ("a.com:8080", "www.a.com", 8080, true),
            ("a.com:8080", "a.com", 80, false),
            ("a.com:x", "a.com", 80, false),
            ("127.0.0.1", "127.0.0.1", 9200, true),
            ("127.0.0.1:9200", "127.0.0.1", 9200, true),
            ("127.0.0.1:9200", "127.0.0.1", 9201, false),
            ("0.0.1", "127.0.0.1", 80, false),
            ("1", "127.0.0.1", 80, false),
            ("localhost", "127.0.0.1", 80, false),
            ("127.0.0.0/8", "127.9.9.9", 80, true),
            ("127.0.0.0/8", "128.0.0.1", 80, false),
            ("10.0.0.0/33", "10.0.0.0", 80, false),
            ("0.0.0.0/0", "8.8.8.8", 80, true),
            ("0.0.0.0/0", "::1", 80, false),
            ("192.168.1.0/24", "192.168.1.255", 80, true),
            ("192.168.1.0/24", "192.168.2.0", 80, false),
            ("::1", "::1", 80, true),
            ("[::1]", "::1", 80, true),
            ("[::1]:9200", "::1", 9200, true),
            ("[::1]:9200", "::1", 80, false),
            ("fd00::/8", "fd12::1", 80, true),
            ("[fd00::]/8", "fe00::1", 80, false),
            ("::/0", "fe00::1", 80, true),
            (".", "a.com", 80, false),
        ] {
            let matches = NoProxy::parse(list).matches(host, port);
            assert_eq!(matches, expected, "{list:?} {host}:{port}");
        }
    }
}
