//! Every metric of the node: a field here, its name and help text in `register_*` below.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// The one label that families here have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labelled {
    /// What kind: an error's name, a transport, a status.
    pub kind: &'static str,
}

/// The node's metrics and the registry that exposes them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Reactions acknowledged as new.
    pub reactions_accepted: Counter,
    /// Reactions acknowledged as known repeats.
    pub reactions_duplicate: Counter,
    /// Reactions rejected one by one, by error.
    pub reactions_rejected: Family<Labelled, Counter>,
    /// Requests and messages refused as a whole, by reason.
    pub submissions_refused: Family<Labelled, Counter>,
    /// Batches appended to the log.
    pub batches_appended: Counter,
    /// Seconds from handing a batch to the log until it is durable.
    pub append_seconds: Histogram,
    /// Reactions acknowledged and not yet in Kafka.
    pub spool_reactions: Gauge,
    /// Bytes of their records.
    pub spool_bytes: Gauge,
    /// Age of the oldest of them, seconds.
    pub spool_age_seconds: Gauge,
    /// Records of the spool that Kafka has taken.
    pub spool_records_forwarded: Counter,
    /// Appends from the spool to Kafka that failed.
    pub spool_forward_failures: Counter,
    /// Records counted.
    pub records_counted: Counter,
    /// Records whose content could not be decoded.
    pub records_set_aside: Counter,
    /// Reactions counted, repeats excluded.
    pub reactions_counted: Counter,
    /// Windows closed.
    pub windows_closed: Counter,
    /// Moments found.
    pub moments_found: Counter,
    /// Ids that counting remembers.
    pub remembered_ids: Gauge,
    /// Records in the log that are not counted yet.
    pub count_lag_records: Gauge,
    /// Snapshots written.
    pub snapshots_written: Counter,
    /// Snapshots not written because the log takes none of their size.
    pub snapshots_too_large: Counter,
    /// Partitions that this node of a fleet owns, by stage.
    pub partitions_owned: Family<Labelled, Gauge>,
    /// Assignments of partitions that this node of a fleet was given, by stage.
    pub rebalances: Family<Labelled, Counter>,
    /// Parts of steps appended by count for merge.
    pub steps_appended: Counter,
    /// Records of partials that are not merged yet.
    pub merge_lag_records: Gauge,
    /// Parts of steps that merge left out, by reason.
    pub steps_left_out: Family<Labelled, Counter>,
    /// Output partitions that another node has taken over while this one wrote.
    pub writers_fenced: Counter,
    /// Whether brokers answer: 1 or 0; 0 on the embedded log.
    pub kafka_connected: Gauge,
    /// The brokers' clock less this machine's, ms.
    pub kafka_clock_offset_ms: Gauge,
    /// What happened between this node and the brokers since the start, by kind.
    pub kafka_events: Family<Labelled, Gauge>,
    /// Records of other people's topics that the bridge has dealt with, by what became of them.
    pub bridge_records: Family<Labelled, Counter>,
    /// Records of other people's topics that the bridge has not read yet.
    pub bridge_lag_records: Gauge,
    /// Attempts of the bridge that failed.
    pub bridge_failures: Counter,
    /// Lines written to other people's topics, by what they are of.
    pub lines_written: Family<Labelled, Counter>,
    /// Records of the log that no line was written of yet, by what they are.
    pub lines_lag_records: Family<Labelled, Gauge>,
    /// Attempts to write lines that failed, by what they are of.
    pub lines_failures: Family<Labelled, Counter>,
    /// Rows of the output that the archive has taken.
    pub archive_rows: Counter,
    /// Rows of the output that are not archived yet.
    pub archive_lag_rows: Gauge,
    /// Attempts of the archive that failed.
    pub archive_failures: Counter,
    /// Viewers connected, by transport.
    pub viewers: Family<Labelled, Gauge>,
    /// Frames written to viewers.
    pub frames_sent: Counter,
    /// Messages that clients of the bridge were too slow for.
    pub bridge_messages_skipped: Counter,
    /// Lines of windows for system D's clients, by what became of them.
    pub notifications: Family<Labelled, Counter>,
    /// Viewers' connections closed by the server, by reason.
    pub viewers_closed: Family<Labelled, Counter>,
    /// Tickets that were shown to edges, by outcome.
    pub tickets: Family<Labelled, Counter>,
    /// Reports of edges to control, by outcome.
    pub placement_reports: Family<Labelled, Counter>,
    /// What control's clock is ahead of this node's by, ms.
    pub control_clock_ahead_ms: Gauge,
    /// Attempts to log in, by outcome.
    pub logins: Family<Labelled, Counter>,
    /// Password hashes that are computed or wait for it.
    pub password_hashes_in_line: Gauge,
    /// Accounts that people asked for, by outcome.
    pub registrations: Family<Labelled, Counter>,
    /// Placements asked for, by outcome.
    pub placements: Family<Labelled, Counter>,
    /// Viewers who wait in line for room.
    pub line_waiting: Gauge,
    /// Edges that control knows, by how they are.
    pub edges_known: Family<Labelled, Gauge>,
    /// Reports of edges that control has taken.
    pub edge_reports_taken: Counter,
    /// Open HTTP connections.
    pub connections: Gauge,
    /// Answers, by status class.
    pub responses: Family<Labelled, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("emostream"),
            reactions_accepted: Counter::default(),
            reactions_duplicate: Counter::default(),
            reactions_rejected: Family::default(),
            submissions_refused: Family::default(),
            batches_appended: Counter::default(),
            append_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            spool_reactions: Gauge::default(),
            spool_bytes: Gauge::default(),
            spool_age_seconds: Gauge::default(),
            spool_records_forwarded: Counter::default(),
            spool_forward_failures: Counter::default(),
            records_counted: Counter::default(),
            records_set_aside: Counter::default(),
            reactions_counted: Counter::default(),
            windows_closed: Counter::default(),
            moments_found: Counter::default(),
            remembered_ids: Gauge::default(),
            count_lag_records: Gauge::default(),
            snapshots_written: Counter::default(),
            snapshots_too_large: Counter::default(),
            partitions_owned: Family::default(),
            rebalances: Family::default(),
            steps_appended: Counter::default(),
            merge_lag_records: Gauge::default(),
            steps_left_out: Family::default(),
            writers_fenced: Counter::default(),
            kafka_connected: Gauge::default(),
            kafka_clock_offset_ms: Gauge::default(),
            kafka_events: Family::default(),
            bridge_records: Family::default(),
            bridge_lag_records: Gauge::default(),
            bridge_failures: Counter::default(),
            lines_written: Family::default(),
            lines_lag_records: Family::default(),
            lines_failures: Family::default(),
            archive_rows: Counter::default(),
            archive_lag_rows: Gauge::default(),
            archive_failures: Counter::default(),
            viewers: Family::default(),
            frames_sent: Counter::default(),
            bridge_messages_skipped: Counter::default(),
            notifications: Family::default(),
            viewers_closed: Family::default(),
            tickets: Family::default(),
            placement_reports: Family::default(),
            control_clock_ahead_ms: Gauge::default(),
            logins: Family::default(),
            password_hashes_in_line: Gauge::default(),
            registrations: Family::default(),
            placements: Family::default(),
            line_waiting: Gauge::default(),
            edges_known: Family::default(),
            edge_reports_taken: Counter::default(),
            connections: Gauge::default(),
            responses: Family::default(),
        };
        metrics.register_path();
        metrics.register_spool();
        metrics.register_fleet();
        metrics.register_brokers();
        metrics.register_foreign();
        metrics.register_archive();
        metrics.register_connections();
        metrics.register_control();
        metrics
    }
}

impl Metrics {
    fn register_path(&mut self) {
        let r = &mut self.registry;
        r.register("reactions_accepted", "Reactions acknowledged as new", self.reactions_accepted.clone());
        r.register(
            "reactions_duplicate",
            "Reactions acknowledged as known repeats",
            self.reactions_duplicate.clone(),
        );
        r.register(
            "reactions_rejected",
            "Reactions rejected one by one, by error",
            self.reactions_rejected.clone(),
        );
        r.register(
            "submissions_refused",
            "Requests and messages refused as a whole, by reason",
            self.submissions_refused.clone(),
        );
        r.register("batches_appended", "Batches appended to the log", self.batches_appended.clone());
        r.register("append_seconds", "Seconds until a batch is durable", self.append_seconds.clone());
        r.register("records_counted", "Records counted", self.records_counted.clone());
        r.register(
            "records_set_aside",
            "Records whose content could not be decoded, set aside in dead-letter",
            self.records_set_aside.clone(),
        );
        r.register(
            "reactions_counted",
            "Reactions counted, repeats excluded",
            self.reactions_counted.clone(),
        );
        r.register("windows_closed", "Windows closed", self.windows_closed.clone());
        r.register("moments_found", "Moments found", self.moments_found.clone());
        r.register("remembered_ids", "Ids that counting remembers", self.remembered_ids.clone());
        r.register("count_lag_records", "Records not counted yet", self.count_lag_records.clone());
        r.register("snapshots_written", "Snapshots of counting written", self.snapshots_written.clone());
    }

    fn register_spool(&mut self) {
        let r = &mut self.registry;
        let help = "Reactions acknowledged and not yet in Kafka";
        r.register("spool_reactions", help, self.spool_reactions.clone());
        r.register("spool_bytes", "Bytes that wait in the spool for Kafka", self.spool_bytes.clone());
        let help = "Age of the oldest record that waits in the spool, in seconds";
        r.register("spool_age_seconds", help, self.spool_age_seconds.clone());
        let help = "Records of the spool that Kafka has taken";
        r.register("spool_records_forwarded", help, self.spool_records_forwarded.clone());
        let help = "Appends from the spool to Kafka that failed and are tried again";
        r.register("spool_forward_failures", help, self.spool_forward_failures.clone());
    }

    fn register_fleet(&mut self) {
        let r = &mut self.registry;
        let help = "Snapshots not written because the log takes none of their size";
        r.register("snapshots_too_large", help, self.snapshots_too_large.clone());
        let help = "Partitions that this node owns, by stage";
        r.register("partitions_owned", help, self.partitions_owned.clone());
        let help = "Assignments of partitions that this node was given, by stage";
        r.register("rebalances", help, self.rebalances.clone());
        let help = "Parts of steps that count has appended for merge";
        r.register("steps_appended", help, self.steps_appended.clone());
        r.register("merge_lag_records", "Records of partials not merged yet", self.merge_lag_records.clone());
        let help = "Parts of steps that merge has left out, by reason";
        r.register("steps_left_out", help, self.steps_left_out.clone());
        let help = "Output partitions that another node has taken over while this one wrote";
        r.register("writers_fenced", help, self.writers_fenced.clone());
    }

    fn register_brokers(&mut self) {
        let r = &mut self.registry;
        let help = "Whether brokers answer: 1 or 0; 0 on the embedded log";
        r.register("kafka_connected", help, self.kafka_connected.clone());
        let help = "The brokers' clock less this machine's, milliseconds";
        r.register("kafka_clock_offset_ms", help, self.kafka_clock_offset_ms.clone());
        let help = "What happened between this node and the brokers since the start, by kind";
        r.register("kafka_events", help, self.kafka_events.clone());
    }

    fn register_foreign(&mut self) {
        let r = &mut self.registry;
        let help =
            "Records of other people's topics dealt with, by what became of them: bridged, own, dead-letter";
        r.register("bridge_records", help, self.bridge_records.clone());
        let help = "Records of other people's topics not read yet";
        r.register("bridge_lag_records", help, self.bridge_lag_records.clone());
        r.register("bridge_failures", "Attempts of the bridge that failed", self.bridge_failures.clone());
        let help = "Lines written to other people's topics, by kind: reactions, rows, relay";
        r.register("lines_written", help, self.lines_written.clone());
        let help = "Records of the log that no line was written of yet, by kind";
        r.register("lines_lag_records", help, self.lines_lag_records.clone());
        let help = "Attempts to write lines that failed, by kind";
        r.register("lines_failures", help, self.lines_failures.clone());
    }

    fn register_archive(&mut self) {
        let r = &mut self.registry;
        r.register("archive_rows", "Rows of the output archived", self.archive_rows.clone());
        r.register("archive_lag_rows", "Rows of the output not archived yet", self.archive_lag_rows.clone());
        r.register("archive_failures", "Attempts of the archive that failed", self.archive_failures.clone());
    }

    fn register_connections(&mut self) {
        let r = &mut self.registry;
        r.register("viewers", "Viewers connected, by transport", self.viewers.clone());
        r.register("frames_sent", "Frames written to viewers", self.frames_sent.clone());
        r.register(
            "bridge_messages_skipped",
            "Messages that clients of the bridge were too slow for",
            self.bridge_messages_skipped.clone(),
        );
        r.register(
            "notifications",
            "Lines of windows for clients of system D, by what became of them",
            self.notifications.clone(),
        );
        r.register("viewers_closed", "Viewers closed by the server, by reason", self.viewers_closed.clone());
        r.register("tickets", "Tickets shown to edges, by outcome: opened, refused", self.tickets.clone());
        let help = "Reports of edges to control, by outcome: answered, failed";
        r.register("placement_reports", help, self.placement_reports.clone());
        let help = "What control's clock is ahead of this node's by, ms; negative where it is behind";
        r.register("control_clock_ahead_ms", help, self.control_clock_ahead_ms.clone());
        r.register("connections", "Open HTTP connections", self.connections.clone());
        r.register("responses", "Answers, by status class", self.responses.clone());
    }

    fn register_control(&mut self) {
        let r = &mut self.registry;
        r.register("logins", "Attempts to log in, by outcome", self.logins.clone());
        let help = "Password hashes that are computed or wait for it";
        r.register("password_hashes_in_line", help, self.password_hashes_in_line.clone());
        r.register("registrations", "Accounts that people asked for, by outcome", self.registrations.clone());
        r.register("placements", "Placements asked for, by outcome", self.placements.clone());
        r.register("line_waiting", "Viewers who wait in line for room", self.line_waiting.clone());
        r.register("edges_known", "Edges known to control, by how they are", self.edges_known.clone());
        let help = "Reports of edges that control has taken";
        r.register("edge_reports_taken", help, self.edge_reports_taken.clone());
    }

    /// The metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => unreachable!("writing to a String cannot fail"),
        }
    }
}
