//! Login tokens: JSON Web Tokens under HMAC-SHA-256 (RFC 7519, HS256) and nothing else. The current key signs, the
//! previous one still verifies.

use std::{fmt, fs, path::Path};

use anyhow::Context;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::durable;

/// How long a token is good, s.
pub const TOKEN_LIFE_S: i64 = 3_600;

/// A token counts as expired this much later than it says, s: clocks of several nodes agree only so well.
pub const LEEWAY_S: i64 = 5;

/// Bytes of a token at most; longer ones are not looked at.
const TOKEN_BYTES_MAX: usize = 4_096;

/// A secret shorter than this, bytes, can be guessed from a single token.
const SECRET_BYTES_SAFE: usize = 32;

/// What a token says. Other issuers that share the secret leave out what is optional here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Name of the account.
    pub username: String,
    /// When it was issued, s since the Unix epoch.
    pub iat: i64,
    /// When it expires, s since the Unix epoch.
    pub exp: i64,
    /// The role at that time, for clients; the account's present role is what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// When the account's password or role had last changed then, microseconds: another value now ends the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<i64>,
}

/// Why a token is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Not signed by one of our keys, or not a token at all.
    Invalid,
    /// Was good once.
    Expired,
}

/// The key that signs and the one before it.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginKeys {
    current: Key,
    previous: Option<Key>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Key {
    kid: String,
    secret: String,
}

impl LoginKeys {
    /// New random keys.
    pub fn random() -> Self {
        let secret: [u8; 32] = rand::random();
        Self { current: Key::of(hex(&secret)), previous: None }
    }

    /// The secret that an operator chose. `None` if it is empty: anybody could sign with that.
    pub fn from_secret(secret: &str) -> Option<Self> {
        if secret.is_empty() {
            return None;
        }
        if secret.len() < SECRET_BYTES_SAFE {
            tracing::warn!(
                "TOKEN_SECRET is shorter than {SECRET_BYTES_SAFE} bytes: who has a token may guess it; make one with `openssl rand -hex 32`"
            );
        }
        Some(Self { current: Key::of(secret.to_owned()), previous: None })
    }

    /// Reads the keys of a node, or makes and stores them, readable by the owner only.
    pub fn load_or_create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            let text =
                fs::read_to_string(path).with_context(|| format!("read login keys {}", path.display()))?;
            let keys: Self =
                serde_json::from_str(&text).with_context(|| format!("read login keys {}", path.display()))?;
            anyhow::ensure!(
                keys.all().all(|key| !key.secret.is_empty()),
                "login keys {}: expected secrets that are not empty",
                path.display()
            );
            return Ok(keys);
        }
        let keys = Self::random();
        durable::write_private(path, &serde_json::to_vec_pretty(&keys)?)
            .with_context(|| format!("write login keys {}", path.display()))?;
        Ok(keys)
    }

    /// Signs a token for an account, good for [`TOKEN_LIFE_S`] from `now_ms` on.
    pub fn issue(
        &self,
        username: &str,
        role: &str,
        credentials: i64,
        now_ms: i64,
    ) -> anyhow::Result<(String, Claims)> {
        let iat = now_ms.div_euclid(1_000);
        let claims = Claims {
            username: username.to_owned(),
            iat,
            exp: iat + TOKEN_LIFE_S,
            role: Some(role.to_owned()),
            credentials: Some(credentials),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.current.kid.clone());
        let key = EncodingKey::from_secret(self.current.secret.as_bytes());
        let token = encode(&header, &claims, &key).context("sign a login token")?;
        Ok((token, claims))
    }

    /// What a token says, if one of our keys signed it and it is still good.
    pub fn read(&self, token: &str, now_ms: i64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenError::Invalid)?;
        // A key id is a hint; who shares our secret need not know our name for it.
        let claims = self
            .all()
            .filter(|key| header.kid.as_ref().is_none_or(|kid| *kid == key.kid))
            .find_map(|key| key.verify(token))
            .ok_or(TokenError::Invalid)?;
        if now_ms.div_euclid(1_000) >= claims.exp.saturating_add(LEEWAY_S) {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten()
    }
}

impl fmt::Debug for LoginKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginKeys({})", self.current.kid)
    }
}

impl Key {
    /// The key id follows from the secret, so that nodes that share one agree, and says nothing about it.
    fn of(secret: String) -> Self {
        let digest =
            Sha256::new().chain_update(b"emostream login key id 1 ").chain_update(&secret).finalize();
        Self { kid: hex(&digest[..4]), secret }
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        // `exp` is required by the claims themselves, and judged by the node's clock rather than the machine's.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(self.secret.as_bytes());
        decode(token, &key, &validation).ok().map(|data| data.claims)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
