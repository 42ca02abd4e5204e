//! Brokers that ask for a login under TLS, and for permissions: who has what they ask for works, who has not is told why in
//! one line.

use std::{path::PathBuf, sync::Arc};

use serde_json::json;

use crate::{
    brokers::{self, Brokers, Layout, secured},
    harness::{
        client::react,
        new_id,
        process::{Ended, Server},
        windows::final_total,
    },
};

/// What a node shows the brokers, and by what it knows them.
struct Shown {
    user: &'static str,
    password: &'static str,
    authority: &'static str,
    /// What its certificate's key is encrypted with; without it, no certificate is shown.
    key_password: Option<&'static str>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            user: secured::FULL,
            password: secured::PASSWORD,
            authority: secured::AUTHORITY,
            key_password: Some(secured::KEY_PASSWORD),
        }
    }
}

impl Shown {
    fn args(&self, brokers: &Brokers) -> Vec<String> {
        let authority = brokers.dir().join(self.authority);
        let settings = [
            ("log.kind", "kafka"),
            ("kafka.bootstrap_servers", brokers.secured.as_deref().unwrap()),
            ("kafka.namespace", secured::NAMESPACE),
            ("kafka.replication", "1"),
            ("kafka.security_protocol", "sasl_ssl"),
            ("kafka.sasl_mechanism", "scram-sha-512"),
            ("kafka.sasl_username", self.user),
            ("kafka.sasl_password", self.password),
            ("kafka.ssl_ca_file", authority.to_str().unwrap()),
            ("roles", r#"["ingest", "aggregate", "edge", "control"]"#),
        ];
        let own = |name| brokers.dir().join(name).display().to_string();
        let certificate = self.key_password.map(|password| {
            [
                ("kafka.ssl_certificate_file", own(secured::CERTIFICATE)),
                ("kafka.ssl_key_file", own(secured::KEY)),
                ("kafka.ssl_key_password", password.to_owned()),
            ]
        });
        let settings = settings.map(|(key, value)| (key, value.to_owned()));
        let settings = settings.into_iter().chain(certificate.into_iter().flatten());
        settings.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]).collect()
    }
}

/// Brokers with users and permissions, and a place for the data of nodes.
struct Place {
    brokers: Arc<Brokers>,
    dir: tempfile::TempDir,
}

impl Place {
    fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a node says that must not become ready.
    fn refused(&self, name: &str, shown: &Shown) -> Ended {
        let args = shown.args(&self.brokers);
        let ended = Server::refused(&self.data(name), &args.iter().map(String::as_str).collect::<Vec<_>>());
        println!("{name}: {}", ended.stderr.trim());
        assert_eq!(ended.code, Some(2), "{name}: somebody has to change a configuration: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains(shown.password), "{name}: {}", ended.stderr);
        ended
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_are_told_who_a_node_is_and_a_node_is_told_what_is_wrong() {
    let brokers = brokers::own(Layout::Secured);
    secured::grant(&brokers);
    let place = Place { brokers, dir: tempfile::tempdir().unwrap() };
    let servers = place.brokers.secured.clone().unwrap();

    let ended = place.refused("wrong password", &Shown { password: "another password", ..Shown::default() });
    let named = [&servers, secured::FULL, "SCRAM-SHA-512"].iter().all(|name| ended.stderr.contains(*name));
    assert!(named && ended.stderr.contains("refused the login"), "{}", ended.stderr);

    let ended =
        place.refused("untrusted", &Shown { authority: secured::OTHER_AUTHORITY, ..Shown::default() });
    let named = [&servers, secured::OTHER_AUTHORITY].iter().all(|name| ended.stderr.contains(*name));
    assert!(named && ended.stderr.contains("TLS"), "{}", ended.stderr);

    let ended = place.refused("no such file", &Shown { authority: "missing.pem", ..Shown::default() });
    assert!(ended.stderr.contains("missing.pem"), "{}", ended.stderr);

    let ended = place.refused("no certificate", &Shown { key_password: None, ..Shown::default() });
    assert!(ended.stderr.contains(&servers) && ended.stderr.contains("TLS"), "{}", ended.stderr);

    let ended = place.refused("locked key", &Shown { key_password: Some("not it"), ..Shown::default() });
    assert!(ended.stderr.contains("key"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("not it"), "{}", ended.stderr);

    let ended = place.refused("nobody", &Shown { user: secured::NOBODY, ..Shown::default() });
    let named = [secured::NOBODY, secured::NAMESPACE].iter().all(|name| ended.stderr.contains(name));
    assert!(named && ended.stderr.contains("do not permit"), "{}", ended.stderr);

    let ended = place.refused("no groups", &Shown { user: secured::TOPICS_ONLY, ..Shown::default() });
    let group = format!("group {}emostream-count", secured::NAMESPACE);
    let named = [secured::TOPICS_ONLY, &group].iter().all(|name| ended.stderr.contains(name));
    assert!(named && ended.stderr.contains("do not permit"), "{}", ended.stderr);

    let args = Shown::default().args(&place.brokers);
    let server = Server::start(&place.data("right"), &args.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..5 {
        let answer = react(server.address, "main", &json!({"emote": "🔥", "id": new_id()})).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let counted = final_total(server.address, "main").await;
    assert_eq!(counted, [("🔥".to_owned(), 5)].into());
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
