//! `request`.

mod decide;
mod show;

use std::path::PathBuf;

use chancery_api::{
    Base64, Intent, RequestDetail, RequestImport, RequestNumber, RequestResume, RequestShow, RequestView,
    Subject,
};
use clap::{Args, Subcommand};

use super::{read_input, request_number};
use crate::{
    act::{Actor, decide, requests},
    context::Context,
    error::CliError,
    report::Report,
};

pub(crate) use show::{decided, opened};

/// Requests.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery request import server.csr")]
pub(crate) enum RequestCommand {
    /// Import a PKCS#10 request
    Import(Import),
    /// Show requests, newest first
    List(show::List),
    /// Show a request in full
    Show(show::Show),
    /// Say what stands between a request and its end, and who can do what
    Why(show::Why),
    /// Approve requests
    Approve(decide::Approve),
    /// Reject requests
    Reject(decide::Reject),
    /// Have certificates signed
    Sign(decide::Sign),
    /// Carry on what was decided and then interrupted
    Resume(Resume),
}

impl RequestCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Import(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Why(command) => command.run(context),
            Self::Approve(command) => command.run(context),
            Self::Reject(command) => command.run(context),
            Self::Sign(command) => command.run(context),
            Self::Resume(command) => command.run(context),
        }
    }
}

/// Largest file that is read as a request, in bytes: more than the trust center takes, so that it can name its own limit.
const MOST_BYTES: u64 = 1024 * 1024;

/// Imports a request.
#[derive(Args)]
#[command(
    after_help = "Example: chancery request import server.csr --ca root --profile server\n\
         openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key \\\n\
         \x20 -subj /CN=www.example.com -addext subjectAltName=DNS:www.example.com | chancery request import -\n\
The names of a server certificate come from subjectAltName."
)]
pub(crate) struct Import {
    /// PKCS#10, PEM or DER; - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Issuing CA; may be left out while there is only one
    #[arg(long)]
    ca: Option<String>,
    /// Profile of the certificate: server, client
    #[arg(long, default_value = "server")]
    profile: String,
}

impl Import {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let csr = Base64(read_input(&self.file, MOST_BYTES)?);
        opened(&context.call(&RequestImport {
            csr,
            ca: self.ca,
            profile: self.profile,
        })?)
    }
}

/// Carries on.
#[derive(Args)]
#[command(
    after_help = "Example: chancery request resume 7\nNeeds no new decision: the one that was recorded holds."
)]
pub(crate) struct Resume {
    /// Number of the request
    #[arg(value_parser = request_number)]
    number: RequestNumber,
}

impl Resume {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let detail: RequestDetail = context.call(&RequestResume { request: self.number })?;
        let text = show::detail(&detail);
        Report::new(&detail, text)
    }
}

/// Has a request approved that this command opened. When that fails the request is still there, and the failure says so.
pub(crate) fn approve_opened(
    context: &Context,
    manager: Actor<'_>,
    request: RequestNumber,
) -> Result<Vec<RequestDetail>, CliError> {
    let intent = Intent::RequestApprove {
        requests: vec![request],
    };
    decide(context, manager, intent)
        .and_then(requests)
        .map_err(|error| still_there(context, error, request, manager.name))
}

/// A failure after a request was opened: says how to go on with the request.
pub(crate) fn still_there(
    context: &Context,
    error: CliError,
    request: RequestNumber,
    person: &str,
) -> CliError {
    let state = context
        .call(&RequestShow { request })
        .map(|detail| (detail.request.state, detail.subject));
    let step = match &state {
        Ok((state, Subject::Ca(_) | Subject::Certificate(_))) if state == "approved" => {
            format!(
                "request {request} is approved; go on with: chancery request sign {request} --as {person}"
            )
        }
        Ok((state, _)) if state == "open" => {
            format!("request {request} is open; go on with: chancery request approve {request} --as {person}")
        }
        Ok((state, _)) if state == "approved" || state == "signing" => {
            format!("request {request} is {state}; go on with: chancery request resume {request}")
        }
        // Where it stands is not known here, e.g. because the node is gone.
        _ => format!("look at what was opened: chancery request why {request}"),
    };
    error.and_then_do(&step)
}

/// `request 7 is open: person bob: Registration Officer`.
fn line(view: &RequestView) -> String {
    format!(
        "request {} is {}: {}",
        view.request,
        view.state,
        chancery_agent::one_line(&view.title)
    )
}
