//! The sketch: a function of the set alone, and as exact as it says.

use emostream_moments::sketch::{EXACT_MAX, RELATIVE_ERROR, Reactor, Sketch};
use emostream_protocol::{
    ReactionId,
    codec::{Reader, Writer},
};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use crate::cases::Dice;

fn reactor(user: u64) -> Reactor {
    Reactor::of(format!("user-{user}").as_bytes(), &ReactionId::from_bytes([0; 16]))
}

fn sketch(users: impl IntoIterator<Item = u64>) -> Sketch {
    let mut sketch = Sketch::default();
    users.into_iter().for_each(|user| sketch.insert(reactor(user)));
    sketch
}

fn bytes(sketch: &Sketch) -> Vec<u8> {
    let mut writer = Writer::new();
    sketch.encode(&mut writer);
    writer.into_vec()
}

fn users() -> impl Strategy<Value = Vec<u64>> {
    (1u64..2_000, 0usize..1_200).prop_flat_map(|(most, len)| prop::collection::vec(0..most, len))
}

proptest! {
    #[test]
    fn order_repeats_merges_and_bytes_do_not_show(users in users(), parts in 1usize..5, seed: u64) {
        let mut straight = sketch(users.iter().copied());
        let mut shuffled = users.clone();
        let mut dice = Dice(seed);
        (1..shuffled.len()).for_each(|i| shuffled.swap(i, dice.below(i as u64 + 1) as usize));
        let mut merged = Sketch::default();
        for part in shuffled.chunks(shuffled.len() / parts + 1) {
            let mut part = sketch(part.iter().copied());
            if dice.below(2) == 0 {
                part.estimate();
            }
            if dice.below(2) == 0 {
                part = Sketch::decode(&mut Reader::new(&bytes(&part))).unwrap();
            }
            if dice.below(2) == 0 {
                part.merge(&merged);
                merged = part;
            } else {
                merged.merge(&part);
            }
        }
        prop_assert_eq!(bytes(&straight), bytes(&merged));
        prop_assert_eq!(straight.estimate(), merged.estimate());
        let exact = users.iter().collect::<std::collections::HashSet<_>>().len();
        if exact <= EXACT_MAX {
            prop_assert!(exact as u64 - straight.estimate() <= 1);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..3_000)) {
        if let Ok(mut read) = Sketch::decode(&mut Reader::new(&noise)) {
            let again = Sketch::decode(&mut Reader::new(&bytes(&read))).unwrap();
            prop_assert_eq!(bytes(&read), bytes(&again));
            read.estimate();
        }
    }
}

#[test]
fn the_error_is_what_it_says_from_hundreds_to_millions() {
    let mut squares = Vec::new();
    for (trial, size) in
        (0..120u64).map(|trial| (trial, [300, 1_000, 5_000, 20_000, 200_000][trial as usize % 5]))
    {
        let estimate = sketch((0..size).map(|user| trial << 32 | user)).estimate();
        let error = estimate as f64 / size as f64 - 1.0;
        assert!(error.abs() < 4.0 * RELATIVE_ERROR, "{size} users: {estimate}");
        squares.push(error * error);
    }
    let deviation = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!(deviation < 1.1 * RELATIVE_ERROR, "standard error {deviation}");
    let million = sketch(0..2_000_000).estimate() as f64 / 2e6 - 1.0;
    assert!(million.abs() < 4.0 * RELATIVE_ERROR, "{million}");
}

#[test]
fn a_reaction_without_a_user_is_a_reactor_of_its_own() {
    let id = |byte| ReactionId::from_bytes([byte; 16]);
    assert_ne!(Reactor::of(b"", &id(1)), Reactor::of(b"", &id(2)));
    assert_eq!(Reactor::of(b"u", &id(1)), Reactor::of(b"u", &id(2)));
}
