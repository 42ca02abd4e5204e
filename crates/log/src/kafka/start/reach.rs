//! Reaching the brokers, or saying in one line why not.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
};

use crate::kafka::{
    client::{Health, Trouble, is_decisive},
    config::{KafkaConfig, Security},
    error::{KafkaStartError, words},
    read::Reader,
};

/// How long one question waits, so that trouble is heard of in between.
const ATTEMPT: Duration = Duration::from_millis(250);

/// How long other brokers of the list have after one has met trouble that waiting does not cure.
const OTHERS: Duration = Duration::from_secs(1);

/// Names the file of the security settings that cannot be read: the client library does not.
pub(in crate::kafka) fn check_files(security: &Security) -> Result<(), KafkaStartError> {
    if !security.protocol.encrypts() {
        return Ok(());
    }
    let certificate = security.client.as_ref();
    let files: [(&'static str, Option<&Path>); 3] = [
        ("CA file", security.ca_file.as_deref()),
        ("client certificate", certificate.map(|client| client.certificate_file.as_path())),
        ("client key", certificate.map(|client| client.key_file.as_path())),
    ];
    for (what, path) in files {
        let Some(path) = path else { continue };
        let read = std::fs::read(path);
        let detail = match read {
            Ok(bytes) if bytes.windows(10).any(|at| at == b"-----BEGIN") => continue,
            Ok(_) => "it holds nothing in PEM format".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(KafkaStartError::File { what, path: path.to_owned(), detail });
    }
    Ok(())
}

/// Asks for all topics until a broker answers, for as long as the start may take.
pub(in crate::kafka) fn brokers(
    config: &KafkaConfig,
    reader: &Reader,
    health: &Arc<Health>,
) -> Result<Metadata, KafkaStartError> {
    let deadline = Instant::now() + config.start_timeout;
    let mut hopeless_at = None;
    loop {
        let error = match reader.query().metadata(None, ATTEMPT) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        let trouble = health.trouble();
        if let Some(trouble) = trouble.as_ref().filter(|trouble| is_decisive(trouble.code)) {
            let hopeless_at = *hopeless_at.get_or_insert_with(|| Instant::now() + OTHERS);
            if Instant::now() >= hopeless_at {
                return Err(give_up(config, trouble));
            }
        }
        if Instant::now() >= deadline {
            return Err(unreachable(config, trouble.as_ref(), &error));
        }
        // Refused at once: the next question need not come at once.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn unreachable(config: &KafkaConfig, trouble: Option<&Trouble>, error: &KafkaError) -> KafkaStartError {
    KafkaStartError::Unreachable {
        servers: config.bootstrap_servers.clone(),
        seconds: config.start_timeout.as_secs(),
        reason: trouble.map_or_else(|| words(error), |trouble| trouble.reason.clone()),
    }
}

fn give_up(config: &KafkaConfig, trouble: &Trouble) -> KafkaStartError {
    let (servers, reason) = (config.bootstrap_servers.clone(), trouble.reason.clone());
    match trouble.code {
        RDKafkaErrorCode::Authentication => KafkaStartError::Authentication {
            servers,
            username: config.security.username.clone(),
            mechanism: config.security.mechanism.name(),
            reason,
        },
        RDKafkaErrorCode::Resolve => KafkaStartError::Resolve { servers, reason },
        _ => KafkaStartError::Tls {
            servers,
            authority: match &config.security.ca_file {
                Some(file) => file.display().to_string(),
                None => "the system's authorities".to_owned(),
            },
            reason,
        },
    }
}
