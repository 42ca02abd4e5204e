//! Certificates of a fleet, made with the openssl command.

use std::{fs, path::Path, process::Command};

/// Makes an authority `NAME.pem`.
pub(crate) fn make_authority(dir: &Path, name: &str) {
    let (key, certificate) = (path(dir, name, "key"), path(dir, name, "pem"));
    let subject = format!("/CN={name}");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    openssl(
        &[&["req", "-x509"][..], &curve, &["-subj", &subject, "-keyout", &key, "-out", &certificate]]
            .concat(),
    );
}

/// Makes `NAME.crt` and `NAME.key` for this machine, signed by an authority.
pub(crate) fn make_certificate(dir: &Path, name: &str, authority: &str) {
    make_certificate_naming(dir, name, authority, &[]);
}

/// The same, with further names in it.
pub(crate) fn make_certificate_naming(dir: &Path, name: &str, authority: &str, more: &[&str]) {
    let (key, request, certificate) =
        (path(dir, name, "key"), path(dir, name, "csr"), path(dir, name, "crt"));
    let subject = format!("/CN={name}");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(&[&["req"][..], &curve, &["-subj", &subject, "-keyout", &key, "-out", &request]].concat());
    let names = path(dir, name, "names");
    let more: String = more.iter().map(|name| format!(",DNS:{name}")).collect();
    fs::write(&names, format!("subjectAltName=DNS:localhost,IP:127.0.0.1{more}\n")).unwrap();
    let (ca, ca_key) = (path(dir, authority, "pem"), path(dir, authority, "key"));
    let signed = ["-CAcreateserial", "-days", "2", "-extfile", &names, "-out", &certificate];
    openssl(&[&["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key][..], &signed].concat());
}

/// What makes a node show a certificate, and trust those of an authority.
pub(crate) fn settings(dir: &Path, name: &str, authority: &str) -> Vec<String> {
    let files = [("cert", name, "crt"), ("key", name, "key"), ("ca", authority, "pem")];
    let set = |(what, name, ending)| format!("internal.tls_{what}_file={}", path(dir, name, ending));
    files.map(set).to_vec()
}

fn path(dir: &Path, name: &str, ending: &str) -> String {
    dir.join(format!("{name}.{ending}")).display().to_string()
}

fn openssl(args: &[&str]) {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
