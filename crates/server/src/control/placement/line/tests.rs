//! Who may come in, in what order, whatever is lost on the way.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use emostream_store::UserId;
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use uuid::Uuid;

use super::{
    ACCOUNT_MAX, ADDRESS_MAX, Asking, Line, Owner, RETURN_US, SILENCE_US, Turn, WAITING_MAX, Waiting,
    silence_max_us,
};

const KEY: [u8; 32] = [7; 32];
const S: i64 = 1_000_000;
const T0: i64 = 1_750_000_000 * S;

fn id(n: u64) -> Uuid {
    // Ids must not decide the order.
    Uuid::from_u128(u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn guest(n: u32) -> Owner {
    Owner::Guest(IpAddr::V4(n.into()))
}

fn user(n: u8) -> UserId {
    UserId::from_bytes([n; 16])
}

fn device(of: u8, name: &str) -> Owner {
    Owner::Device(user(of), name.into())
}

/// A line with its clocks: wall time, and that of upkeep.
struct Hall {
    line: Line,
    now_us: i64,
}

impl Hall {
    fn new(was_waiting: bool, now_us: i64) -> Self {
        Self { line: Line::new(KEY, was_waiting.then_some(now_us), ADDRESS_MAX, now_us), now_us }
    }

    /// Upkeep in time, twice a second.
    fn pass(&mut self, us: i64) {
        self.pass_while(us, true);
    }

    fn pass_while(&mut self, mut us: i64, could_answer: bool) {
        while us > 0 {
            let step = us.min(S / 2);
            self.now_us += step;
            self.line.pass(Duration::from_micros(step.unsigned_abs()), could_answer);
            us -= step;
        }
    }

    /// One that asks from wherever it is: guests of these tests are told apart by their tokens.
    fn ask(&mut self, token: Option<&str>, free: u64, n: u64) -> Turn {
        self.ask_as(&guest(1), token, free, n)
    }

    fn ask_as(&mut self, owner: &Owner, token: Option<&str>, free: u64, n: u64) -> Turn {
        self.line.ask(&Asking { owner, token, id: id(n), now_us: self.now_us }, free)
    }

    fn knows(&self, token: &str) -> bool {
        self.line.knows(token, &guest(1))
    }
}

fn waits(turn: Turn) -> Waiting {
    match turn {
        Turn::Wait(waiting) => waiting,
        other => panic!("expected to wait, got {other:?}"),
    }
}

fn goes(turn: &Turn) -> bool {
    matches!(turn, Turn::Go(_))
}

#[test]
fn who_came_first_goes_first_and_a_newcomer_does_not_take_a_place_that_others_wait_for() {
    let mut hall = Hall::new(false, T0);
    assert!(goes(&hall.ask(None, 1, 0)));
    let first = waits(hall.ask(None, 0, 1));
    let second = waits(hall.ask(None, 0, 2));
    assert_eq!(((first.place, first.waiting), (second.place, second.waiting)), ((1, 1), (2, 2)));
    hall.pass(S);
    // One place: not for the second, nor for somebody new.
    assert_eq!(waits(hall.ask(Some(&second.token), 1, 9)).place, 2);
    assert_eq!(waits(hall.ask(None, 1, 3)).place, 3);
    hall.pass(S);
    assert!(goes(&hall.ask(Some(&first.token), 1, 9)));
    assert!(goes(&hall.ask(Some(&second.token), 1, 9)));
    // A token is good once: a copy of it queues behind.
    assert_eq!(waits(hall.ask(Some(&first.token), 1, 4)).place, 2);
}

#[test]
fn who_is_silent_drops_out_and_who_gave_up_leaves() {
    let mut hall = Hall::new(false, T0);
    let silent = waits(hall.ask(None, 0, 1));
    let mut other = waits(hall.ask(None, 0, 2));
    for s in 1..15 {
        hall.pass(S);
        other = waits(hall.ask(Some(&other.token), 1, 9));
        assert_eq!(other.place, 2, "{s}");
    }
    hall.pass(S);
    assert!(!hall.knows(&silent.token));
    assert!(goes(&hall.ask(Some(&other.token), 1, 9)));
    assert_eq!(waits(hall.ask(Some(&silent.token), 0, 3)).place, 1);
    let leaving = waits(hall.ask(None, 0, 4));
    hall.line.leave(&leaving.token, &guest(1));
    assert!(!hall.knows(&leaving.token));
    assert_eq!(hall.line.len(), 1);
}

#[test]
fn nobody_loses_the_place_while_control_could_not_answer() {
    // The store is away for an hour; the process stands still for one; the clock steps forward by one.
    type Trouble = fn(&mut Hall);
    let troubles: [Trouble; 3] = [
        |hall| hall.pass_while(3_600 * S, false),
        |hall| {
            hall.now_us += 3_600 * S;
            hall.line.pass(Duration::from_secs(3_600), true);
        },
        |hall| hall.now_us += 3_600 * S,
    ];
    for (n, trouble) in troubles.iter().enumerate() {
        let mut hall = Hall::new(false, T0);
        let told: Vec<_> = (0..5).map(|n| waits(hall.ask(None, 0, n))).collect();
        hall.pass(5 * S);
        trouble(&mut hall);
        // Somebody new is quick, and finds the others there.
        assert_eq!(waits(hall.ask(None, 1, 9)).place, 6, "{n}");
        hall.pass(9 * S);
        for (at, told) in told.iter().enumerate() {
            assert_eq!(waits(hall.ask(Some(&told.token), 0, 9)).place, at + 1, "{n}");
        }
        // Whoever does not come back leaves as ever, or a little later.
        hall.pass(RETURN_US + S);
        assert_eq!(hall.line.len(), 0, "{n}");
    }
}

#[test]
fn after_a_longer_outage_there_is_the_whole_time_to_come_back_and_a_short_one_takes_none_away() {
    for (outage_us, left_us) in [(S, SILENCE_US - 12 * S), (2 * S, RETURN_US), (60 * S, RETURN_US)] {
        let mut hall = Hall::new(false, T0);
        let told = waits(hall.ask(None, 0, 1));
        hall.pass(12 * S);
        hall.pass_while(outage_us, false);
        hall.pass(left_us - S / 2);
        assert!(hall.knows(&told.token), "{outage_us}");
        hall.pass(S + S / 2);
        assert!(!hall.knows(&told.token), "{outage_us}");
    }
}

#[test]
fn whoever_was_heard_after_an_outage_may_be_silent_as_ever() {
    let mut hall = Hall::new(false, T0);
    let (heard, silent) = (waits(hall.ask(None, 0, 1)), waits(hall.ask(None, 0, 2)));
    hall.pass_while(60 * S, false);
    hall.pass(S);
    waits(hall.ask(Some(&heard.token), 0, 9));
    hall.pass(SILENCE_US + S);
    assert!(!hall.knows(&heard.token) && hall.knows(&silent.token));
    assert!(goes(&hall.ask(Some(&silent.token), 1, 9)));
}

#[test]
fn where_everything_is_slow_the_line_goes_on_slowly() {
    let mut hall = Hall::new(true, T0);
    waits(hall.ask(None, 9, 1));
    let slow_until = |hall: &mut Hall, ends: &mut dyn FnMut(&mut Hall) -> bool| {
        (0..100).position(|_| {
            hall.now_us += 5 * S;
            hall.line.pass(Duration::from_secs(5), true);
            ends(hall)
        })
    };
    // Who waited before the start has had the time to come back; then, whoever is silent leaves.
    let rounds = slow_until(&mut hall, &mut |hall| hall.line.time_us >= hall.line.returning_until_us);
    assert_eq!(rounds, Some(15));
    assert!(goes(&hall.ask(None, 1, 2)));
    let silent = waits(hall.ask(None, 0, 3));
    let rounds = slow_until(&mut hall, &mut |hall| !hall.knows(&silent.token));
    assert_eq!(rounds, Some(7));
}

#[test]
fn a_long_outage_of_control_costs_nobody_the_place() {
    let mut before = Hall::new(false, T0);
    let first = waits(before.ask(None, 0, 1));
    let second = waits(before.ask(None, 0, 2));
    // A week later; that people waited was last known a minute after they had been heard.
    let start_us = T0 + 7 * 24 * 3_600 * S;
    let mut hall = Hall { line: Line::new(KEY, Some(T0 + 60 * S), ADDRESS_MAX, start_us), now_us: start_us };
    assert_eq!(waits(hall.ask(None, 9, 3)).place, 1);
    hall.pass(RETURN_US - S);
    assert_eq!(waits(hall.ask(Some(&second.token), 9, 9)).place, 1);
    assert_eq!(waits(hall.ask(Some(&first.token), 9, 9)).place, 1);
    hall.pass(S);
    assert!(!goes(&hall.ask(Some(&second.token), 1, 9)));
    assert!(goes(&hall.ask(Some(&first.token), 1, 9)));
    // Who had left long before that is a newcomer.
    let mut hall = Hall { line: Line::new(KEY, Some(T0 + 600 * S), ADDRESS_MAX, start_us), now_us: start_us };
    assert!(!hall.knows(&first.token));
    assert_eq!(waits(hall.ask(None, 9, 3)).place, 1);
}

#[test]
fn a_device_that_joined_anew_has_one_place_when_its_old_one_comes_back() {
    let mut hall = Hall::new(false, T0);
    let phone = device(1, "phone");
    let old = waits(hall.ask_as(&phone, None, 0, 1));
    waits(hall.ask(None, 0, 2));
    hall.pass(S);
    let Turn::Go(Some(waiter)) = hall.ask_as(&phone, Some(&old.token), 1, 9) else { panic!("it goes") };
    assert_eq!(waits(hall.ask_as(&phone, None, 0, 3)).place, 2);
    hall.line.put_back(waiter);
    hall.pass(S);
    assert_eq!(waits(hall.ask_as(&phone, None, 0, 4)).place, 1);
    assert_eq!(hall.line.len(), 2);
}

#[test]
fn a_place_that_came_to_nothing_is_given_back() {
    let mut hall = Hall::new(false, T0);
    let first = waits(hall.ask(None, 0, 1));
    waits(hall.ask(None, 0, 2));
    hall.pass(S);
    let Turn::Go(Some(waiter)) = hall.ask(Some(&first.token), 1, 9) else { panic!("the first goes") };
    hall.line.put_back(waiter.clone());
    hall.line.put_back(waiter);
    hall.pass(S);
    assert_eq!(waits(hall.ask(Some(&first.token), 0, 9)).place, 1);
    assert_eq!(hall.line.len(), 2);
}

#[test]
fn the_order_survives_a_restart() {
    for was_waiting in [true, false] {
        let mut before = Hall::new(false, T0);
        let tokens: Vec<_> = (0..5).map(|n| waits(before.ask(None, 0, n))).collect();
        let mut hall = Hall::new(was_waiting, T0 + 60 * S);
        hall.pass(S);
        // The last one comes back first, with room for all: nobody is let in yet.
        for (n, known) in tokens.iter().enumerate().rev().filter(|(n, _)| *n != 2) {
            assert!(hall.knows(&known.token), "{n}");
            waits(hall.ask(Some(&known.token), 100, 90));
        }
        hall.pass(S);
        let newcomer = waits(hall.ask(None, 100, 50));
        assert_eq!(newcomer.place, 5);
        // Afterwards the line goes on in the old order, without the one who did not come back in time.
        for _ in 0..2 {
            hall.pass(12 * S);
            for n in [0, 1, 3, 4] {
                waits(hall.ask(Some(&tokens[n].token), 100, 91));
            }
            waits(hall.ask(Some(&newcomer.token), 100, 92));
        }
        hall.pass(RETURN_US - 26 * S - 1);
        let again = [0, 1, 3, 4].map(|n| waits(hall.ask(Some(&tokens[n].token), 0, 91)).place);
        assert_eq!(again, [1, 2, 3, 4]);
        waits(hall.ask(Some(&newcomer.token), 100, 92));
        hall.pass(1);
        assert!(!goes(&hall.ask(Some(&tokens[1].token), 1, 93)));
        assert!(goes(&hall.ask(Some(&tokens[0].token), 1, 93)));
        assert_eq!(waits(hall.ask(Some(&tokens[2].token), 1, 94)).place, 5);
        // Who has been let in cannot use the old token once more.
        assert_eq!(waits(hall.ask(Some(&tokens[0].token), 1, 95)).place, 6);
    }
}

#[test]
fn further_back_one_asks_less_often_and_may_be_silent_for_longer() {
    let mut hall = Hall::new(false, T0);
    let told: Vec<_> =
        (0..30_000).map(|n| waits(hall.ask_as(&guest(u32::try_from(n).unwrap()), None, 0, n))).collect();
    let seconds = |at: usize| told[at].ask_again.as_secs();
    assert_eq!((seconds(0), seconds(4_000), seconds(29_999)), (2, 10, 60));
    hall.pass(60 * S);
    assert!(hall.knows(&told[29_999].token) && !hall.knows(&told[0].token));
    // After a restart, those at the front have as long to come back as those who come from far behind them.
    let mut after = Hall::new(true, hall.now_us);
    after.pass(S);
    waits(after.ask(Some(&told[20_000].token), 100, 90_000));
    after.pass(RETURN_US);
    waits(after.ask(Some(&told[15_000].token), 100, 90_001));
    assert!(!goes(&after.ask(Some(&told[20_000].token), 100, 90_002)));
    after.pass(silence_max_us());
    assert!(!after.line.is_in_use());
}

#[test]
fn a_device_has_one_place_an_account_some_and_an_address_many() {
    let mut hall = Hall::new(false, T0);
    let (phone, tv) = (device(1, "phone"), device(1, "tv"));
    let told = waits(hall.ask_as(&phone, None, 0, 1));
    assert_eq!(waits(hall.ask_as(&tv, None, 0, 2)).place, 2);
    // It lost the answer: its place is where it was.
    let again = waits(hall.ask_as(&phone, None, 0, 3));
    assert_eq!((again.place, again.waiting), (1, 2));
    assert_eq!(hall.line.id_of(&again.token, &phone), hall.line.id_of(&told.token, &phone));
    for n in 2..ACCOUNT_MAX as u64 {
        waits(hall.ask_as(&device(1, &n.to_string()), None, 0, 10 + n));
    }
    assert_eq!(hall.ask_as(&device(1, "one more"), None, 0, 4), Turn::Crowded);
    waits(hall.ask_as(&device(2, "phone"), None, 0, 5));
    for n in 0..ADDRESS_MAX as u64 {
        waits(hall.ask_as(&guest(7), None, 0, 1_000 + n));
    }
    assert_eq!(hall.ask_as(&guest(7), None, 0, 6), Turn::Crowded);
    waits(hall.ask_as(&guest(8), None, 0, 7));
    // Who goes or leaves makes room.
    hall.pass(S);
    assert!(goes(&hall.ask_as(&phone, Some(&told.token), 1, 8)));
    waits(hall.ask_as(&device(1, "one more"), None, 0, 9));
    hall.pass(silence_max_us());
    assert_eq!(hall.line.len(), 0);
    assert!(hall.line.places.is_empty() && hall.line.devices.is_empty());
}

#[test]
fn a_place_is_its_owners() {
    let mut hall = Hall::new(false, T0);
    let told = waits(hall.ask_as(&device(1, "phone"), None, 0, 1)).token;
    let guests = waits(hall.ask(None, 0, 2)).token;
    for other in [device(2, "phone"), guest(1)] {
        assert!(!hall.line.knows(&told, &other), "{other:?}");
        assert!(!goes(&hall.ask_as(&other, Some(&told), 1, 3)), "{other:?}");
    }
    assert!(!hall.line.knows(&guests, &device(1, "phone")));
    // A guest goes from one network to another, and an account's device may have no id.
    assert!(hall.line.knows(&guests, &guest(9)) && hall.line.knows(&told, &device(1, "another")));
}

#[test]
fn who_asks_all_the_time_is_told_to_wait_and_keeps_the_place() {
    let mut hall = Hall::new(false, T0);
    let token = waits(hall.ask(None, 0, 1)).token;
    let turns: Vec<_> = (0..100).map(|_| hall.ask(Some(&token), 1, 9)).collect();
    assert!(goes(&turns[0]));
    let mut hall = Hall::new(false, T0);
    let token = waits(hall.ask(None, 0, 1)).token;
    let told = (0..100).filter(|_| matches!(hall.ask(Some(&token), 0, 9), Turn::Wait(_))).count();
    assert_eq!(told, 2);
    let mut told = 0;
    for _ in 0..200 {
        hall.pass(S / 10);
        told += usize::from(matches!(hall.ask(Some(&token), 0, 9), Turn::Wait(_)));
    }
    assert!((19..=22).contains(&told), "{told}");
    assert!(hall.knows(&token));
}

#[test]
fn forged_and_foreign_tokens_are_newcomers() {
    let mut hall = Hall::new(false, T0);
    let own = waits(hall.ask(None, 0, 1));
    waits(hall.ask(None, 0, 2));
    let mut foreign = Line::new([8; 32], None, ADDRESS_MAX, T0);
    let asking = Asking { owner: &guest(1), token: None, id: id(1), now_us: T0 };
    let foreign = waits(foreign.ask(&asking, 0)).token;
    let mut forged: Vec<String> = (0..own.token.len())
        .map(|at| {
            let mut bytes = own.token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            String::from_utf8(bytes).unwrap()
        })
        .collect();
    forged.extend([foreign, String::new(), "l1...".into(), "é".repeat(40), "x".repeat(1_000)]);
    for token in forged {
        assert!(!hall.knows(&token), "{token}");
    }
}

#[test]
fn the_line_is_bounded() {
    let mut hall = Hall::new(false, T0);
    for n in 0..WAITING_MAX as u64 {
        waits(hall.ask_as(&guest(u32::try_from(n).unwrap()), None, 0, n));
    }
    assert_eq!(hall.ask(None, 0, u64::MAX), Turn::Full);
    hall.pass(silence_max_us());
    assert_eq!(hall.line.len(), 0);
}

/// One of a crowd: when they joined, what they were told, and when they were heard last.
struct Person {
    since: u64,
    told: Waiting,
    heard_us: i64,
}

/// People come, ask at their own pace, give up, and are let in as places come free; control restarts on the way.
#[test]
fn nobody_overtakes_whatever_the_crowd_does() {
    for seed in 0..20 {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut hall = Hall::new(false, T0);
        let mut crowd: HashMap<u64, Person> = HashMap::new();
        let (mut next, mut joined, mut let_in) = (0, 0, 0);
        for _ in 0..5_000 {
            hall.pass(dice.random_range(0..200_000));
            let free = u64::from(dice.random_bool(0.5)) * dice.random_range(1..4);
            if dice.random_bool(0.001) {
                hall = Hall::new(true, hall.now_us);
                crowd.retain(|_, person| hall.now_us - person.heard_us < 10 * S);
                // From here on, all have the same time to come back.
                crowd.values_mut().for_each(|person| person.heard_us = hall.now_us);
            }
            let who = if crowd.is_empty() || (crowd.len() < 20 && dice.random_bool(0.1)) {
                next += 1;
                next
            } else {
                let at = dice.random_range(0..crowd.len());
                *crowd.keys().nth(at).unwrap()
            };
            let known = crowd.remove(&who);
            let silent_us = known.as_ref().map_or(0, |known| hall.now_us - known.heard_us);
            // Who was away for too long joins anew, behind the others.
            let kept = known.filter(|known| hall.knows(&known.told.token));
            assert!(kept.is_some() || silent_us == 0 || silent_us >= SILENCE_US, "seed {seed}: {silent_us}");
            let longest_us = if hall.line.time_us < RETURN_US { RETURN_US } else { SILENCE_US + 2 * S };
            assert!(kept.is_none() || silent_us < longest_us, "seed {seed}: {silent_us}");
            let token = kept.as_ref().map(|kept| kept.told.token.as_str());
            joined += u64::from(kept.is_none());
            let heard_us = hall.now_us;
            match (hall.ask(token, free, 1_000 + joined), kept) {
                (Turn::Wait(told), kept) => {
                    let since = kept.map_or(joined, |kept| kept.since);
                    crowd.insert(who, Person { since, told, heard_us });
                }
                (Turn::TooSoon(_), Some(kept)) => drop(crowd.insert(who, Person { heard_us, ..kept })),
                (Turn::Go(_), kept) => {
                    let_in += 1;
                    let ahead = crowd.values().filter(|other| {
                        let is_there = heard_us - other.heard_us < SILENCE_US - 2 * S;
                        is_there && kept.as_ref().is_none_or(|kept| other.since < kept.since)
                    });
                    assert!((ahead.count() as u64) < free, "seed {seed}: somebody was overtaken");
                }
                (other, _) => panic!("seed {seed}: {other:?}"),
            }
        }
        assert!(let_in > 50, "seed {seed}: {let_in}");
    }
}
