//! `accounts`: who may make an account, and how many devices it may connect.

use serde::{Deserialize, Serialize};

use crate::config::Findings;

/// Accounts that people make themselves, and their tiers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountsConfig {
    /// Whether people may make accounts themselves. If not, admins make them.
    pub registration: bool,
    /// Accounts that one address may make in a minute, as many at once; IPv6 addresses count by their /64. 0: as many as
    /// it likes.
    pub registrations_per_minute: u32,
    /// Whether those who register choose their tier.
    pub choose_tier: bool,
    /// The tier of accounts that were given none, 1 to the number of `accounts.tier_devices`.
    pub default_tier: u8,
    /// Devices that may be connected at once: of an account of tier 1, 2, 3 and so on.
    pub tier_devices: Vec<u32>,
}

/// Tiers that there may be.
const TIERS_MAX: usize = 100;

/// Devices of a tier. Each refused device is told of all of them.
const DEVICES_MAX: u32 = 1_000;

impl Default for AccountsConfig {
    fn default() -> Self {
        Self {
            registration: true,
            registrations_per_minute: 30,
            choose_tier: false,
            default_tier: 3,
            tier_devices: vec![5, 2, 1],
        }
    }
}

impl AccountsConfig {
    /// The tiers with their devices, ascending from 1.
    pub fn tiers(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        (1..=u8::MAX).zip(self.tier_devices.iter().copied())
    }

    /// Devices of an account whose tier is not among those of the configuration: those of the default tier.
    pub fn default_devices(&self) -> u32 {
        self.tiers().find(|(tier, _)| *tier == self.default_tier).map_or(1, |(_, devices)| devices)
    }

    pub(in crate::config) fn validate(&self, findings: &mut Findings) {
        findings.expect(
            (1..=TIERS_MAX).contains(&self.tier_devices.len())
                && self.tier_devices.iter().all(|devices| (1..=DEVICES_MAX).contains(devices)),
            "accounts.tier_devices",
            format_args!("devices of 1 to {TIERS_MAX} tiers, each 1 to {DEVICES_MAX}"),
        );
        findings.expect(
            (1..=self.tier_devices.len()).contains(&usize::from(self.default_tier)),
            "accounts.default_tier",
            "a tier of accounts.tier_devices",
        );
        findings.expect(
            self.registrations_per_minute <= 60_000,
            "accounts.registrations_per_minute",
            "0 to 60000",
        );
    }
}
