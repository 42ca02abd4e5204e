//! The channels that exist on this node, with what ingest and edges need to know of each.

use std::sync::Arc;

use emostream_protocol::{ChannelName, ChannelSettings, Emotes, Palette};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::config::ChannelConfig;

/// A channel as ingest and edges know it.
#[derive(Debug)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// Its place among the channels of this node: a key cheaper than the name.
    pub index: u32,
    /// What is accepted and offered.
    pub palette: Palette,
    /// The settings that the configuration wants in force.
    pub configured: ChannelSettings,
}

/// All channels of this node, by name.
#[derive(Debug)]
pub struct Channels {
    by_name: HashMap<ChannelName, Arc<Channel>, FixedState>,
    in_order: Vec<Arc<Channel>>,
}

impl Channels {
    /// Builds the channels of a validated configuration.
    pub fn from_config(config: &[ChannelConfig], emotes: &Emotes) -> anyhow::Result<Self> {
        let mut in_order = Vec::with_capacity(config.len());
        for (index, channel) in config.iter().enumerate() {
            in_order.push(Arc::new(Channel {
                name: ChannelName::new(&channel.name)?,
                index: u32::try_from(index)?,
                palette: channel.palette(emotes)?,
                configured: channel.settings(emotes)?,
            }));
        }
        let by_name =
            in_order.iter().map(|channel: &Arc<Channel>| (channel.name.clone(), channel.clone())).collect();
        Ok(Self { by_name, in_order })
    }

    /// Finds a channel.
    pub fn get(&self, name: &str) -> Option<&Arc<Channel>> {
        self.by_name.get(name)
    }

    /// All channels, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.in_order.iter()
    }
}
