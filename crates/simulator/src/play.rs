//! Plays a scenario against a server.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail};

use crate::{
    args::{SimulateArgs, Transport},
    audience::{Audience, ClientTaps, Timeline},
    check::LiveCheck,
    clock::{Clock, ServerClock},
    console::{self, Console, Length},
    ready::wait_until_ready,
    report::{Latency, summary},
    run::{Outcome, Run, fail_if_nothing_was_accepted, shared},
    scenario::{Endpoint, Scenario},
    send::{BACKLOG_MAX, Shape, Source},
    target::Target,
    watch::Watch,
};

/// Reactions that one request of a scenario may carry when several are waiting.
const BATCH: usize = 32;

/// How long answers are waited for at the end.
const GRACE: Duration = Duration::from_secs(5);

/// The only channel that the source systems' endpoints know.
const COMPATIBLE_CHANNEL: &str = "main";

/// What is played, with what the arguments change of it.
struct Play<'a> {
    args: &'a SimulateArgs,
    scenario: Arc<Scenario>,
    seed: u64,
    target: Target,
    connections: usize,
}

/// Plays the scenario that the arguments name, until its end, its duration or a signal.
pub(crate) async fn play(args: &SimulateArgs, name: &str, clock: Arc<dyn Clock>) -> Result<()> {
    let play = Play::new(args, name)?;
    if play.scenario.needs_a_spool() {
        console::print(&format!(
            "{name} is not played: its reactions wait inside the server before they reach the log, which no client can \
             bring about. The tests read it."
        ));
        return Ok(());
    }
    let clock = ServerClock::new(clock);
    let mut console = Console::begin(&play.headline(), play.length());
    wait_until_ready(&play.target, &clock, args.server.wait).await?;
    let watch = match args.watch {
        true => Some(Watch::start(&play.target, console.printer()).await?),
        false => None,
    };
    let mut check = match args.check {
        true => Some(LiveCheck::begin(&play.target, &clock).await?),
        false => None,
    };

    let mut run = play.start(clock.clone());
    if let Some(check) = &mut check {
        check.started(clock.now_ms());
    }
    console.started();
    let phases = &play.scenario.phases;
    run.show_until_done(&mut console, |phase| {
        phases.get(phase).map_or_else(|| play.scenario.title.clone(), |phase| phase.name.clone())
    })
    .await;
    let outcome = run.finish(GRACE).await;
    if let Some(watch) = watch {
        watch.finish().await;
    }
    let title = format!("{} · seed {}", play.scenario.title, play.seed);
    console.end(&summary(&title, outcome.seconds, &outcome.counts, &Latency::of(&outcome.latency)));
    fail_if_nothing_was_accepted(&outcome.counts)?;
    match check {
        Some(check) => play.check(&check, &outcome).await,
        None => Ok(()),
    }
}

impl<'a> Play<'a> {
    fn new(args: &'a SimulateArgs, name: &str) -> Result<Self> {
        let mut scenario = Scenario::load(name)?;
        let mut connections = usize::from(args.connections);
        match &mut scenario.clients {
            Some(clients) => {
                clients.number = args.clients.unwrap_or(clients.number);
                clients.messages = args.messages.unwrap_or(clients.messages);
                connections = clients.number as usize;
            }
            None if args.clients.or(args.messages).is_some() => console::print(&format!(
                "note: the number of clients and of messages is for scenarios with [clients]; {name} has an audience, see \
                 --audience"
            )),
            None => {}
        }
        if scenario.endpoint != Endpoint::Reactions {
            if args.server.transport == Transport::Ws {
                bail!("--transport ws: {name} is sent over HTTP, to an endpoint of its own");
            }
            if args.server.channel != COMPATIBLE_CHANNEL {
                bail!("--channel {}: {name} is sent to channel {COMPATIBLE_CHANNEL}", args.server.channel);
            }
        }
        let seed = args.server.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let target = Target::parse(&args.server.url, &args.server.channel)?;
        Ok(Self { args, scenario: Arc::new(scenario), seed, target, connections })
    }

    fn headline(&self) -> String {
        let scenario = &self.scenario;
        let who = match &scenario.clients {
            Some(clients) => format!("{} clients, {} messages each", clients.number, clients.messages),
            None => format!("{} people", (f64::from(scenario.people) * self.args.audience).max(1.0) as u64),
        };
        let path = scenario.endpoint.path().map_or_else(String::new, |path| format!(" · POST {path}"));
        format!(
            "{} · seed {} · {who} · {}{path} · channel {} · {} connections over {}",
            scenario.title,
            self.seed,
            self.target.url(),
            self.target.channel(),
            self.connections,
            self.args.server.transport.as_str(),
        )
    }

    fn length(&self) -> Length {
        if let Some(clients) = &self.scenario.clients {
            return match self.args.duration {
                Some(duration) => Length::Time(duration),
                None => Length::Reactions(u64::from(clients.number) * u64::from(clients.messages)),
            };
        }
        let own =
            Timeline::new(&self.scenario, self.seed).length_s().map(|length_s| length_s / self.args.speed);
        let own = own.map(Duration::from_secs_f64);
        match (self.args.duration, own) {
            (Some(duration), Some(own)) => Length::Time(duration.min(own)),
            (Some(length), None) | (None, Some(length)) => Length::Time(length),
            (None, None) => Length::Endless,
        }
    }

    /// Opens the connections and begins to send.
    fn start(&self, clock: ServerClock) -> Run {
        let shape = Shape::new(self.scenario.endpoint, &self.target, self.seed);
        let (server, speed, duration) = (&self.args.server, self.args.speed, self.args.duration);
        if let Some(clients) = &self.scenario.clients {
            let pause = Duration::from_millis(u64::from(clients.pause_ms)).div_f64(speed);
            let source = Source::closed_by_lane(ClientTaps::of_all(clients, self.seed), pause);
            let mut run =
                Run::start(shared(self.target.clone(), shape, source, clock, 1), server, self.connections);
            if duration.is_some() {
                // The clients take their messages themselves: the pacing thread only waits for the end.
                run.pace(speed, duration, |lay_out| lay_out(&mut std::iter::empty()));
            }
            return run;
        }
        let source = Source::open(BACKLOG_MAX);
        let mut run =
            Run::start(shared(self.target.clone(), shape, source, clock, BATCH), server, self.connections);
        let (scenario, seed, audience) = (self.scenario.clone(), self.seed, self.args.audience);
        run.pace(speed, duration, move |lay_out| lay_out(&mut Audience::new(&scenario, seed, audience)));
        run
    }

    /// Compares with what the server shows; an error where it is not as expected.
    async fn check(&self, check: &LiveCheck, outcome: &Outcome) -> Result<()> {
        // The last tap is a little before the end of the last phase.
        let played_s = outcome.seconds * self.args.speed + 2.0;
        let expected = Timeline::new(&self.scenario, self.seed).expected(played_s);
        let result = check.finish(&expected, &outcome.counts, self.args.speed).await?;
        console::print(&result.lines.join("\n"));
        if !result.holds {
            bail!("what the server shows is not what {:?} expects", self.scenario.title);
        }
        Ok(())
    }
}
