//! `control`: how people log in. Beside it the other sections of the role: store, accounts, placement.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Findings;

mod accounts;
mod placement;
mod store;

pub use accounts::AccountsConfig;
pub use placement::{ClusterConfig, PlacementConfig};
pub use store::{StoreConfig, StoreUrl};

/// A value that is read and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for what needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Accounts of the role `control`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// Name of the admin that `admin_password` belongs to, or that is made up at the first start. ADMIN_USERNAME sets it.
    pub admin_username: String,
    /// Its password, applied at every start. Absent: an admin there is keeps its own; if there is none, one is made up and
    /// shown once. ADMIN_PASSWORD sets it.
    #[serde(skip_serializing)]
    pub admin_password: Option<Secret>,
    /// What login tokens are signed with, 32 bytes or more. Absent: a key in the data directory. TOKEN_SECRET sets it.
    #[serde(skip_serializing)]
    pub token_secret: Option<Secret>,
    /// Where a node with control is, for nodes without: `http://host:port`, or `https://host:port` with certificates. They
    /// ask it for what all nodes share, and go on with what they have while it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { admin_username: "admin".to_owned(), admin_password: None, token_secret: None, url: None }
    }
}

impl ControlConfig {
    /// The keys of the secrets that are set, for those who look at the configuration.
    pub fn secrets_set(&self) -> Vec<&'static str> {
        let secrets =
            [("control.admin_password", &self.admin_password), ("control.token_secret", &self.token_secret)];
        secrets.iter().filter(|(_, secret)| secret.is_some()).map(|(key, _)| *key).collect()
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        let name = self.admin_username.trim();
        let is_name = (1..=64).contains(&name.chars().count()) && !name.contains(char::is_control);
        findings.expect(
            is_name,
            "control.admin_username",
            "1 to 64 characters, none of them a control character",
        );
        let holds =
            |secret: &Option<Secret>| secret.as_ref().is_none_or(|secret| !secret.reveal().is_empty());
        findings.expect(
            holds(&self.admin_password),
            "control.admin_password",
            "a password that is not empty",
        );
        let expected = "a secret that is not empty, better one of 32 bytes or more";
        findings.expect(holds(&self.token_secret), "control.token_secret", expected);
    }
}
