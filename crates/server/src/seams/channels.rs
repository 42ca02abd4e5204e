//! The directory of channels: which exist on this node, and what control last published of each. Roles read it at every
//! reaction and every frame; it changes while they run.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arc_swap::{ArcSwap, Guard};
use emostream_protocol::{
    ChannelName, Emotes, Palette,
    input::{Rejection, RejectionKind},
    limits::CHANNELS_MAX,
    settings::{SettingsDocument, SettingsError},
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::sync::watch;

/// A channel as ingest and edges know it.
#[derive(Debug)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// Its place among the channels of this node, below [`CHANNELS_MAX`]: a key cheaper than the name.
    pub index: u32,
    published: ArcSwap<Published>,
}

/// What was last published of a channel.
#[derive(Debug, Clone)]
pub struct Published {
    /// Version of the settings; ascends.
    pub version: u64,
    /// The settings.
    pub settings: SettingsDocument,
    /// What is accepted and offered, as the settings say.
    pub palette: Palette,
    /// Whether the event is over: a closed channel takes no reactions, and its past stays.
    pub closed: bool,
}

impl Published {
    /// A version of settings, ready to be published.
    pub fn new(
        version: u64,
        settings: SettingsDocument,
        closed: bool,
        emotes: &Emotes,
    ) -> Result<Self, SettingsError> {
        let palette = settings.palette.resolve(emotes)?;
        Ok(Self { version, settings, palette, closed })
    }
}

impl Channel {
    /// What holds now. Cheap; not to be kept, since a change replaces it.
    pub fn published(&self) -> Guard<Arc<Published>> {
        self.published.load()
    }

    /// What holds for a reaction that comes now; a rejection where the event is over.
    pub fn accepting(&self) -> Result<Guard<Arc<Published>>, Rejection> {
        let published = self.published();
        if published.closed {
            let detail = "expected a channel whose event is not over".to_owned();
            return Err(Rejection { kind: RejectionKind::ChannelClosed, field: None, detail });
        }
        Ok(published)
    }
}

/// All channels of this node.
#[derive(Debug)]
pub struct Channels {
    directory: ArcSwap<Directory>,
    /// One change at a time.
    changing: Mutex<()>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Clone, Default)]
struct Directory {
    by_name: HashMap<ChannelName, Arc<Channel>, FixedState>,
    in_order: Vec<Arc<Channel>>,
}

/// A node holds as many channels as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {CHANNELS_MAX} channels")]
pub struct TooManyChannels;

impl Default for Channels {
    fn default() -> Self {
        Self { directory: ArcSwap::default(), changing: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Channels {
    /// Finds a channel.
    pub fn get(&self, name: &str) -> Option<Arc<Channel>> {
        self.directory.load().by_name.get(name).cloned()
    }

    /// All channels, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Channel>> {
        self.directory.load().in_order.clone()
    }

    /// Adds a channel, or replaces what was published of it. Whoever asks from now on sees it, and those who
    /// [`follow`](Self::follow) wake up.
    pub fn publish(&self, name: &ChannelName, published: Published) -> Result<Arc<Channel>, TooManyChannels> {
        let changing = self.changing.lock().unwrap_or_else(|e| e.into_inner());
        self.replace(&changing, name, published)
    }

    /// Publishes a version of settings, unless that one or a newer one is published already. Whether the channel is closed
    /// stays as it is.
    pub fn publish_version(
        &self,
        name: &ChannelName,
        mut published: Published,
    ) -> Result<(), TooManyChannels> {
        let changing = self.changing.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = self.get(name) {
            let known = known.published();
            if known.version >= published.version {
                return Ok(());
            }
            published.closed = known.closed;
        }
        self.replace(&changing, name, published).map(drop)
    }

    /// Publishes what control says of a channel, unless newer settings are published already.
    pub fn publish_newest(&self, name: &ChannelName, published: Published) -> Result<(), TooManyChannels> {
        let changing = self.changing.lock().unwrap_or_else(|e| e.into_inner());
        let is_older = self.get(name).is_some_and(|known| known.published().version > published.version);
        if is_older { Ok(()) } else { self.replace(&changing, name, published).map(drop) }
    }

    /// Publishes whether a channel is closed; its settings stay as they are. One that is not here stays unknown.
    pub fn publish_closed(&self, name: &ChannelName, closed: bool) {
        let changing = self.changing.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = self.get(name) {
            let published = Published { closed, ..Published::clone(&known.published()) };
            // It is here already, so that there is room for it.
            drop(self.replace(&changing, name, published));
        }
    }

    fn replace(
        &self,
        _one_at_a_time: &MutexGuard<'_, ()>,
        name: &ChannelName,
        published: Published,
    ) -> Result<Arc<Channel>, TooManyChannels> {
        let channel = match self.get(name) {
            Some(channel) => {
                channel.published.store(Arc::new(published));
                channel
            }
            None => self.add(name, published)?,
        };
        self.changes.send_modify(|changes| *changes += 1);
        Ok(channel)
    }

    fn add(&self, name: &ChannelName, published: Published) -> Result<Arc<Channel>, TooManyChannels> {
        let mut directory = Directory::clone(&self.directory.load());
        let index = directory.in_order.len();
        if index >= CHANNELS_MAX {
            return Err(TooManyChannels);
        }
        let channel = Arc::new(Channel {
            name: name.clone(),
            index: u32::try_from(index).map_err(|_| TooManyChannels)?,
            published: ArcSwap::from_pointee(published),
        });
        directory.by_name.insert(name.clone(), channel.clone());
        directory.in_order.push(channel.clone());
        self.directory.store(Arc::new(directory));
        Ok(channel)
    }

    /// Counts the changes: wakes up whenever something was published.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Something for each channel, made when it is first asked for. Reading takes no lock.
#[derive(Debug)]
pub struct PerChannel<T>(Box<[OnceLock<T>]>);

impl<T: Default> Default for PerChannel<T> {
    fn default() -> Self {
        Self((0..CHANNELS_MAX).map(|_| OnceLock::new()).collect())
    }
}

impl<T: Default> PerChannel<T> {
    /// The channel's own.
    pub fn of(&self, channel: &Channel) -> &T {
        // Only `Channels::add` makes channels, with an index below the number of places.
        self.0[channel.index as usize].get_or_init(T::default)
    }
}

#[cfg(test)]
mod tests {
    use emostream_protocol::{ChannelName, Emotes, limits::CHANNELS_MAX, settings::SettingsDocument};

    use super::{Channels, PerChannel, Published};

    fn published(version: u64, emotes: &Emotes) -> Published {
        Published::new(version, SettingsDocument::default(), false, emotes).unwrap()
    }

    #[test]
    fn a_channel_keeps_its_place_and_shows_what_was_published_last() {
        let (channels, emotes) = (Channels::default(), Emotes::new());
        let mut follower = channels.follow();
        let names = ["main", "other"].map(|name| ChannelName::new(name).unwrap());
        for name in &names {
            channels.publish(name, published(1, &emotes)).unwrap();
        }
        let before = channels.get("main").unwrap();
        let counters = PerChannel::<std::sync::atomic::AtomicU32>::default();
        counters.of(&before).store(7, std::sync::atomic::Ordering::Relaxed);
        channels.publish(&names[0], published(2, &emotes)).unwrap();
        let after = channels.get("main").unwrap();
        assert_eq!((before.published().version, after.index, channels.all().len()), (2, 0, 2));
        assert_eq!(counters.of(&after).load(std::sync::atomic::Ordering::Relaxed), 7);
        assert_eq!(
            counters.of(&channels.get("other").unwrap()).load(std::sync::atomic::Ordering::Relaxed),
            0
        );
        assert!(follower.has_changed().unwrap() && *follower.borrow_and_update() == 3);
        assert!(channels.get("neither").is_none());
    }

    #[test]
    fn settings_and_closing_that_are_published_at_once_lose_neither() {
        let (channels, emotes) = (Channels::default(), Emotes::new());
        let main = ChannelName::new("main").unwrap();
        channels.publish(&main, published(1, &emotes)).unwrap();
        for round in 0..200u64 {
            let newest = 2 + round * 20 + 19;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for version in newest - 19..=newest {
                        channels.publish_version(&main, published(version, &emotes)).unwrap();
                        channels.publish_version(&main, published(version - 1, &emotes)).unwrap();
                    }
                });
                scope.spawn(|| {
                    (0..20).for_each(|turn| channels.publish_closed(&main, turn % 2 == 0));
                    channels.publish_closed(&main, round % 2 == 0);
                });
            });
            let shown = channels.get("main").unwrap();
            let shown = shown.published();
            assert_eq!((shown.version, shown.closed), (newest, round % 2 == 0));
        }
        channels.publish_closed(&ChannelName::new("unknown").unwrap(), true);
        assert!(channels.get("unknown").is_none());
    }

    #[test]
    fn there_are_only_so_many() {
        let (channels, emotes) = (Channels::default(), Emotes::new());
        for number in 0..CHANNELS_MAX {
            let name = ChannelName::new(&format!("c{number}")).unwrap();
            channels.publish(&name, published(1, &emotes)).unwrap();
        }
        let one_more = ChannelName::new("one-more").unwrap();
        assert!(channels.publish(&one_more, published(1, &emotes)).is_err());
        assert!(channels.publish(&ChannelName::new("c0").unwrap(), published(2, &emotes)).is_ok());
    }
}
