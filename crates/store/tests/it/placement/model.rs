//! Random fleets from a seed: users, devices and edges that connect, close, crash and are cut off from control, whose reports
//! are lost, repeated and delayed. `EMOSTREAM_SEEDS=n` sets how many seeds, `EMOSTREAM_SEED=n` runs one again.
//!
//! After every step it is compared with what has really happened: nobody has more devices than the tier allows; what an edge
//! holds once it was answered counts; what counts is there, or nobody could know better yet; in the end everything is free.

mod edges;
mod world;

use crate::setup::{Place, everywhere};

use self::world::World;

everywhere!(random_fleets_keep_the_limits);

/// Seeds of a short run on SQLite. PostgreSQL, where each statement crosses a socket, has one in [`POSTGRES_SHARE`] of them.
const SEEDS: u64 = 40;
const POSTGRES_SHARE: u64 = 10;

fn seeds(place: &Place) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("EMOSTREAM_SEED") {
        return seed..seed + 1;
    }
    let first = number("EMOSTREAM_SEED_FIRST").unwrap_or(0);
    let count = number("EMOSTREAM_SEEDS").unwrap_or(SEEDS);
    let share = if place.url.starts_with("postgres") { POSTGRES_SHARE } else { 1 };
    first..first + count.div_ceil(share)
}

async fn random_fleets_keep_the_limits(place: Place) {
    // Without a file, so that thousands of seeds take minutes.
    let on_disk = place.url.starts_with("postgres");
    let url = if on_disk { place.url.as_str() } else { "sqlite::memory:" };
    let store = emostream_store::Store::open(url, &emostream_store::StoreOptions::default()).await.unwrap();
    for seed in seeds(&place) {
        let mut world = World::new(store.clone(), seed).await;
        for _ in 0..world.dice.below(400) {
            world.step().await;
        }
        world.end().await;
    }
    // What is not known to the store's interface is not there either: rows that nothing would ever find again.
    if on_disk {
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(url).await.unwrap();
        let left: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM leases").fetch_one(&mut connection).await.unwrap();
        assert_eq!(left, 0);
    }
}

/// Seeded randomness (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { from.get(self.below(from.len() as u64) as usize).cloned() }
    }
}
