//! `edges`: edges of this process that have a listener and a capacity of their own.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Findings, is_short_name};

/// One edge of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedEdge {
    /// Its name, unique in the fleet.
    pub name: String,
    /// The cluster that it belongs to.
    pub cluster: String,
    /// Where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Viewers that it takes.
    pub capacity: u32,
    /// Where viewers reach it, such as `https://edge-1.example.org`. Absent: on the host that they know control by, on the
    /// port of `listen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Edges of one process: each has a listener, and reports by itself.
const EDGES_MAX: usize = 64;

/// `viewers_max`: as many as the process takes.
pub(super) fn validate(edges: &[NamedEdge], viewers_max: usize, findings: &mut Findings) {
    findings.expect(edges.len() <= EDGES_MAX, "edges", format_args!("at most {EDGES_MAX} edges"));
    let capacity: u64 = edges.iter().map(|edge| u64::from(edge.capacity)).sum();
    findings.expect(
        usize::try_from(capacity).is_ok_and(|capacity| capacity <= viewers_max),
        "edges",
        format_args!("capacities of at most edge.viewers_max ({viewers_max}) together, got {capacity}"),
    );
    for (at, edge) in edges.iter().enumerate() {
        let key = |field: &str| format!("edges[{at}].{field}");
        let twice = edges.iter().take(at).any(|other| other.name == edge.name);
        let name = "1 to 64 letters, digits, '.', '_' or '-'";
        findings.expect(
            is_short_name(&edge.name) && !twice,
            &key("name"),
            format_args!("{name}, unlike the other edges'"),
        );
        findings.expect(is_short_name(&edge.cluster), &key("cluster"), name);
        let shared = |other: &NamedEdge| other.listen == edge.listen && edge.listen.port() != 0;
        findings.expect(
            !edges.iter().take(at).any(shared),
            &key("listen"),
            "an address that no other edge listens on",
        );
        findings.expect(edge.capacity > 0, &key("capacity"), "1 or more viewers");
        findings.expect(edge.url.as_deref().is_none_or(is_base), &key("url"), BASE_EXPECTED);
    }
}

/// What [`is_base`] wants, for people.
pub(super) const BASE_EXPECTED: &str =
    "an address without path, such as https://edge-1.example.org or http://10.0.0.5:3005";

/// Whether a text is scheme, host, and a port where there is one: a client puts paths behind it.
pub(super) fn is_base(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    url.len() <= 255 && host.is_some_and(|host| !host.is_empty() && host.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::{Findings, NamedEdge, validate};

    fn edge(name: &str, port: u16) -> NamedEdge {
        NamedEdge {
            name: name.into(),
            cluster: "north".into(),
            listen: ([127, 0, 0, 1], port).into(),
            capacity: 10,
            url: None,
        }
    }

    fn findings(edges: &[NamedEdge]) -> Vec<String> {
        let mut findings = Findings::default();
        validate(edges, 40, &mut findings);
        findings.0
    }

    #[test]
    fn edges_take_no_more_than_their_process() {
        let of = |capacity| NamedEdge { capacity, ..edge("large", 3006) };
        assert_eq!(findings(&[edge("north-1", 3005), of(30)]), [""; 0]);
        for capacity in [31, u32::MAX] {
            let found = findings(&[edge("north-1", 3005), of(capacity)]);
            assert!(found.len() == 1 && found[0].starts_with("edges: expected capacities"), "{found:?}");
        }
    }

    #[test]
    fn edges_have_names_and_addresses_of_their_own() {
        assert_eq!(findings(&[edge("north-1", 3005), edge("north-2", 0), edge("n3", 0)]), [""; 0]);
        let found = findings(&[edge("north-1", 3005), edge("north-1", 3005)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("edges[1].name: ") && found[1].starts_with("edges[1].listen: "));
        let nameless = NamedEdge { cluster: "a b".into(), capacity: 0, ..edge("", 0) };
        assert_eq!(findings(&[nameless]).len(), 3);
    }

    #[test]
    fn an_address_for_viewers_has_no_path() {
        for (url, good) in [
            ("https://edge-1.example.org", true),
            ("http://[::1]:3005", true),
            ("https://example.org/", false),
            ("ws://example.org", false),
            ("https://", false),
            ("https://ada@example.org", false),
        ] {
            let edge = NamedEdge { url: Some(url.into()), ..edge("a", 1) };
            assert_eq!(findings(&[edge]).is_empty(), good, "{url}");
        }
    }
}
