//! Makes, checks and replaces topics.

use std::io::{BufRead, IsTerminal};

use anyhow::bail;
use emostream_log::{
    foreign::{ForeignTopic, ForeignTopics},
    kafka::{KafkaAdmin, KafkaForeignTopics, KafkaStartError, TopicShape, TopicState},
};

use crate::{
    cli::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, patience::Patience, say, say_error},
    config::Config,
    node::{OUTPUT_TOPIC, PARTIALS_TOPIC, PULSES_TOPIC, RAW_TOPIC, foreign_topics, kafka_config},
};

/// How this command is called in the brokers' logs.
const CALLED: &str = "topics";

/// The names of our groups begin so.
const GROUPS: &str = "emostream-";

/// What is there is deleted first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replace {
    /// Whether somebody has to agree.
    pub(super) asks: bool,
}

pub(super) fn run(config: &Config, replace: Option<Replace>) -> anyhow::Result<u8> {
    match create(config, replace) {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast_ref::<KafkaStartError>() {
            Some(error) if error.is_configuration() && !matches!(error, KafkaStartError::Topic { .. }) => {
                say_error(&error.to_string());
                Ok(EXIT_USAGE)
            }
            _ => Err(error),
        },
    }
}

fn create(config: &Config, replace: Option<Replace>) -> anyhow::Result<u8> {
    let kafka = kafka_config(config, CALLED);
    let admin = {
        let servers = &config.kafka.bootstrap_servers;
        let _waiting = Patience::with(format!("waiting for the brokers {servers}"));
        KafkaAdmin::connect(&kafka)?
    };
    let others = foreign_topics(config);
    if let Some(replace) = replace
        && !delete(&admin, &others, replace)?
    {
        say("nothing was changed");
        return Ok(EXIT_FAILED);
    }
    let made = {
        let _waiting = Patience::with("making topics".to_owned());
        admin.make_topics()?
    };
    let states = admin.topics()?;
    let is_fine = states.iter().map(|state| tell(state, made.contains(&state.name))).fold(true, |a, b| a & b);
    tell_replicas(&admin, config, !made.is_empty())?;
    let are_fine = tell_others(&KafkaForeignTopics::new(&kafka)?, &others)?;
    for doubt in KafkaAdmin::doubts(&states) {
        say(&format!("!       {doubt}"));
    }
    Ok(if is_fine && are_fine { EXIT_OK } else { EXIT_FAILED })
}

/// One line for a topic, and what to do about it below; whether it is as it has to be.
fn tell(state: &TopicState, made: bool) -> bool {
    let Some(shape) = &state.shape else {
        say(&format!("missing {}", state.name));
        return false;
    };
    for problem in &state.problems {
        say(&format!("differs {}: {}", state.name, problem.problem));
        say(&format!("        {}", problem.advice));
    }
    if let Some(key) = key_of(&state.topic.name).filter(|_| shape.partitions != state.topic.partitions) {
        say(&format!("        its number of partitions is configured by {key}"));
    }
    if let Some(unseen) = &state.unseen {
        say(&format!("unseen  {}: {unseen}", state.name));
    }
    let is_fine = state.problems.is_empty() && state.unseen.is_none();
    if is_fine {
        say(&format!("{}{}: {}", if made { "made    " } else { "fine    " }, state.name, words(shape)));
    }
    is_fine
}

/// The key of the configuration that says how many partitions a topic has.
fn key_of(topic: &str) -> Option<&'static str> {
    match topic {
        RAW_TOPIC => Some("log.partitions"),
        PARTIALS_TOPIC | OUTPUT_TOPIC | PULSES_TOPIC => Some("kafka.output_partitions"),
        _ => None,
    }
}

/// What a topic is like: `6 partitions, 3 replicas`.
fn words(shape: &TopicShape) -> String {
    format!("{}, {}", number(shape.partitions as usize, "partition"), number(shape.replicas, "replica"))
}

fn number(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Says that topics have fewer replicas than configured, where that is so for want of brokers.
fn tell_replicas(admin: &KafkaAdmin, config: &Config, made: bool) -> anyhow::Result<()> {
    let (replicas, wanted) = (admin.replicas()?, usize::from(config.kafka.replication));
    if made && replicas < wanted {
        say(&format!(
            "!       made with {replicas} of {wanted} replicas (kafka.replication): there are no more brokers"
        ));
    }
    Ok(())
}

/// Makes what is missing of other people's topics; whether all are there. How they are made is a matter of those who use
/// them: what is there is fine.
fn tell_others(foreign: &dyn ForeignTopics, topics: &[ForeignTopic]) -> anyhow::Result<bool> {
    if topics.is_empty() {
        return Ok(true);
    }
    let _waiting = Patience::with("making topics of other programs".to_owned());
    let mut are_fine = true;
    for (topic, found) in topics.iter().zip(foreign.make(topics)?) {
        match found.partitions {
            Ok(partitions) => {
                let word = if found.made { "made    " } else { "fine    " };
                say(&format!(
                    "{word}{}: {}, of other programs",
                    topic.name,
                    number(partitions as usize, "partition")
                ));
            }
            Err(why) => {
                say(&format!("missing {}: {why}", topic.name));
                are_fine = false;
            }
        }
    }
    Ok(are_fine)
}

/// Deletes all topics that are there, if nobody works on them and somebody agrees; whether it did.
fn delete(admin: &KafkaAdmin, others: &[ForeignTopic], replace: Replace) -> anyhow::Result<bool> {
    if let Some(group) = admin.groups_with_members(GROUPS)?.first()
        && let Some(member) = group.members.first()
    {
        bail!(
            "{} at {} is in the group {}: stop all nodes before their topics are replaced; one that has stopped just now is \
             forgotten within seconds (kafka.session_timeout_ms)",
            member.client,
            member.host,
            group.name
        );
    }
    let known = admin.topic_names()?;
    let own = admin.topics()?.into_iter().map(|state| state.name);
    let names: Vec<_> = own.chain(others.iter().map(|topic| topic.name.clone())).collect();
    let names: Vec<_> = names.into_iter().filter(|name| known.contains(name)).collect();
    if names.is_empty() {
        return Ok(true);
    }
    if replace.asks && !agrees(&names)? {
        return Ok(false);
    }
    let _waiting = Patience::with(format!("deleting {} topics", names.len()));
    admin.delete_topics(&names)?;
    names.iter().for_each(|name| say(&format!("deleted {name}")));
    Ok(true)
}

/// Asks whoever sits there. Where nobody does, nobody agrees.
fn agrees(names: &[String]) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("--replace deletes {} with everything in them: give --yes to agree", names.join(", "));
    }
    say(&format!("This deletes, with everything in them: {}", names.join(", ")));
    say("Type yes to go on:");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
