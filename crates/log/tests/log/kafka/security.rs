//! Brokers behind encryption, login and permissions: what is right works, and each mistake is told in one line.

use std::{path::Path, process::Command, time::Duration};

use emostream_log::{
    Log,
    kafka::{KafkaAdmin, KafkaConfig, KafkaLog, KafkaStartError, Mechanism, Permission, Protocol, Security},
};

use super::{
    broker::Broker,
    setup::{Space, row},
};
use crate::setup::{at, values, wait};

const SETTINGS: &str = "
listeners=INTERNAL://127.0.0.1:@PORT@,SASL_SSL://127.0.0.1:@SECURE_PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@
advertised.listeners=INTERNAL://127.0.0.1:@PORT@,SASL_SSL://localhost:@SECURE_PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@
listener.security.protocol.map=INTERNAL:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.ssl.keystore.type=PKCS12
listener.name.sasl_ssl.ssl.keystore.location=@DIR@/own.p12
listener.name.sasl_ssl.ssl.keystore.password=secret
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:alice
";

/// Makes a key and a certificate that signs itself, which clients are given as authority.
fn make_certificate(dir: &Path, name: &str) {
    let keytool = |arguments: &[&str]| {
        let out = Command::new("keytool").current_dir(dir).args(arguments).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    };
    let store = format!("{name}.p12");
    let common = ["-keystore", &store, "-storetype", "PKCS12", "-storepass", "secret", "-alias", "own"];
    let subject = format!("CN={name}");
    let make = ["-genkeypair", "-keyalg", "EC", "-dname", &subject, "-validity", "30"];
    keytool(
        &[&make[..], &["-ext", "SAN=DNS:localhost,IP:127.0.0.1", "-ext", "BC=ca:true"], &common].concat(),
    );
    keytool(&[&["-exportcert", "-rfc", "-file", &format!("{name}.pem")][..], &common].concat());
}

fn security(broker: &Broker, username: &str, mechanism: Mechanism) -> Security {
    Security {
        protocol: Protocol::SaslSsl,
        mechanism,
        username: username.to_owned(),
        password: format!("{username}'s password"),
        ca_file: Some(broker.dir().join("own.pem")),
        client: None,
    }
}

/// A mistake's words, which must be one line and tell of these things.
fn told(config: &KafkaConfig, of: &[&str]) -> KafkaStartError {
    let error = KafkaLog::open(config).err().unwrap();
    let text = error.to_string();
    assert!(of.iter().all(|part| text.contains(part)) && text.lines().count() == 1, "{of:?} in {text}");
    error
}

#[test]
fn credentials_certificates_and_permissions_count() {
    let users =
        ["alice", "bob"].map(|name| format!("SCRAM-SHA-512=[name={name},password={name}'s password]"));
    let weaker = "SCRAM-SHA-256=[name=alice,password=alice's password]";
    let format = ["--add-scram", &users[0], "--add-scram", &users[1], "--add-scram", weaker];
    let prepare = |dir: &Path| {
        make_certificate(dir, "own");
        make_certificate(dir, "other");
    };
    let Some(broker) = Broker::start_with(prepare, &format, SETTINGS) else { return };
    let space = Space::on(&broker.servers());
    let mut config = space.config.clone();
    config.bootstrap_servers = broker.secure_servers();
    config.groups = vec!["count".to_owned()];
    config.start_timeout = Duration::from_secs(60);
    let with = |security: Security| KafkaConfig { security, ..config.clone() };
    let servers = config.bootstrap_servers.as_str();

    for mechanism in [Mechanism::ScramSha512, Mechanism::ScramSha256] {
        let log = space.open_with(&with(security(&broker, "alice", mechanism)));
        wait(log.append(&at(0), values(&["secret"]))).unwrap();
        assert!(!log.read(&at(0), 0, 1).unwrap().records.is_empty());
        let writer = log.fenced_writer("merge-0").unwrap();
        wait(writer.append(&row(0), values(&["secret"]))).unwrap();
    }

    let right = security(&broker, "alice", Mechanism::ScramSha512);
    let wrong = with(Security { password: "guessed".to_owned(), ..right.clone() });
    assert!(matches!(
        told(&wrong, &[servers, "alice", "SCRAM-SHA-512"]),
        KafkaStartError::Authentication { .. }
    ));
    let other = broker.dir().join("other.pem");
    let wrong = with(Security { ca_file: Some(other.clone()), ..right.clone() });
    assert!(matches!(told(&wrong, &[servers, &other.display().to_string()]), KafkaStartError::Tls { .. }));
    let wrong = with(Security { ca_file: None, ..right.clone() });
    assert!(matches!(told(&wrong, &[servers, "the system's authorities"]), KafkaStartError::Tls { .. }));
    let not_pem = broker.dir().join("broker.properties");
    let wrong = with(Security { ca_file: Some(not_pem.clone()), ..right });
    assert!(matches!(told(&wrong, &[&not_pem.display().to_string(), "PEM"]), KafkaStartError::File { .. }));

    permissions(&broker, &with(security(&broker, "bob", Mechanism::ScramSha512)));
}

/// What a user without any right is told, right by right, until everything works.
fn permissions(broker: &Broker, config: &KafkaConfig) {
    let grant = |arguments: &[&str]| {
        let servers = broker.servers();
        let common = ["--bootstrap-server", &servers, "--add", "--allow-principal", "User:bob"];
        broker.tool("org.apache.kafka.tools.AclCommand", &[&common[..], arguments].concat());
    };
    let prefix = config.namespace.as_str();
    let named = ["--resource-pattern-type", "prefixed"];
    let denied = |of: &[&str]| assert!(matches!(told(config, of), KafkaStartError::Denied { .. }));
    denied(&["Create", "topic", "user bob"]);
    grant(&[&["--operation", "Describe", "--operation", "Create", "--topic", prefix][..], &named].concat());
    denied(&["DescribeConfigs", "topic", "user bob"]);
    grant(&[&["--operation", "DescribeConfigs", "--topic", prefix][..], &named].concat());
    denied(&["Read", "group", "count", "user bob"]);
    grant(&[&["--operation", "Read", "--group", prefix][..], &named].concat());
    let asked = |permission: Permission| {
        let admin = KafkaAdmin::connect(config).unwrap();
        admin.refusal(&permission).unwrap().map(|refusal| refusal.to_string())
    };
    let taps = || "taps".to_owned();
    let of_topic = |topic: &str| [Permission::Read(topic.to_owned()), Permission::Write(topic.to_owned())];
    let needed = || {
        of_topic("taps")
            .into_iter()
            .chain(of_topic("emote-state"))
            .chain([Permission::Owner("merge-x".to_owned())])
    };
    for permission in needed().chain([Permission::Delete(taps())]) {
        let refusal = asked(permission.clone()).unwrap_or_else(|| panic!("{permission:?} is permitted"));
        assert!(refusal.contains("user bob") && refusal.contains(prefix), "{refusal}");
    }
    assert_eq!(asked(Permission::Group("count".to_owned())), None);
    told(config, &["read emote-state-0", "Topic authorization failed"]);
    grant(&[&["--operation", "Read", "--topic", prefix][..], &named].concat());
    told(config, &["append to", "emote-state-0", "Cluster authorization failed"]);
    grant(&[&["--operation", "Write", "--topic", prefix][..], &named].concat());
    let (log, _) = KafkaLog::open(config).unwrap();
    let refused = log.fenced_writer("merge-0").err().unwrap().to_string();
    assert!(refused.contains("merge-0") && refused.lines().count() == 1, "{refused}");
    grant(
        &[&["--operation", "Write", "--operation", "Describe", "--transactional-id", prefix][..], &named]
            .concat(),
    );
    let writer = log.fenced_writer("merge-0").unwrap();
    wait(writer.append(&row(0), values(&["allowed"]))).unwrap();
    for permission in needed() {
        assert_eq!(asked(permission.clone()), None, "{permission:?}");
    }
    assert!(asked(Permission::Delete(taps())).is_some(), "it was not granted");
    log.join("count", "taps", "m").unwrap();
}
