//! Tickets: permissions to connect once, on one edge, within seconds. Control signs them with Ed25519; edges know only the
//! public half of the key, so that who breaks into an edge cannot make any. The current key signs, the previous one still
//! verifies.

use std::{fmt, fs, path::Path};

use anyhow::Context;
use emostream_protocol::placement::TicketClaims;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{AlgorithmParameters, Jwk},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    durable,
    placement_link::{TicketKey, TicketKeys},
};

/// What stands before the 32 bytes of an Ed25519 private key in its DER form (RFC 8410).
const DER_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The keys that tickets are signed with.
pub struct TicketSigner {
    current: EncodingKey,
    keys: TicketKeys,
    line: [u8; 32],
}

/// The keys as they are kept: private halves in hexadecimal.
#[derive(Serialize, Deserialize)]
struct Kept {
    current: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

impl TicketSigner {
    /// New random keys.
    pub fn random() -> anyhow::Result<Self> {
        Self::of(&Kept { current: hex(&rand::random::<[u8; 32]>()), previous: None })
    }

    /// Reads the keys of a node, or makes and stores them, readable by the owner only.
    pub fn load_or_create(path: &Path) -> anyhow::Result<Self> {
        let read = || -> anyhow::Result<Self> {
            let kept: Kept = if path.exists() {
                serde_json::from_str(&fs::read_to_string(path)?)?
            } else {
                let kept = Kept { current: hex(&rand::random::<[u8; 32]>()), previous: None };
                durable::write_private(path, &serde_json::to_vec_pretty(&kept)?)?;
                kept
            };
            Self::of(&kept)
        };
        read().with_context(|| format!("keys of tickets in {}", path.display()))
    }

    fn of(kept: &Kept) -> anyhow::Result<Self> {
        let (current, key) = pair(&kept.current).context("current")?;
        let previous = kept.previous.as_deref().map(pair).transpose().context("previous")?;
        let line =
            Sha256::new().chain_update(b"emostream line key 1 ").chain_update(&kept.current).finalize();
        let keys = TicketKeys { current: key, previous: previous.map(|(_, key)| key) };
        Ok(Self { current, keys, line: line.into() })
    }

    /// The public halves, for edges.
    pub fn public(&self) -> &TicketKeys {
        &self.keys
    }

    /// The key under which places in the line are signed. It follows from the private half, and says nothing of it.
    pub fn line_key(&self) -> [u8; 32] {
        self.line
    }

    /// Signs a ticket.
    pub fn sign(&self, claims: &TicketClaims) -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.keys.current.kid.clone());
        encode(&header, claims, &self.current).context("sign a ticket")
    }
}

impl fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketSigner({})", self.keys.current.kid)
    }
}

/// Both halves of a key. The public one's id follows from it.
fn pair(seed: &str) -> anyhow::Result<(EncodingKey, TicketKey)> {
    let seed = unhex(seed).context("expected 64 hexadecimal digits")?;
    let key = EncodingKey::from_ed_der(&[DER_PREFIX.as_slice(), seed.as_slice()].concat());
    let AlgorithmParameters::OctetKeyPair(public) = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?.algorithm
    else {
        anyhow::bail!("expected an Ed25519 key");
    };
    let digest = Sha256::new().chain_update(b"emostream ticket key id 1 ").chain_update(&public.x).finalize();
    Ok((key, TicketKey { kid: hex(&digest[..4]), x: public.x }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use emostream_protocol::placement::{TICKET_SECONDS_MAX, TicketClaims, TicketDevice};
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use uuid::Uuid;

    use super::{Kept, TicketSigner};
    use crate::placement_link::{TICKET_BYTES_MAX, TicketError, TicketKeys};

    const NOW_MS: i64 = 1_750_000_000_999;

    fn claims() -> TicketClaims {
        let device = TicketDevice {
            user_id: Uuid::from_u128(7),
            device_id: "phone".into(),
            name: "Firefox on Linux".into(),
        };
        TicketClaims {
            jti: Uuid::from_u128(1),
            edge: "north-1".into(),
            generation: Uuid::from_u128(2),
            user: "Ada".into(),
            device: Some(device),
            iat: 1_750_000_000,
            exp: 1_750_000_030,
        }
    }

    #[test]
    fn a_ticket_says_what_was_signed_until_it_expires() {
        let signer = TicketSigner::random().unwrap();
        let ticket = signer.sign(&claims()).unwrap();
        // As edges have the keys.
        let keys: TicketKeys =
            serde_json::from_str(&serde_json::to_string(signer.public()).unwrap()).unwrap();
        assert_eq!(keys.verify(&ticket, NOW_MS), Ok(claims()));
        assert_eq!(keys.verify(&ticket, 1_750_000_029_999), Ok(claims()));
        assert_eq!(keys.verify(&ticket, 1_750_000_030_000), Err(TicketError::Expired));
        // An edge knows control's time only so well; beyond that it cannot tell how old a ticket is.
        assert_eq!(keys.verify(&ticket, 1_749_999_995_000), Ok(claims()));
        assert_eq!(keys.verify(&ticket, 1_749_999_994_999), Err(TicketError::OfTheFuture));
    }

    #[test]
    fn forged_and_foreign_tickets_are_told_apart() {
        let signer = TicketSigner::random().unwrap();
        let keys = signer.public();
        let ticket = signer.sign(&claims()).unwrap();
        let foreign = TicketSigner::random().unwrap().sign(&claims()).unwrap();
        assert_eq!(keys.verify(&foreign, NOW_MS), Err(TicketError::UnknownKey));
        assert!(keys.is_of_another_key(&foreign) && !keys.is_of_another_key(&ticket));
        // Only the name of its key is looked at for that: whether the key has signed it takes far longer, and is seen once.
        let mut named = keys.clone();
        named.current.x = "no key at all".into();
        assert!(!named.is_of_another_key(&ticket) && named.verify(&ticket, NOW_MS).is_err());
        // Another's signature, claims or header beside the rest of a good ticket.
        let own: Vec<&str> = ticket.split('.').collect();
        let other_claims = signer.sign(&TicketClaims { edge: "south-1".into(), ..claims() }).unwrap();
        let other = other_claims.split('.').nth(1).unwrap();
        let swapped = format!("{}.{other}.{}", own[0], own[2]);
        assert_eq!(keys.verify(&swapped, NOW_MS), Err(TicketError::BadSignature));
        let unsigned = format!("{}.{}.", own[0], own[1]);
        assert_eq!(keys.verify(&unsigned, NOW_MS), Err(TicketError::BadSignature));
        for at in 0..ticket.len() {
            let mut forged = ticket.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(keys.verify(&forged, NOW_MS).is_err(), "{forged}");
        }
    }

    #[test]
    fn only_ed25519_is_taken_and_only_what_is_short_lived() {
        let signer = TicketSigner::random().unwrap();
        let keys = signer.public();
        // The public key, taken for a shared secret: the classic confusion of algorithms.
        let header = Header { kid: Some(keys.current.kid.clone()), ..Header::new(Algorithm::HS256) };
        let confused =
            encode(&header, &claims(), &EncodingKey::from_secret(keys.current.x.as_bytes())).unwrap();
        assert_eq!(keys.verify(&confused, NOW_MS), Err(TicketError::Malformed));
        let long = TicketClaims { exp: claims().iat + TICKET_SECONDS_MAX + 1, ..claims() };
        let long = signer.sign(&long).unwrap();
        assert_eq!(keys.verify(&long, NOW_MS), Err(TicketError::Malformed));
        let many = "x".repeat(TICKET_BYTES_MAX + 1);
        for bad in ["", "a.b.c", "..", many.as_str()] {
            assert_eq!(keys.verify(bad, NOW_MS), Err(TicketError::Malformed));
        }
    }

    #[test]
    fn keys_are_kept_and_the_previous_one_still_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tickets.json");
        let ticket = TicketSigner::load_or_create(&path).unwrap().sign(&claims()).unwrap();
        let again = TicketSigner::load_or_create(&path).unwrap();
        assert_eq!(again.public().verify(&ticket, NOW_MS), Ok(claims()));
        let kept: Kept = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let rotated =
            TicketSigner::of(&Kept { current: "0b".repeat(32), previous: Some(kept.current) }).unwrap();
        assert_eq!(rotated.public().verify(&ticket, NOW_MS), Ok(claims()));
        let newer = rotated.sign(&claims()).unwrap();
        assert_eq!(again.public().verify(&newer, NOW_MS), Err(TicketError::UnknownKey));
        std::fs::write(&path, r#"{"current":"0b"}"#).unwrap();
        let error = format!("{:#}", TicketSigner::load_or_create(&path).unwrap_err());
        assert!(error.contains("tickets.json") && error.contains("64 hexadecimal digits"), "{error}");
    }
}
