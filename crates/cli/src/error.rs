//! How a command fails: translated once, here, to a message, a JSON shape and an exit code.

use std::{
    error::Error as StdError,
    io::{self, Write as _},
};

use chancery_agent::{AgentError, own_lines, short_line};
use chancery_api::{Failure, FailureKind};
use chancery_driver::{AttestError, CustodianError, Error as CardError};
use chancery_node::{ClientError, LayoutError, ServeError, StartError};
use chancery_store::StoreError;
use chancery_vtoken::{ManageError, OpenError};
use serde_json::json;

use crate::table::LONGEST;

/// Exit code of a usage error.
pub(crate) const USAGE: u8 = 2;

/// Exit code when a token refuses.
pub(crate) const TOKEN: u8 = 10;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum CliError {
    /// A failure in the words of the node's interface.
    Failed(Failure),
    /// A token refused: a wrong PIN, a blocked PIN, a key that may not be used so.
    Token {
        /// What was being done and what the token answered.
        message: String,
        /// The next step.
        remedy: Option<String>,
    },
    /// A failure that left work open.
    Open {
        /// The failure.
        failure: Box<Self>,
        /// What was and was not done: lines of our own.
        account: String,
    },
    /// The arguments do not fit together.
    Usage(String),
    /// What was to be printed could not be.
    Output(io::Error),
}

impl CliError {
    /// A failure of this kind.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(kind, message))
    }

    /// A failure with the next step.
    pub(crate) fn with_remedy(
        kind: FailureKind,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Failed(Failure::new(kind, message).with_remedy(remedy))
    }

    /// The same failure with a further step at the end of its remedy.
    pub(crate) fn and_then_do(self, step: &str) -> Self {
        let joined = |remedy: Option<String>| match remedy {
            Some(remedy) => Some(format!("{remedy}; {step}")),
            None => Some(step.to_owned()),
        };
        match self {
            Self::Failed(mut failure) => {
                failure.remedy = joined(failure.remedy.take());
                Self::Failed(failure)
            }
            Self::Token { message, remedy } => Self::Token {
                message,
                remedy: joined(remedy),
            },
            Self::Open { failure, account } => Self::Open {
                failure: Box::new(failure.and_then_do(step)),
                account,
            },
            Self::Usage(message) => Self::Usage(format!("{message}; {step}")),
            Self::Output(error) => Self::Output(error),
        }
    }

    /// For `map_err`: a file that could not be used.
    pub(crate) fn file(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => FailureKind::NotFound,
                io::ErrorKind::AlreadyExists => FailureKind::Conflict,
                _ => FailureKind::Unavailable,
            };
            let reason = match error.kind() {
                io::ErrorKind::AlreadyExists => "something of this name is there already".to_owned(),
                _ => error.to_string(),
            };
            Self::new(kind, format!("cannot {doing} {}: {reason}", path.display()))
        }
    }

    /// Exit code of a process that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(failure) => failure.kind.exit_code(),
            Self::Token { .. } => TOKEN,
            Self::Open { failure, .. } => failure.exit_code(),
            Self::Usage(_) => USAGE,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => FailureKind::Unavailable.exit_code(),
        }
    }

    /// Shows the failure, text on standard error or JSON on standard output, and returns the exit code.
    pub(crate) fn print(&self, as_json: bool) -> u8 {
        let code = self.exit_code();
        if code == 0 {
            return code;
        }
        // Who closed the stream does not want to know.
        if as_json {
            let _ = writeln!(io::stdout().lock(), "{:#}", self.json());
        } else {
            let _ = io::stderr().lock().write_all(self.text().as_bytes());
        }
        code
    }

    /// The failure as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Self::Failed(failure) => json!(failure),
            Self::Token {
                message,
                remedy: Some(remedy),
            } => {
                json!({ "kind": "token", "message": message, "remedy": remedy })
            }
            Self::Token {
                message,
                remedy: None,
            } => json!({ "kind": "token", "message": message }),
            Self::Open { failure, account } => {
                let mut value = failure.json();
                let message = value["message"].as_str().unwrap_or_default();
                value["message"] = json!(format!("{message}\n{account}"));
                value
            }
            Self::Usage(message) => json!({ "kind": "usage", "message": message }),
            Self::Output(error) => json!({ "kind": "unavailable", "message": error.to_string() }),
        }
    }

    /// The failure as lines for people: conditions in order, each with its remedy and who can do it. Whatever the failure says may
    /// come from elsewhere, and each part of it stays on a line of its own.
    pub(crate) fn text(&self) -> String {
        self.text_with("")
    }

    /// As [`CliError::text`], with lines of our own after the message.
    fn text_with(&self, account: &str) -> String {
        let unwritten;
        let (message, remedy, unmet) = match self {
            Self::Failed(failure) => (
                &failure.message,
                failure.remedy.as_deref(),
                failure.unmet.as_slice(),
            ),
            Self::Token { message, remedy } => (message, remedy.as_deref(), [].as_slice()),
            Self::Open { failure, account } => return failure.text_with(account),
            Self::Usage(message) => (message, Some("see --help"), [].as_slice()),
            Self::Output(error) => {
                unwritten = format!("cannot write the output: {error}");
                (&unwritten, None, [].as_slice())
            }
        };
        let mut text = format!("chancery: {}\n", short_line(message, LONGEST));
        if !account.is_empty() {
            text.push_str(&format!("{}\n", own_lines(account.trim_end())));
        }
        text.push_str(&crate::table::conditions(unmet));
        if let Some(remedy) = remedy {
            text.push_str(&format!("  do: {}\n", short_line(remedy, LONGEST)));
        }
        text
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<LayoutError> for CliError {
    fn from(error: LayoutError) -> Self {
        let (kind, remedy) = match &error {
            LayoutError::Missing(_) | LayoutError::NotInitialised(_) => (
                FailureKind::NotFound,
                Some("chancery init --help, or chancery quickstart"),
            ),
            LayoutError::AlreadyInitialised(_) => (FailureKind::Conflict, None),
            LayoutError::Damaged { .. } | LayoutError::InstallationMissing(_) => (FailureKind::Refused, None),
            LayoutError::UnknownVersion { .. } => (FailureKind::Version, None),
            LayoutError::NotADirectory(_) | LayoutError::Exposed { .. } | LayoutError::OtherOwner { .. } => {
                (FailureKind::Invalid, None)
            }
            LayoutError::Io { .. } => (FailureKind::Unavailable, None),
        };
        let mut failure = Failure::new(kind, chain(&error));
        failure.remedy = remedy.map(str::to_owned);
        Self::Failed(failure)
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Layout(error) => error.into(),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Client(error) => error.into(),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<ServeError> for CliError {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::InUse { pid, .. } => {
                let remedy = format!("process {pid} is the node here: use it, or end it with chancery stop");
                Self::with_remedy(FailureKind::Conflict, error.to_string(), remedy)
            }
            ServeError::Layout(error) => error.into(),
            ServeError::Center(failure) => Self::Failed(failure),
            other @ ServeError::Network(_) => Self::Failed(other.into()),
            other => Self::new(FailureKind::Unavailable, chain(&other)),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Corrupt { .. } => FailureKind::Refused,
            StoreError::UnknownSchema { .. } => FailureKind::Version,
            _ => FailureKind::Unavailable,
        };
        Self::new(kind, chain(&error))
    }
}

impl From<ManageError> for CliError {
    fn from(error: ManageError) -> Self {
        let kind = match &error {
            ManageError::NameTaken(_) | ManageError::InUse { .. } => FailureKind::Conflict,
            ManageError::NotFound(_) => FailureKind::NotFound,
            ManageError::Damaged { .. } => FailureKind::Refused,
            _ => FailureKind::Unavailable,
        };
        let mut failure = Failure::new(kind, chain(&error));
        if let ManageError::InUse { .. } = error {
            failure.remedy =
                Some("an HSM is held by the node: chancery hsm detach, or chancery stop".to_owned());
        }
        Self::Failed(failure)
    }
}

impl From<AgentError> for CliError {
    fn from(error: AgentError) -> Self {
        let message = chain(&error);
        let failed = |kind| Self::new(kind, message.clone());
        match &error {
            AgentError::NoToken { .. } => Self::with_remedy(
                FailureKind::NotFound,
                message,
                "chancery vtoken list shows the tokens here",
            ),
            AgentError::Open {
                source: OpenError::InUse { .. },
                ..
            } => Self::with_remedy(FailureKind::Conflict, message, "wait for that process, or end it"),
            AgentError::Open {
                source: OpenError::Damaged { .. },
                ..
            } => failed(FailureKind::Refused),
            AgentError::Open { .. } | AgentError::File { .. } => failed(FailureKind::Unavailable),
            AgentError::Card { source, .. } => card(message, source),
            AgentError::Custodian { source, .. } => match source {
                CustodianError::Card(source) | CustodianError::Attest(AttestError::Card(source)) => {
                    card(message, source)
                }
                _ => failed(FailureKind::Refused),
            },
            AgentError::ActKey {
                source: AttestError::Card(source),
                ..
            } => card(message, source),
            AgentError::ActKey { .. }
            | AgentError::Chain { .. }
            | AgentError::OtherToken { .. }
            | AgentError::OtherAct(_)
            | AgentError::OtherLease(_)
            | AgentError::Log(_)
            | AgentError::NotAccepted { .. } => failed(FailureKind::Refused),
            AgentError::Pin { .. }
            | AgentError::NoPin { .. }
            | AgentError::Reason(_)
            | AgentError::Letter { .. }
            | AgentError::BadFile { .. } => failed(FailureKind::Invalid),
            AgentError::Clock { lease, .. } => Self::with_remedy(
                FailureKind::Refused,
                message,
                format!(
                    "have both clocks set right, and look at the lease again: chancery approve {lease} --as NAME"
                ),
            ),
            AgentError::NodeEnforcedNow { lease } => Self::with_remedy(
                FailureKind::Refused,
                message,
                format!("look at the lease again: chancery approve {lease} --as NAME"),
            ),
            AgentError::LogMoved => {
                Self::with_remedy(FailureKind::Conflict, message, "wait for it, and try again")
            }
            AgentError::Manage(_) => match error {
                AgentError::Manage(inner) => inner.into(),
                _ => failed(FailureKind::Unavailable),
            },
        }
    }
}

/// A card's answer: a refusal when it gave a status word, otherwise something that did not do its part.
fn card(message: String, source: &CardError) -> CliError {
    let remedy = match source {
        CardError::WrongPin { .. } => Some("type the right PIN: at no try left it is blocked"),
        CardError::PinBlocked { .. } => Some("the SO-PIN unblocks it"),
        CardError::NotInitialized { .. } => Some("give it a PIN: chancery vtoken create NAME --init"),
        _ => None,
    };
    match source {
        _ if source.status().is_some() => CliError::Token {
            message,
            remedy: remedy.map(str::to_owned),
        },
        CardError::Chain(_) | CardError::Disagreement { .. } => CliError::new(FailureKind::Refused, message),
        _ => CliError::new(FailureKind::Unavailable, message),
    }
}

/// An error with its causes on one line, none said twice.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use chancery_api::Condition;

    use super::*;

    #[test]
    fn a_blocked_action_lists_condition_remedy_and_who_in_order() {
        let unmet = vec![
            Condition::new(
                "approval",
                "request 7 has 0 of 1 approvals",
                "chancery request approve 7 --as bob",
                vec!["bob".into()],
            ),
            Condition::new(
                "attached",
                "HSM hsm-a is not attached",
                "bring it back",
                Vec::new(),
            ),
        ];
        let error = CliError::Failed(Failure::blocked("request 7 cannot be signed now", unmet));
        insta::assert_snapshot!(error.text(), @r"
        chancery: request 7 cannot be signed now
          1. request 7 has 0 of 1 approvals
             do:  chancery request approve 7 --as bob
             who: bob
          2. HSM hsm-a is not attached
             do:  bring it back
             who: nobody at present
        ");
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn what_comes_from_elsewhere_stays_on_its_line() {
        let evil = "x\u{1b}[2J\n  do: y\u{202e}";
        let unmet = vec![Condition::new("evil", evil, evil, vec![evil.to_owned()])];
        let error = CliError::Failed(Failure::blocked(evil, unmet).with_remedy(evil));
        insta::assert_snapshot!(error.text(), @r"
        chancery: x\u{1b}[2J\u{a} \u{20}do: y\u{202e}
          1. x\u{1b}[2J\u{a} \u{20}do: y\u{202e}
             do:  x\u{1b}[2J\u{a} \u{20}do: y\u{202e}
             who: x\u{1b}[2J\u{a} \u{20}do: y\u{202e}
          do: x\u{1b}[2J\u{a} \u{20}do: y\u{202e}
        ");
        assert_eq!(error.json()["message"], evil);
        let long = CliError::new(FailureKind::Conflict, "x ".repeat(1_000_000));
        assert!(long.text().len() < 5_000);
        let failures = [
            CliError::from(AgentError::OtherLease(evil.to_owned())),
            CliError::from(AgentError::NotAccepted {
                hsm: evil.to_owned(),
                why: evil.to_owned(),
            }),
            CliError::Usage(evil.to_owned()),
            CliError::Token {
                message: evil.to_owned(),
                remedy: Some(evil.to_owned()),
            },
        ];
        for failure in failures {
            let text = failure.text();
            assert!(text.lines().count() <= 2, "{text}");
            assert!(
                text.chars()
                    .all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')),
                "{text:?}"
            );
        }
    }

    #[test]
    fn work_that_is_left_open_is_told_a_line_a_step() {
        let error = CliError::Open {
            failure: Box::new(CliError::new(FailureKind::Unavailable, "the token\nis gone")),
            account: "  first: done\n  second: not done".to_owned(),
        }
        .and_then_do("chancery token resume 1");
        insta::assert_snapshot!(error.text(), @r"
        chancery: the token\u{a}is gone
          first: done
          second: not done
          do: chancery token resume 1
        ");
        assert_eq!(
            error.json()["message"],
            "the token\nis gone\n  first: done\n  second: not done"
        );
        assert_eq!(error.exit_code(), FailureKind::Unavailable.exit_code());
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(CliError::Output(io::ErrorKind::BrokenPipe.into()).exit_code(), 0);
        assert_eq!(CliError::Output(io::ErrorKind::StorageFull.into()).exit_code(), 8);
    }
}
