//! A naive aggregation: sort and group. It shares the log's records with the real one, and no line of its code.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use emostream_protocol::{
    ChannelName, EmoteId, Emotes, ReactionId,
    record::{LogRecord, SettingsChange, decode},
    row::{EmoteCount, MomentRow, Row, RuleName, SettingsRow, WindowRow},
    settings::{ChannelSettings, FullRule, MomentRule, PlainRule},
};

use crate::{cases::Log, full_reference};

/// Window, lateness and horizon in ms, and the number of partitions.
pub(crate) type Stream = (i64, i64, i64, usize);

/// A reaction that counts.
struct Event {
    at: i64,
    emote: EmoteId,
    name: String,
    late: bool,
    unverified: bool,
    user: Vec<u8>,
    media: Option<u64>,
}

type Channel = (Vec<Event>, Vec<(i64, SettingsChange)>);
type Channels = BTreeMap<String, Channel>;

/// All final rows of a log, by channel and in order.
pub(crate) fn rows(stream: Stream, log: &Log, emotes: &Emotes) -> BTreeMap<String, Vec<Row>> {
    let mut channels = Channels::new();
    let through =
        (0..stream.3).map(|partition| read(stream, partition, log, emotes, &mut channels)).min().unwrap_or(0);
    channels.values_mut().for_each(|(events, _)| events.sort_by_key(|event| event.at));
    let rows = |name: String| (name.clone(), rows_of(stream.0, &name, &channels[&name], through));
    channels.keys().cloned().map(rows).collect()
}

fn floor(at: i64, step: i64) -> i64 {
    at.div_euclid(step) * step
}

/// Collects what a partition counts, and says through which instant it has closed.
fn read(stream: Stream, partition: usize, log: &Log, emotes: &Emotes, to: &mut Channels) -> i64 {
    let (window, lateness, horizon, _) = stream;
    let mut now = i64::MIN / 2;
    let mut seen: HashMap<(String, ReactionId), Vec<i64>> = HashMap::new();
    let mut spools: HashMap<[u8; 16], u64> = HashMap::new();
    for (_, append, bytes) in log.iter().filter(|record| record.0 == partition) {
        now = now.max(*append);
        let batch = match decode(bytes, emotes).expect("valid") {
            LogRecord::Tick => continue,
            LogRecord::Settings(change) => {
                let from = floor(now - lateness, window);
                let changes = &mut to.entry(change.channel.to_string()).or_default().1;
                if changes.last().is_none_or(|(_, newest)| newest.settings != change.settings) {
                    changes.push((from, change));
                }
                continue;
            }
            LogRecord::Reactions(batch) => batch,
        };
        let spool = batch.spool.map(|at| (at.spool, at.offset));
        let mut repeated = spool.is_some_and(|(id, offset)| spools.get(&id) >= Some(&offset));
        spools.extend(spool.filter(|_| !repeated));
        for reaction in batch.iter().map(|reaction| reaction.expect("valid")) {
            if let Some(place) = batch.placed.zip(reaction.place) {
                repeated = spools.get(&place.0) >= Some(&place.1);
                spools.extend(Some(place).filter(|_| !repeated));
            }
            let channel = batch.channels[reaction.channel].to_owned();
            let mut known = false;
            if reaction.id_from_client {
                let appends = seen.entry((channel.clone(), reaction.id)).or_default();
                known = appends.iter().any(|earlier| now - earlier <= horizon);
                appends.push(*append);
            }
            if known || repeated {
                continue;
            }
            let anonymous = reaction.user.is_empty();
            to.entry(channel).or_default().0.push(Event {
                at: reaction.tapped_ms.max(now - lateness).min(now),
                emote: reaction.emote,
                name: emotes.name(reaction.emote).to_string(),
                late: reaction.received_ms + lateness < now,
                unverified: reaction.id_from_client && now > reaction.id.unix_ms() - 5_000 + horizon,
                user: if anonymous { reaction.id.as_bytes().to_vec() } else { reaction.user.to_vec() },
                media: reaction.media_time_ms,
            });
        }
    }
    floor(now - lateness, window)
}

fn rows_of(window_ms: i64, name: &str, (all, changes): &Channel, through: i64) -> Vec<Row> {
    let ends = all.iter().map(|event| floor(event.at, window_ms) + window_ms);
    let instants: BTreeSet<i64> = ends.chain(changes.iter().map(|change| change.0)).collect();
    let between = |from: i64, to: i64| all.iter().filter(|e| (from..to).contains(&e.at)).collect::<Vec<_>>();
    let mut rows = Vec::new();
    let mut settings = ChannelSettings::default();
    let mut interval: Vec<&Event> = Vec::new();
    let mut full = full_reference::Channel::default();
    for end in instants.into_iter().filter(|instant| *instant <= through) {
        let (start, events) = (end - window_ms, between(end - window_ms, end));
        let (threshold, every) = match &settings.rule {
            MomentRule::Plain(PlainRule { threshold, interval }) => (*threshold, *interval),
            MomentRule::Full(_) => (f64::INFINITY, u32::MAX),
        };
        let judge = |judged: &[&Event], touched: &[&Event], span: (i64, i64), unit: f64| {
            moments((&settings, threshold, name), (judged, touched), (span, unit))
        };
        for bin in (start..end).step_by(100).filter(|_| threshold < 1.0) {
            let new: Vec<_> = events.iter().copied().filter(|e| floor(e.at, 100) == bin && !e.late).collect();
            interval.extend(&new);
            if !new.is_empty() && interval.len() >= every as usize {
                let first = floor(interval[0].at, 100);
                let touched = between(floor(first, window_ms), end);
                let found = judge(&interval, &touched, (first, bin + 100), interval.len() as f64);
                found.into_iter().for_each(|moment| push(&mut rows, bin + 100, moment));
                interval.clear();
            }
        }
        if !events.is_empty() {
            push(&mut rows, end, window(name, (start, end), &events));
        }
        if let (MomentRule::Full(rule), false) = (&settings.rule, events.is_empty()) {
            let found = full_moments((&settings, rule, name), &mut full, &events, (start, end));
            found.into_iter().for_each(|moment| push(&mut rows, end, moment));
        } else if threshold >= 1.0 {
            let judged: Vec<_> = events.iter().copied().filter(|event| !event.late).collect();
            let found = judge(&judged, &events, (start, end), 1.0);
            found.into_iter().for_each(|moment| push(&mut rows, end, moment));
        }
        for (_, change) in changes.iter().filter(|change| change.0 == end) {
            settings = change.settings.clone();
            interval.retain(|_| matches!(settings.rule, MomentRule::Plain(rule) if rule.threshold < 1.0));
            if !matches!(settings.rule, MomentRule::Full(_)) {
                full = full_reference::Channel::default();
            }
            push(&mut rows, end, Row::Settings(SettingsRow { seq: 0, change: change.clone() }));
        }
    }
    rows
}

fn by_name<'a>(events: &[&'a Event]) -> BTreeMap<&'a str, Vec<&'a Event>> {
    let mut groups: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    events.iter().for_each(|event| groups.entry(&event.name).or_default().push(event));
    groups
}

fn users(events: &[&Event]) -> u64 {
    events.iter().map(|event| &event.user).collect::<HashSet<_>>().len() as u64
}

fn window(name: &str, (start, end): (i64, i64), events: &[&Event]) -> Row {
    let counts = by_name(events).into_values().map(|of| EmoteCount {
        emote: of[0].emote,
        count: of.len() as u64,
        late: of.iter().filter(|event| event.late).count() as u64,
        reactors: users(&of),
    });
    Row::Window(WindowRow {
        channel: ChannelName::new(name).expect("valid"),
        seq: 0,
        window_start_ms: start,
        window_ms: (end - start) as u32,
        emotes: counts.collect(),
        reactors: users(events),
        unverified: events.iter().filter(|event| event.unverified).count() as u64,
    })
}

fn moments(
    (settings, threshold, name): (&ChannelSettings, f64, &str),
    (judged, touched): (&[&Event], &[&Event]),
    (span, unit): ((i64, i64), f64),
) -> Vec<Row> {
    let allowed =
        |text: &str| settings.allowed_emotes.as_ref().is_none_or(|list| list.contains(&text.into()));
    let mut found = Vec::new();
    for (text, of) in by_name(judged) {
        let value = of.len() as f64 / unit;
        if value > threshold && allowed(text) {
            let touched = by_name(touched).remove(text).unwrap_or_default();
            let media: Vec<u64> = touched.iter().filter_map(|event| event.media).collect();
            found.push(MomentRow {
                channel: ChannelName::new(name).expect("valid"),
                seq: 0,
                emote: of[0].emote,
                window_start_ms: span.0,
                window_ms: (span.1 - span.0) as u32,
                count: of.len() as u64,
                strength: value / threshold,
                reactors: users(&touched),
                rule: if threshold < 1.0 { RuleName::PlainShare } else { RuleName::PlainCount },
                rule_version: settings.version,
                media_time_ms: media.iter().sum::<u64>().checked_div(media.len() as u64),
            });
        }
    }
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    found.into_iter().map(Row::Moment).collect()
}

fn full_moments(
    (settings, rule, name): (&ChannelSettings, &FullRule, &str),
    full: &mut full_reference::Channel,
    events: &[&Event],
    span: (i64, i64),
) -> Vec<Row> {
    let groups = by_name(events);
    let on_time = |of: &[&Event]| of.iter().filter(|event| !event.late).count() as u64;
    let counts = groups.iter().map(|(text, of)| ((*text).to_owned(), (on_time(of), users(of))));
    let allowed =
        |text: &str| settings.allowed_emotes.as_ref().is_none_or(|list| list.contains(&text.into()));
    let counts = counts.filter(|(_, (count, _))| *count > 0).collect();
    let found = full.judge(rule, &allowed, span, &counts);
    let row = |(text, z): (String, f64)| {
        let of = &groups[text.as_str()];
        let media: Vec<u64> = of.iter().filter_map(|event| event.media).collect();
        Row::Moment(MomentRow {
            channel: ChannelName::new(name).expect("valid"),
            seq: 0,
            emote: of[0].emote,
            window_start_ms: span.0,
            window_ms: (span.1 - span.0) as u32,
            count: on_time(of),
            strength: z,
            reactors: users(of),
            rule: RuleName::Full,
            rule_version: settings.version,
            media_time_ms: media.iter().sum::<u64>().checked_div(media.len() as u64),
        })
    };
    found.into_iter().map(row).collect()
}

fn push(rows: &mut Vec<Row>, at: i64, mut row: Row) {
    let next = rows.last().map_or(1, |row| row.seq() + 1).max(at.max(0) as u64 * 256);
    match &mut row {
        Row::Window(row) => row.seq = next,
        Row::Moment(row) => row.seq = next,
        Row::Settings(row) => row.seq = next,
    }
    rows.push(row);
}
