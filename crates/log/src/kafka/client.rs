//! What all clients of the brokers have in common: addresses, credentials, and what they report about their connections.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::config::{KafkaConfig, Security};
use crate::locks::lock;

/// What is known of the connections to the brokers, and what happened to them.
#[derive(Default)]
pub(super) struct Health {
    down: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
    disconnects_seen: AtomicI64,
    pub(super) reconnects: AtomicU64,
    pub(super) rebalances: AtomicU64,
    pub(super) fenced: AtomicU64,
    pub(super) writer_restarts: AtomicU64,
    pub(super) published_dropped: AtomicU64,
}

/// Why a connection did not come about.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) code: RDKafkaErrorCode,
    pub(super) reason: String,
}

impl Health {
    pub(super) fn is_up(&self) -> bool {
        !self.down.load(Ordering::SeqCst)
    }

    pub(super) fn heard(&self) {
        if self.down.swap(false, Ordering::SeqCst) {
            tracing::info!("brokers answer again");
        }
    }

    /// The most telling trouble so far, for whoever waits for brokers in vain.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        lock(&self.trouble).clone()
    }

    /// The writer's client has lost its last connection. Others may be without one because they have nothing to ask.
    pub(super) fn lost(&self, reason: &str) {
        if !self.down.swap(true, Ordering::SeqCst) {
            tracing::warn!(reason, "no broker can be reached");
        }
    }

    fn report(&self, code: RDKafkaErrorCode, reason: &str) {
        if code == RDKafkaErrorCode::AllBrokersDown {
            return;
        }
        // A broker that refuses this node's certificate says so when the client takes the handshake for done.
        let code = if reason.contains("SSL alert number") { RDKafkaErrorCode::SSL } else { code };
        tracing::debug!(?code, reason, "brokers");
        let mut trouble = lock(&self.trouble);
        // A refused login or certificate says more than the connection that breaks in its wake.
        if trouble.as_ref().is_none_or(|known| !is_decisive(known.code) && is_decisive(code)) {
            *trouble = Some(Trouble { code, reason: reason.to_owned() });
        }
    }

    fn connections(&self, statistics: &Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.heard();
        }
        let disconnects = statistics.brokers.values().filter_map(|broker| broker.disconnects).sum::<i64>();
        let seen = self.disconnects_seen.swap(disconnects, Ordering::SeqCst);
        // A client that was made anew counts from 0.
        let new = if disconnects >= seen { disconnects - seen } else { disconnects };
        self.reconnects.fetch_add(u64::try_from(new).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Whether waiting longer cannot help.
pub(super) fn is_decisive(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL | RDKafkaErrorCode::Resolve)
}

/// What a client calls when something happens to it.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) health: Arc<Health>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.health.connections(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.health.report(code, reason);
        }
    }
}

impl ConsumerContext for Context {}

/// The client's own words are for whoever looks into it: what matters is told by errors.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
}

/// Addresses, credentials and how quickly a lost connection is sought again.
pub(super) fn base(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("client.id", &config.client_id)
        // With the default of 10 s the first answers come 10 s after a broker is back.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    secure(&mut client, &config.security);
    client
}

fn secure(client: &mut ClientConfig, security: &Security) {
    client.set("security.protocol", security.protocol.name());
    if security.protocol.logs_in() {
        client
            .set("sasl.mechanism", security.mechanism.name())
            .set("sasl.username", &security.username)
            .set("sasl.password", &security.password);
    }
    if !security.protocol.encrypts() {
        return;
    }
    if let Some(file) = &security.ca_file {
        client.set("ssl.ca.location", file.to_string_lossy());
    }
    if let Some(certificate) = &security.client {
        client
            .set("ssl.certificate.location", certificate.certificate_file.to_string_lossy())
            .set("ssl.key.location", certificate.key_file.to_string_lossy());
        if let Some(password) = &certificate.key_password {
            client.set("ssl.key.password", password);
        }
    }
}

/// A client that reads: never from anywhere but where it was told, and only what is committed.
pub(super) fn reading(config: &KafkaConfig, group: &str) -> ClientConfig {
    let mut client = base(config);
    client
        .set("group.id", config.remote(group))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        // The default of 1 s costs four fifths of the speed of catching up.
        .set("fetch.queue.backoff.ms", "10")
        .set("check.crcs", "true")
        .set("fetch.error.backoff.ms", "100")
        .set("allow.auto.create.topics", "false");
    client
}

/// A client that writes what must not be lost: in order, without gap or repeat, for as long as it takes.
pub(super) fn writing(config: &KafkaConfig) -> ClientConfig {
    let mut client = base(config);
    client
        .set("enable.idempotence", "true")
        .set("enable.gapless.guarantee", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "0")
        .set("message.timeout.ms", "0")
        // A broker that does not know a producer yet takes any first sequence: of two requests on their way at once it might
        // store the second and refuse the first, and the client would call both delivered.
        .set("max.in.flight.requests.per.connection", "1")
        // A frozen leader is given up after this, and its successor asked for.
        .set("request.timeout.ms", "10000")
        .set("message.max.bytes", config.message_bytes_max().to_string())
        .set("statistics.interval.ms", "1000");
    client
}
