//! Tokens of places in the line: what is needed to take the place again after a restart, signed for its owner.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::{Line, Owner, SILENCE_US, Waiter, silence_max_us};

/// Bytes of a token's MAC: 128 bits are beyond guessing.
const MAC_BYTES: usize = 16;

/// What a token says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    joined_us: i64,
    id: Uuid,
    asked_us: i64,
    silence_us: i64,
}

impl Shown {
    /// When its owner joined, and under which id.
    pub(super) fn place(&self) -> (i64, Uuid) {
        (self.joined_us, self.id)
    }

    /// When its owner had asked, µs since the Unix epoch.
    pub(super) fn asked_us(&self) -> i64 {
        self.asked_us
    }

    /// For how long its owner may be silent after that.
    pub(super) fn silence_us(&self) -> i64 {
        self.silence_us.clamp(SILENCE_US, silence_max_us())
    }
}

impl Line {
    /// The token of who asks now.
    pub(super) fn sign(&self, waiter: &Waiter, now_us: i64) -> String {
        let id = waiter.id.simple();
        let said = format!("l1.{:x}.{now_us:x}.{:x}.{id}", waiter.joined_us, waiter.silence_us);
        let mac = self.mac(&said, &waiter.owner).finalize().into_bytes();
        let mac: String = mac.iter().take(MAC_BYTES).map(|byte| format!("{byte:02x}")).collect();
        format!("{said}.{mac}")
    }

    /// What a token of this line and this owner says. A guest may have moved to another network since; an account's is of
    /// no use to anybody else.
    pub(super) fn read(&self, token: &str, owner: &Owner) -> Option<Shown> {
        if token.len() > 200 || !token.is_ascii() {
            return None;
        }
        let (said, mac) = token.rsplit_once('.')?;
        let mac = u128::from_str_radix(mac, 16).ok().filter(|_| mac.len() == 2 * MAC_BYTES)?;
        self.mac(said, owner).verify_truncated_left(&mac.to_be_bytes()).ok()?;
        let mut parts = said.strip_prefix("l1.")?.split('.');
        let mut number = || i64::from_str_radix(parts.next()?, 16).ok();
        let (joined_us, asked_us, silence_us) = (number()?, number()?, number()?);
        let id = Uuid::try_parse(parts.next()?).ok()?;
        Some(Shown { joined_us, id, asked_us, silence_us })
    }

    fn mac(&self, said: &str, owner: &Owner) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(b"emostream line 1 ");
        match owner {
            Owner::Guest(_) => mac.update(b"guest "),
            Owner::Device(user, _) => {
                mac.update(b"account ");
                mac.update(user.as_bytes());
            }
        }
        mac.update(said.as_bytes());
        mac
    }
}
