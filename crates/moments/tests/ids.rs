//! The memory of ids: the exact edge of the horizon, its limit on time and its size.

use emostream_moments::ids::IdMemory;
use emostream_protocol::ReactionId;

const HORIZON_MS: i64 = 240_000;

fn id(ms: i64, n: u64) -> ReactionId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    ReactionId::from_parts(ms, random)
}

fn note(memory: &mut IdMemory, channel: u32, id: &ReactionId, append_ms: i64) -> bool {
    let seat = memory.seat(channel, id, append_ms);
    memory.note(&seat, append_ms, append_ms)
}

#[test]
fn an_id_is_known_up_to_the_last_millisecond_of_the_horizon() {
    let mut memory = IdMemory::new(HORIZON_MS, 5);
    assert!(!note(&mut memory, 0, &id(1_000, 1), 1_000));
    assert!(!note(&mut memory, 1, &id(1_000, 1), 1_000), "another channel is another reaction");
    assert!(!note(&mut memory, 0, &id(1_000, 2), 1_500));
    memory.sweep(241_000);
    assert!(note(&mut memory, 1, &id(1_000, 1), 241_000));
    memory.sweep(241_001);
    assert!(!note(&mut memory, 0, &id(1_000, 1), 241_001));
    assert!(note(&mut memory, 0, &id(1_000, 2), 241_500));
    assert!(note(&mut memory, 0, &id(1_000, 2), 481_500), "a repeat is remembered, too");
}

#[test]
fn memory_is_given_back_when_the_horizon_has_passed() {
    let mut memory = IdMemory::new(HORIZON_MS, 5);
    for n in 0..100_000 {
        let ms = 1_000_000 + n as i64 / 10;
        memory.sweep(ms);
        assert!(!note(&mut memory, 0, &id(ms, n), ms));
    }
    assert_eq!(memory.remembered(), 100_000);
    assert!((2_400_000..9_000_000).contains(&memory.bytes()), "{} bytes", memory.bytes());
    memory.sweep(1_010_000 + HORIZON_MS + 1_000);
    assert_eq!((memory.remembered(), memory.bytes()), (0, 0));
}

#[test]
fn one_id_repeated_for_ever_does_not_keep_its_neighbours() {
    let mut memory = IdMemory::new(HORIZON_MS, 5);
    for n in 0..10_000 {
        note(&mut memory, 0, &id(0, n), 0);
    }
    for now_ms in (0..3_000_000).step_by(100_000) {
        memory.sweep(now_ms);
        assert!(note(&mut memory, 0, &id(0, 7), now_ms));
    }
    assert_eq!(memory.remembered(), 1);
}
