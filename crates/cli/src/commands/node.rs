//! `serve`, `stop`, `status`.

use std::{io, time::Duration};

use chancery_api::{NodeStatus, Status};
use chancery_node::{Client, DEFAULT_IDLE_STOP, Options, Stopped, serve, stop};
use clap::Args;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::{
    commands::hsm,
    context::Context,
    error::CliError,
    report::Report,
    table::{facts, list},
};

/// Runs the node.
#[derive(Args)]
#[command(after_help = "Example: chancery serve --idle-stop 0\n\
A node in the foreground; commands start one in the background when none runs. Ctrl-C ends it and locks every HSM.")]
pub(crate) struct Serve {
    /// End after so many seconds without a call while no HSM is unlocked; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_IDLE_STOP.as_secs())]
    idle_stop: u64,
    /// How a command starts its node
    #[arg(long, hide = true)]
    background: bool,
}

impl Serve {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let data = context.data()?;
        let filter = EnvFilter::try_from_env("CHANCERY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(false)
            .init();
        let mut options = Options::new(data);
        options.idle_stop = (self.idle_stop > 0).then(|| Duration::from_secs(self.idle_stop));
        options.background = self.background;
        env!("CARGO_PKG_VERSION").clone_into(&mut options.version);
        let why = match serve(options)? {
            Stopped::Idle => "the node ended itself: nobody called it, and no HSM was unlocked".to_owned(),
            Stopped::Asked => "the node was asked to end".to_owned(),
            Stopped::Signal(name) => format!("the node ended on {name}"),
        };
        Report::new(&json!({ "stopped": why }), why)
    }
}

/// Ends the node.
#[derive(Args)]
#[command(
    after_help = "Example: chancery stop\nUnlock state is in the node's memory only: after this every HSM is locked."
)]
pub(crate) struct Stop {}

impl Stop {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let data = context.data()?;
        context.disconnect();
        let stopped = stop(&data, PATIENCE)?;
        let text = if stopped {
            "the node has ended; every HSM is locked"
        } else {
            "no node was running"
        };
        Report::new(&json!({ "stopped": stopped }), text)
    }
}

/// How long a node may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows the node.
#[derive(Args)]
#[command(after_help = "Example: chancery status --json\nStarts no node: exit code 8 when none runs.")]
pub(crate) struct ShowStatus {}

impl ShowStatus {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let status: NodeStatus = Client::connect(&context.data()?)?.call(&Status {})?;
        let idle = match status.idle_stop_seconds {
            0 => "never".to_owned(),
            seconds => format!("after {seconds} s without a call while no HSM is unlocked"),
        };
        let names: Vec<_> = status.hsms.iter().map(|hsm| hsm.name.as_str()).collect();
        let mut text = facts(&[
            ("process", status.pid.to_string()),
            ("version", status.version.clone()),
            ("installation", status.installation.clone()),
            ("data directory", status.data_dir.clone()),
            ("started", format!("{} (start {})", status.started, status.epoch)),
            ("ends itself", idle),
            ("HSMs", list(&names)),
        ]);
        if !status.hsms.is_empty() {
            text.push('\n');
            text.push_str(&hsm::states(&status.hsms));
        }
        Report::new(&status, text)
    }
}
