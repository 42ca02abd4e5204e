//! Random logs from a seed: what an audience, its clocks, retries, spools and broadcasters can do to a log.

use bytes::Bytes;
use emostream_protocol::{
    ChannelName, ChannelSettings, EmoteId, Emotes, ReactionId,
    id::home_partition,
    record::{BatchBuilder, NewReaction, SettingsChange, SpoolPosition, encode_tick},
    settings::{FullRule, MomentRule, PlainRule},
};

/// A log: partition, append time, record.
pub(crate) type Log = Vec<(usize, i64, Bytes)>;

/// SplitMix64: small, seeded, the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// One step of a case, before it is laid out over partitions.
enum Step {
    Taps { append_ms: i64, spool: Option<SpoolPosition>, taps: Vec<Tap> },
    Settings { append_ms: i64, change: SettingsChange },
    Tick { append_ms: i64, who: u64 },
}

#[derive(Clone)]
struct Tap {
    channel: ChannelName,
    emote: EmoteId,
    id: ReactionId,
    id_from_client: bool,
    user: String,
    received_ms: i64,
    tapped_ms: Option<i64>,
    media_time_ms: Option<u64>,
}

/// A case: its steps, to be laid out over any number of partitions.
pub(crate) struct Case {
    steps: Vec<Step>,
    /// Whether what comes from spools has a place for each reaction instead of one for the record.
    placed: bool,
    end_ms: i64,
}

pub(crate) const EMOTES: [&str; 5] = ["🔥", "👏", "😂", ":goal:", ":a-flag:"];
const CHANNELS: [&str; 3] = ["main", "match-1", "b.2"];

impl Case {
    /// Makes a case. Clocks step back only where `steady` is false: a layout then changes event times.
    pub(crate) fn new(seed: u64, steady: bool, emotes: &Emotes) -> Self {
        let mut dice = Dice(seed);
        let ids: Vec<EmoteId> = EMOTES
            .iter()
            .map(|text| emotes.register_custom(text).or_else(|_| emotes.resolve(text)).expect("valid"))
            .collect();
        let (mut now_ms, mut steps, mut offset) =
            (1_700_000_000_000 + dice.between(0, 10_000), Vec::new(), 0);
        let (users, crowd) = (1 + dice.below(600), 1 + dice.below(80));
        let mut taps_before: Vec<Tap> = Vec::new();
        for version in 1..=60 {
            now_ms += match dice.below(40) {
                0 => 3_600_000 + dice.between(0, 3_000),
                1 => dice.between(120_000, 260_000),
                2..=5 => dice.between(1_000, 6_000),
                6..=12 => 0,
                _ => dice.between(1, 400),
            };
            let back_ms = if !steady && dice.one_in(10) { dice.between(1, 3_000) } else { 0 };
            let append_ms = now_ms - back_ms;
            match dice.below(12) {
                0 => steps.push(Step::Tick { append_ms, who: dice.next() }),
                1 => steps.push(Step::Settings { append_ms, change: change(&mut dice, version) }),
                2 if !steps.is_empty() => {
                    let index = dice.below(steps.len() as u64) as usize;
                    if let Step::Taps { spool, taps, .. } = &steps[index] {
                        let again = Step::Taps { append_ms, spool: *spool, taps: taps.clone() };
                        steps.push(again);
                    }
                }
                _ => {
                    let taps: Vec<Tap> = (0..1 + dice.below(crowd))
                        .map(|_| tap(&mut dice, append_ms, users, &ids, &taps_before))
                        .collect();
                    taps_before.extend(taps.iter().filter(|tap| tap.id_from_client).cloned());
                    offset += 1;
                    let spool =
                        dice.one_in(3).then_some(SpoolPosition { spool: [offset as u8 % 2; 16], offset });
                    steps.push(Step::Taps { append_ms, spool, taps });
                }
            }
        }
        Self { steps, placed: seed % 3 == 1, end_ms: now_ms + 20_000 }
    }

    /// The log of the case in so many partitions. The same reaction has the same append time in each layout.
    pub(crate) fn log(&self, partitions: usize, emotes: &Emotes) -> Log {
        let mut log = Log::new();
        for step in &self.steps {
            match step {
                Step::Tick { append_ms, who } => {
                    let some = (0..partitions).filter(|partition| who >> (partition % 64) & 1 == 1);
                    log.extend(some.map(|partition| (partition, *append_ms, encode_tick())));
                }
                Step::Settings { append_ms, change } => {
                    let home = home_partition(&change.channel, partitions as u32) as usize;
                    log.push((home, *append_ms, change.encode()));
                }
                Step::Taps { append_ms, spool, taps } => {
                    let mut batches: Vec<BatchBuilder> =
                        (0..partitions).map(|_| BatchBuilder::new()).collect();
                    for (index, tap) in taps.iter().enumerate() {
                        let partition = tap.id.partition(&tap.channel, partitions as u32) as usize;
                        match spool.filter(|_| self.placed) {
                            None => batches[partition].push(&tap.channel, &tap.reaction()),
                            Some(from) => {
                                let place = from.offset * 1_000 + index as u64;
                                batches[partition].push_at(&tap.channel, &tap.reaction(), place);
                            }
                        }
                    }
                    for (partition, batch) in
                        batches.iter_mut().enumerate().filter(|(_, batch)| !batch.is_empty())
                    {
                        let record = match spool.filter(|_| self.placed) {
                            None => batch.finish(*spool, emotes),
                            Some(from) => batch.finish_placed(from.spool, emotes),
                        };
                        log.push((partition, *append_ms, record));
                    }
                }
            }
        }
        log.extend((0..partitions).map(|partition| (partition, self.end_ms, encode_tick())));
        log
    }
}

impl Tap {
    fn reaction(&self) -> NewReaction<'_> {
        NewReaction {
            emote: self.emote,
            id: self.id,
            id_from_client: self.id_from_client,
            user: &self.user,
            received_ms: self.received_ms,
            tapped_ms: self.tapped_ms,
            media_time_ms: self.media_time_ms,
        }
    }
}

fn tap(dice: &mut Dice, append_ms: i64, users: u64, emotes: &[EmoteId], before: &[Tap]) -> Tap {
    if !before.is_empty() && dice.one_in(8) {
        let again = before[dice.below(before.len() as u64) as usize].clone();
        let channel = if dice.one_in(10) { name(CHANNELS[0]) } else { again.channel.clone() };
        return Tap { received_ms: append_ms - dice.between(0, 50), channel, ..again };
    }
    let waited_ms = match dice.below(10) {
        0 => dice.between(400, 600),
        1 => dice.between(1_000, 300_000),
        _ => dice.between(0, 80),
    };
    let received_ms = append_ms - waited_ms;
    let id_ms =
        received_ms + if dice.one_in(6) { dice.between(-120_000, 5_000) } else { dice.between(-200, 0) };
    let mut random = [0; 10];
    random.iter_mut().for_each(|byte| *byte = dice.next() as u8);
    let favourite = dice.below(emotes.len() as u64).min(dice.below(emotes.len() as u64));
    Tap {
        channel: name(CHANNELS[dice.below(3).min(dice.below(3)) as usize]),
        emote: emotes[favourite as usize],
        id: ReactionId::from_parts(id_ms, random),
        id_from_client: dice.one_in(2),
        user: if dice.one_in(5) { String::new() } else { format!("user-{}", dice.below(users)) },
        received_ms,
        tapped_ms: (!dice.one_in(3)).then(|| received_ms + dice.between(-3_000, 800)),
        media_time_ms: dice.one_in(2).then(|| dice.below(5_400_000)),
    }
}

fn change(dice: &mut Dice, version: u64) -> SettingsChange {
    let settings = settings(dice, version);
    SettingsChange { channel: name(CHANNELS[dice.below(3) as usize]), settings }
}

/// Settings with any kind of rule.
pub(crate) fn settings(dice: &mut Dice, version: u64) -> ChannelSettings {
    let threshold = [0.2, 0.5, 0.34, 1.0, 3.0, 12.5][dice.below(6) as usize];
    let interval = [1, 7, 30, 100][dice.below(4) as usize];
    let allowed = dice
        .one_in(2)
        .then(|| EMOTES.iter().filter(|_| dice.one_in(2)).map(|text| (*text).to_owned()).collect());
    let rule = match dice.below(2) {
        0 => MomentRule::Plain(PlainRule { threshold, interval }),
        _ => MomentRule::Full(full(dice)),
    };
    ChannelSettings { version, rule, allowed_emotes: allowed }
}

/// A full rule that finds something in the few windows of a case. No number is one that levels meet exactly.
fn full(dice: &mut Dice) -> FullRule {
    let fast_ms = [700, 2_000, 9_000][dice.below(3) as usize];
    FullRule {
        preset: None,
        floor: [1, 3][dice.below(2) as usize],
        significance: [1.0, 1.234_5][dice.below(2) as usize],
        factor: [1.012_3, 1.567_8][dice.below(2) as usize],
        reactors: [1, 2, 5][dice.below(3) as usize],
        fast_ms,
        slow_ms: fast_ms * [2, 7][dice.below(2) as usize],
        cooldown_ms: [0, 300, 5_000, 4_000_000][dice.below(4) as usize],
        together_ms: [0, 3_000][dice.below(2) as usize],
    }
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("valid")
}
