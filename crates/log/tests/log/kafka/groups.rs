//! Groups: who owns what, after joining, leaving and dying, and what commits are worth then.

use std::collections::BTreeSet;

use bytes::Bytes;
use emostream_log::{Assignment, Committed, Log, LogError, Membership};

use super::setup::{Space, until};
use crate::setup::at;

/// The partitions of each member once they divide all three among them.
fn divided(members: &[&dyn Membership]) -> Vec<Assignment> {
    until("all partitions have one owner", || {
        let all: Vec<_> = members.iter().map(|member| member.assignments().borrow().clone()).collect();
        let owned: Vec<_> = all.iter().flat_map(|assignment| &assignment.partitions).collect();
        let distinct: BTreeSet<_> = owned.iter().collect();
        let fair = all.iter().all(|assignment| assignment.partitions.len() <= 3usize.div_ceil(members.len()));
        (owned.len() == 3 && distinct.len() == 3 && fair).then_some(all)
    })
}

fn position(offset: u64, metadata: &'static [u8]) -> Committed {
    Committed { offset, metadata: Bytes::from_static(metadata) }
}

#[test]
fn a_group_divides_its_partitions_and_notices_each_change() {
    let Some(space) = Space::new() else { return };
    let (one, two) = (space.open_as("one"), space.open_as("two"));
    let a = one.join("count", "taps", "a").unwrap();
    let alone = divided(&[&*a]).remove(0);
    a.commit(alone.generation, &at(0), position(4, b"early")).unwrap();
    let b = two.join("count", "taps", "b").unwrap();
    let shared = divided(&[&*a, &*b]);
    assert!(shared[0].generation > alone.generation);
    let stale = a.commit(alone.generation, &at(0), position(5, b"stale"));
    assert!(
        matches!(stale, Err(LogError::StaleGeneration { given, .. }) if given == alone.generation),
        "{stale:?}"
    );
    let (ours, theirs) = (&shared[0].partitions[0], &shared[1].partitions[0]);
    assert!(a.commit(shared[0].generation, theirs, position(5, b"")).is_err(), "it is b's");
    a.commit(shared[0].generation, ours, position(5, b"snapshot")).unwrap();
    b.commit(shared[1].generation, theirs, position(6, &[0xff, 0])).unwrap();
    for log in [&one, &two] {
        assert_eq!(log.committed("count", ours).unwrap(), Some(position(5, b"snapshot")));
        assert_eq!(log.committed("count", theirs).unwrap(), Some(position(6, &[0xff, 0])));
        assert_eq!(log.committed("other", ours).unwrap(), None);
    }
    drop(b);
    let again = divided(&[&*a]).remove(0);
    assert!(again.generation > shared[0].generation);
    assert!(one.counters().rebalances >= 3);
    drop(a);
    one.close().unwrap();
    // Whoever comes later owns everything at once and finds what was committed.
    let c = two.join("count", "taps", "c").unwrap();
    divided(&[&*c]);
    assert_eq!(two.committed("count", theirs).unwrap(), Some(position(6, &[0xff, 0])));
}

#[test]
fn metadata_has_a_limit() {
    let Some(space) = Space::new() else { return };
    let log = space.open_as("one");
    let member = log.join("count", "taps", "a").unwrap();
    let generation = divided(&[&*member])[0].generation;
    let long = |bytes| Committed { offset: 0, metadata: Bytes::from(vec![b'x'; bytes]) };
    assert!(matches!(
        member.commit(generation, &at(0), long(4097)),
        Err(LogError::TooLarge { bytes: 4097, limit: 4096 })
    ));
    member.commit(generation, &at(0), long(4096)).unwrap();
    assert_eq!(log.committed("count", &at(0)).unwrap(), Some(long(4096)));
}

#[test]
fn members_without_a_name_and_groups_beside_each_other_work() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let a = log.join("count", "taps", "a").unwrap();
    let other = log.join("other", "taps", "a").unwrap();
    divided(&[&*a]);
    divided(&[&*other]);
    let b = log.join("count", "taps", "b").unwrap();
    divided(&[&*a, &*b]);
    drop(a);
    divided(&[&*b]);
    assert!(matches!(log.join("g", "nothing", "m").err(), Some(LogError::UnknownPartition(_))));
}

#[test]
fn members_that_come_and_go_in_the_middle_of_a_rebalance_end() {
    let Some(space) = Space::new() else { return };
    let (one, two) = (space.open_as("one"), space.open());
    for round in 0..6 {
        let a = one.join("count", "taps", "a").unwrap();
        let b = two.join("count", "taps", "b").unwrap();
        if round % 2 == 0 {
            divided(&[&*a, &*b]);
        } else {
            until("the first assignment", || (!a.assignments().borrow().partitions.is_empty()).then_some(()));
        }
        drop(b);
        drop(a);
    }
    one.close().unwrap();
    let c = two.join("count", "taps", "c").unwrap();
    divided(&[&*c]);
}
