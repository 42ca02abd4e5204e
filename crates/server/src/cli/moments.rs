//! `emostream moments try`: a moment rule on a recorded series of counts, to tune rules offline.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use emostream_protocol::{
    ChannelSettings, Emotes,
    settings::{MomentRule, RulePreset},
    time,
};
use serde_json::{Value, json};

use self::series::Series;
use super::{EXIT_OK, EXIT_USAGE, say, say_error};

mod series;

/// Largest rule file, in bytes.
const RULE_BYTES_MAX: u64 = 64 * 1024;

/// Arguments of `emostream moments`.
#[derive(Debug, Args)]
pub(super) struct MomentsArgs {
    #[command(subcommand)]
    command: MomentsCommand,
}

#[derive(Debug, Subcommand)]
enum MomentsCommand {
    /// Print the moments that a rule finds in a series, as JSON lines.
    #[command(after_help = AFTER_HELP)]
    Try(TryArgs),
}

#[derive(Debug, Args)]
struct TryArgs {
    /// The series, as CSV; - reads standard input.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// A preset (easy, normal, hard), or a file with a rule as JSON or TOML.
    #[arg(long, value_name = "PRESET|FILE", default_value = "normal")]
    rule: String,
}

const AFTER_HELP: &str = "\
The first line names the columns, in any order, separated by commas; one row is one bin of one emote.
  time      RFC 3339 (UTC where no zone is written), or Unix seconds (also with a fraction; milliseconds are recognised by their size)
  count     reactions in the bin that begins at that time
  emote     optional: which one; without it all rows are one series, \"all\"
  reactors  optional: different users; without it, or where it is empty, no number of users is asked for
Other columns are ignored. Rows may be in any order. Rows of the same bin and emote are added up; bins that are missing
are empty. The length of a bin is the most common distance of times, or what all distances are multiples of. Bins
shorter than half a second are added up to windows of at least a second. At most 40 million rows.

One line a moment, ascending by time: {\"window_start\",\"window_ms\",\"emote\",\"count\",\"strength\"}. The exit status is 0 where
the series could be read, 1 where it could not, 2 where the rule is wrong.

Without `reactors` nobody can tell a sudden flood by three people from a burst by many.";

/// Runs `emostream moments`.
pub(super) fn run(args: &MomentsArgs) -> anyhow::Result<u8> {
    let MomentsCommand::Try(args) = &args.command;
    let rule = match rule(&args.rule) {
        Ok(rule) => rule,
        Err(error) => {
            say_error(&format!("--rule {}: {error:#}", args.rule));
            return Ok(EXIT_USAGE);
        }
    };
    let series = read_series(&args.input)?;
    for moment in moments(&series, rule)? {
        say(&moment.to_string());
    }
    Ok(EXIT_OK)
}

/// Reads the series from a file or standard input, row by row.
fn read_series(path: &Path) -> anyhow::Result<Series> {
    let place = || path.display().to_string();
    if path == Path::new("-") {
        return Series::read(std::io::stdin().lock()).with_context(place);
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", place()))?;
    Series::read(file).with_context(place)
}

/// The rule of a preset's name or of a file, checked.
fn rule(argument: &str) -> anyhow::Result<MomentRule> {
    if let Some(rule) = MomentRule::preset(argument) {
        return Ok(rule);
    }
    let path = Path::new(argument);
    let presets = RulePreset::ALL.map(RulePreset::as_str).join(", ");
    let file = std::fs::File::open(path)
        .with_context(|| format!("expected a preset ({presets}) or a file that can be read"))?;
    let mut text = String::new();
    file.take(RULE_BYTES_MAX + 1).read_to_string(&mut text).context("cannot be read as text")?;
    if text.len() as u64 > RULE_BYTES_MAX {
        bail!("expected at most {RULE_BYTES_MAX} bytes");
    }
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let value: Value = if is_toml || !text.trim_start().starts_with('{') {
        toml::from_str(&text).context("expected TOML")?
    } else {
        serde_json::from_str(&text).context("expected JSON")?
    };
    // A whole settings document will do as well.
    let value = value.get("rule").cloned().unwrap_or(value);
    let rule: MomentRule = serde_json::from_value(value).context("expected a moment rule")?;
    Ok(rule.validated()?)
}

/// The moments as JSON, ascending by time.
fn moments(series: &Series, rule: MomentRule) -> anyhow::Result<Vec<Value>> {
    if emostream_moments::preview::needs_records(&rule) {
        bail!(
            "a share of an interval cannot be tried on counts: expected a threshold of at least 1, or a full rule"
        );
    }
    let emotes = Emotes::new();
    let ids = series.register(&emotes)?;
    let settings = ChannelSettings { version: 0, rule, allowed_emotes: None };
    let mut judge = emostream_moments::preview::WindowJudge::new(&settings, &emotes);
    let mut moments = Vec::new();
    for (start_ms, judged) in series.windows(&ids) {
        for found in judge.judge((start_ms, start_ms + series.window_ms), &judged) {
            let index = ids.iter().position(|id| *id == found.emote).unwrap_or_default();
            moments.push(json!({
                "window_start": time::format_ms(found.start_ms),
                "window_ms": series.window_ms,
                "emote": series.emotes[index],
                "count": found.count,
                "strength": (found.strength * 1_000.0).round() / 1_000.0,
            }));
        }
    }
    Ok(moments)
}
