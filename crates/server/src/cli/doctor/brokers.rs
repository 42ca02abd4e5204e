//! The brokers: whether they can be reached, their clock, our topics, who counts, and how far.

use emostream_log::kafka::{GroupLag, KafkaAdmin, KafkaStartError, TopicDoubt, TopicState};

use super::{permissions, report::Report};
use crate::{
    aggregate::fleet::{COUNT_GROUP, MERGE_GROUP},
    cli::patience::Patience,
    config::Config,
    node::{PARTIALS_TOPIC, RAW_TOPIC, STATE_TOPIC, foreign_topics, kafka_config},
};

/// How this command is called in the brokers' logs.
const CALLED: &str = "doctor";

/// Clocks that differ by more are worth a word, ms.
const CLOCK_OFFSET_MS_MAX: u64 = 1_000;

/// Offsets behind which counting is behind: a snapshot is committed every ten seconds, and silence has ticks.
const LAG_MAX: u64 = 100_000;

pub(super) fn examine(config: &Config, report: &mut Report) {
    let connected = {
        let _waiting = Patience::with(format!("waiting for the brokers {}", config.kafka.bootstrap_servers));
        KafkaAdmin::connect(&kafka_config(config, CALLED))
    };
    let admin = match connected {
        Ok(admin) => admin,
        Err(error) => return report.wrong("brokers", &error.to_string(), advice(&error)),
    };
    if let Err(error) = ask(&admin, config, report) {
        report.wrong("brokers", &error.to_string(), advice(&error));
    }
}

/// What to do about an error.
fn advice(error: &KafkaStartError) -> &'static str {
    match error {
        KafkaStartError::Unreachable { .. } => {
            "start the brokers, correct kafka.bootstrap_servers, or open the way to them; their advertised.listeners must be \
             reachable from here as well"
        }
        KafkaStartError::Resolve { .. } => {
            "correct kafka.bootstrap_servers, or the name service of this machine"
        }
        KafkaStartError::Authentication { .. } => {
            "correct kafka.sasl_username, kafka.sasl_password and kafka.sasl_mechanism"
        }
        KafkaStartError::Tls { .. } | KafkaStartError::File { .. } => {
            "correct kafka.ssl_ca_file, kafka.ssl_certificate_file and kafka.ssl_key_file; host names must be those of the \
             brokers' certificates"
        }
        KafkaStartError::Denied { .. } => "docs/operations/fleet.md lists what each role needs",
        _ => "look into the brokers' own logs",
    }
}

fn ask(admin: &KafkaAdmin, config: &Config, report: &mut Report) -> Result<(), KafkaStartError> {
    let brokers = admin.brokers()?;
    let named: Vec<_> = brokers.iter().map(|broker| format!("{} ({})", broker.address, broker.id)).collect();
    let (found, wanted) = (brokers.len(), usize::from(config.kafka.replication));
    let text = format!("{found} up: {}", named.join(", "));
    if found < wanted {
        report.doubt(
            "brokers",
            &format!("{text}; kafka.replication asks for {wanted}"),
            "a log with fewer replicas dies with their disks: add brokers, or accept it with kafka.replication",
        );
    } else {
        report.fine("brokers", &text);
    }
    let states = admin.topics()?;
    topics(&states, report);
    others(admin, config, report)?;
    let there: Vec<_> =
        states.iter().filter(|state| state.shape.is_some()).map(|state| state.topic.name.as_str()).collect();
    let permitted = permissions::examine(admin, config, &there, report)?;
    if there.contains(&STATE_TOPIC) && permitted.writes_state {
        clock(admin, report)?;
    }
    if permitted.groups {
        groups(admin, &there, report)?;
    }
    Ok(())
}

fn topics(states: &[TopicState], report: &mut Report) {
    for state in states {
        let check = format!("topic {}", state.name);
        let Some(shape) = &state.shape else {
            let advice = "emostream topics create makes it, or the first node that starts and may";
            report.doubt(&check, "missing", advice);
            continue;
        };
        for problem in &state.problems {
            report.wrong(&check, &problem.problem, &problem.advice);
        }
        if let Some(unseen) = &state.unseen {
            report.wrong(&check, &unseen.to_string(), advice(unseen));
        }
        let setting = |name: &str| shape.settings.get(name).map_or("?", String::as_str);
        let text = format!(
            "partitions {}, replicas {}, in sync {}, min.insync.replicas {}, cleanup.policy {}, retention.ms {}, {}",
            shape.partitions,
            shape.replicas,
            shape.in_sync,
            setting("min.insync.replicas"),
            setting("cleanup.policy"),
            setting("retention.ms"),
            setting("message.timestamp.type")
        );
        if state.doubts.contains(&TopicDoubt::NoLeader) {
            let text = format!("{} of {} partitions have no leader", shape.without_leader, shape.partitions);
            report.wrong(&check, &text, "bring the brokers back that hold them");
        } else if let Some(doubt) = state.doubts.first() {
            report.doubt(&check, &text, &format!("topics like this {}", doubt.words()));
        } else if state.problems.is_empty() && state.unseen.is_none() {
            report.fine(&check, &text);
        }
    }
}

/// Topics of other programs: how they are made is a matter of those.
fn others(admin: &KafkaAdmin, config: &Config, report: &mut Report) -> Result<(), KafkaStartError> {
    let known = admin.topic_names()?;
    for topic in foreign_topics(config) {
        let check = format!("topic {}", topic.name);
        if known.contains(&topic.name) {
            report.fine(&check, "there, of other programs");
        } else {
            report.doubt(
                &check,
                "missing, of other programs",
                "emostream topics create makes it, or the first node with its role",
            );
        }
    }
    Ok(())
}

fn clock(admin: &KafkaAdmin, report: &mut Report) -> Result<(), KafkaStartError> {
    let reading = admin.clock()?;
    let text = format!(
        "the brokers' differs from this machine's by {} ms (± {} ms)",
        reading.offset_ms,
        reading.uncertainty.as_millis()
    );
    if reading.offset_ms.unsigned_abs() > CLOCK_OFFSET_MS_MAX {
        let advice = "synchronise this machine's clock (timedatectl): ids that clients make by their own are judged by the brokers'";
        report.doubt("clock", &text, advice);
    } else {
        report.fine("clock", &text);
    }
    Ok(())
}

fn groups(admin: &KafkaAdmin, there: &[&str], report: &mut Report) -> Result<(), KafkaStartError> {
    let log = admin.snapshot()?;
    for (group, topic) in [(COUNT_GROUP, RAW_TOPIC), (MERGE_GROUP, PARTIALS_TOPIC)] {
        if !there.contains(&topic) {
            continue;
        }
        let state = admin.group(group)?;
        let check = format!("group {}", state.name);
        let lags = log.group_lag(group, topic)?;
        let lag: u64 = lags.iter().map(|one| one.lag).sum();
        let worst = lags.iter().max_by_key(|one| one.lag).filter(|one| one.lag > 0);
        let worst = worst.map_or_else(String::new, |GroupLag { partition, lag, .. }| {
            format!(", {lag} of them in {partition}")
        });
        let members: Vec<_> =
            state.members.iter().map(|member| format!("{} at {}", member.client, member.host)).collect();
        let text = format!("{} members, {lag} offsets behind{worst}", members.len());
        if members.is_empty() {
            report.doubt(&check, &text, "nobody counts: start a node with the role aggregate");
        } else if state.state != "Stable" {
            report.doubt(
                &check,
                &format!("{text}, {}", state.state),
                "it is being divided anew; look again in some seconds",
            );
        } else if lag > LAG_MAX {
            report.doubt(
                &check,
                &text,
                "start more nodes with the role aggregate, if this does not get less",
            );
        } else {
            report.fine(&check, &format!("{text}: {}", members.join(", ")));
        }
    }
    Ok(())
}
