//! Kafka brokers: one that all tests share, and others that tests may kill, freeze, or cut a node off from.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    harness::PATIENCE,
    processes::{assert_gone, assert_stopped},
    proxy::{Cut, Proxy},
};

pub(crate) mod secured;

/// The properties of every broker of tests; what stands between @ signs is filled in.
const PROPERTIES: &str = "../../scripts/kafka/broker.properties";

/// What a broker logs, and where.
const LOGGING: &str = "../../scripts/kafka/log4j2.properties";

/// Which brokers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One broker.
    Single,
    /// Three that replicate to each other.
    Replicated,
    /// One that asks for a login under TLS, and for permissions.
    Secured,
}

/// Brokers of one cluster. Dropping them kills those that were started here.
pub(crate) struct Brokers {
    dir: TempDir,
    lib: PathBuf,
    brokers: Vec<Broker>,
    /// Where nodes find them.
    pub(crate) servers: String,
    lines: Vec<Line>,
    /// The listener that asks who one is.
    pub(crate) secured: Option<String>,
}

/// A way to all brokers that a test can slow down or cut, for one node.
pub(crate) struct Line {
    name: &'static str,
    /// One a broker.
    proxies: Vec<Proxy>,
}

/// Names of such ways: one for a node with ingest, and one for a node that counts.
pub(crate) const DOOR: &str = "DOOR";
pub(crate) const COUNT: &str = "COUNT";

impl Line {
    /// Where a node finds the brokers this way.
    pub(crate) fn servers(&self) -> String {
        let addresses: Vec<_> = self.proxies.iter().map(|proxy| loopback(proxy.port())).collect();
        addresses.join(",")
    }

    /// Cuts every connection, and those to come.
    pub(crate) fn cut(&self, how: Cut) {
        let connections: usize = self.proxies.iter().map(|proxy| proxy.cut(how)).sum();
        assert!(connections > 0, "nobody is connected here: there is nothing to cut");
    }

    /// Lets everything arrive later by so much, in each direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.proxies.iter().for_each(|proxy| proxy.delay(delay));
    }

    /// Lets everything pass again.
    pub(crate) fn mend(&self) {
        self.proxies.iter().for_each(Proxy::mend);
    }

    /// Bytes that have passed so far.
    pub(crate) fn passed(&self) -> u64 {
        self.proxies.iter().map(Proxy::passed).sum()
    }
}

struct Broker {
    properties: PathBuf,
    out: PathBuf,
    child: Mutex<Option<Child>>,
}

/// Ports of one broker.
struct Ports {
    plain: u16,
    controller: u16,
    /// Of listeners beyond these.
    further: Vec<Listener>,
}

/// A listener beside the plain one.
struct Listener {
    name: &'static str,
    protocol: &'static str,
    host: &'static str,
    port: u16,
    advertised_port: u16,
}

/// One broker that tests share, each under a namespace of its own: the one that EMOSTREAM_TEST_KAFKA names, else one that
/// runs as long as a test holds it.
pub(crate) fn shared() -> Arc<Brokers> {
    static POOL: Pool = Pool::new();
    POOL.take(|| match std::env::var("EMOSTREAM_TEST_KAFKA") {
        Ok(servers) if !servers.is_empty() => Brokers::elsewhere(servers),
        _ => Brokers::start(Layout::Single),
    })
}

/// Brokers of a test's own, which it may hurt.
pub(crate) fn own(layout: Layout) -> Arc<Brokers> {
    Arc::new(Brokers::start(layout))
}

impl Brokers {
    /// Brokers that somebody else has started.
    fn elsewhere(servers: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, lib: PathBuf::new(), brokers: Vec::new(), servers, lines: Vec::new(), secured: None }
    }

    /// Starts brokers in an empty folder and waits until they are ready.
    pub(crate) fn start(layout: Layout) -> Self {
        let lib = jars();
        let dir = tempfile::tempdir().unwrap();
        let number = if layout == Layout::Replicated { 3 } else { 1 };
        let mut lines = [DOOR, COUNT].map(|name| Line { name, proxies: Vec::new() });
        let ports: Vec<_> = (0..number).map(|_| Ports::choose(layout, &mut lines)).collect();
        let controllers: Vec<_> = ports.iter().map(|ports| loopback(ports.controller)).collect();
        let mut brokers = Vec::new();
        for (number, own) in ports.iter().enumerate() {
            let path = |ending: &str| dir.path().join(format!("{}{ending}", number + 1));
            let properties = path(".properties");
            let mut text = filled(number + 1, own, &controllers, &path("-data"));
            text += &own.listeners();
            if layout == Layout::Secured {
                text += &secured::properties(dir.path());
            }
            fs::write(&properties, text).unwrap();
            brokers.push(Broker { properties, out: path(".out"), child: Mutex::default() });
        }
        let plain: Vec<_> = ports.iter().map(|ports| loopback(ports.plain)).collect();
        let secured = (layout == Layout::Secured).then(|| format!("localhost:{}", ports[0].further[0].port));
        let cluster = Self { dir, lib, brokers, servers: plain.join(","), lines: lines.into(), secured };
        cluster.format(&ports);
        for broker in 0..cluster.brokers.len() {
            cluster.launch(broker);
        }
        for broker in 0..cluster.brokers.len() {
            cluster.wait_ready(broker);
        }
        cluster
    }

    /// Writes the first records of every broker's own log.
    fn format(&self, ports: &[Ports]) {
        let voters = ports
            .iter()
            .enumerate()
            .map(|(number, ports)| format!("{}@{}:{}", number + 1, loopback(ports.controller), random_id()));
        let voters = voters.collect::<Vec<_>>().join(",");
        let cluster = random_id();
        for broker in &self.brokers {
            let properties = broker.properties.to_str().unwrap();
            let arguments = ["format", "--initial-controllers", &voters, "-t", &cluster, "-c", properties];
            let users = self.secured.as_ref().map(|_| secured::users_at_format()).unwrap_or_default();
            let arguments: Vec<_> = arguments.into_iter().chain(users.iter().map(String::as_str)).collect();
            let output = self.tool("kafka.tools.StorageTool", &arguments);
            assert!(output.status.success(), "{output:?}");
        }
    }

    /// Runs one of Kafka's programs to its end.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) -> Output {
        java(&self.lib, "128m").arg(class).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// The folder of these brokers, for further files that go with them.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How many there are.
    pub(crate) fn number(&self) -> usize {
        self.servers.split(',').count()
    }

    /// A way to them that can be slowed down or cut; brokers of others have none.
    pub(crate) fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    fn launch(&self, broker: usize) {
        let Broker { properties, out, child } = &self.brokers[broker];
        let file = File::create(out).unwrap();
        let heap = if self.brokers.len() > 1 { "384m" } else { "512m" };
        let mut command = java(&self.lib, heap);
        command.arg("kafka.Kafka").arg(properties).stdin(Stdio::null());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        *lock(child) = Some(command.spawn().unwrap());
    }

    fn wait_ready(&self, broker: usize) {
        let began = Instant::now();
        loop {
            let said = fs::read_to_string(&self.brokers[broker].out).unwrap();
            if said.contains("Kafka Server started") {
                return;
            }
            let ended = lock(&self.brokers[broker].child).as_mut().unwrap().try_wait().unwrap();
            let last: Vec<_> = said.lines().rev().take(20).collect();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "broker not ready, {ended:?}: {last:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn pid(&self, broker: usize) -> u32 {
        lock(&self.brokers[broker].child).as_ref().unwrap().id()
    }

    /// `kill -9`, which has taken effect when this returns.
    pub(crate) fn kill9(&self, broker: usize) {
        let pid = self.pid(broker);
        let mut child = lock(&self.brokers[broker].child).take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_gone(pid);
    }

    /// Starts a killed broker on what it has stored.
    pub(crate) fn restart(&self, broker: usize) {
        self.launch(broker);
        self.wait_ready(broker);
    }

    /// SIGSTOP, which has taken effect when this returns.
    pub(crate) fn freeze(&self, broker: usize) {
        self.signal(broker, Signal::STOP);
        assert_stopped(self.pid(broker), true);
    }

    /// SIGCONT.
    pub(crate) fn wake(&self, broker: usize) {
        self.signal(broker, Signal::CONT);
        assert_stopped(self.pid(broker), false);
    }

    fn signal(&self, broker: usize, signal: Signal) {
        // The child has not been waited for, so that its id is still its own.
        let pid = Pid::from_raw(i32::try_from(self.pid(broker)).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for broker in &self.brokers {
            if let Some(child) = lock(&broker.child).as_mut() {
                // What they hold is thrown away.
                drop(child.kill());
                drop(child.wait());
            }
        }
    }
}

/// Brokers that several tests use at once, for as long as one of them holds them.
struct Pool(Mutex<Weak<Brokers>>);

impl Pool {
    const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// The brokers, started if nobody holds them.
    fn take(&self, start: impl FnOnce() -> Brokers) -> Arc<Brokers> {
        let mut pool = lock(&self.0);
        pool.upgrade().unwrap_or_else(|| {
            let brokers = Arc::new(start());
            *pool = Arc::downgrade(&brokers);
            brokers
        })
    }
}

/// A test may have failed while it held the lock; what it guards is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn filled(node: usize, ports: &Ports, controllers: &[String], data: &Path) -> String {
    let number = controllers.len();
    let replicas_min = number.div_ceil(2).to_string();
    let values = [
        ("@NODE@", node.to_string()),
        ("@PORT@", ports.plain.to_string()),
        ("@CONTROLLER_PORT@", ports.controller.to_string()),
        ("@CONTROLLERS@", controllers.join(",")),
        ("@DATA@", data.display().to_string()),
        ("@REPLICAS_MIN@", replicas_min),
        ("@REPLICAS@", number.to_string()),
    ];
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PROPERTIES)).unwrap();
    values.iter().fold(text, |text, (name, value)| text.replace(name, value)) + "\n"
}

impl Ports {
    /// Free ports for one broker, and a proxy for each line to it.
    fn choose(layout: Layout, lines: &mut [Line]) -> Self {
        let further = match layout {
            Layout::Secured => {
                let port = free_port();
                // Certificates are for names.
                vec![Listener {
                    name: "SASL",
                    protocol: "SASL_SSL",
                    host: "localhost",
                    port,
                    advertised_port: port,
                }]
            }
            Layout::Single | Layout::Replicated => lines.iter_mut().map(Listener::behind).collect(),
        };
        Self { plain: free_port(), controller: free_port(), further }
    }

    /// Listeners once more, with those that the common properties do not know: what is said last holds.
    fn listeners(&self) -> String {
        let common =
            format!("PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}", self.plain, self.controller);
        let (mut listeners, mut advertised) = (common.clone(), common);
        let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        for Listener { name, protocol, host, port, advertised_port } in &self.further {
            listeners += &format!(",{name}://127.0.0.1:{port}");
            advertised += &format!(",{name}://{host}:{advertised_port}");
            protocols += &format!(",{name}:{protocol}");
        }
        format!(
            "listeners={listeners}\nadvertised.listeners={advertised}\n\
             listener.security.protocol.map={protocols}\n"
        )
    }
}

impl Listener {
    /// One that clients find behind a proxy, which joins the line.
    fn behind(line: &mut Line) -> Self {
        let port = free_port();
        let proxy = Proxy::to(loopback(port));
        let advertised_port = proxy.port();
        line.proxies.push(proxy);
        Self { name: line.name, protocol: "PLAINTEXT", host: "127.0.0.1", port, advertised_port }
    }
}

/// The folder of the brokers' jars; fetched where nobody has said where they are.
fn jars() -> PathBuf {
    if let Some(lib) = std::env::var_os("EMOSTREAM_TEST_KAFKA_LIB") {
        return lib.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kafka.sh");
    let output = Command::new(script).arg("fetch").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().into()
}

fn java(lib: &Path, heap: &str) -> Command {
    let logging = Path::new(env!("CARGO_MANIFEST_DIR")).join(LOGGING);
    let mut command = Command::new("java");
    command.arg(format!("-Xmx{heap}")).arg("-XX:+UseSerialGC");
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-cp").arg(format!("{}/*", lib.display()));
    command
}

/// A port that nobody listens on, below those that the system gives to connections: a broker finds it free again later.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// 16 random bytes as brokers write them.
fn random_id() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    // An id may not begin with a dash, and its last letter holds but two bits.
    let letter = |below: usize| char::from(LETTERS[rand::random_range(0..below)]);
    let mut id: String = (0..21).map(|_| letter(62)).collect();
    id.push(['A', 'Q', 'g', 'w'][rand::random_range(0..4)]);
    id
}
