//! The threads: nodes started as a real one starts them, on a log in memory.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use emostream_log::{Generation, Log, ManualClock, TopicPartition, memory::MemoryLog};
use emostream_protocol::{
    ChannelName, Emotes, ReactionId,
    record::{BatchBuilder, NewReaction},
    row::Row,
};
use tokio::runtime::Handle;

use super::{
    super::{Components, Handles, Topics, start},
    world::{START_MS, parameters},
};
use crate::tasks::Tasks;

struct Running {
    components: Components,
    tasks: Tasks,
    handles: Handles,
}

fn log(clock: &Arc<ManualClock>) -> Arc<MemoryLog> {
    let topics = [("raw", 3), ("partials", 2), ("output", 2), ("state", 1), ("pulses", 2), ("dead", 1)];
    let generation = Generation { id: [9; 16], parameters: BTreeMap::new() };
    Arc::new(MemoryLog::new(generation, &topics, clock.clone()))
}

fn components(log: &Arc<MemoryLog>, clock: &Arc<ManualClock>, member: &str) -> Components {
    Components {
        log: log.clone(),
        topics: Topics {
            raw: "raw".into(),
            partials: "partials".into(),
            output: "output".into(),
            state: "state".into(),
            pulses: "pulses".into(),
            dead_letter: "dead".into(),
        },
        member: member.into(),
        remembered_ids_max: u64::MAX,
        parameters: parameters(),
        emotes: Arc::default(),
        pressure: Arc::default(),
        metrics: Arc::default(),
        clock: clock.clone(),
    }
}

fn run(log: &Arc<MemoryLog>, clock: &Arc<ManualClock>, member: &str) -> Running {
    let components = components(log, clock, member);
    let tasks = Tasks::new(Handle::current());
    let handles = start(&components, &tasks).unwrap();
    Running { components, tasks, handles }
}

async fn tap(log: &MemoryLog, now_ms: i64, count: usize) {
    let emotes = Emotes::new();
    let channel = ChannelName::new("main").unwrap();
    for partition in 0..3 {
        let mut batch = BatchBuilder::new();
        for _ in 0..count {
            let reaction = NewReaction {
                emote: emotes.resolve("🔥").unwrap(),
                id: ReactionId::from_parts(now_ms, rand::random()),
                id_from_client: true,
                user: "ann",
                received_ms: now_ms,
                tapped_ms: None,
                media_time_ms: None,
            };
            batch.push(&channel, &reaction);
        }
        let to = TopicPartition::new("raw", partition);
        log.append(&to, vec![batch.finish(None, &emotes)]).await.unwrap();
    }
}

/// Reactions in the windows of the output; no row of a log that nobody takes over twice is there twice.
fn counted(log: &MemoryLog) -> u64 {
    let emotes = Emotes::new();
    let rows = (0..2).flat_map(|partition| {
        log.read(&TopicPartition::new("output", partition), 0, usize::MAX).unwrap().records
    });
    rows.map(|record| match Row::decode(&record.value, &emotes).unwrap() {
        Row::Window(window) => window.total(),
        _ => 0,
    })
    .sum()
}

async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited too long for {what}");
}

async fn stop(node: Running) {
    node.handles.stop().await;
    assert!(!node.tasks.has_failed());
    node.tasks.stop.cancel();
    node.tasks.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_count_and_merge_until_they_are_stopped() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let log = log(&clock);
    let first = run(&log, &clock, "node-1");
    wait_for("the first look at the log", || !first.components.pressure.is_counting_behind()).await;
    tap(&log, START_MS, 10).await;
    clock.advance(3_000);
    wait_for("the first window", || counted(&log) == 30).await;
    let second = run(&log, &clock, "node-2");
    tap(&log, START_MS + 3_000, 5).await;
    clock.advance(3_000);
    wait_for("the second window", || counted(&log) == 45).await;
    stop(first).await;
    tap(&log, START_MS + 6_000, 1).await;
    clock.advance(3_000);
    wait_for("the third window", || counted(&log) == 48).await;
    tap(&log, START_MS + 9_000, 2).await;
    stop(second).await;
    // What was counted before the stop is in the snapshots that the next one goes on from.
    let third = run(&log, &clock, "node-3");
    clock.advance(3_000);
    wait_for("the last window", || counted(&log) == 54).await;
    stop(third).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_do_not_fit_each_other_are_refused() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let log = log(&clock);
    let tasks = Tasks::new(Handle::current());
    let mut wrong = components(&log, &clock, "node-1");
    wrong.topics.output = "raw".into();
    let error = start(&wrong, &tasks).unwrap_err().to_string();
    assert!(error.contains("partials has 2 partitions and raw has 3"), "{error}");
    wrong.topics.output = "nowhere".into();
    assert!(start(&wrong, &tasks).unwrap_err().to_string().contains("nowhere"));
}
