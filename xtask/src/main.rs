//! The repository's own tools: `cargo xtask tidy` checks the rules that compilers cannot, `cargo xtask ci` runs all of CI.

mod tidy;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy    check structure, sizes, names and documents; prints `path:line: message` for each finding
  ci      run everything that CI runs: the same as `make test`
";

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(code) => code,
        Err(error) => {
            say(&mut std::io::stderr(), &format!("xtask: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Runs one command and says how the process should end.
fn run(command: Option<&str>) -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("finding the repository's root")?;
    match command {
        Some("tidy") => tidy_up(root),
        Some("ci") => {
            let status =
                Command::new("make").arg("test").current_dir(root).status().context("running `make test`")?;
            Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some("help" | "--help" | "-h") => {
            say(&mut std::io::stdout(), USAGE);
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            say(&mut std::io::stderr(), USAGE);
            Ok(ExitCode::from(2))
        }
    }
}

/// Prints every finding, and fails when there is one.
fn tidy_up(root: &Path) -> Result<ExitCode> {
    let (findings, files) = tidy::check(root)?;
    let mut lines = String::new();
    for finding in &findings {
        lines.push_str(&format!("{finding}\n"));
    }
    if findings.is_empty() {
        lines.push_str(&format!("tidy: {files} files, nothing to say\n"));
        say(&mut std::io::stdout(), &lines);
        return Ok(ExitCode::SUCCESS);
    }
    lines.push_str(&format!("tidy: {} findings in {files} files\n", findings.len()));
    say(&mut std::io::stdout(), &lines);
    Ok(ExitCode::FAILURE)
}

/// Writes a text; a reader that has gone away (`cargo xtask tidy | head`) is not an error worth reporting.
fn say(out: &mut dyn std::io::Write, text: &str) {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}
