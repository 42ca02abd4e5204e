//! Why a Kafka log could not be opened, in one line each, and what a client's error means for a caller of the log.

use std::{fmt, path::PathBuf};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::LogError;

/// Why a Kafka log could not be opened. The words are one line that names what to look at.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaStartError {
    /// No broker answered in time.
    #[error("Kafka brokers {servers} cannot be reached within {seconds} s: {reason}")]
    Unreachable {
        /// Addresses as configured.
        servers: String,
        /// How long was waited.
        seconds: u64,
        /// What the last attempt met.
        reason: String,
    },
    /// A broker's name is not known.
    #[error("Kafka brokers {servers}: host name not found: {reason}")]
    Resolve {
        /// Addresses as configured.
        servers: String,
        /// The resolver's words, with the host.
        reason: String,
    },
    /// The brokers refused the login.
    #[error("Kafka brokers {servers} refused the login of user {username:?} ({mechanism}): {reason}")]
    Authentication {
        /// Addresses as configured.
        servers: String,
        /// User as configured.
        username: String,
        /// SASL mechanism.
        mechanism: &'static str,
        /// The broker's words.
        reason: String,
    },
    /// Brokers and node did not accept each other's certificate.
    #[error(
        "TLS with Kafka brokers {servers} failed, with certificates checked against {authority}: {reason}"
    )]
    Tls {
        /// Addresses as configured.
        servers: String,
        /// CA file, or the system's authorities.
        authority: String,
        /// OpenSSL's words.
        reason: String,
    },
    /// A file of the security settings cannot be read.
    #[error("{what} {path} cannot be read: {detail}")]
    File {
        /// Which setting names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// The brokers do not permit it.
    #[error("Kafka brokers do not permit {action} on {resource}: grant it to {user}")]
    Denied {
        /// Which operation.
        action: &'static str,
        /// Topic or group.
        resource: String,
        /// Whom to grant it to.
        user: String,
    },
    /// A topic is not as it must be.
    #[error("Kafka topic {topic} {problem}: {advice}")]
    Topic {
        /// Topic, with namespace.
        topic: String,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        advice: String,
    },
    /// The log was created with other parameters, or the configuration makes no sense.
    #[error(transparent)]
    Configuration(LogError),
    /// A setting that the client library does not accept.
    #[error("Kafka client does not accept the configuration: {0}")]
    Client(String),
    /// Brokers were reached and then failed to answer.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl KafkaStartError {
    /// Whether somebody has to change a configuration (this node's or the brokers') before another attempt makes sense.
    pub fn is_configuration(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Log(_))
    }
}

impl From<KafkaError> for KafkaStartError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, detail, name, _) => Self::Client(format!("{name}: {detail}")),
            KafkaError::ClientCreation(detail) => Self::Client(detail),
            other => Self::Log(unavailable("ask the brokers", &other)),
        }
    }
}

/// A client's error as something that may pass.
pub(super) fn unavailable(action: impl fmt::Display, error: &KafkaError) -> LogError {
    LogError::Unavailable(format!("{action}: {}", words(error)))
}

/// A client's error in its own words, without the library's decoration.
pub(super) fn words(error: &KafkaError) -> String {
    match error.rdkafka_error_code().or_else(|| admin_code(error)) {
        Some(code) => {
            // The code's name, and in brackets what it means.
            let text = code.to_string();
            let meaning = text.split_once(" (").and_then(|(_, meaning)| meaning.strip_suffix(')'));
            meaning.unwrap_or(&text).to_owned()
        }
        None => error.to_string(),
    }
}

/// The code behind an error, also of an administrative request.
pub(super) fn admin_code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}
