//! Starts the binary, reads what it prints, and ends it: gently, or not.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;

/// Path of the binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_emostream");

/// The binary with an environment that the caller's settings do not reach.
pub(crate) fn command() -> Command {
    clean(Command::new(BINARY))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let settings = [
            "EMOSTREAM_",
            "RUST_LOG",
            "KAFKA_BOOTSTRAP_SERVERS",
            "EMOJI_TOPIC",
            "BUFFER_FLUSH_INTERVAL",
            "CLUSTER_TOPIC",
            "TOKEN_SECRET",
            "ADMIN_",
        ];
        if settings.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

/// `serve` on a free port for this data directory.
fn serve(program: Command, data_dir: &Path, args: &[&str]) -> Command {
    let mut command = clean(program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir).args(args);
    command
}

/// What a process has printed so far.
#[derive(Clone, Default)]
struct Printed {
    text: Arc<(Mutex<String>, Condvar)>,
}

impl Printed {
    fn collect(pipe: impl Read + Send + 'static) -> (Self, std::thread::JoinHandle<()>) {
        let printed = Self::default();
        let into = printed.clone();
        let collecting = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                into.text.0.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                into.text.1.notify_all();
                line.clear();
            }
        });
        (printed, collecting)
    }

    fn text(&self) -> String {
        self.text.0.lock().unwrap().clone()
    }
}

/// A started process that may not be ready yet. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    stdout: Printed,
    stderr: Printed,
    collecting: Vec<std::thread::JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts `emostream serve`.
    pub(crate) fn launch(data_dir: &Path, args: &[&str]) -> Self {
        Self::spawn(serve(Command::new(BINARY), data_dir, args))
    }

    /// Starts `emostream serve` under another program, such as `["strace", "-f"]`.
    pub(crate) fn launch_under(wrapper: &[&str], data_dir: &Path, args: &[&str]) -> Self {
        let (program, wrapper_args) = wrapper.split_first().unwrap();
        let mut outer = Command::new(program);
        outer.args(wrapper_args).arg(BINARY);
        Self::spawn(serve(outer, data_dir, args))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let (stdout, out) = Printed::collect(child.stdout.take().unwrap());
        let (stderr, err) = Printed::collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr, collecting: vec![out, err] }
    }

    /// Waits for the ready line. A process that ends before it says how.
    pub(crate) fn ready(mut self) -> Result<Server, Ended> {
        let began = Instant::now();
        loop {
            if let Some(address) = address_of(&self.stdout.text()) {
                return Ok(Server { process: self, address });
            }
            if self.child.try_wait().unwrap().is_some() {
                return Err(self.wait());
            }
            assert!(began.elapsed() < PATIENCE, "not ready: {}", self.stderr.text());
            let lock = self.stdout.text.0.lock().unwrap();
            drop(self.stdout.text.1.wait_timeout(lock, std::time::Duration::from_millis(20)).unwrap());
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // The child has not been waited for, so that its id is still its own.
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Everything printed to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Everything printed to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) fn kill9(mut self) -> Ended {
        // It may have ended by itself a moment before.
        drop(self.child.kill());
        self.wait()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end, at most as long as anything may take.
    pub(crate) fn wait(mut self) -> Ended {
        let began = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "does not end: {}", self.stderr.text());
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        for collecting in self.collecting.drain(..) {
            collecting.join().unwrap();
        }
        Ended { code: status.code(), stderr: self.stderr.text() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// What to start a binary under that sees a wall clock so many seconds off. `dir` takes what makes it so.
pub(crate) fn with_clock_off(dir: &Path, seconds: i32) -> Vec<String> {
    std::fs::create_dir_all(dir).unwrap();
    let library = dir.join("wrong_clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/wrong_clock.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O", "-o"]).arg(&library).arg(source);
    let output = compile.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let variables = [format!("LD_PRELOAD={}", library.display()), format!("CLOCK_OFF_S={seconds}")];
    ["env".to_owned()].into_iter().chain(variables).collect()
}

/// The first address of a line `ready http://127.0.0.1:1234 …`.
fn address_of(stdout: &str) -> Option<SocketAddr> {
    let line = stdout.lines().find(|line| line.starts_with("ready "))?;
    line.split_whitespace().nth(1)?.strip_prefix("http://")?.parse().ok()
}

/// A server that has said that it is ready. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// All addresses that the ready line names.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let stdout = self.process.stdout();
        let line = stdout.lines().find(|line| line.starts_with("ready ")).unwrap();
        let words = line.split_whitespace().filter_map(|word| word.strip_prefix("http://"));
        words.map(|address| address.parse().unwrap()).collect()
    }

    /// Starts a server on a data directory and waits until it is ready.
    pub(crate) fn start(data_dir: &Path, args: &[&str]) -> Self {
        Process::launch(data_dir, args).ready().unwrap_or_else(|ended| panic!("did not start: {ended:?}"))
    }

    /// Starts a server that must refuse to start.
    pub(crate) fn refused(data_dir: &Path, args: &[&str]) -> Ended {
        match Process::launch(data_dir, args).ready() {
            Ok(server) => panic!("started although it should not: {}", server.process.stderr()),
            Err(ended) => ended,
        }
    }

    /// `kill -9`, and whatever it takes to be gone.
    pub(crate) fn kill9(self) -> Ended {
        self.process.kill9()
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(self) -> Ended {
        self.process.terminate();
        self.process.wait()
    }
}

/// The files below a directory whose names end so, in order.
pub(crate) fn files_below(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
