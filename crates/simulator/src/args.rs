//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use crate::scenario::{CLIENTS_MAX, MESSAGES_MAX};

/// Play an audience against a server, or load it and measure.
///
/// Without a subcommand, SCENARIO is played: a crowd that reacts as its phases say, or clients that send as fast as they
/// are answered. `--list` shows the scenarios that are part of the program, those of the source systems among them; a
/// path plays a file of your own (format: scenarios/README.md).
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:\n  simulate match\n  simulate emote-bursts --duration 60s --seed 7\n  \
    simulate match --audience 0.2 --speed 2\n  simulate goal --check\n  \
    simulate emoji-api --clients 10 --messages 1000\n  simulate socket-clusters\n  \
    simulate concurrent-broadcast --clients 200 --watch\n  simulate load --rate 5000 --connections 64 --duration 30s --viewers 100\n  \
    simulate cluster-client --name ada --password secret12 --register 1 --url http://127.0.0.1:3000\n  \
    simulate broadcast-client --url http://127.0.0.1:5011")]
pub struct SimulateArgs {
    /// Load at a fixed rate instead, with exact latencies
    #[command(subcommand)]
    pub command: Option<SimulateCommand>,

    /// Name of a scenario (see --list), or path of a scenario file
    #[arg(required_unless_present = "list")]
    pub scenario: Option<String>,

    /// List the scenarios that are part of the program, and end
    #[arg(long)]
    pub list: bool,

    /// How much faster than real time the scenario is played
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = factor)]
    pub speed: f64,

    /// Size of the audience, relative to the scenario's
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = factor)]
    pub audience: f64,

    /// End after this time, such as 90s, 5m or 1h; default: the scenario's own end, if it has one
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    /// Connections that share the audience's reactions
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=20_000))]
    pub connections: u16,

    /// Clients that send side by side, each over a connection of its own; for scenarios with [clients], such as emoji-api
    #[arg(long, env = "NUM_CLIENTS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CLIENTS_MAX)))]
    pub clients: Option<u32>,

    /// Messages of each client; for scenarios with [clients]
    #[arg(long, env = "EMOJIS_PER_CLIENT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_MAX)))]
    pub messages: Option<u32>,

    /// Compare with what the scenario expects afterwards: windows add up, moments were found; the channel must have no other
    /// audience meanwhile
    #[arg(long)]
    pub check: bool,

    /// Watch the results as well: for each final window a line `EMOTE COUNT SHOWN` an emote
    #[arg(long)]
    pub watch: bool,

    /// Where, how, and by which seed
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What `simulate` does besides playing a scenario.
#[derive(Debug, Clone, Subcommand)]
pub enum SimulateCommand {
    /// Send at a fixed rate and measure latency from the time each reaction was due
    Load(LoadArgs),
    /// Watch as a client of the concurrent-broadcast system: register with a subscriber, wait for room, show what it sends
    BroadcastClient(BroadcastArgs),
    /// Watch as a client of the socket-clusters system: log in, follow to the cluster, show what it sends
    ClusterClient(ClusterArgs),
}

/// A client of system D. Each line is `EMOTE COUNT SHOWN`; Ctrl-C gives its place up.
#[derive(Debug, Clone, Args)]
pub struct BroadcastArgs {
    /// What the client calls itself; default: by chance
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,

    /// Be called on this port of this machine, instead of reading; 0 is any free one
    #[arg(long, env = "PORT", value_name = "PORT")]
    pub port: Option<u16>,

    /// Send this emoji as well
    #[arg(long, value_name = "EMOJI")]
    pub emoji: Option<String>,

    /// Time between two of them
    #[arg(long, default_value = "500ms", value_name = "TIME", value_parser = pause)]
    pub pause: Duration,

    /// Where the subscriber is
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A client of system B. Each line is `EMOTE COUNT SHOWN`.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// Name of the account
    #[arg(long)]
    pub name: String,

    /// Its password
    #[arg(long)]
    pub password: String,

    /// Make the account first, of this tier, unless it is there
    #[arg(long, value_name = "TIER")]
    pub register: Option<u8>,

    /// Which device of the account it is; default: by chance
    #[arg(long, value_name = "ID")]
    pub device_id: Option<String>,

    /// End this device of the account and take its place, where no more may be connected
    #[arg(long, value_name = "ID")]
    pub end_device_id: Option<String>,

    /// Send this emoji as well
    #[arg(long, value_name = "EMOJI")]
    pub emoji: Option<String>,

    /// Time between two of them
    #[arg(long, default_value = "500ms", value_name = "TIME", value_parser = pause)]
    pub pause: Duration,

    /// Where one logs in
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A load test.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Reactions per second
    #[arg(long, default_value_t = 1_000.0, value_name = "R", value_parser = rate)]
    pub rate: f64,

    /// Connections that send
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=20_000))]
    pub connections: u16,

    /// Length of the test, such as 30s or 5m
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub duration: Duration,

    /// Reactions in one request
    #[arg(long, default_value_t = 1, value_name = "B", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub batch: u16,

    /// Send the next request when the last is answered, instead of at a rate: measures throughput, not latency
    #[arg(long)]
    pub closed_loop: bool,

    /// Viewers that read the stream meanwhile, check its order, and measure the time from tap to screen
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub viewers: u32,

    /// Viewers that connect and never read
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub silent_viewers: u32,

    /// The emote by which a tap is recognised on the screen: one that nobody else sends
    #[arg(long, default_value = "🧭", value_name = "EMOTE")]
    pub probe_emote: String,

    /// Write the results to this file as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Where, how, and by which seed
    #[command(flatten)]
    pub server: ServerArgs,
}

/// The server, and how it is reached.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "EMOSTREAM_URL")]
    pub url: String,

    /// The channel
    #[arg(long, default_value = "main")]
    pub channel: String,

    /// How reactions are sent
    #[arg(long, value_enum, default_value_t = Transport::Http)]
    pub transport: Transport,

    /// The same seed gives the same reactions; default: by chance, and shown
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// How long to wait for the server to be there, such as 10s
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub wait: Duration,
}

/// How reactions are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Requests over kept-alive connections
    Http,
    /// Viewer frames over WebSockets; to the server a connection is one person, so use many
    Ws,
}

impl Transport {
    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Ws => "ws",
        }
    }
}

fn factor(text: &str) -> Result<f64, String> {
    bounded(text, 0.001, 1_000.0)
}

fn rate(text: &str) -> Result<f64, String> {
    bounded(text, 0.1, 10_000_000.0)
}

fn bounded(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from {least} to {most}")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let (number, seconds) = UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        .unwrap_or((text, 1.0));
    match number.trim().parse::<f64>() {
        Ok(number) if (0.0..=1e7).contains(&number) => Ok(Duration::from_secs_f64(number * seconds)),
        _ => Err("expected a time such as 500ms, 30s, 5m or 1h".to_owned()),
    }
}

/// A pause of nothing would be a loop without end.
fn pause(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|pause| match pause >= Duration::from_millis(1) {
        true => Ok(pause),
        false => Err("expected a time of 1 ms or more".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::{SimulateArgs, SimulateCommand, duration};

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        simulate: SimulateArgs,
    }

    fn parse(line: &str) -> Result<SimulateArgs, String> {
        let words = std::iter::once("simulate").chain(line.split_whitespace());
        Program::try_parse_from(words).map(|program| program.simulate).map_err(|error| error.to_string())
    }

    #[test]
    fn a_scenario_a_list_or_a_load_test() {
        let args = parse("match --seed 7 --speed 2 --duration 90s --transport ws").unwrap();
        assert_eq!((args.scenario.as_deref(), args.server.seed), (Some("match"), Some(7)));
        assert!(parse("--list").unwrap().list);
        let Some(SimulateCommand::Load(load)) = parse("load --rate 5000 --batch 10").unwrap().command else {
            panic!("expected load")
        };
        assert_eq!((load.batch, load.duration), (10, Duration::from_secs(10)));
        assert!(parse("").unwrap_err().contains("SCENARIO"));
        for bad in ["match --speed 0", "match --connections 0", "load --batch 1001", "load --rate no"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("2", 2_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert!(duration("soon").is_err() && duration("-1s").is_err());
    }
}
