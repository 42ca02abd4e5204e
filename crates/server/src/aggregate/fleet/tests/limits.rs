//! What is too large, damaged, of a newer release or gone is said, and costs no count.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use emostream_log::TopicPartition;

use super::{Dice, world::World};

#[test]
fn a_snapshot_that_is_too_large_is_left_out_and_said() {
    let (mut world, mut dice) = (World::new(2, 1), Dice(1));
    let mut nodes = vec![world.join()];
    nodes[0].log.state_bytes_max.store(20, Ordering::SeqCst);
    world.tap(&mut dice, &mut nodes, 50);
    let metrics = nodes[0].metrics.clone();
    assert!(metrics.snapshots_too_large.get() >= 3 && metrics.snapshots_written.get() == 0);
    world.stop(nodes);
    assert!(world.records("state", 0).is_empty());
    // A restart counts everything again.
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 5);
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
}

#[test]
fn a_partition_whose_beginning_is_gone_is_not_counted_without_a_snapshot() {
    for topic in ["raw", "partials"] {
        let (mut world, mut dice) = (World::new(1, 1), Dice(2));
        let mut nodes = vec![world.join()];
        world.tap(&mut dice, &mut nodes, 5);
        nodes.pop().unwrap().crash().end_session();
        world.broker.trim(&TopicPartition::new(topic, 0), 4);
        let failure = world.join().failure();
        assert!(failure.contains("begins at offset 4") && failure.contains(topic), "{failure}");
    }
}

#[test]
fn a_snapshot_of_a_newer_release_ends_the_node() {
    let (mut world, mut dice) = (World::new(1, 1), Dice(3));
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 40);
    world.stop(nodes);
    world.rewrite_snapshot("count/0", |value| [&[2], &value[1..]].concat());
    let failure = world.join().failure();
    assert!(failure.contains("newer release"), "{failure}");
    let state = world.newest_snapshot("merge/0");
    // Behind the envelope: version, generation, and two places of one or two bytes.
    let inner = state.windows(2).position(|two| two == [1, 0xd0]).expect("version and window length");
    world.rewrite_snapshot("count/0", |value| [&[1], &value[1..]].concat());
    world.rewrite_snapshot("merge/0", |value| [&value[..inner], &[2], &value[inner + 1..]].concat());
    let failure = world.join().failure();
    assert!(failure.contains("newer one"), "{failure}");
}

#[test]
fn a_damaged_snapshot_gives_way_to_the_whole_log() {
    let (mut world, mut dice) = (World::new(2, 1), Dice(4));
    let mut nodes = vec![world.join()];
    // One snapshot, so that the log has let go of nothing.
    world.tap(&mut dice, &mut nodes, 20);
    world.stop(nodes);
    for key in ["count/0", "count/1", "merge/0"] {
        world.rewrite_snapshot(key, |value| value[..value.len() - 3].to_vec());
    }
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 5);
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
}

#[test]
fn a_record_that_is_no_step_is_set_aside() {
    let (mut world, mut dice) = (World::new(2, 2), Dice(5));
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 5);
    let partials = TopicPartition::new("partials", 1);
    world.broker.append(&partials, vec![Bytes::from_static(&[1, 200, 3])]).unwrap();
    world.tap(&mut dice, &mut nodes, 5);
    let line: serde_json::Value = serde_json::from_slice(&world.records("dead", 0)[0].value).unwrap();
    assert_eq!((&line["topic"], &line["partition"]), (&"partials".into(), &1.into()));
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
}

#[test]
fn many_output_partitions_and_more_nodes_than_partitions() {
    let (mut world, mut dice) = (World::new(3, 16), Dice(6));
    let mut nodes: Vec<_> = (0..6).map(|_| world.join()).collect();
    for _ in 0..60 {
        world.audience.act(&mut dice, world.now_ms());
        world.pass(&mut nodes, 200);
    }
    let owned = |nodes: &[super::world::Node], kind| -> i64 {
        let label = crate::telemetry::Labelled { kind };
        nodes.iter().map(|node| node.metrics.partitions_owned.get_or_create(&label).get()).sum()
    };
    assert_eq!((owned(&nodes, "count"), owned(&nodes, "merge")), (3, 16));
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
}
