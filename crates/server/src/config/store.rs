//! `store`: where control keeps accounts, settings and the archive.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Findings;

/// The store of the role `control`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:///path/to/file` or `postgres://user:password@host/database`. Absent: `emostream.db` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Connections that read.
    pub readers: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: None, readers: 4 }
    }
}

impl StoreConfig {
    /// The URL, or that of the file in the data directory.
    pub fn effective_url(&self, data_dir: &Path) -> String {
        self.url.clone().unwrap_or_else(|| format!("sqlite://{}", data_dir.join("emostream.db").display()))
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        let is_known = |url: &String| {
            ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
        };
        let expected = "sqlite:///path/to/file or postgres://user:password@host/database";
        findings.expect(self.url.as_ref().is_none_or(is_known), "store.url", expected);
        findings.expect((1..=64).contains(&self.readers), "store.readers", "1 to 64");
    }
}
