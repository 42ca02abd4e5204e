//! A PostgreSQL of the benchmark's own, on the servers' core, that syncs what it commits.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::cores::Cores;

/// Starts the server, says where it is, and stops it when nobody listens any more.
const SCRIPT: &str = r#"
set -euo pipefail
. scripts/postgres.sh
trap postgres_stop EXIT
POSTGRES_FSYNC=on postgres_start
echo "$EMOSTREAM_TEST_POSTGRES"
read -r || true
"#;

/// A running server. Ended on drop, and what it held is removed.
pub(crate) struct Database {
    script: Child,
    orders: Option<ChildStdin>,
    /// Without a database: `postgres://USER@HOST:PORT`.
    pub(crate) url: String,
}

impl Database {
    /// Starts an empty one with the repository's script.
    pub(crate) fn start(cores: Cores) -> Result<Self> {
        let mut command = Command::new("bash");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = cores.on_server_core(|| command.spawn())?;
        let mut script = spawned.context("start bash; run the benchmark from the repository's root")?;
        let mut said = BufReader::new(script.stdout.take().context("its output is a pipe")?).lines();
        let url = said.next().transpose()?.unwrap_or_default();
        if !url.starts_with("postgres://") {
            drop(script.kill());
            script.wait()?;
            bail!("scripts/postgres.sh said {url:?}, expected where PostgreSQL is");
        }
        let orders = script.stdin.take();
        Ok(Self { script, orders, url })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The end of its input is the script's end, which stops the server.
        drop(self.orders.take());
        drop(self.script.wait());
    }
}
