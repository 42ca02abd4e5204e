//! `store`: where control keeps accounts, settings and the archive.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize, Serializer};

use crate::config::Findings;

/// The store of the role `control`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:///path/to/file` or `postgres://user:password@host/database`. Absent: `emostream.db` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<StoreUrl>,
    /// Connections that read.
    pub readers: u32,
}

/// Where a store is. It may hold a password, which is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The whole URL, for who opens the store.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The URL as it may be shown: `postgres://user:***@host/database`.
    fn masked(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return self.0.clone() };
        // A password may hold an `@` as it is.
        match rest.rsplit_once('@') {
            Some((user, place)) => {
                let name = user.split_once(':').map_or(user, |(name, _)| name);
                let mask = if user.contains(':') { ":***" } else { "" };
                format!("{scheme}://{name}{mask}@{place}")
            }
            None => self.0.clone(),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: None, readers: 4 }
    }
}

impl StoreConfig {
    /// The URL, or that of the file in the data directory.
    pub fn effective_url(&self, data_dir: &Path) -> String {
        self.url
            .as_ref()
            .map(|url| url.reveal().to_owned())
            .unwrap_or_else(|| format!("sqlite://{}", data_dir.join("emostream.db").display()))
    }

    pub(in crate::config) fn validate(&self, findings: &mut Findings) {
        let is_known = |url: &StoreUrl| {
            ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.reveal().starts_with(scheme))
        };
        let expected = "sqlite:///path/to/file or postgres://user:password@host/database";
        findings.expect(self.url.as_ref().is_none_or(is_known), "store.url", expected);
        findings.expect((1..=64).contains(&self.readers), "store.readers", "1 to 64");
    }
}

#[cfg(test)]
mod tests {
    use super::StoreUrl;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            (
                "postgres://ada:secret@db.example/emostream?sslmode=require",
                "postgres://ada:***@db.example/emostream?sslmode=require",
            ),
            ("postgres://ada:p@ss:word@db/x", "postgres://ada:***@db/x"),
            ("postgres://ada@db/x", "postgres://ada@db/x"),
            ("sqlite:///var/lib/emostream.db", "sqlite:///var/lib/emostream.db"),
            ("sqlite::memory:", "sqlite::memory:"),
        ] {
            let url = StoreUrl(url.to_owned());
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(serde_json::to_string(&url).unwrap(), format!("{shown:?}"));
        }
    }
}
