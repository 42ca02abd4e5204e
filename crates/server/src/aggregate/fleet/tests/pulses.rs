//! Pulses: what is fresh reaches the topic of pulses once, in sums; what is old never does.

use std::collections::BTreeMap;

use emostream_moments::PulseBatch;
use emostream_protocol::{Emotes, id::home_partition};

use super::{Dice, world::World};

/// All pulses, by channel and emote.
fn pulses(world: &World) -> BTreeMap<(String, String), u64> {
    let emotes = Emotes::new();
    let mut sums = BTreeMap::new();
    for partition in 0..world.output_partitions {
        for record in world.records("pulses", partition) {
            for pulse in PulseBatch::decode(&record.value, &emotes).unwrap().counts {
                assert_eq!(home_partition(&pulse.channel, world.output_partitions), partition);
                let key = (pulse.channel.to_string(), emotes.name(pulse.emote).to_string());
                *sums.entry(key).or_default() += u64::from(pulse.count);
            }
        }
    }
    sums
}

#[test]
fn what_is_fresh_is_published_once_and_what_is_old_never() {
    let (mut world, mut dice) = (World::new(3, 4), Dice(1));
    let mut nodes = vec![world.join(), world.join()];
    world.tap(&mut dice, &mut nodes, 20);
    let accepted = world.audience.accepted.clone();
    assert_eq!(pulses(&world), accepted);
    nodes.into_iter().for_each(|node| node.crash().end_session());
    // What comes while nobody counts is old when it is counted.
    world.audience.tap(&mut dice, world.now_ms());
    world.clock.advance(5_000);
    let mut nodes = vec![world.join()];
    world.pass(&mut nodes, 9_000);
    assert_eq!(pulses(&world), accepted);
    assert_ne!(world.audience.accepted, accepted);
    world.stop(nodes);
    world.assert_exact();
}

#[test]
fn sums_of_a_moment_are_one_batch() {
    let (mut world, mut dice) = (World::new(1, 1), Dice(2));
    let mut nodes = vec![world.join()];
    world.settle(&mut nodes);
    for _ in 0..50 {
        for _ in 0..10 {
            world.audience.tap(&mut dice, world.now_ms());
            world.settle(&mut nodes);
        }
        world.clock.advance(5);
        world.settle(&mut nodes);
    }
    world.clock.advance(25);
    world.settle(&mut nodes);
    let batches = world.records("pulses", 0).len();
    assert!((10..=12).contains(&batches), "{batches} in 250 ms and a bit");
    assert_eq!(pulses(&world), world.audience.accepted);
    world.stop(nodes);
}
