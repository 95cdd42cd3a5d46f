//! `serve`, `stop`, `status`.

use std::{path::PathBuf, time::Duration};

use chancery_api::{NodeStatus, Status};
use chancery_node::{Client, DEFAULT_IDLE_STOP, NetworkSettings, Options, Stopped, serve, stop};
use clap::Args;
use serde_json::json;
use tracing::level_filters::LevelFilter;

use crate::{
    commands::hsm,
    context::Context,
    error::CliError,
    log_lines,
    report::Report,
    table::{facts, list},
};

/// Runs the node.
#[derive(Args)]
#[command(after_help = "\
Example: chancery serve --idle-stop 0
Example: chancery serve --listen 0.0.0.0:8443 --api-listen 0.0.0.0:8444 --name ca.example
A node in the foreground; commands start one in the background when none runs. Ctrl-C ends it and locks every HSM. Where it \
listens on the network is remembered in network.toml of the data directory, also for nodes in the background; such a node does not \
end itself. Without --tls-cert it makes a key and a certificate of its own, network/node.pem, which clients and agents are given.")]
pub(crate) struct Serve {
    /// End after so many seconds without a call while no HSM is unlocked; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_IDLE_STOP.as_secs())]
    idle_stop: u64,
    /// Answer agents that attach tokens here, over TLS without client certificates
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Answer enrolled clients here, over TLS with client certificates
    #[arg(long, value_name = "HOST:PORT")]
    api_listen: Option<String>,
    /// A name of this host for the certificate the node makes; may be repeated
    #[arg(long = "name", value_name = "DNS")]
    names: Vec<String>,
    /// Certificate with its chain, PEM, in place of the node's own
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "names")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM without a passphrase
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Listen on no network address any more, whatever is remembered
    #[arg(long, conflicts_with_all = ["listen", "api_listen", "names", "tls_cert"])]
    local_only: bool,
    /// How a command starts its node
    #[arg(long, hide = true)]
    background: bool,
}

impl Serve {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let data = context.data()?;
        log_lines::to_stderr(LevelFilter::INFO)?;
        let mut options = Options::new(data);
        options.idle_stop = (self.idle_stop > 0).then(|| Duration::from_secs(self.idle_stop));
        options.background = self.background;
        options.network = self.network()?;
        env!("CARGO_PKG_VERSION").clone_into(&mut options.version);
        let why = match serve(options)? {
            Stopped::Idle => "the node ended itself: nobody called it, and no HSM was unlocked".to_owned(),
            Stopped::Asked => "the node was asked to end".to_owned(),
            Stopped::Signal(name) => format!("the node ended on {name}"),
        };
        Report::new(&json!({ "stopped": why }), why)
    }
}

impl Serve {
    /// Where to listen from now on; `None` for what is remembered.
    fn network(&self) -> Result<Option<NetworkSettings>, CliError> {
        if self.local_only {
            return Ok(Some(NetworkSettings::default()));
        }
        if self.listen.is_none() && self.api_listen.is_none() {
            if self.names.is_empty() && self.tls_cert.is_none() {
                return Ok(None);
            }
            return Err(CliError::Usage(
                "--name, --tls-cert and --tls-key go with --listen or --api-listen".to_owned(),
            ));
        }
        // Remembered for nodes that are started elsewhere.
        let absolute = |path: &Option<PathBuf>| match path {
            Some(path) => std::path::absolute(path)
                .map(Some)
                .map_err(CliError::file("find", path)),
            None => Ok(None),
        };
        Ok(Some(NetworkSettings {
            listen: self.listen.clone(),
            api_listen: self.api_listen.clone(),
            names: self.names.clone(),
            tls_cert: absolute(&self.tls_cert)?,
            tls_key: absolute(&self.tls_key)?,
        }))
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
        let address = |at: &Option<String>| at.clone().unwrap_or_else(|| "no network address".to_owned());
        let names: Vec<_> = status.hsms.iter().map(|hsm| hsm.name.as_str()).collect();
        let mut text = facts(&[
            ("process", status.pid.to_string()),
            ("version", status.version.clone()),
            ("installation", status.installation.clone()),
            ("data directory", status.data_dir.clone()),
            ("started", format!("{} (start {})", status.started, status.epoch)),
            ("ends itself", idle),
            ("answers agents at", address(&status.listen)),
            ("answers clients at", address(&status.api_listen)),
            ("HSMs", list(&names)),
        ]);
        if !status.hsms.is_empty() {
            text.push('\n');
            text.push_str(&hsm::states(&status.hsms));
        }
        Report::new(&status, text)
    }
}
