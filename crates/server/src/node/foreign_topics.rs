//! Other people's topics that a configuration names, for those who make them beforehand. Roles that find one missing make
//! it with as many partitions.

use emostream_log::foreign::ForeignTopic;

use crate::config::{Config, LineShape, Role};

/// Topics that the roles bridge and relay read and write, each once: those of reactions with as many partitions as the raw
/// log has, those of rows with as many as the output.
pub fn foreign_topics(config: &Config) -> Vec<ForeignTopic> {
    let roles = config.effective_roles();
    let (names, projector) = (&config.topics, &config.projector);
    let mut found: Vec<ForeignTopic> = Vec::new();
    let mut add = |name: &str, partitions| {
        if found.iter().all(|known| known.name != name) {
            found.push(ForeignTopic { name: name.to_owned(), partitions });
        }
    };
    let (raw, output) = (config.log.effective_partitions(), config.kafka.output_partitions);
    if roles.contains(&Role::Bridge) {
        // What is read, when nothing is named, is what is written as well.
        let read = std::slice::from_ref(&names.raw);
        let read = if config.bridge.topics.is_empty() { read } else { &config.bridge.topics };
        read.iter().for_each(|name| add(name, raw));
        if projector.raw_shape != LineShape::Off {
            add(&names.raw, raw);
        }
        if projector.windows_shape != LineShape::Off {
            add(&names.windows, output);
            projector.windows_also.iter().for_each(|name| add(name, output));
        }
        if projector.moments_shape != LineShape::Off {
            add(&names.moments, output);
        }
    }
    if roles.contains(&Role::Relay) {
        config.relay.topics.iter().for_each(|name| add(name, output));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::foreign_topics;
    use crate::config::{Layers, load};

    fn named(set: &[(&str, &str)]) -> Vec<(String, u32)> {
        let set = [&[("log.kind", "kafka"), ("kafka.bootstrap_servers", "localhost:9092")], set].concat();
        let set = set.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let config = load(&Layers { set, ..Layers::default() }).unwrap();
        foreign_topics(&config).into_iter().map(|topic| (topic.name, topic.partitions)).collect()
    }

    fn own(topics: &[(&str, u32)]) -> Vec<(String, u32)> {
        topics.iter().map(|(name, partitions)| ((*name).to_owned(), *partitions)).collect()
    }

    #[test]
    fn the_topics_are_those_that_the_roles_touch() {
        let native = [("raw-emote-data", 6), ("emote-windows", 4), ("aggregated-emote-data", 4)];
        assert_eq!(named(&[]), own(&native));
        assert_eq!(named(&[("roles", "[\"edge\"]")]), []);
        assert_eq!(
            named(&[("preset", "socket-clusters"), ("projector.moments_shape", "off")]),
            own(&[("emoji", 6), ("emoji-counts", 4), ("publisher-emojis", 4)])
        );
        let relay = [("roles", "[\"relay\"]"), ("relay.topics", "[\"cluster1-emoji-topic\"]")];
        assert_eq!(named(&relay), own(&[("cluster1-emoji-topic", 4)]));
        let read = [("bridge.topics", "[\"taps\"]"), ("projector.raw_shape", "off"), ("log.partitions", "2")];
        assert_eq!(named(&read)[0], ("taps".to_owned(), 2));
    }
}
