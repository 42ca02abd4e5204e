//! Consumers of other people's topics, at work beside a test.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::{
    compat::clients::{node, python},
    harness::{brokers::Namespace, process::BINARY, wait_for},
};

/// A consumer in a process of its own, and what it has printed so far.
pub(super) struct Reader {
    process: Child,
    lines: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
}

impl Reader {
    /// In Node.
    pub(super) fn node(space: &Namespace, group: &str, topics: &[&str]) -> Self {
        let group = format!("{}{group}", space.name);
        Self::start(node("topic_reader.js", &[&[&*space.servers, &group], topics].concat()))
    }

    /// In Python.
    pub(super) fn python(space: &Namespace, group: &str, topics: &[&str]) -> Self {
        let group = format!("{}{group}", space.name);
        Self::start(python("topic_reader.py", &[&[&*space.servers, &group], topics].concat()))
    }

    fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = Arc::<Mutex<BTreeMap<String, Vec<Value>>>>::default();
        let (into, printed) = (lines.clone(), process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(printed).lines().map_while(Result::ok) {
                let (topic, value) = line.split_once(' ').unwrap();
                let value = serde_json::from_str(value).unwrap();
                into.lock().unwrap().entry(topic.to_owned()).or_default().push(value);
            }
        });
        Self { process, lines }
    }

    /// Waits until the values of a topic are enough, and returns them.
    pub(super) async fn until(
        &self,
        what: &str,
        topic: &str,
        enough: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let looked = async || {
            let lines = self.lines.lock().unwrap().get(topic).cloned().unwrap_or_default();
            enough(&lines).then_some(lines)
        };
        wait_for(&format!("{what} in {topic}"), looked).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The jars that the tests' brokers run on, where `scripts/kafka.sh` has fetched them.
pub(super) fn kafka_jars() -> Option<PathBuf> {
    let target = Path::new(BINARY).ancestors().nth(2)?;
    Some(target.join("kafka/lib")).filter(|jars| jars.is_dir())
}
