//! What can go wrong, told apart by who can do something about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use chancery_api::{Failure, FailureKind};
use thiserror::Error;

/// Settings with which no node can be called.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Not an address of a node.
    #[error("{url:?} is no address of a node: {why}; it is written https://HOST:PORT")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A private key that others on this machine may read.
    #[error("others may read {0}, which holds a private key: chmod 600 {0}", .path.display())]
    Shared {
        /// The file.
        path: PathBuf,
    },
    /// No certificate where one is needed.
    #[error("{what} is no certificate, neither PEM nor DER")]
    Certificate {
        /// What was looked at.
        what: String,
    },
    /// No private key where one is needed.
    #[error(
        "the client's private key cannot be read: PEM of PKCS#8, SEC 1 or PKCS#1 without a passphrase is needed"
    )]
    Key,
    /// A key that does not belong to its certificate, or of a kind TLS does not know.
    #[error("client key and certificate cannot be used: {0}")]
    Identity(#[source] rustls::Error),
    /// Certificates nobody can be checked against.
    #[error("{what} cannot be trusted: {why}")]
    Trust {
        /// What was looked at.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl SettingsError {
    /// What to make of a file's error.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nobody answers at that address.
    #[error("node {node} cannot be reached: {source}")]
    Unreachable {
        /// Host and port.
        node: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody answers, with another certificate than the one that is trusted.
    #[error("{node} is not the node that is trusted: it shows another certificate")]
    NotPinned {
        /// Host and port.
        node: String,
    },
    /// Its certificate does not lead to the authority that is trusted, or names another host.
    #[error("the certificate of {node} is not trusted: {why}")]
    Untrusted {
        /// Host and port.
        node: String,
        /// What is wrong with it.
        why: String,
    },
    /// The node ended the TLS handshake.
    #[error("{node} refuses the connection: {why}")]
    TlsRefused {
        /// Host and port.
        node: String,
        /// Its alert, or what is wrong with the connection.
        why: String,
    },
    /// The node does not know the client's key, or knows it no more.
    #[error("the node does not accept this client: {0}")]
    NotEnrolled(Failure),
    /// No answer in time. The call may have been carried out.
    #[error("no answer to {method} from {node} within {seconds} s")]
    TimedOut {
        /// Host and port.
        node: String,
        /// The method.
        method: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The connection broke. The call may have been carried out.
    #[error("no answer to {method} from {node}: {source}")]
    Lost {
        /// Host and port.
        node: String,
        /// The method.
        method: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// An answer that is none of a node's.
    #[error("the answer of {node} to {method} cannot be read: {why}")]
    Answer {
        /// Host and port.
        node: String,
        /// The method.
        method: &'static str,
        /// What it is.
        why: String,
    },
    /// More than a node would take.
    #[error("{method} with {bytes} bytes is longer than {limit} bytes")]
    TooLong {
        /// The method.
        method: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// Most that is taken, in bytes.
        limit: usize,
    },
    /// The node's own failure.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl ClientError {
    /// Whether the same call may succeed later without anybody doing anything: nobody answered, or the connection broke.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost { .. }
        )
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        let (kind, remedy) = match error {
            ClientError::Failed(failure) => return failure,
            ClientError::NotEnrolled(failure) => {
                return Self {
                    kind: FailureKind::Refused,
                    message,
                    remedy: failure.remedy.or_else(|| Some(ENROL.to_owned())),
                    unmet: failure.unmet,
                };
            }
            ClientError::Settings(SettingsError::Read { ref source, .. }) => {
                return Self::new(FailureKind::Invalid, format!("{message}: {source}"));
            }
            ClientError::Settings(_) | ClientError::TooLong { .. } => (FailureKind::Invalid, None),
            ClientError::Unreachable { .. } => (
                FailureKind::Unavailable,
                Some("is the node running with --api-listen, and is this its address?"),
            ),
            ClientError::NotPinned { .. } => (
                FailureKind::Refused,
                Some(
                    "compare the certificate with network/node.pem in the node's data directory; somebody may stand in between",
                ),
            ),
            ClientError::Untrusted { .. } => (
                FailureKind::Refused,
                Some("name the node's own certificate, or the authority that issued it"),
            ),
            ClientError::TlsRefused { .. } => (FailureKind::Refused, Some(ENROL)),
            ClientError::TimedOut { .. } | ClientError::Lost { .. } => (
                FailureKind::Unavailable,
                Some("the call may have been carried out: look at the state before repeating it"),
            ),
            ClientError::Answer { .. } => (
                FailureKind::Version,
                Some("is this the address of the node's API, and is the node of this version?"),
            ),
        };
        let failure = Self::new(kind, message);
        match remedy {
            Some(remedy) => failure.with_remedy(remedy),
            None => failure,
        }
    }
}

const ENROL: &str = "on the node: chancery client add NAME --key CERTIFICATE";
