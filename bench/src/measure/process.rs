//! A server in a process of its own: started on the servers' core, asked for its processor time, ended on drop.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::cores::Cores;

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Kept so that the server's standard output does not break.
    _output: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start to its ready line.
    pub(crate) ready_in: Duration,
    data: Option<PathBuf>,
}

impl Server {
    /// Starts a server on the servers' core and waits for its line `ready http://ADDRESS …`.
    pub(crate) fn start(mut command: Command, cores: Cores) -> Result<Self> {
        let began = Instant::now();
        let spawn = || command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = cores.on_server_core(spawn)?.with_context(|| format!("start {command:?}"))?;
        let mut output = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let line = output.next().transpose()?.unwrap_or_default();
        let ready_in = began.elapsed();
        let address = line.strip_prefix("ready http://").and_then(|rest| rest.split(' ').next());
        let Some(address) = address.and_then(|text| text.parse().ok()) else {
            child.kill()?;
            child.wait()?;
            bail!("{command:?} said {line:?}, expected \"ready http://ADDRESS\"");
        };
        Ok(Self { child, _output: output, address, ready_in, data: None })
    }

    /// Starts Emostream with an empty data directory below `scratch`.
    pub(crate) fn emostream(program: &Path, scratch: &Path, set: &[&str], cores: Cores) -> Result<Self> {
        let data = scratch.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&data)?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
        for pair in set {
            command.args(["--set", pair]);
        }
        // With a password of its own it makes none up, and says nothing before it is ready.
        command.env("ADMIN_PASSWORD", "of no use after the benchmark");
        command.env("RUST_LOG", "warn").stderr(Stdio::inherit());
        let mut server = Self::start(command, cores)?;
        server.data = Some(data);
        Ok(server)
    }

    /// Processor time of all threads it ever had, in seconds. The kernel scales it to the exact run time.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        cpu_s_of(self.child.id())
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> Result<bool> {
        // A process that was not waited for is a zombie.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        Ok(stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('Z')))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a line VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}

/// Processor time of all threads that a process ever had, in seconds. The kernel scales it to the exact run time.
pub(crate) fn cpu_s_of(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in brackets may hold spaces: fields are counted behind it. Then utime and stime are 11 and 12.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace()).context("a stat line")?;
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; nothing of it is needed any more.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(data) = &self.data {
            drop(fs::remove_dir_all(data));
        }
    }
}
