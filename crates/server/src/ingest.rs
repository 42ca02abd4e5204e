//! Ingest: validates reactions, batches them, and answers when the log has them.
//!
//! [`endpoint`] reads requests, [`batcher`] groups reactions of all connections into records, [`spool`] takes them to
//! Kafka, [`identity`] signs in guests, [`crate::rate`] limits what one address may send.

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use emostream_log::{Clock, Log, TopicPartition};
use emostream_protocol::{Emotes, record::NewReaction};

use crate::{
    channels::Channel,
    config::IngestConfig,
    intake::{Intake, Receipt, Refusal},
    pressure::Pressure,
    rate::AddressLimits,
    tasks::Tasks,
    telemetry::Metrics,
};

pub mod batcher;
pub mod endpoint;
pub mod identity;
mod memory;
mod recent;
pub mod spool;

use batcher::Batcher;
use identity::GuestKeys;
use spool::Spool;

/// What ingest needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log that counting reads.
    pub log: Arc<dyn Log>,
    /// Name of its topic of reactions.
    pub topic: Arc<str>,
    /// Where that log is Kafka: what reactions are written to first. It has as many partitions as the topic.
    pub spool: Option<Arc<Spool>>,
    /// The topic on which counting nodes elsewhere say that their memory is full; none where counting is in this process.
    pub pulses_topic: Option<Arc<str>>,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// How full counting is.
    pub pressure: Arc<Pressure>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The clock that receives.
    pub clock: Arc<dyn Clock>,
}

impl Components {
    /// The partitions that batches are written to.
    fn targets(&self) -> Vec<TopicPartition> {
        match &self.spool {
            Some(spool) => spool.partitions().collect(),
            None => {
                let partitions = self.log.partitions(&self.topic).unwrap_or(1);
                (0..partitions).map(|number| TopicPartition::new(self.topic.clone(), number)).collect()
            }
        }
    }
}

/// The running ingest role.
pub struct Ingest {
    batcher: Batcher,
    spool: Option<Arc<Spool>>,
    keys: Arc<ArcSwap<GuestKeys>>,
    addresses: AddressLimits,
    pressure: Arc<Pressure>,
    remembered_ids_max: u64,
    clock: Arc<dyn Clock>,
    emotes: Arc<Emotes>,
}

impl Ingest {
    /// Starts ingest: one flushing task a partition, in `tasks`, and with a spool one forwarding task.
    pub fn start(
        config: &IngestConfig,
        keys: Arc<ArcSwap<GuestKeys>>,
        components: &Components,
        tasks: &Tasks,
    ) -> anyhow::Result<Arc<Self>> {
        if let Some(topic) = &components.pulses_topic {
            memory::follow(&components.log, topic, &components.pressure, &components.clock, tasks)?;
        }
        if let Some(spool) = &components.spool {
            spool.start(&components.log, &components.topic, tasks);
        }
        Ok(Arc::new(Self {
            batcher: Batcher::start(config, components, tasks),
            spool: components.spool.clone(),
            keys,
            addresses: AddressLimits::new(config.address_reactions_per_s, config.address_burst),
            pressure: components.pressure.clone(),
            remembered_ids_max: config.remembered_ids_max,
            clock: components.clock.clone(),
            emotes: components.emotes.clone(),
        }))
    }

    /// Known emotes.
    pub fn emotes(&self) -> &Emotes {
        &self.emotes
    }

    /// Refuses new reactions from now on and returns when those queued are durable or refused. With a spool, also waits
    /// until Kafka has what is in it, for `spool.drain_timeout_ms` at most.
    pub async fn stop(&self) {
        self.batcher.stop().await;
        if let Some(spool) = &self.spool {
            spool.stop().await;
        }
    }
}

impl Intake for Ingest {
    fn submit(&self, channel: &Arc<Channel>, reactions: &[NewReaction<'_>]) -> Result<Receipt, Refusal> {
        let has_ids = reactions.iter().any(|reaction| reaction.id_from_client);
        if has_ids && self.pressure.is_memory_full(self.remembered_ids_max, self.clock.now_ms()) {
            return Err(Refusal::TooManyIds);
        }
        if let Some(age) = self.spool.as_ref().and_then(|spool| spool.too_old()) {
            return Err(Refusal::SpoolBehind(age));
        }
        self.batcher.submit(channel, reactions)
    }

    fn admit(&self, address: IpAddr, reactions: u32) -> Result<(), Refusal> {
        if self.addresses.is_off() {
            return Ok(());
        }
        self.addresses.admit(address, reactions, self.clock.now_ms()).map_err(Refusal::RateLimited)
    }

    fn guest(&self, token: &str) -> Option<String> {
        self.keys.load().verify(token)
    }

    fn new_guest(&self) -> (String, String) {
        self.keys.load().new_guest(self.clock.now_ms())
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}
