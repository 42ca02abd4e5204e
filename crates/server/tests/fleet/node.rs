//! One node of a fleet: a process that is started, hurt, and started again on the same data.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    harness::{
        client::get,
        process::{Ended, Process, Server, with_clock_off},
        wait_for,
    },
    processes::{assert_gone, assert_stopped},
};

/// A node, running or not.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    roles: Vec<String>,
    pub(crate) data: PathBuf,
    args: Vec<String>,
    /// What the binary is started under.
    wrapper: Vec<String>,
    running: Option<Server>,
    /// What earlier lives printed to standard error.
    past: String,
}

impl Node {
    /// A node that is not running yet. `args` follow `serve --listen … --data-dir …`.
    pub(crate) fn new(name: &'static str, roles: &str, dir: &Path, args: Vec<String>) -> Self {
        let (roles, data) = (roles.split(',').map(str::to_owned).collect(), dir.join(name));
        Self { name, roles, data, args, wrapper: Vec::new(), running: None, past: String::new() }
    }

    /// Lets the node see a wall clock that is this many seconds off, from its next start on.
    pub(crate) fn set_clock_off(&mut self, seconds: i32) {
        self.wrapper = with_clock_off(&self.data, seconds);
    }

    /// Further arguments from the next start on.
    pub(crate) fn set(&mut self, key_and_value: &str) {
        self.args.extend(["--set".to_owned(), key_and_value.to_owned()]);
    }

    /// Starts the process, which may not be ready for a while.
    pub(crate) fn launch(&self) -> Process {
        assert!(self.running.is_none(), "{} runs already", self.name);
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        if self.wrapper.is_empty() {
            Process::launch(&self.data, &args)
        } else {
            let wrapper: Vec<_> = self.wrapper.iter().map(String::as_str).collect();
            Process::launch_under(&wrapper, &self.data, &args)
        }
    }

    /// Waits until a launched process has said that it is ready.
    pub(crate) async fn ready(&mut self, process: Process) {
        let name = self.name;
        let server = tokio::task::spawn_blocking(move || process.ready()).await.unwrap();
        self.running = Some(server.unwrap_or_else(|ended| panic!("{name} did not start: {ended:#?}")));
    }

    /// Starts the node as a service manager does: again and again as long as it ends with this reason. A broker may take
    /// longer to come up than a node waits for one.
    pub(crate) async fn start_again_until_ready(&mut self, reason: &str) {
        loop {
            let process = self.launch();
            match tokio::task::spawn_blocking(move || process.ready()).await.unwrap() {
                Ok(server) => {
                    self.running = Some(server);
                    return;
                }
                Err(ended) => {
                    assert!(ended.stderr.contains(reason), "{} did not start: {ended:#?}", self.name);
                }
            }
        }
    }

    /// Starts the node and waits until it says that it is ready.
    pub(crate) async fn start(&mut self) {
        let process = self.launch();
        self.ready(process).await;
    }

    /// Whether it has a role.
    pub(crate) fn runs(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn server(&self) -> &Server {
        self.running.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    /// Where it serves; another port after each start.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server().address
    }

    /// `kill -9`, which has taken effect when this returns.
    pub(crate) fn kill9(&mut self) {
        let server = self.take();
        let pid = server.process.pid();
        let ended = server.kill9();
        assert_eq!(ended.code, None, "{}: killed, so that there is no exit code", self.name);
        self.past += &ended.stderr;
        assert_gone(pid);
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(&mut self) -> Ended {
        let server = self.take();
        let ended = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
        self.past += &ended.stderr;
        ended
    }

    /// SIGTERM; the caller waits for the end.
    pub(crate) fn terminate(&mut self) -> Process {
        let server = self.take();
        server.process.terminate();
        server.process
    }

    fn take(&mut self) -> Server {
        self.running.take().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    /// SIGSTOP, which has taken effect when this returns.
    pub(crate) fn freeze(&self) {
        self.server().process.signal(Signal::STOP);
        assert_stopped(self.server().process.pid(), true);
    }

    /// SIGCONT.
    pub(crate) fn wake(&self) {
        self.server().process.signal(Signal::CONT);
        assert_stopped(self.server().process.pid(), false);
    }

    /// All that it has printed to standard error, in all its lives.
    pub(crate) fn stderr(&self) -> String {
        let now = self.running.as_ref().map(|server| server.process.stderr());
        self.past.clone() + &now.unwrap_or_default()
    }

    /// The value of a metric: `spool_reactions`, or with its label `rebalances_total{kind="count"}`. 0 where that label was never
    /// set.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let answer = get(self.address(), "/metrics").await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        // A family is not named before it has a value.
        let described = format!("# TYPE emostream_{} ", name.strip_suffix("_total").unwrap_or(name));
        assert!(name.contains('{') || text.contains(&described), "there is no metric {name}");
        let full = format!("emostream_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&full)).map(str::trim);
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// `GET` of a path that answers with JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        get(self.address(), path).await.unwrap().json()
    }

    /// Waits until a metric is as wanted, and returns it.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        let what = format!("{name} of {}", self.name);
        wait_for(&what, async || Some(self.metric(name).await).filter(|value| wanted(*value))).await
    }
}
