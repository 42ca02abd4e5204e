//! Trusted proxies: whose request it is that one of them passes on, and whether it came over TLS.
//!
//! Each proxy adds the address that it was called from behind those that it was told of, and what was told to the first one
//! anybody may have written. So the list is read from its end: the first address that is not a trusted proxy's is the caller.
//! Where an entry is no address, nobody knows who stands behind it, and the proxy before it counts as the caller.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::config::{HttpConfig, Network, ProxyHeader};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Proxies in a row that are looked at; whoever stands behind more is the last of them.
const HOPS_MAX: usize = 32;

/// The proxies of the configuration.
pub(super) struct Proxies {
    trusted: Vec<Network>,
    header: ProxyHeader,
}

/// What a proxy says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// Who has called the outermost proxy that is trusted.
    pub(super) caller: IpAddr,
    /// Whether that was over TLS, as far as it is said.
    pub(super) is_over_tls: bool,
}

/// Marks requests that came over TLS as far as their caller, and hence the address that people know, is concerned.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct OverTls;

/// One entry of a list: an address, where it is one, and the scheme, where it is told.
type Hop<'a> = (Option<IpAddr>, Option<&'a str>);

impl Proxies {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self { trusted: config.trusted_proxies.clone(), header: config.proxy_header }
    }

    /// Whether this is a proxy's address.
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// What the proxy at an address says of a request.
    pub(super) fn told(&self, proxy: IpAddr, headers: &HeaderMap) -> Told {
        match self.header {
            ProxyHeader::XForwardedFor => {
                let (caller, _) = self.caller(proxy, values(headers, &X_FORWARDED_FOR), |list| {
                    list.split(',').map(|entry| (address(entry.trim()), None)).collect()
                });
                let proto =
                    values(headers, &X_FORWARDED_PROTO).last().and_then(|list| list.rsplit(',').next());
                Told { caller, is_over_tls: is_https(proto) }
            }
            ProxyHeader::Forwarded => {
                let (caller, proto) = self.caller(proxy, values(headers, &FORWARDED), forwarded);
                Told { caller, is_over_tls: is_https(proto) }
            }
        }
    }

    /// The first address from the end that is no trusted proxy's, and the scheme that was told with it.
    fn caller<'a>(
        &self,
        proxy: IpAddr,
        lists: impl DoubleEndedIterator<Item = &'a str>,
        read: impl Fn(&'a str) -> Vec<Hop<'a>>,
    ) -> (IpAddr, Option<&'a str>) {
        let mut caller = (proxy, None);
        for hop in lists.rev().flat_map(|list| read(list).into_iter().rev()).take(HOPS_MAX) {
            let (Some(address), scheme) = hop else { break };
            caller = (address.to_canonical(), scheme);
            if !self.trust(address) {
                break;
            }
        }
        caller
    }
}

fn is_https(scheme: Option<&str>) -> bool {
    scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// The lines of a header. One that is no text says nothing that can be read.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl DoubleEndedIterator<Item = &'a str> {
    headers.get_all(name).into_iter().map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let bare = bare.unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The entries of one line of `Forwarded`.
fn forwarded(list: &str) -> Vec<Hop<'_>> {
    let mut is_quoted = false;
    let mut outside = |c: char, mark: char| {
        is_quoted ^= c == '"';
        c == mark && !is_quoted
    };
    let entries: Vec<&str> = list.split(|c| outside(c, ',')).collect();
    entries.into_iter().map(entry).collect()
}

fn entry(entry: &str) -> Hop<'_> {
    let value = |name: &str| {
        let mut pairs = entry.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|pair| pair.0.eq_ignore_ascii_case(name)).map(|pair| pair.1.trim_matches('"'))
    };
    (value("for").and_then(address), value("proto"))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hyper::header::{HeaderMap, HeaderName, HeaderValue};

    use super::{HOPS_MAX, Proxies, Told};
    use crate::config::{HttpConfig, ProxyHeader};

    fn proxies(header: ProxyHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        let trusted_proxies = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Proxies::new(&HttpConfig { trusted_proxies, proxy_header: header, ..HttpConfig::default() })
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whom a proxy at 10.0.0.1 speaks for.
    fn caller(header: ProxyHeader, lines: &[(&'static str, &str)]) -> IpAddr {
        proxies(header).told(ip("10.0.0.1"), &headers(lines)).caller
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_callers() {
        let far = "x-forwarded-for";
        for (lines, expected) in [
            (vec![(far, "203.0.113.7")], "203.0.113.7"),
            (vec![(far, "203.0.113.7, 10.0.0.2")], "203.0.113.7"),
            // Whatever the caller has told the first proxy.
            (vec![(far, "1.1.1.1, 203.0.113.7,10.9.9.9 , fd00::2")], "203.0.113.7"),
            (vec![(far, "1.1.1.1"), (far, "203.0.113.7"), (far, "10.0.0.2")], "203.0.113.7"),
            (vec![(far, "203.0.113.7:4711")], "203.0.113.7"),
            (vec![(far, "[2001:db8::1]:4711")], "2001:db8::1"),
            (vec![(far, "2001:db8::1")], "2001:db8::1"),
            (vec![(far, "::ffff:203.0.113.7, ::ffff:10.0.0.2")], "203.0.113.7"),
            // Only proxies: the outermost has called.
            (vec![(far, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            // Nobody knows who is behind these.
            (vec![], "10.0.0.1"),
            (vec![(far, "")], "10.0.0.1"),
            (vec![(far, "unknown")], "10.0.0.1"),
            (vec![(far, "203.0.113.7, nonsense, 10.0.0.2")], "10.0.0.2"),
            (vec![(far, "203.0.113.7,")], "10.0.0.1"),
            (vec![(far, "203.0.113.7"), (far, "\u{e9}")], "10.0.0.1"),
            (vec![(far, "203.0.113.999")], "10.0.0.1"),
            // The other header is nobody's business.
            (vec![("forwarded", "for=203.0.113.7")], "10.0.0.1"),
        ] {
            assert_eq!(caller(ProxyHeader::XForwardedFor, &lines), ip(expected), "{lines:?}");
        }
        let many = vec!["10.0.0.2"; 10 * HOPS_MAX].join(",");
        assert_eq!(
            caller(ProxyHeader::XForwardedFor, &[(far, &format!("203.0.113.7,{many}"))]),
            ip("10.0.0.2")
        );
    }

    #[test]
    fn the_standard_header_is_read_as_well() {
        for (value, expected) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("For=\"203.0.113.7:80\";proto=https;by=10.0.0.1", "203.0.113.7"),
            ("for=1.1.1.1, for=\"[2001:db8::1]:4711\";by=\"a,b;c\", for=10.0.0.2", "2001:db8::1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("for=203.0.113.7, for=_hidden", "10.0.0.1"),
            ("for=203.0.113.7, for=unknown, for=10.0.0.2", "10.0.0.2"),
            ("for=203.0.113.7, for=\"10.0.0.2", "203.0.113.7"),
            ("by=203.0.113.7", "10.0.0.1"),
            ("203.0.113.7", "10.0.0.1"),
            ("for=", "10.0.0.1"),
        ] {
            assert_eq!(caller(ProxyHeader::Forwarded, &[("forwarded", value)]), ip(expected), "{value}");
        }
        assert_eq!(caller(ProxyHeader::Forwarded, &[("x-forwarded-for", "203.0.113.7")]), ip("10.0.0.1"));
    }

    #[test]
    fn the_scheme_is_the_callers() {
        let told = |header, lines: &[_]| proxies(header).told(ip("10.0.0.1"), &headers(lines)).is_over_tls;
        let proto = "x-forwarded-proto";
        for (value, expected) in [("https", true), ("http, HTTPS", true), ("https, http", false), ("", false)]
        {
            assert_eq!(told(ProxyHeader::XForwardedFor, &[(proto, value)]), expected, "{value}");
        }
        for (value, expected) in [
            ("for=203.0.113.7;proto=https, for=10.0.0.2;proto=http", true),
            ("for=1.1.1.1;proto=https, for=203.0.113.7;proto=http", false),
            ("for=203.0.113.7", false),
        ] {
            assert_eq!(told(ProxyHeader::Forwarded, &[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn nobody_is_trusted_unless_it_is_said() {
        let nobody = Proxies::new(&HttpConfig::default());
        for address in ["127.0.0.1", "10.0.0.1", "::1"] {
            assert!(!nobody.trust(ip(address)), "{address}");
        }
        let some = proxies(ProxyHeader::default());
        assert!(
            some.trust(ip("10.1.2.3")) && some.trust(ip("::ffff:10.1.2.3")) && !some.trust(ip("11.0.0.1"))
        );
        assert_eq!(
            some.told(ip("10.0.0.1"), &HeaderMap::new()),
            Told { caller: ip("10.0.0.1"), is_over_tls: false }
        );
    }
}
