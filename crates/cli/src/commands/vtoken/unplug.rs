//! `vtoken unplug`: plugged tokens are pulled.

use std::{
    thread,
    time::{Duration, Instant},
};

use chancery_api::FailureKind;
use chancery_node::DataDir;
use chancery_reader::socket::{SocketError, SocketToken};
use chancery_vtoken::TokenName;
use clap::Args;
use serde_json::json;

use super::plug::socket_of;
use crate::{
    context::Context,
    error::{CliError, chain},
    report::Report,
};

/// Pulls tokens.
#[derive(Args)]
#[command(after_help = "Example: chancery vtoken unplug alice\n\
Programs that use the token see its removal; a command that it is carrying out is finished first. The plugging process ends \
when it has no token left.")]
pub(crate) struct Unplug {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Unplug {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let data = context.data()?;
        let tokens = context.tokens()?;
        let mut pulled = Vec::new();
        let mut text = String::new();
        for name in &self.names {
            let name = TokenName::new(name)
                .map_err(|error| CliError::new(FailureKind::Invalid, error.to_string()))?;
            // Looked up first: a token that is not here is another error than one that is not plugged in.
            let holder = || -> Result<Option<u32>, CliError> {
                let found = tokens.list()?.into_iter().find(|token| token.name == name);
                let missing = || chancery_agent::AgentError::NoToken {
                    what: name.to_string(),
                };
                Ok(found.ok_or_else(missing)?.in_use_by)
            };
            let before = holder()?;
            let failed = |error| refused(&name, before, &error);
            let mut token = SocketToken::connect(&socket_of(&data, &name)).map_err(failed)?;
            let process = token.status().map_err(failed)?.server;
            token.unplug().map_err(failed)?;
            let end = Instant::now() + PATIENCE;
            while holder()? == Some(process) {
                if Instant::now() > end {
                    return Err(CliError::new(
                        FailureKind::Unavailable,
                        format!(
                            "token {name} is pulled, and process {process} is still busy with its last command"
                        ),
                    ));
                }
                thread::sleep(PAUSE);
            }
            text.push_str(&format!("token {name} is unplugged\n"));
            pulled.push(json!({ "token": name.as_str(), "process": process }));
        }
        Report::new(&pulled, text)
    }
}

/// The refusal of what cannot be done to a plugged token; `None` when it is not plugged in.
pub(super) fn plugged(data: &DataDir, name: &TokenName) -> Option<CliError> {
    let status = SocketToken::connect(&socket_of(data, name))
        .and_then(|mut token| token.status())
        .ok()?;
    Some(CliError::with_remedy(
        FailureKind::Conflict,
        format!("token {name} is plugged in by process {}", status.server),
        format!("chancery vtoken unplug {name}"),
    ))
}

fn refused(name: &TokenName, holder: Option<u32>, error: &SocketError) -> CliError {
    match (error, holder) {
        (SocketError::NotServed { .. }, Some(pid)) => CliError::with_remedy(
            FailureKind::Conflict,
            format!("token {name} is not plugged in: process {pid} has it open"),
            "an HSM is held by the node: chancery hsm detach, or chancery stop",
        ),
        (SocketError::NotServed { .. }, None) => CliError::with_remedy(
            FailureKind::NotFound,
            format!("token {name} is not plugged in"),
            format!("chancery vtoken plug {name}"),
        ),
        (SocketError::Version { .. }, _) => CliError::new(FailureKind::Version, chain(error)),
        _ => CliError::new(
            FailureKind::Unavailable,
            format!("cannot unplug token {name}: {}", chain(error)),
        ),
    }
}

/// Longest command of a token: generation of a long RSA key.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);
