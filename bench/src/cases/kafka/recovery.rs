//! How long windows stand still after a fault, with reactions coming all the while.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use emostream_log::{Clock, SystemClock};
use serde_json::{Value, json};

use super::{super::Bench, node};
use crate::{
    load::http,
    measure::{broker::Broker, process::Server},
    report::{Figure, Row, Series},
    say,
};

const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// Other nodes learn of a death when a session has timed out; a window and its lateness pass in any case.
const SECONDS_MAX: f64 = 6.0 + 2.5 + 3.0;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let faults: [(&str, Fault); 3] = [
        ("a node that counts and merges stops gracefully", |fleet| fleet.end(false)),
        ("a node that counts and merges is killed", |fleet| fleet.end(true)),
        ("a node that counts and merges is killed and started again", |fleet| {
            fleet.end(true)?;
            fleet.begin()
        }),
    ];
    let mut series = Vec::new();
    for (what, fault) in faults {
        let mut seconds = Vec::new();
        for _ in 0..bench.rounds(ROUNDS) {
            seconds.push(measure(bench, fault)?);
        }
        say(&format!("  {what}: {seconds:.1?} s"));
        series.push(Series::new(what, "s", seconds));
    }
    let worst = series.iter().map(|series| series.median).fold(0.0, f64::max);
    Ok(vec![Row {
        what: "windows after a fault, two nodes that count and merge".to_owned(),
        against: "a session time-out of 6 s, a window of 2 s and its lateness".to_owned(),
        aim: format!("≤ {SECONDS_MAX} s"),
        result: Figure::of(worst, "s"),
        met: Some(worst <= SECONDS_MAX),
        series,
        notes: vec![
            "From the fault until every channel has a final window that began after it: a window and its lateness \
             (2.5 s, up to 4.5 s after an instant within a window) pass without any fault as well. Eight channels, so \
             that all output partitions have some."
                .to_owned(),
        ],
    }])
}

/// What befalls a fleet.
type Fault = fn(&mut Fleet) -> Result<()>;

struct Fleet<'a> {
    bench: &'a Bench,
    broker: &'a Broker,
    counting: Vec<Option<Server>>,
}

impl Fleet<'_> {
    fn end(&mut self, killed: bool) -> Result<()> {
        let server = self.counting[0].take().context("the first node runs")?;
        if killed {
            drop(server);
            return Ok(());
        }
        let pid = i32::try_from(server.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.context("a process id")?, rustix::process::Signal::TERM)?;
        let began = Instant::now();
        while !server.has_ended()? {
            ensure!(began.elapsed() < PATIENCE, "a node does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        self.counting[0] = Some(counting(self.bench, self.broker, 0)?);
        Ok(())
    }
}

fn counting(bench: &Bench, broker: &Broker, number: usize) -> Result<Server> {
    let name = format!("node_name=counting-{number}");
    node(bench, broker, &format!("counting-{number}"), &["roles=[\"aggregate\"]", &name])
}

fn measure(bench: &Bench, fault: Fault) -> Result<f64> {
    let broker = Broker::start(&bench.scratch, bench.cores)?;
    let names: Vec<_> = (0..8).map(|number| format!("c{number}")).collect();
    let channels: Vec<_> = names.iter().map(|name| format!("{{name=\"{name}\"}}")).collect();
    let channels = format!("channels=[{}]", channels.join(","));
    let front = node(bench, &broker, "front", &["roles=[\"ingest\",\"edge\"]", &channels])?;
    let counting = vec![Some(counting(bench, &broker, 0)?), Some(counting(bench, &broker, 1)?)];
    let mut fleet = Fleet { bench, broker: &broker, counting };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let tapping = scope.spawn(|| tap(&front, &names, &ended));
        let measured = (|| {
            wait_for_windows(&front, &names, SystemClock.now_ms())?;
            // Until both have what the groups give them.
            std::thread::sleep(Duration::from_secs(4));
            let at_ms = SystemClock.now_ms();
            let began = Instant::now();
            fault(&mut fleet)?;
            wait_for_windows(&front, &names, at_ms)?;
            Ok(began.elapsed().as_secs_f64())
        })();
        ended.store(true, Ordering::Relaxed);
        tapping.join().expect("taps do not panic")?;
        measured
    })
}

fn tap(front: &Server, names: &[String], ended: &AtomicBool) -> Result<()> {
    let body = json!([{"emote": "🔥"}, {"emote": "👏"}]).to_string();
    while !ended.load(Ordering::Relaxed) {
        for name in names {
            http::post(front.address, &format!("/v1/channels/{name}/reactions"), &body)?;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Waits until every channel has a final window that begins after an instant.
fn wait_for_windows(front: &Server, names: &[String], at_ms: i64) -> Result<()> {
    let began = Instant::now();
    for name in names {
        loop {
            let from = emostream_protocol::time::format_ms(at_ms);
            let page = http::get(front.address, &format!("/v1/channels/{name}/windows?from={from}&limit=1"))?;
            let page: Value = serde_json::from_str(&page).context("read a page of windows")?;
            if page["items"].as_array().is_some_and(|items| !items.is_empty()) {
                break;
            }
            ensure!(began.elapsed() < PATIENCE, "no window of {name} after the fault: {page}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}
