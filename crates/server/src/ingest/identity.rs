//! Guest identities: a random id and an HMAC-SHA-256 over it, with a key of its own. No state on the server.
//!
//! A token is `g1.KID.ID.MAC`; ID and MAC are hexadecimal. The current key signs, the previous one still verifies.

use std::{fs, path::Path};

use anyhow::Context;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{durable, intake::GUEST_PREFIX};

/// Bytes of a token at most; longer ones are not looked at.
const TOKEN_BYTES_MAX: usize = 200;

/// Bytes of the MAC that a token carries: 128 bits are beyond guessing and keep the cookie short.
const MAC_BYTES: usize = 16;

/// The key that signs and the one before it.
#[derive(Clone, Serialize, Deserialize)]
pub struct GuestKeys {
    current: Key,
    previous: Option<Key>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Key {
    kid: String,
    secret: String,
}

impl GuestKeys {
    /// New random keys.
    pub fn random() -> Self {
        let secret: [u8; 32] = rand::random();
        let kid: [u8; 4] = rand::random();
        Self { current: Key { kid: hex(&kid), secret: hex(&secret) }, previous: None }
    }

    /// Reads the keys of a node, or makes and stores them, readable by the owner only.
    pub fn load_or_create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            let text =
                fs::read_to_string(path).with_context(|| format!("read guest keys {}", path.display()))?;
            return serde_json::from_str(&text)
                .with_context(|| format!("read guest keys {}", path.display()));
        }
        let keys = Self::random();
        // A key that a loss of power took would sign out every guest.
        durable::write_private(path, &serde_json::to_vec_pretty(&keys)?)
            .with_context(|| format!("write guest keys {}", path.display()))?;
        Ok(keys)
    }

    /// As the internal API shows them to other nodes.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("keys are strings")
    }

    /// Whether both sign with the same key.
    pub fn has_current_of(&self, other: &Self) -> bool {
        self.current.kid == other.current.kid && self.current.secret == other.current.secret
    }

    /// These keys; where they have none before the current one, what `own` signed is accepted too.
    pub fn with_previous_of(self, own: &Self) -> Self {
        let previous = self.previous.or_else(|| Some(own.current.clone()));
        Self { current: self.current, previous }
    }

    /// Signs in a new guest: user id and token.
    pub fn new_guest(&self, now_ms: i64) -> (String, String) {
        let id = emostream_protocol::ReactionId::from_parts(now_ms, rand::random());
        let id = hex(id.as_bytes());
        let token = format!("g1.{}.{id}.{}", self.current.kid, hex(&self.current.mac(&id)[..MAC_BYTES]));
        (format!("{GUEST_PREFIX}{id}"), token)
    }

    /// The user id in a token, if one of our keys signed it.
    pub fn verify(&self, token: &str) -> Option<String> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut parts = token.split('.');
        let (Some("g1"), Some(kid), Some(id), Some(mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let key =
            [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.kid == kid)?;
        if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mac = unhex(mac).filter(|mac| mac.len() == MAC_BYTES)?;
        key.keyed(id).verify_truncated_left(&mac).ok()?;
        Some(format!("{GUEST_PREFIX}{id}"))
    }
}

impl std::fmt::Debug for GuestKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GuestKeys({})", self.current.kid)
    }
}

impl Key {
    fn keyed(&self, id: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(b"emostream guest 1 ");
        mac.update(id.as_bytes());
        mac
    }

    fn mac(&self, id: &str) -> Vec<u8> {
        self.keyed(id).finalize().into_bytes().to_vec()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::GuestKeys;

    #[test]
    fn own_tokens_are_verified_and_all_others_refused() {
        let keys = GuestKeys::random();
        let (user, token) = keys.new_guest(1_000);
        assert_eq!(keys.verify(&token), Some(user));
        assert_eq!(GuestKeys::random().verify(&token), None);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(keys.verify(&forged).is_none(), "{forged}");
        }
        for bad in ["", "g1", "g1...", "g1.a.b.c.d", &"x".repeat(1_000)] {
            assert_eq!(keys.verify(bad), None);
        }
    }

    #[test]
    fn the_previous_key_still_verifies_and_files_keep_keys() {
        let old = GuestKeys::random();
        let (user, token) = old.new_guest(1_000);
        let rotated = GuestKeys { current: GuestKeys::random().current, previous: Some(old.current) };
        assert_eq!(rotated.verify(&token), Some(user));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guest-keys.json");
        let stored = GuestKeys::load_or_create(&path).unwrap();
        let (user, token) = stored.new_guest(2_000);
        assert_eq!(GuestKeys::load_or_create(&path).unwrap().verify(&token), Some(user));
    }
}
