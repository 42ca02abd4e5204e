//! Ticks: a fleet closes its windows in silence, and writes no more than it needs for that.

use emostream_protocol::record::encode_tick;

use super::{Dice, world::World};

fn ticks(world: &World, partition: u32) -> usize {
    world.records("raw", partition).iter().filter(|record| record.value == encode_tick()).count()
}

#[test]
fn an_idle_fleet_closes_its_windows() {
    let (mut world, mut dice) = (World::new(4, 2), Dice(1));
    let mut nodes = vec![world.join(), world.join()];
    world.audience.tap(&mut dice, world.now_ms());
    // The window, the lateness, and the silence after which a partition is ticked.
    world.pass(&mut nodes, 2_000 + 500 + 200);
    assert_eq!(world.counted(), world.audience.accepted);
    world.stop(nodes);
    world.assert_exact();
}

#[test]
fn a_silent_partition_is_ticked_once_a_window() {
    let mut world = World::new(5, 2);
    let mut nodes = vec![world.join(), world.join(), world.join()];
    world.pass(&mut nodes, 400);
    for partition in 0..5 {
        assert_eq!(ticks(&world, partition), 1, "merge waits to hear of it at all");
    }
    world.pass(&mut nodes, 40_000);
    for partition in 0..5 {
        assert_eq!(ticks(&world, partition), 1 + 20, "partition {partition}");
    }
    // Nobody has a partition twice, so that nobody else ticks either.
    world.stop(nodes);
}

#[test]
fn where_something_comes_there_are_no_ticks() {
    let (mut world, mut dice) = (World::new(1, 1), Dice(3));
    let mut nodes = vec![world.join()];
    world.audience.tap(&mut dice, world.now_ms());
    for _ in 0..100 {
        world.audience.tap(&mut dice, world.now_ms());
        world.pass(&mut nodes, 50);
    }
    assert_eq!(ticks(&world, 0), 0);
    assert!(!world.sequences().is_empty());
    world.stop(nodes);
    world.assert_same_rows();
}
