//! What is to be attached where.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use chancery_api::{FailureKind, SecretText};
use chancery_connect::{Attachment, LocalToken, Policy, Server, ServerError, Trust};
use zeroize::Zeroizing;

use crate::{
    commands::{
        read_input,
        token::{opening::read_private, reaching::places},
    },
    context::Context,
    error::CliError,
};

/// A server and the tokens for it.
pub(super) struct Plan {
    pub(super) url: String,
    pub(super) node_cert: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) tokens: Vec<Token>,
}

/// A token and what the server may do with it.
pub(super) struct Token {
    pub(super) token: String,
    pub(super) ticket_file: Option<PathBuf>,
    pub(super) allow_keys: Vec<u8>,
    pub(super) manage: bool,
}

/// Longest file of certificates.
const CERTIFICATES: u64 = 1 << 20;
/// Lengths of a ticket.
const TICKET: std::ops::RangeInclusive<usize> = 16..=512;

impl Plan {
    /// The server, with what it is recognised by.
    pub(super) fn server(&self) -> Result<Server, CliError> {
        let read = |path: &Path| read_input(path, CERTIFICATES);
        let trust = match (&self.node_cert, &self.ca_file) {
            (Some(path), _) => Trust::certificate(&read(path)?)?,
            (None, Some(path)) => Trust::authorities(&read(path)?)?,
            (None, None) => Trust::System,
        };
        Ok(Server::new(&self.url, &trust)?)
    }

    /// Each token with its name.
    pub(super) fn attachments(&self, context: &Context) -> Result<Vec<(String, Attachment)>, CliError> {
        let mut names = BTreeSet::new();
        let mut attachments = Vec::new();
        for token in &self.tokens {
            if !names.insert(token.token.as_str()) {
                return Err(invalid(format!("{} is named twice", token.token)));
            }
            let policy = token
                .allow_keys
                .iter()
                .fold(Policy::new(), |policy, key| policy.with_key(*key));
            let policy = if token.manage {
                policy.with_management()
            } else {
                policy
            };
            let mut attachment =
                Attachment::new(LocalToken::new(places(context)?, &token.token)).with_policy(policy);
            if let Some(path) = &token.ticket_file {
                attachment = attachment.with_ticket(ticket(path)?);
            }
            attachments.push((token.token.clone(), attachment));
        }
        if attachments.is_empty() {
            return Err(invalid("no token is named".to_owned()));
        }
        Ok(attachments)
    }
}

/// Reads a ticket. As a service it may be among the credentials that systemd hands over, under the name of its file.
fn ticket(path: &Path) -> Result<SecretText, CliError> {
    let handed_over = env::var_os("CREDENTIALS_DIRECTORY")
        .zip(path.file_name())
        .map(|(directory, name)| PathBuf::from(directory).join(name))
        .filter(|path| path.exists());
    let content = match handed_over {
        // systemd lets nobody else at it, and says so by other means than the mode.
        Some(path) => fs::read(&path)
            .map(Zeroizing::new)
            .map_err(CliError::file("read", &path))?,
        None => read_private(path)?,
    };
    let text = std::str::from_utf8(&content).map(str::trim).unwrap_or_default();
    if !TICKET.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::with_remedy(
            FailureKind::Invalid,
            format!("{} holds no ticket", path.display()),
            "the node gives one out: chancery connector add NAME",
        ));
    }
    Ok(SecretText::new(text.to_owned()))
}

/// Number of a key on a token: 1 to 255, or 0x01 to 0xff.
pub(super) fn key(text: &str) -> Result<u8, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match number {
        Ok(0) => Err("key 0 is the device's own".to_owned()),
        Ok(number) if !text.starts_with('+') => Ok(number),
        _ => Err(format!("{text:?} is no number of a key, such as 1")),
    }
}

pub(super) fn invalid(message: String) -> CliError {
    CliError::new(FailureKind::Invalid, message)
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> Self {
        let message = crate::error::chain(&error);
        match error {
            ServerError::Plain { .. } => Self::with_remedy(
                FailureKind::Refused,
                message,
                "use the https address of the node; chancery connect --help",
            ),
            ServerError::Client { .. } => Self::new(FailureKind::Unavailable, message),
            _ => Self::new(FailureKind::Invalid, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_numbers_from_1_to_255() {
        assert_eq!(key("1"), Ok(1));
        assert_eq!(key("255"), Ok(255));
        assert_eq!(key("0x1f"), Ok(31));
        for bad in ["0", "0x00", "256", "-1", "+1", "", "all", "0x100"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
