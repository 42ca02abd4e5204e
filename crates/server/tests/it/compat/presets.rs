//! Presets, the source systems' variables and the `.env` file, as their users set them.

use std::{fs, net::TcpListener, path::Path, process::Output};

use serde_json::{Value, json};

use crate::harness::process::command;

/// Runs the binary in a directory of its own, with these variables.
fn run_in(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    command().current_dir(dir).args(args).envs(environment.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What `check-config` says is in force.
fn in_force(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Value {
    let output = run_in(dir, &[&["check-config"], args].concat(), environment);
    assert!(output.status.success(), "{output:?}");
    toml::from_str(text(&output.stdout)).unwrap()
}

fn own(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn d_the_topic_of_a_cluster_selects_it_and_derives_its_ports() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [("CLUSTER_TOPIC", "cluster2-emoji-topic")];
    let config = in_force(dir.path(), &["--preset", "concurrent-broadcast"], &environment);
    assert_eq!(config["listen"], json!(["127.0.0.1:5020"]));
    let edges = config["edges"].as_array().unwrap();
    let of = |field: &str| edges.iter().map(|edge| edge[field].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(of("listen"), ["127.0.0.1:5021", "127.0.0.1:5022", "127.0.0.1:5023"]);
    assert_eq!(of("cluster"), ["cluster2"; 3]);
    assert_eq!(config["relay"]["topics"], json!(["cluster2-emoji-topic"]));
}

#[test]
fn each_preset_sets_ports_topics_and_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| in_force(dir.path(), &["--preset", name], &[]);
    let a = of("emote-bursts");
    assert_eq!(a["listen"], json!(["127.0.0.1:8080", "127.0.0.1:3001"]));
    assert_eq!(a["topics"]["raw"], "raw-emote-data");
    assert_eq!(a["topics"]["moments"], "aggregated-emote-data");
    assert_eq!(a["websocket_bridge"]["source"], "moments");
    let b = of("socket-clusters");
    let ports = |of: &Value| {
        let edges = of["edges"].as_array().unwrap().iter();
        edges
            .map(|edge| edge["listen"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((ports(&b), &b["accounts"]["choose_tier"]), (own(&["3005", "3006", "3011"]), &json!(true)));
    assert_eq!((&b["listen"], &b["topics"]["raw"]), (&json!(["127.0.0.1:3000"]), &json!("emoji")));
    assert_eq!(of("community")["listen"], json!(["127.0.0.1:8080"]));
    let d = of("concurrent-broadcast");
    assert_eq!((&d["topics"]["windows"], &d["kafka"]["flush_ms"]), (&json!("main-pub-topic"), &json!(500)));
    let subscribers = ["5011", "5012", "5013", "5021", "5022", "5023", "5031", "5032", "5033"];
    assert_eq!(ports(&d), own(&subscribers));
    assert!(d["edges"].as_array().unwrap().iter().all(|edge| edge["capacity"] == 2), "{d}");
    assert_eq!(d["compat"]["notify_networks"], json!(["127.0.0.0/8", "::1/128"]));
    assert_eq!(d["relay"]["topics"][2], "cluster3-emoji-topic");
    let e = of("emoji-api");
    assert_eq!((&e["topics"]["raw"], &e["compat"]["console"]), (&json!("emoji_reactions"), &json!(true)));
    let wrong = run_in(dir.path(), &["serve", "--preset", "jazz"], &[]);
    assert_eq!(wrong.status.code(), Some(2));
    for preset in ["emote-bursts", "socket-clusters", "community", "concurrent-broadcast", "emoji-api"] {
        assert!(text(&wrong.stderr).contains(preset), "{wrong:?}");
        let help = run_in(dir.path(), &["serve", "--help"], &[]);
        assert!(text(&help.stdout).contains(preset), "{help:?}");
    }
}

#[test]
fn a_port_of_a_preset_that_is_taken_is_a_wrong_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run_in(dir.path(), &["serve", "--preset", "emote-bursts", "--listen", &address], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains(&format!("cannot listen on {address}")) && said.contains("emote-bursts"), "{said}");
}

#[test]
fn the_source_systems_variables_and_a_dotenv_file_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".env"), "EMOJI_TOPIC=from_file\nBUFFER_FLUSH_INTERVAL=0.25\n").unwrap();
    let config = in_force(dir.path(), &[], &[("EMOJI_TOPIC", "from_environment"), ("NUM_CLIENTS", "10")]);
    assert_eq!(config["topics"]["raw"], "from_environment");
    assert_eq!(config["kafka"]["flush_ms"], 250);
    let config = in_force(dir.path(), &["--set", "topics.raw=set"], &[("EMOJI_TOPIC", "from_environment")]);
    assert_eq!(config["topics"]["raw"], "set");
}

#[test]
fn a_variable_that_cannot_be_read_is_said_and_not_ignored() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value, said) in [
        ("CLUSTER_TOPIC", "emoji-topic", "expected the topic of a cluster"),
        ("BUFFER_FLUSH_INTERVAL", "soon", "expected seconds"),
    ] {
        for command in ["serve", "check-config"] {
            let output = run_in(dir.path(), &[command], &[(name, value)]);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let lines = text(&output.stderr);
            assert!(lines.contains(name) && lines.contains(said), "{lines}");
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn brokers_are_asked_for_where_their_address_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")];
    let output = run_in(dir.path(), &["check-config"], &environment);
    if cfg!(feature = "kafka") {
        let config: Value = toml::from_str(text(&output.stdout)).unwrap();
        let expected = (&json!("kafka"), &json!("localhost:9092"));
        assert_eq!((&config["log"]["kind"], &config["kafka"]["bootstrap_servers"]), expected);
    } else {
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("no Kafka"), "{output:?}");
    }
}
