//! A naive aggregation: sort and group. It shares the log's records with the real one, and no line of its code.

use std::collections::{BTreeMap, HashMap, HashSet};

use emostream_protocol::{
    EmoteId, Emotes, ReactionId,
    record::{LogRecord, SettingsChange, decode},
    row::{EmoteCount, MomentRow, Row, RuleName, SettingsRow, WindowRow},
    settings::{ChannelSettings, MomentRule},
};

/// The parameters of the stream, all in ms.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) window_ms: i64,
    pub(crate) lateness_ms: i64,
    pub(crate) horizon_ms: i64,
    pub(crate) partitions: usize,
}

/// A reaction that counts.
struct Event {
    event_ms: i64,
    emote: EmoteId,
    late: bool,
    unverified: bool,
    user: Vec<u8>,
    media: Option<u64>,
}

#[derive(Default)]
struct Channel {
    events: Vec<Event>,
    changes: Vec<(i64, SettingsChange)>,
}

/// All final rows of a log, by channel in order. A log is a list of partition, append time and record.
pub(crate) fn rows(
    stream: Stream,
    log: &[(usize, i64, bytes::Bytes)],
    emotes: &Emotes,
) -> BTreeMap<String, Vec<Row>> {
    let mut channels: BTreeMap<String, Channel> = BTreeMap::new();
    let mut through_ms = i64::MAX;
    for partition in 0..stream.partitions {
        let records = log.iter().filter(|record| record.0 == partition);
        through_ms = through_ms.min(read_partition(stream, records, emotes, &mut channels));
    }
    channels
        .iter_mut()
        .map(|(name, channel)| (name.clone(), channel.rows(stream, name, through_ms, emotes)))
        .collect()
}

fn floor(ms: i64, step: i64) -> i64 {
    ms.div_euclid(step) * step
}

fn read_partition<'a>(
    stream: Stream,
    records: impl Iterator<Item = &'a (usize, i64, bytes::Bytes)>,
    emotes: &Emotes,
    channels: &mut BTreeMap<String, Channel>,
) -> i64 {
    let mut now_ms = i64::MIN;
    let mut seen: HashMap<(String, ReactionId), Vec<i64>> = HashMap::new();
    let mut spools: HashMap<[u8; 16], u64> = HashMap::new();
    for (_, append_ms, bytes) in records {
        now_ms = now_ms.max(*append_ms);
        let batch = match decode(bytes, emotes).expect("the test writes valid records") {
            LogRecord::Tick => continue,
            LogRecord::Settings(change) => {
                let from_ms = floor(now_ms - stream.lateness_ms, stream.window_ms);
                channels.entry(change.channel.to_string()).or_default().changes.push((from_ms, change));
                continue;
            }
            LogRecord::Reactions(batch) => batch,
        };
        let repeated =
            batch.spool.is_some_and(|at| spools.get(&at.spool).is_some_and(|highest| at.offset <= *highest));
        if let Some(at) = batch.spool.filter(|_| !repeated) {
            spools.insert(at.spool, at.offset);
        }
        for reaction in batch.iter().map(|reaction| reaction.expect("valid")) {
            let channel = batch.channels[reaction.channel].to_owned();
            if reaction.id_from_client {
                let appends = seen.entry((channel.clone(), reaction.id)).or_default();
                let known = appends.iter().any(|earlier| now_ms - earlier <= stream.horizon_ms);
                appends.push(*append_ms);
                if known {
                    continue;
                }
            }
            if repeated {
                continue;
            }
            let unknown = reaction.user.is_empty();
            channels.entry(channel).or_default().events.push(Event {
                event_ms: reaction.tapped_ms.max(now_ms - stream.lateness_ms).min(now_ms),
                emote: reaction.emote,
                late: reaction.received_ms + stream.lateness_ms < now_ms,
                unverified: reaction.id_from_client
                    && now_ms > reaction.id.unix_ms() - 5_000 + stream.horizon_ms,
                user: if unknown { reaction.id.as_bytes().to_vec() } else { reaction.user.to_vec() },
                media: reaction.media_time_ms,
            });
        }
    }
    if now_ms == i64::MIN { i64::MIN } else { floor(now_ms - stream.lateness_ms, stream.window_ms) }
}

fn users<'a>(events: impl Iterator<Item = &'a Event>) -> u64 {
    events.map(|event| &event.user).collect::<HashSet<_>>().len() as u64
}

fn mean_media<'a>(events: impl Iterator<Item = &'a Event>) -> Option<u64> {
    let media: Vec<u64> = events.filter_map(|event| event.media).collect();
    media.iter().sum::<u64>().checked_div(media.len() as u64)
}

impl Channel {
    fn rows(&mut self, stream: Stream, name: &str, through_ms: i64, emotes: &Emotes) -> Vec<Row> {
        self.events.sort_by_key(|event| event.event_ms);
        let windows =
            self.events.iter().map(|event| floor(event.event_ms, stream.window_ms) + stream.window_ms);
        let mut instants: Vec<i64> = windows.chain(self.changes.iter().map(|change| change.0)).collect();
        instants.sort_unstable();
        instants.dedup();
        let mut rows: Vec<Row> = Vec::new();
        let mut settings = ChannelSettings::default();
        let mut interval: Vec<&Event> = Vec::new();
        for end_ms in instants.into_iter().filter(|instant| *instant <= through_ms) {
            let start_ms = end_ms - stream.window_ms;
            let events: Vec<&Event> =
                self.events.iter().filter(|event| (start_ms..end_ms).contains(&event.event_ms)).collect();
            let MomentRule::Plain(rule) = &settings.rule;
            if rule.threshold < 1.0 {
                let mut bins: BTreeMap<i64, Vec<&Event>> = BTreeMap::new();
                events
                    .iter()
                    .filter(|e| !e.late)
                    .for_each(|e| bins.entry(floor(e.event_ms, 100)).or_default().push(e));
                for (bin_ms, reactions) in bins {
                    interval.extend(reactions);
                    if interval.len() >= rule.interval as usize {
                        let first_ms = floor(interval[0].event_ms, 100);
                        let touched = self.events.iter().filter(|event| {
                            event.event_ms >= floor(first_ms, stream.window_ms) && event.event_ms < end_ms
                        });
                        let touched: Vec<&Event> = touched.collect();
                        let all = interval.len() as f64;
                        let span = (first_ms, bin_ms + 100);
                        let value = |count: u64| count as f64 / all;
                        let found = moments(&settings, &interval, &touched, span, value, emotes, name);
                        found
                            .into_iter()
                            .for_each(|moment| push(&mut rows, bin_ms + 100, Row::Moment(moment)));
                        interval.clear();
                    }
                }
            }
            if !events.is_empty() {
                push(&mut rows, end_ms, window(name, (start_ms, end_ms), &events, emotes));
            }
            if rule.threshold >= 1.0 {
                let judged: Vec<&Event> = events.iter().filter(|event| !event.late).copied().collect();
                let value = |count: u64| count as f64;
                let found = moments(&settings, &judged, &events, (start_ms, end_ms), value, emotes, name);
                found.into_iter().for_each(|moment| push(&mut rows, end_ms, Row::Moment(moment)));
            }
            for (_, change) in self.changes.iter().filter(|change| change.0 == end_ms) {
                settings = change.settings.clone();
                let MomentRule::Plain(rule) = &settings.rule;
                if rule.threshold >= 1.0 {
                    interval.clear();
                }
                push(&mut rows, end_ms, Row::Settings(SettingsRow { seq: 0, change: change.clone() }));
            }
        }
        rows
    }
}

fn window(name: &str, span: (i64, i64), events: &[&Event], emotes: &Emotes) -> Row {
    let of = |emote: EmoteId| events.iter().copied().filter(move |event| event.emote == emote);
    let ids: BTreeMap<String, EmoteId> =
        events.iter().map(|e| (emotes.name(e.emote).to_string(), e.emote)).collect();
    let counts = ids.into_values().map(|emote| EmoteCount {
        emote,
        count: of(emote).count() as u64,
        late: of(emote).filter(|event| event.late).count() as u64,
        reactors: users(of(emote)),
    });
    Row::Window(WindowRow {
        channel: emostream_protocol::ChannelName::new(name).expect("valid"),
        seq: 0,
        window_start_ms: span.0,
        window_ms: (span.1 - span.0) as u32,
        emotes: counts.collect(),
        reactors: users(events.iter().copied()),
        unverified: events.iter().filter(|event| event.unverified).count() as u64,
    })
}

fn moments(
    settings: &ChannelSettings,
    judged: &[&Event],
    touched: &[&Event],
    span: (i64, i64),
    value: impl Fn(u64) -> f64,
    emotes: &Emotes,
    name: &str,
) -> Vec<MomentRow> {
    let MomentRule::Plain(rule) = &settings.rule;
    let ids: BTreeMap<String, EmoteId> =
        judged.iter().map(|e| (emotes.name(e.emote).to_string(), e.emote)).collect();
    let allowed =
        |text: &String| settings.allowed_emotes.as_ref().is_none_or(|allowed| allowed.contains(text));
    let mut found = Vec::new();
    for (_, emote) in ids.into_iter().filter(|(text, _)| allowed(text)) {
        let count = judged.iter().filter(|event| event.emote == emote).count() as u64;
        if value(count) > rule.threshold {
            let of = || touched.iter().copied().filter(|event| event.emote == emote);
            found.push(MomentRow {
                channel: emostream_protocol::ChannelName::new(name).expect("valid"),
                seq: 0,
                emote,
                window_start_ms: span.0,
                window_ms: (span.1 - span.0) as u32,
                count,
                strength: value(count) / rule.threshold,
                reactors: users(of()),
                rule: if rule.threshold < 1.0 { RuleName::PlainShare } else { RuleName::PlainCount },
                rule_version: settings.version,
                media_time_ms: mean_media(of()),
            });
        }
    }
    found.sort_by(|a, b| b.strength.partial_cmp(&a.strength).expect("finite"));
    found
}

fn push(rows: &mut Vec<Row>, at_ms: i64, mut row: Row) {
    let next = rows.last().map_or(1, |row| row.seq() + 1).max(at_ms.max(0) as u64 * 256);
    match &mut row {
        Row::Window(row) => row.seq = next,
        Row::Moment(row) => row.seq = next,
        Row::Settings(row) => row.seq = next,
    }
    rows.push(row);
}
