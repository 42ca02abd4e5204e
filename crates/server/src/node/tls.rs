//! Mutual TLS between nodes: both sides show a certificate of the fleet's own authority, and trust no other.

use std::{path::Path, sync::Arc};

use anyhow::{Context, ensure};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
        version::TLS13,
    },
};

use crate::config::TlsFiles;

/// For the side that is called.
pub(super) fn acceptor(files: TlsFiles<'_>) -> anyhow::Result<TlsAcceptor> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority(files.ca)?), provider())
        .build()
        .with_context(|| format!("internal.tls_ca_file {}", files.ca.display()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates("internal.tls_cert_file", files.cert)?, key(files.key)?)
        .context("internal.tls_cert_file and internal.tls_key_file")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// For the side that calls.
pub(super) fn connector(files: TlsFiles<'_>) -> anyhow::Result<TlsConnector> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(authority(files.ca)?)
        .with_client_auth_cert(certificates("internal.tls_cert_file", files.cert)?, key(files.key)?)
        .context("internal.tls_cert_file and internal.tls_key_file")?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Named, since two libraries that each bring one would otherwise have to guess.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn authority(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("internal.tls_ca_file", path)? {
        roots.add(certificate).with_context(|| format!("internal.tls_ca_file {}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(setting: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = || format!("{setting} {}", path.display());
    let read = CertificateDer::pem_file_iter(path).with_context(shown)?;
    let all = read.collect::<Result<Vec<_>, _>>().with_context(shown)?;
    ensure!(!all.is_empty(), "{}: expected certificates as PEM", shown());
    Ok(all)
}

fn key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).with_context(|| format!("internal.tls_key_file {}", path.display()))
}
