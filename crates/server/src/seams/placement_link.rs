//! Where edges and control meet: what an edge asks of control, in its own process or over the internal API, and the public
//! keys by which it knows control's tickets.

use emostream_protocol::placement::{EdgeOrders, EdgeReport, TICKET_SECONDS_MAX, TicketClaims};
use futures_util::future::BoxFuture;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde::{Deserialize, Serialize};

/// Bytes of a ticket at most; longer ones are not looked at. Names of users and devices make up most of it.
pub const TICKET_BYTES_MAX: usize = 4_096;

/// An edge knows control's time only so well, s.
const LEEWAY_S: i64 = 5;

/// The way from an edge to control. Both calls may be repeated: an answer that was lost changes nothing.
pub trait ControlLink: Send + Sync {
    /// Tells control how the edge is, and answers what it is to do. The answer is durable: what it says of leases is in
    /// the store.
    fn report(&self, report: EdgeReport) -> BoxFuture<'_, Result<EdgeOrders, LinkError>>;

    /// The keys that tickets are verified with. They change rarely; one that is not known yet is a reason to ask again.
    fn ticket_keys(&self) -> BoxFuture<'_, Result<TicketKeys, LinkError>>;
}

/// Why control did not do what an edge asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Control, its store, or the way there does not work now; trying again later may.
    #[error("control does not answer: {0}")]
    Unavailable(String),
    /// Control does not take what was asked, and will not when it is asked again: a matter of configuration.
    #[error("control refuses: {0}")]
    Refused(String),
}

/// Public halves of the keys that tickets are signed with: the current one, and the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKeys {
    /// Signs tickets now.
    pub current: TicketKey,
    /// Signed them before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<TicketKey>,
}

/// One public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKey {
    /// Its id, as it stands in a ticket's header.
    pub kid: String,
    /// The Ed25519 public key in base64url without padding, as JWK (RFC 8037) has it.
    pub x: String,
}

/// Why a ticket opens nothing. For the log: whoever shows a ticket is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a ticket at all, or one that lives longer than any of ours.
    #[error("it is not a ticket")]
    Malformed,
    /// Signed with a key that is not ours, or that is not known yet.
    #[error("its key is unknown")]
    UnknownKey,
    /// Not signed by the key that it names.
    #[error("its signature is wrong")]
    BadSignature,
    /// Was good once.
    #[error("it has expired")]
    Expired,
    /// Was given out later than now: whose clock is wrong cannot tell for how long it holds.
    #[error("it is of the future: this node's clock is behind control's")]
    OfTheFuture,
}

impl TicketKeys {
    /// What a ticket says, if one of our keys signed it and it still holds at `now_ms`, by control's clock. For which edge, which start of it, and
    /// that it is used once, is for the edge to check.
    pub fn verify(&self, ticket: &str, now_ms: i64) -> Result<TicketClaims, TicketError> {
        let claims = self.key_of(ticket)?.open(ticket)?;
        let life = claims.exp.checked_sub(claims.iat).filter(|life| (0..=TICKET_SECONDS_MAX).contains(life));
        if life.is_none() {
            return Err(TicketError::Malformed);
        }
        let now_s = now_ms.div_euclid(1_000);
        if now_s >= claims.exp {
            return Err(TicketError::Expired);
        }
        if claims.iat > now_s.saturating_add(LEEWAY_S) {
            return Err(TicketError::OfTheFuture);
        }
        Ok(claims)
    }

    /// Whether a ticket names a key that is not among these: a reason to ask control for its keys again.
    pub fn is_of_another_key(&self, ticket: &str) -> bool {
        self.key_of(ticket) == Err(TicketError::UnknownKey)
    }

    /// The key that a ticket names. Whether it has signed it is still to be looked at, and takes far longer.
    fn key_of(&self, ticket: &str) -> Result<&TicketKey, TicketError> {
        if ticket.len() > TICKET_BYTES_MAX {
            return Err(TicketError::Malformed);
        }
        let header = decode_header(ticket).map_err(|_| TicketError::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(TicketError::Malformed);
        }
        let key = header.kid.as_deref().and_then(|kid| self.all().find(|key| key.kid == kid));
        key.ok_or(TicketError::UnknownKey)
    }

    fn all(&self) -> impl Iterator<Item = &TicketKey> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten()
    }
}

impl TicketKey {
    fn open(&self, ticket: &str) -> Result<TicketClaims, TicketError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // `exp` is required by the claims themselves, and judged by the node's clock rather than the machine's.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_ed_components(&self.x).map_err(|_| TicketError::UnknownKey)?;
        match decode(ticket, &key, &validation) {
            Ok(data) => Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
                Err(TicketError::BadSignature)
            }
            Err(_) => Err(TicketError::Malformed),
        }
    }
}
