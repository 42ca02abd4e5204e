//! Whoever takes over from a forwarder repeats some of what is in the log, while the old one may still go on: each place
//! of a spool counts once all the same.

use std::sync::Arc;

use bytes::Bytes;
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    ChannelName, EmoteId, Emotes, ReactionId,
    record::{BatchBuilder, NewReaction, SpoolPosition, decode, encode_tick},
    row::Row,
};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

const START_MS: i64 = 1_700_000_000_000;
const SPOOL: [u8; 16] = [7; 16];

/// What two forwarders of one spool do to a partition.
#[derive(Debug, Clone)]
struct Deliveries {
    /// Places of the spool, ascending; foreign offsets may leave some out.
    places: Vec<u64>,
    /// Records of the zombie before its successor starts, by how many reactions each has.
    before: Vec<usize>,
    /// How many of the reactions in the log by then the successor repeats.
    repeats: prop::sample::Index,
    /// Records after that: whether the zombie's, and how many reactions each has.
    after: Vec<(bool, usize)>,
    /// At which records the counter is restored from its snapshot.
    restored: u64,
    client_ids: bool,
}

fn deliveries() -> impl Strategy<Value = Deliveries> {
    let sizes = |most| prop::collection::vec(1usize..6, 0..most);
    (
        prop::collection::vec(1u64..400, 1..60),
        sizes(8),
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<bool>(), 1usize..6), 0..30),
        any::<u64>(),
        any::<bool>(),
    )
        .prop_map(|(gaps, before, repeats, after, restored, client_ids)| {
            let mut place = 0;
            let mut beyond = |gap: u64| {
                place += gap;
                place - 1
            };
            let places = gaps.into_iter().map(&mut beyond).collect();
            Deliveries { places, before, repeats, after, restored, client_ids }
        })
}

impl Deliveries {
    /// The records in log order, each as the bounds of what it holds of the places.
    fn log(&self) -> Vec<(usize, usize)> {
        let all = self.places.len();
        let mut log = Vec::new();
        let step = |from: &mut usize, many: usize, log: &mut Vec<(usize, usize)>| {
            let to = (*from + many).min(all);
            if *from < to {
                log.push((*from, to));
            }
            *from = to;
        };
        let mut zombie = 0;
        self.before.iter().for_each(|many| step(&mut zombie, *many, &mut log));
        let mut successor = zombie - self.repeats.index(zombie + 1);
        for (by_zombie, many) in &self.after {
            step(if *by_zombie { &mut zombie } else { &mut successor }, *many, &mut log);
        }
        while successor < all {
            step(&mut successor, 5, &mut log);
        }
        log
    }

    /// Each place has an emote of its own, so that a lost one cannot hide behind a doubled one.
    fn push(&self, builder: &mut BatchBuilder, index: usize, place: Option<u64>) {
        let reaction = NewReaction {
            emote: EmoteId::standard(index as u16).expect("there are more emoji than places"),
            id: ReactionId::from_parts(START_MS, [index as u8; 10]),
            id_from_client: self.client_ids,
            user: "",
            received_ms: START_MS,
            tapped_ms: None,
            media_time_ms: None,
        };
        let channel = ChannelName::new("main").expect("valid");
        match place {
            None => builder.push(&channel, &reaction),
            Some(place) => builder.push_at(&channel, &reaction, place),
        }
    }

    /// Batches whose bounds each forwarder chooses.
    fn placed(&self, emotes: &Emotes) -> Vec<Bytes> {
        let record = |(from, to): (usize, usize)| {
            let mut builder = BatchBuilder::new();
            (from..to).for_each(|index| self.push(&mut builder, index, Some(self.places[index])));
            builder.finish_placed(SPOOL, emotes)
        };
        self.log().into_iter().map(record).collect()
    }

    /// One record a place: what a spool holds is forwarded as it is.
    fn spooled(&self, emotes: &Emotes) -> Vec<Bytes> {
        let record = |index: usize| {
            let mut builder = BatchBuilder::new();
            self.push(&mut builder, index, None);
            let position = SpoolPosition { spool: SPOOL, offset: self.places[index] };
            builder.finish(Some(position), emotes)
        };
        self.log().into_iter().flat_map(|(from, to)| from..to).map(record).collect()
    }

    /// How often each place was counted.
    fn counts(&self, log: &[Bytes]) -> Vec<u64> {
        let parameters = StreamParameters::default();
        let emotes = Arc::new(Emotes::new());
        let mut aggregate = Aggregate::new(parameters, 1, emotes.clone(), 1);
        let mut output = AggregateOutput::default();
        for (number, record) in log.iter().enumerate() {
            let record = decode(record, &emotes).expect("valid");
            aggregate.observe(0, START_MS + number as i64, &record, &mut output).expect("valid");
            // Without the ids: places alone have to tell.
            if self.restored >> (number % 64) & 1 == 1 {
                let snapshot = aggregate.snapshot();
                aggregate = Aggregate::restore(&snapshot, parameters, 1, emotes.clone(), number as u64)
                    .expect("a snapshot can be read");
            }
        }
        let end = encode_tick();
        let end = decode(&end, &emotes).expect("valid");
        aggregate.observe(0, START_MS + 60_000, &end, &mut output).expect("valid");
        let mut counts = vec![0; self.places.len()];
        for row in output.rows {
            let Row::Window(row) = row else { continue };
            row.emotes.iter().for_each(|emote| counts[usize::from(emote.emote.get())] += emote.count);
        }
        counts
    }
}

proptest! {
    #[test]
    fn each_place_counts_once(case in deliveries()) {
        let emotes = Emotes::new();
        let once = vec![1; case.places.len()];
        prop_assert_eq!(&case.counts(&case.placed(&emotes)), &once);
        prop_assert_eq!(&case.counts(&case.spooled(&emotes)), &once);
    }
}
