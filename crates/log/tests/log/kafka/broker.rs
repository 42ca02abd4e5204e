//! A broker of a test's own, which it may freeze, kill and start again.

use std::{
    io::Read as _,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use emostream_log::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

const PROPERTIES: &str = include_str!("../../../../../scripts/kafka/broker.properties");
const LOGGING: &str = include_str!("../../../../../scripts/kafka/log4j2.properties");

/// How long a start may take: 5 s on an idle machine.
const START: Duration = Duration::from_secs(120);

/// A broker, killed when dropped.
pub(crate) struct Broker {
    child: Child,
    port: u16,
    secure_port: u16,
    lib: PathBuf,
    dir: tempfile::TempDir,
}

/// The folder of Kafka's jars, if it is there.
fn lib() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let lib =
        std::env::var_os("EMOSTREAM_TEST_KAFKA_LIB").map_or_else(|| target.join("kafka/lib"), PathBuf::from);
    lib.join("pom.xml").exists().then_some(lib)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// 16 bytes as Kafka writes them: base64 without padding, and no dash first, which its tools take for an option. Unlike enough
/// those of another broker.
fn some_id() -> String {
    let number = SystemClock.now_ms() as u64 ^ (u64::from(std::process::id()) << 40);
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..22)
        .map(|i| if i == 0 || i == 21 { 'A' } else { char::from(digits[(number >> (2 * i) & 63) as usize]) })
        .collect()
}

impl Broker {
    /// Starts one; `None`, said aloud, where Kafka is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(|_| {}, &[], "")
    }

    /// Starts one with more files in its folder, arguments for the format of its storage, and settings.
    #[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
    pub(crate) fn start_with(prepare: impl FnOnce(&Path), format: &[&str], settings: &str) -> Option<Self> {
        let Some(lib) = lib() else {
            println!("skipped: Kafka's jars are not there (scripts/kafka.sh fetch)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let (port, secure_port, controller) = (free_port(), free_port(), free_port());
        let fill = [
            ("@NODE@", "1".to_owned()),
            ("@PORT@", port.to_string()),
            ("@SECURE_PORT@", secure_port.to_string()),
            ("@DIR@", dir.path().display().to_string()),
            ("@CONTROLLER_PORT@", controller.to_string()),
            ("@CONTROLLERS@", format!("127.0.0.1:{controller}")),
            ("@DATA@", dir.path().join("data").display().to_string()),
            ("@REPLICAS@", "1".to_owned()),
            ("@REPLICAS_MIN@", "1".to_owned()),
        ];
        // Of a setting that is there twice the later one counts.
        let properties = format!("{PROPERTIES}\n{settings}");
        let properties = fill.iter().fold(properties, |text, (name, value)| text.replace(name, value));
        std::fs::write(dir.path().join("broker.properties"), properties).unwrap();
        std::fs::write(dir.path().join("log4j2.properties"), LOGGING).unwrap();
        let voter = format!("1@127.0.0.1:{controller}:{}", some_id());
        let out = java(&lib, dir.path(), "128m")
            .args(["kafka.tools.StorageTool", "format", "--initial-controllers", &voter, "-t", &some_id()])
            .args(["-c", "broker.properties"])
            .args(format)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let child = run(&lib, dir.path());
        let broker = Self { child, port, secure_port, lib, dir };
        broker.wait_ready();
        Some(broker)
    }

    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it serves those who log in, if its settings say so.
    pub(crate) fn secure_servers(&self) -> String {
        format!("localhost:{}", self.secure_port)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs one of Kafka's tools.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) {
        let out = java(&self.lib, self.dir.path(), "128m").arg(class).args(arguments).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// As a machine that dies, but for its disk's cache.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Broker::kill`], and waits until it serves.
    pub(crate) fn restart(&mut self) {
        self.child = run(&self.lib, self.dir.path());
        self.wait_ready();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait_ready(&self) {
        let deadline = Instant::now() + START;
        let mut said = String::new();
        while !said.contains("Kafka Server started") {
            std::thread::sleep(Duration::from_millis(50));
            said.clear();
            std::fs::File::open(self.dir.path().join("out")).unwrap().read_to_string(&mut said).unwrap();
            assert!(
                Instant::now() < deadline && !said.contains("Exiting Kafka"),
                "broker does not start: {said}"
            );
        }
        TcpStream::connect(self.servers()).unwrap();
    }
}

fn java(lib: &Path, dir: &Path, heap: &str) -> Command {
    let mut java = Command::new("java");
    java.current_dir(dir)
        .arg(format!("-Xmx{heap}"))
        .args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dlog4j2.configurationFile=log4j2.properties",
            "-cp",
        ])
        .arg(lib.join("*"))
        .stdin(Stdio::null());
    java
}

fn run(lib: &Path, dir: &Path) -> Child {
    let out = std::fs::File::create(dir.join("out")).unwrap();
    let errors = out.try_clone().unwrap();
    java(lib, dir, "384m")
        .args(["kafka.Kafka", "broker.properties"])
        .stdout(out)
        .stderr(errors)
        .spawn()
        .unwrap()
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
