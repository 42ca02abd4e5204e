//! What brokers that ask for a login under TLS need: certificates, users, permissions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Brokers;

/// Users by name, each with [`PASSWORD`].
const USERS: [&str; 3] = [FULL, TOPICS_ONLY, NOBODY];

/// May do what a node of [`NAMESPACE`] does.
pub(crate) const FULL: &str = "alice";

/// May do everything with topics of the namespace, and nothing with its groups.
pub(crate) const TOPICS_ONLY: &str = "bob";

/// May do nothing.
pub(crate) const NOBODY: &str = "carol";

pub(crate) const PASSWORD: &str = "a password of tests";

/// Begins the names that permissions are for.
pub(crate) const NAMESPACE: &str = "secured-";

/// The authority that signed the brokers' certificate, and one that did not.
pub(crate) const AUTHORITY: &str = "authority.pem";
pub(crate) const OTHER_AUTHORITY: &str = "other.pem";

/// A node's own certificate, signed by the first authority; its private key, and what that is encrypted with.
pub(crate) const CERTIFICATE: &str = "node.crt";
pub(crate) const KEY: &str = "node.key";
pub(crate) const KEY_PASSWORD: &str = "the key's password";

/// Arguments that make users when the brokers' log is formatted.
pub(super) fn users_at_format() -> Vec<String> {
    let user = |name| ["--add-scram".to_owned(), format!("SCRAM-SHA-512=[name={name},password={PASSWORD}]")];
    USERS.into_iter().flat_map(user).collect()
}

/// What the properties of a broker say in addition. Whoever connects in plain text, which only brokers and tests do, may do
/// everything; all others need permissions.
pub(super) fn properties(dir: &Path) -> String {
    let key_store = make_certificates(dir);
    format!(
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         listener.name.sasl.ssl.keystore.type=PEM\n\
         listener.name.sasl.ssl.keystore.location={}\n\
         listener.name.sasl.ssl.client.auth=required\n\
         listener.name.sasl.ssl.truststore.type=PEM\n\
         listener.name.sasl.ssl.truststore.location={}\n",
        key_store.display(),
        dir.join(AUTHORITY).display()
    )
}

/// Makes two authorities, and certificates for the broker on this machine and for a node, signed by the first; returns the
/// key store of the broker.
fn make_certificates(dir: &Path) -> PathBuf {
    let path = |name: &str| dir.join(name).display().to_string();
    for (authority, name) in [(AUTHORITY, "Test authority"), (OTHER_AUTHORITY, "Another authority")] {
        let subject = format!("/CN={name}");
        let key = path(&format!("{authority}.key"));
        openssl(
            &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject]
                .into_iter()
                .chain(["-keyout", &key, "-out", &path(authority)])
                .collect::<Vec<_>>(),
        );
    }
    let key = sign(dir, "broker", &["-nodes"]);
    sign(dir, "node", &["-passout", &format!("pass:{KEY_PASSWORD}")]);
    let certificate = path("broker.crt");
    let key_store = dir.join("broker.pem");
    let parts = [key, certificate, path(AUTHORITY)].map(|part| fs::read_to_string(part).unwrap());
    fs::write(&key_store, parts.concat()).unwrap();
    key_store
}

/// Makes NAME.key and NAME.crt, which the first authority has signed; returns the path of the key.
fn sign(dir: &Path, name: &str, protection: &[&str]) -> String {
    let path = |name: &str| dir.join(name).display().to_string();
    let [key, request, certificate] = ["key", "csr", "crt"].map(|kind| path(&format!("{name}.{kind}")));
    let subject = format!("/CN={name}");
    let made = ["req", "-newkey", "rsa:2048", "-subj", &subject, "-keyout", &key, "-out", &request];
    openssl(&made.into_iter().chain(protection.iter().copied()).collect::<Vec<_>>());
    let names = path("names");
    fs::write(&names, "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    let signed_by = [path(AUTHORITY), path(&format!("{AUTHORITY}.key"))];
    openssl(
        &["x509", "-req", "-days", "2", "-in", &request, "-CA", &signed_by[0], "-CAkey", &signed_by[1]]
            .into_iter()
            .chain(["-CAcreateserial", "-extfile", &names, "-out", &certificate])
            .collect::<Vec<_>>(),
    );
    key
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
}

/// Grants users what they may do.
pub(crate) fn grant(brokers: &Brokers) {
    let all = ["--topic", "--group", "--transactional-id"];
    for (user, resources) in [(FULL, &all[..]), (TOPICS_ONLY, &all[..1])] {
        let principal = format!("User:{user}");
        let mut arguments =
            vec!["--bootstrap-server", &brokers.servers, "--add", "--allow-principal", &principal];
        arguments.extend(["--operation", "All", "--resource-pattern-type", "prefixed"]);
        arguments.extend(resources.iter().flat_map(|resource| [*resource, NAMESPACE]));
        let output = brokers.tool("org.apache.kafka.tools.AclCommand", &arguments);
        assert!(output.status.success(), "{output:?}");
    }
}
