//! One trouble at a time: who takes a partition over, from what, and what the other may still do.

use std::collections::BTreeSet;

use emostream_log::{Log, TopicPartition};

use super::{
    Dice,
    broker::Fate,
    world::{Node, World},
};
use crate::{aggregate::fleet::COUNT_GROUP, telemetry::Labelled};

fn assert_no_row_twice(world: &World) {
    let all = world.sequences();
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = all.iter().filter(|row| !seen.insert(*row)).collect();
    assert!(twice.is_empty(), "in the output twice: {twice:?}");
}

fn repeats(node: &Node) -> u64 {
    node.metrics.steps_left_out.get_or_create(&Labelled { kind: "repeat" }).get()
}

#[test]
fn a_merge_owner_that_slept_is_fenced_and_writes_nothing() {
    let (mut world, mut dice) = (World::new(2, 1), Dice(1));
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 20);
    let mut sleeper = nodes.pop().unwrap();
    sleeper.log.end_session();
    nodes.push(world.join());
    world.tap(&mut dice, &mut nodes, 20);
    let before = world.sequences();
    // It wakes, believes that the partition is its own, and merges what came meanwhile.
    for _ in 0..20 {
        sleeper.turn_merge();
        sleeper.log.deliver_all();
    }
    assert_eq!(sleeper.metrics.writers_fenced.get(), 1);
    assert_eq!(world.sequences(), before);
    // It hears that it was given up, joins again, and is given the partition back.
    sleeper.log.wake();
    nodes.push(sleeper);
    world.tap(&mut dice, &mut nodes, 20);
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
    assert_no_row_twice(&world);
}

#[test]
fn a_sleeper_that_takes_the_writer_away_gives_it_back() {
    let (mut world, mut dice) = (World::new(1, 1), Dice(2));
    let mut late = world.join();
    late.log.hear();
    // Assigned, and asleep before it has taken the partition over.
    late.log.end_session();
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 5);
    late.turn_merge();
    world.tap(&mut dice, &mut nodes, 20);
    assert_eq!(nodes[0].metrics.writers_fenced.get(), 1, "the sleeper has taken the writer");
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
    assert_no_row_twice(&world);
}

#[test]
fn rows_of_a_crashed_owner_are_not_written_again() {
    let (mut world, mut dice) = (World::new(2, 2), Dice(3));
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 15);
    assert!(!world.sequences().is_empty() && world.records("state", 0).is_empty());
    let crashed = nodes.pop().unwrap().crash();
    crashed.end_session();
    nodes.push(world.join());
    world.pass(&mut nodes, 9_000);
    let successor = &nodes[0];
    assert!(repeats(successor) > 0, "it counts everything again");
    world.stop(nodes);
    world.assert_exact();
    assert_no_row_twice(&world);
}

#[test]
fn a_snapshot_that_was_not_committed_is_found() {
    let (mut world, mut dice) = (World::new(1, 1), Dice(4));
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 30);
    let raw = TopicPartition::new("raw", 0);
    let state = TopicPartition::new("state", 0);
    // Until the next snapshot of count is on its way.
    let node = &mut nodes[0];
    let stored = world.records("state", 0).len();
    let committed = node.log.committed(COUNT_GROUP, &raw).unwrap();
    for _ in 0..200 {
        if node.log.busy().contains(&state) {
            break;
        }
        world.clock.advance(100);
        node.turn_count();
        let busy = node.log.busy();
        busy.iter().filter(|to| **to != state).for_each(|to| node.log.deliver(to, Fate::Delivered));
    }
    node.log.deliver(&state, Fate::Delivered);
    assert_eq!(world.records("state", 0).len(), stored + 1);
    let crashed = nodes.pop().unwrap().crash();
    crashed.end_session();
    assert_eq!(crashed.committed(COUNT_GROUP, &raw).unwrap(), committed);
    let mut successor = world.join();
    successor.log.hear();
    let end = world.records("raw", 0).len();
    for _ in 0..100 {
        successor.turn_count();
    }
    assert_eq!(successor.metrics.records_counted.get(), 0, "of {end} records all were counted");
    nodes.push(successor);
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
}

#[test]
fn a_fleet_that_was_stopped_and_starts_again_recounts_nothing() {
    let (mut world, mut dice) = (World::new(3, 2), Dice(5));
    let mut nodes = vec![world.join(), world.join()];
    world.tap(&mut dice, &mut nodes, 30);
    world.stop(nodes);
    let output = world.sequences();
    let steps = world.records("partials", 0).len();
    let mut nodes = vec![world.join(), world.join(), world.join()];
    world.settle(&mut nodes);
    for node in &nodes {
        let metrics = &node.metrics;
        assert_eq!((metrics.records_counted.get(), metrics.steps_appended.get()), (0, 0));
        assert_eq!((metrics.windows_closed.get(), repeats(node)), (0, 0));
    }
    assert_eq!((world.sequences(), world.records("partials", 0).len()), (output, steps));
    world.tap(&mut dice, &mut nodes, 5);
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
    assert_no_row_twice(&world);
}

#[test]
fn a_step_that_a_crash_cut_in_two_is_completed_by_the_successor() {
    let (mut world, mut dice) = (World::new(1, 1), Dice(6));
    // Every item is a part of its own.
    world.part_bytes = 1;
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 3);
    let partials = TopicPartition::new("partials", 0);
    let node = &mut nodes[0];
    for _ in 0..10 {
        world.audience.tap(&mut dice, world.now_ms());
        world.clock.advance(400);
        node.turn_count();
    }
    // The first of several parts arrives.
    node.log.deliver(&partials, Fate::Delivered);
    assert!(node.log.busy().contains(&partials));
    nodes.pop().unwrap().crash().end_session();
    let cut_at = world.records("partials", 0).len();
    // The successor cuts it elsewhere.
    world.part_bytes = 300;
    nodes.push(world.join());
    world.pass(&mut nodes, 9_000);
    assert!(world.records("partials", 0).len() > cut_at);
    world.stop(nodes);
    world.assert_exact();
}

#[test]
fn a_count_owner_that_slept_goes_on_writing_and_changes_nothing() {
    let (mut world, mut dice) = (World::new(2, 3), Dice(7));
    let mut nodes = vec![world.join()];
    world.tap(&mut dice, &mut nodes, 10);
    let mut sleeper = nodes.pop().unwrap();
    sleeper.log.end_session();
    nodes.push(world.join());
    for _ in 0..40 {
        world.tap(&mut dice, &mut nodes, 1);
        sleeper.turn_count();
        sleeper.log.deliver_all();
    }
    assert!(sleeper.metrics.steps_appended.get() > 20 && repeats(&nodes[0]) > 20);
    assert!(sleeper.metrics.snapshots_written.get() > 0, "it stores snapshots, too");
    drop(sleeper);
    world.pass(&mut nodes, 9_000);
    world.stop(nodes);
    world.assert_exact();
    assert_no_row_twice(&world);
}
