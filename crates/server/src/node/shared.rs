//! What the roles of one process share, and each role's start with just the parts that it needs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use arc_swap::ArcSwap;
use emostream_log::{Clock, Log, TopicPartition};
use emostream_moments::StreamParameters;
use emostream_protocol::{ChannelName, Emotes};

use super::{
    Brokers, DEAD_LETTER_TOPIC, Listeners, OUTPUT_TOPIC, PARTIALS_TOPIC, PULSES_TOPIC, RAW_TOPIC,
    SETTINGS_TOPIC, STATE_TOPIC, control_client::ControlClient, doors, shared_keys, storage::Opened,
};
use crate::{
    aggregate::{self, fleet},
    channels::{Channels, Published},
    compat::{
        bridge::{self, Bridge},
        console,
        subscribers::Subscribers,
        windows::Windows,
    },
    config::{Config, LogKind, Role},
    control::{self, Control},
    directory::Directory,
    durable,
    edge::{self, Edge},
    http::app::Parts,
    ingest::{
        self, Ingest,
        endpoint::Endpoint,
        identity::GuestKeys,
        spool::{self, Spool},
    },
    intake::Intake,
    members::{KnownMembers, Members},
    output::Output,
    placement_link::ControlLink,
    pressure::Pressure,
    pulse_path::PulsePath,
    tasks::Tasks,
    telemetry::Metrics,
};

/// The running role aggregate.
pub(super) enum Aggregate {
    /// All of counting, in this process.
    Alone(aggregate::Handles),
    /// A node's share of it.
    OfFleet(fleet::Handles),
}

impl Aggregate {
    /// Counts what is in the log by now, stores the state, and ends.
    pub(super) async fn stop(&self) {
        match self {
            Self::Alone(handles) => handles.stop().await,
            Self::OfFleet(handles) => handles.stop().await,
        }
    }
}

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) tasks: Tasks,
    pub(super) log: Arc<dyn Log>,
    pub(super) output: Output,
    pub(super) emotes: Arc<Emotes>,
    pub(super) channels: Arc<Channels>,
    pub(super) metrics: Arc<Metrics>,
    pressure: Arc<Pressure>,
    pulses: Arc<PulsePath>,
    pub(super) clock: Arc<dyn Clock>,
    guest_keys: Arc<ArcSwap<GuestKeys>>,
    pub(super) brokers: Option<Arc<dyn Brokers>>,
    /// The way to control, where that is on another node.
    control_client: Option<ControlClient>,
}

impl Shared {
    pub(super) fn new(config: Config, opened: Opened) -> anyhow::Result<Self> {
        let Opened { log, clock, brokers } = opened;
        let emotes = Arc::new(Emotes::new());
        let channels = Arc::<Channels>::default();
        let guest_keys = GuestKeys::load_or_create(&guest_keys_path(&config)?)?;
        let tasks = Tasks::new(tokio::runtime::Handle::current());
        let is_elsewhere = !config.effective_roles().contains(&Role::Control);
        let control_client = if is_elsewhere { ControlClient::new(&config, &tasks)? } else { None };
        Ok(Self {
            tasks,
            control_client,
            output: Output::new(&*log, OUTPUT_TOPIC).context("the log has no topic for rows")?,
            metrics: Arc::default(),
            pressure: Arc::default(),
            pulses: Arc::default(),
            guest_keys: Arc::new(ArcSwap::from_pointee(guest_keys)),
            config,
            log,
            emotes,
            channels,
            clock,
            brokers,
        })
    }

    pub(super) async fn start_control(&self) -> anyhow::Result<Arc<Control>> {
        let components = control::Components {
            log: self.log.clone(),
            raw_topic: RAW_TOPIC.into(),
            output: self.output.clone(),
            settings_topic: self.settings_topic(),
            channels: self.channels.clone(),
            emotes: self.emotes.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        };
        Control::start(&self.config, components, &self.tasks).await
    }

    /// Whether other nodes work on the same log.
    fn is_fleet(&self) -> bool {
        self.config.log.kind == LogKind::Kafka
    }

    fn settings_topic(&self) -> Option<TopicPartition> {
        self.is_fleet().then(|| TopicPartition::new(SETTINGS_TOPIC, 0))
    }

    /// Without control here, channels are what control says elsewhere; where none ever said anything, those of the
    /// configuration.
    pub(super) async fn learn_channels(&self) -> anyhow::Result<()> {
        let Some(topic) = self.settings_topic() else { return self.publish_configured_channels() };
        let (log, channels, emotes) = (self.log.clone(), self.channels.clone(), self.emotes.clone());
        let loading = tokio::task::spawn_blocking(move || Directory::load(log, topic, channels, emotes));
        let directory = loading.await??;
        if self.channels.all().is_empty() {
            self.ask_for_channels().await?;
        }
        directory.follow(&self.tasks)
    }

    /// Control may have started just now, and not have said anything yet.
    async fn ask_for_channels(&self) -> anyhow::Result<()> {
        let Some(client) = &self.control_client else { return self.publish_configured_channels() };
        match client.channels().await {
            Ok(told) => {
                for channel in told {
                    let published =
                        Published::new(channel.version, channel.settings, channel.closed, &self.emotes)?;
                    self.channels.publish_newest(&channel.channel, published)?;
                }
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "no channel is known until control says so");
            }
        }
        Ok(())
    }

    fn publish_configured_channels(&self) -> anyhow::Result<()> {
        for channel in &self.config.channels {
            // Whatever control says in a fleet is newer.
            let version = u64::from(!self.is_fleet());
            let published = Published::new(version, channel.settings(&self.emotes)?, false, &self.emotes)?;
            self.channels.publish(&ChannelName::new(&channel.name)?, published)?;
        }
        Ok(())
    }

    /// Takes over the keys that all nodes of the fleet share, where control is on another one.
    pub(super) async fn share_keys(&self) -> anyhow::Result<()> {
        if let Some(client) = self.control_client.clone() {
            let path = guest_keys_path(&self.config)?;
            shared_keys::follow(client, path, self.guest_keys.clone(), &self.tasks).await;
        }
        Ok(())
    }

    /// The way from edges to control: in this process, or over the internal API.
    fn link(&self, control: Option<&Arc<Control>>) -> anyhow::Result<Option<Arc<dyn ControlLink>>> {
        if let Some(control) = control {
            return Ok(Some(control.placement.clone()));
        }
        Ok(self.control_client.clone().map(|client| Arc::new(client) as Arc<dyn ControlLink>))
    }

    /// What stands between acknowledgements and Kafka.
    fn open_spool(&self) -> anyhow::Result<Option<Arc<Spool>>> {
        if !self.is_fleet() {
            return Ok(None);
        }
        let partitions = self.log.partitions(RAW_TOPIC).context("the log has no topic for reactions")?;
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        Ok(Some(spool::open(&self.config, partitions, clock, metrics)?))
    }

    pub(super) fn start_ingest(&self) -> anyhow::Result<Arc<Ingest>> {
        let keys = self.guest_keys.clone();
        let components = ingest::Components {
            log: self.log.clone(),
            topic: RAW_TOPIC.into(),
            spool: self.open_spool()?,
            pulses_topic: self.is_fleet().then(|| PULSES_TOPIC.into()),
            emotes: self.emotes.clone(),
            pressure: self.pressure.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        };
        Ingest::start(&self.config.ingest, keys, &components, &self.tasks)
    }

    /// Window, lateness, horizon.
    pub(super) fn parameters(&self) -> anyhow::Result<StreamParameters> {
        let windows = &self.config.windows;
        Ok(StreamParameters::new(windows.window_ms, windows.allowed_lateness_ms, windows.horizon_ms)?)
    }

    pub(super) fn start_aggregate(&self) -> anyhow::Result<Aggregate> {
        let parameters = self.parameters()?;
        if let Some(brokers) = &self.brokers {
            return self.start_aggregate_of_fleet(parameters, brokers.node()).map(Aggregate::OfFleet);
        }
        let components = aggregate::Components {
            log: self.log.clone(),
            raw_topic: RAW_TOPIC.into(),
            output: TopicPartition::new(OUTPUT_TOPIC, 0),
            dead_letter: TopicPartition::new(DEAD_LETTER_TOPIC, 0),
            parameters,
            snapshot_dir: self.config.data_dir.join("aggregate"),
            emotes: self.emotes.clone(),
            channels: self.channels.clone(),
            pulses: self.pulses.clone(),
            pressure: self.pressure.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        };
        aggregate::start(components, &self.tasks).map(Aggregate::Alone)
    }

    fn start_aggregate_of_fleet(
        &self,
        parameters: StreamParameters,
        node: &str,
    ) -> anyhow::Result<fleet::Handles> {
        let components = fleet::Components {
            log: self.log.clone(),
            topics: fleet::Topics {
                raw: RAW_TOPIC.into(),
                partials: PARTIALS_TOPIC.into(),
                output: OUTPUT_TOPIC.into(),
                state: STATE_TOPIC.into(),
                pulses: PULSES_TOPIC.into(),
                dead_letter: DEAD_LETTER_TOPIC.into(),
            },
            member: node.into(),
            remembered_ids_max: self.config.ingest.remembered_ids_max,
            parameters,
            emotes: self.emotes.clone(),
            pressure: self.pressure.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        };
        fleet::start(&components, &self.tasks)
    }

    pub(super) fn start_edge(
        &self,
        listeners: &Listeners,
        control: Option<&Arc<Control>>,
    ) -> anyhow::Result<Arc<Edge>> {
        let components = edge::Components {
            log: self.log.clone(),
            output: self.output.clone(),
            emotes: self.emotes.clone(),
            channels: self.channels.clone(),
            pulses_topic: self.is_fleet().then(|| PULSES_TOPIC.into()),
            pulses: self.pulses.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            pulse_ms: self.config.windows.pulse_ms,
            window_ms: self.config.windows.window_ms,
            link: self.link(control)?,
        };
        let config = (&self.config.edge, &self.config.placement);
        edge::start(config, &components, doors::doors(self, listeners)?, &self.tasks)
    }

    /// System E's console, where it is wanted.
    pub(super) fn start_console(&self) -> anyhow::Result<()> {
        let compat = &self.config.compat;
        if compat.console {
            let (log, output) = (self.log.clone(), self.output.clone());
            console::start(log, &output, compat.channel.clone(), self.emotes.clone(), &self.tasks)?;
        }
        Ok(())
    }

    pub(super) fn start_bridge(&self) -> anyhow::Result<Arc<Bridge>> {
        let components = bridge::Components {
            log: self.log.clone(),
            raw_topic: RAW_TOPIC.into(),
            output: self.output.clone(),
            channel: self.config.compat.channel.clone(),
            emotes: self.emotes.clone(),
        };
        Bridge::start(self.config.websocket_bridge.source, components, &self.tasks)
    }

    /// System D's subscribers: one an edge.
    pub(super) fn start_subscribers(
        &self,
        edge: &Arc<Edge>,
        own_ports: &[u16],
    ) -> anyhow::Result<Arc<Subscribers>> {
        let (log, channel) = (self.log.clone(), self.config.compat.channel.clone());
        let windows = Windows::start(log, &self.output, channel, self.emotes.clone(), &self.tasks)?;
        let show = doors::Show { channels: self.channels.clone(), name: self.config.compat.channel.clone() };
        let rooms = edge.gates.iter().map(|gate| doors::room(gate, show.clone())).collect();
        let metrics = self.metrics.clone();
        let config = (&self.config.compat, own_ports.to_vec());
        Ok(Subscribers::start(config, rooms, windows, metrics, &self.tasks))
    }

    /// What answers the hot route.
    pub(super) fn endpoint(&self, intake: Arc<dyn Intake>, control: Option<&Arc<Control>>) -> Arc<Endpoint> {
        let here = control.map(|control| control.clone() as Arc<dyn Members>);
        let elsewhere = || self.control_client.clone().map(|client| Arc::new(client) as Arc<dyn Members>);
        let members = here.or_else(elsewhere).map(|members| KnownMembers::new(members, self.clock.clone()));
        Arc::new(Endpoint {
            intake,
            members,
            channels: self.channels.clone(),
            emotes: self.emotes.clone(),
            metrics: self.metrics.clone(),
            body_timeout: Duration::from_millis(self.config.http.body_timeout_ms),
        })
    }

    /// What the other handlers share.
    pub(super) fn parts(
        self,
        intake: Option<Arc<dyn Intake>>,
        edge: Option<Arc<Edge>>,
        bridge: Option<Arc<Bridge>>,
        subscribers: Option<Arc<Subscribers>>,
        control: Option<Arc<Control>>,
    ) -> Parts {
        Parts {
            config: self.config,
            log: self.log,
            output: self.output,
            guest_keys: self.guest_keys,
            brokers: self.brokers,
            emotes: self.emotes,
            channels: self.channels,
            intake,
            edge,
            bridge,
            subscribers,
            control_client: self.control_client,
            control,
            pressure: self.pressure,
            metrics: self.metrics,
            clock: self.clock,
            tasks: self.tasks,
        }
    }
}

fn guest_keys_path(config: &Config) -> anyhow::Result<PathBuf> {
    let dir = config.data_dir.join("keys");
    durable::create_dir(&dir).with_context(|| format!("create {}", dir.display()))?;
    Ok(dir.join("guest.json"))
}
