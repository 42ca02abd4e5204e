//! Networks by their prefix, such as `10.0.0.0/8`: which addresses a client may ask to be called at, and which are those of
//! trusted proxies.

use std::{net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// All addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(Prefix);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether an address is in it. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let Prefix { first, bits } = self.0;
        match (first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= bits
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= bits
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a network such as 127.0.0.0/8 or ::1/128, got {text:?}");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| expected())?;
        if first.to_canonical() != first {
            return Err(format!(
                "expected an IPv4 network in its own form, such as 127.0.0.0/8, got {text:?}"
            ));
        }
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(expected)?,
        };
        let rest_is_zero = match first {
            IpAddr::V4(first) => first.to_bits().trailing_zeros() + bits >= 32,
            IpAddr::V6(first) => first.to_bits().trailing_zeros() + bits >= 128,
        };
        if !rest_is_zero {
            return Err(format!("expected no bits behind the first {bits}, got {text:?}"));
        }
        Ok(Self(Prefix { first, bits }))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(Network(prefix): Network) -> Self {
        format!("{}/{}", prefix.first, prefix.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_with_its_first_bits() {
        for (text, inside, outside) in [
            ("127.0.0.0/8", "127.255.0.1", "128.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("10.1.2.2/31", "::ffff:10.1.2.3", "::ffff:10.1.2.4"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::1/128", "::1", "::2"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "::1", "127.0.0.1"),
        ] {
            let network = network(text);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} {outside}");
            assert_eq!(String::from(network).parse(), Ok(network));
        }
    }

    #[test]
    fn what_is_no_network_is_said() {
        let wrong =
            ["", "localhost", "127.0.0.1/33", "127.0.0.1/8", "::1/129", "10.0.0.0/", "::ffff:127.0.0.0/104"];
        for text in wrong {
            assert!(text.parse::<Network>().unwrap_err().starts_with("expected "), "{text}");
        }
    }
}
