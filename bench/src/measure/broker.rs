//! An Apache Kafka broker of the benchmark's own, on the servers' core.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use super::{cores::Cores, process::cpu_s_of};

/// A running broker. Ended on drop, and what it held is removed.
pub(crate) struct Broker {
    script: Child,
    java: u32,
    data: PathBuf,
    /// `host:port`.
    pub(crate) address: String,
}

impl Broker {
    /// Starts a broker with the repository's script and waits until it is ready.
    pub(crate) fn start(scratch: &Path, cores: Cores) -> Result<Self> {
        let data = scratch.join("kafka");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("scripts/kafka.sh");
        command.arg("run").env("KAFKA_PORT", port.to_string()).env("KAFKA_DATA", &data);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let spawned = cores.on_server_core(|| command.spawn())?;
        let mut script =
            spawned.context("start scripts/kafka.sh; run the benchmark from the repository's root")?;
        let mut lines = BufReader::new(script.stdout.take().context("its output is a pipe")?).lines();
        let line = lines.next().transpose()?.unwrap_or_default();
        let java = child_of(script.id()).filter(|_| line.starts_with("ready "));
        let Some(java) = java else {
            drop(script.kill());
            bail!("scripts/kafka.sh said {line:?}, expected \"ready ADDRESS\"");
        };
        Ok(Self { script, java, data, address: format!("127.0.0.1:{port}") })
    }

    /// Processor time of the broker so far, in seconds.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        cpu_s_of(self.java)
    }

    /// Runs one of Kafka's own programs on the core of loads; its output, and the processor time that it took, in
    /// seconds.
    pub(crate) fn tool(class: &str, arguments: &[&str]) -> Result<(String, f64)> {
        let fetched = Command::new("scripts/kafka.sh").arg("fetch").output()?;
        ensure!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
        let lib = String::from_utf8(fetched.stdout)?;
        let before = children_s();
        let output = Command::new("java")
            .args(["-Xmx512m", "-cp", &format!("{}/*", lib.trim()), class])
            .args(arguments)
            .output()
            .context("start java")?;
        ensure!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), children_s() - before))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The script ends with it.
        if let Some(java) = i32::try_from(self.java).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(java, rustix::process::Signal::KILL).ok();
        }
        drop(self.script.wait());
        drop(fs::remove_dir_all(&self.data));
    }
}

/// The Java process that a script has started.
fn child_of(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("kafka.Kafka")
    })
}

/// Processor time of children that have ended and were waited for, in seconds.
fn children_s() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
    // Behind the name, cutime and cstime are 13 and 14.
    let ticks: u64 =
        fields.into_iter().flatten().skip(13).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}
