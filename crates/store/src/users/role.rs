//! What a user may do: four roles, each with the rights of those below it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A user's role; ascending, so that `role >= Role::Moderator` asks for the rights of a moderator. In JSON and in
/// the database in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Watches and reacts.
    Viewer,
    /// Sees settings, edits moments.
    Moderator,
    /// Changes settings, owns channels.
    Broadcaster,
    /// Manages accounts as well.
    Admin,
}

/// The text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected viewer, moderator, broadcaster or admin")]
pub struct ParseRoleError;

impl Role {
    /// All roles, ascending.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Moderator, Self::Broadcaster, Self::Admin];

    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Moderator => "moderator",
            Self::Broadcaster => "broadcaster",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(ParseRoleError)
    }
}
