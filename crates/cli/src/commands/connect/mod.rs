//! `connect`: the agent at a token's side. It needs no node on this machine.

mod config;
mod failure;
mod plan;
mod telling;
mod unit;

use std::{io, path::PathBuf, sync::Arc};

use chancery_api::FailureKind;
use chancery_connect::Attachment;
use clap::Args;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tracing::level_filters::LevelFilter;

use self::{config::Config, plan::Plan, telling::Teller};
use crate::{context::Context, error::CliError, log_lines, report::Report};

/// Attaches tokens to a node.
#[derive(Args)]
#[command(
    after_help = "Example: chancery connect https://node.example:8443 --token hsm-a --ticket-file hsm-a.ticket --node-cert node.pem \
--allow-key 1\n         chancery connect --config /etc/chancery/connect.toml --permanent\n         \
chancery connect --config /etc/chancery/connect.toml --service-unit > /etc/systemd/system/chancery-connect.service\n\
The token is held until Ctrl-C: no other program gets it, and it is reset at the end. The node may read public files, authenticate \
the device, carry the custodians' answers, and use the keys named with --allow-key; whatever else it sends does not reach the token \
and is shown. No PIN of the token passes, in either direction.\n\
Several tokens in one process: a configuration file,\n  \
node = \"https://node.example:8443\"\n  node-cert = \"node.pem\"\n  [[token]]\n  token = \"hsm-a\"\n  \
ticket-file = \"hsm-a.ticket\"\n  allow-keys = [1]\n\
where files are looked for beside it. It may also say ca-file, and manage = true for a token."
)]
pub(crate) struct Connect {
    /// Address of the node, or of another server that speaks RAMOverHTTP
    #[arg(value_name = "URL", required_unless_present = "config")]
    url: Option<String>,
    /// Device id, label, or name of a virtual token
    #[arg(long, value_name = "TOKEN", required_unless_present = "config")]
    token: Option<String>,
    /// Take the connector's ticket from a file that nobody else may read; - for standard input
    #[arg(long, value_name = "FILE")]
    ticket_file: Option<PathBuf>,
    /// The node's own certificate: it and no other is accepted
    #[arg(long, value_name = "FILE", conflicts_with = "ca_file")]
    node_cert: Option<PathBuf>,
    /// Authorities one of which issued the node's certificate [default: those of this system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A key the node may use, by its number on the token; may be repeated
    #[arg(long, value_name = "KEY", value_parser = plan::key)]
    allow_key: Vec<u8>,
    /// Let the node change the token as well: initialise it, make, copy and delete keys, use every key
    #[arg(long)]
    manage: bool,
    /// Attach again and again, with growing pauses, until ended
    #[arg(long)]
    permanent: bool,
    /// Take all of this from a file, for several tokens
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["url", "token", "ticket_file", "node_cert", "ca_file", "allow_key", "manage"]
    )]
    config: Option<PathBuf>,
    /// Print a systemd unit that does this, and do nothing
    #[arg(long)]
    service_unit: bool,
}

impl Connect {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let plan = match &self.config {
            Some(path) => Config::read(path)?.plan(path)?,
            None => self.plan()?,
        };
        if self.service_unit {
            return Ok(Report::raw(unit::unit(&plan, self.config.as_deref(), context)?));
        }
        let server = plan.server()?;
        let attachments = plan.attachments(context)?;
        log_lines::to_stderr(LevelFilter::WARN)?;
        let teller = Teller::new(context.json(), attachments.len() > 1);
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(CliError::Output)?;
        let permanent = self.permanent;
        let failed = runtime.block_on(async move {
            let stop = stop_on_signals().map_err(CliError::Output)?;
            let mut running = JoinSet::new();
            for (name, attachment) in attachments {
                let attachment: Attachment = if permanent {
                    attachment.permanent()
                } else {
                    attachment
                };
                let (server, stop) = (server.clone(), stop.clone());
                let name: Arc<str> = name.into();
                running.spawn(async move {
                    let tell = |happened| teller.tell(&name, &happened);
                    let ended = attachment.run(&server, stop, &tell).await;
                    (Arc::clone(&name), ended)
                });
            }
            let mut failed = Vec::new();
            while let Some(ended) = running.join_next().await {
                match ended {
                    Ok((_, Ok(()))) => {}
                    Ok((name, Err(error))) => failed.push((name, error)),
                    Err(_) => {
                        return Err(CliError::new(FailureKind::Internal, "defect of this program"));
                    }
                }
            }
            Ok(failed)
        })?;
        // A thread that still waits for its token goes with the process.
        runtime.shutdown_background();
        failure::of(failed).map_or_else(|| Ok(Report::told()), Err)
    }

    fn plan(&self) -> Result<Plan, CliError> {
        let (Some(url), Some(token)) = (&self.url, &self.token) else {
            return Err(CliError::Usage("URL and --token are needed".to_owned()));
        };
        Ok(Plan {
            url: url.clone(),
            node_cert: self.node_cert.clone(),
            ca_file: self.ca_file.clone(),
            tokens: vec![plan::Token {
                token: token.clone(),
                ticket_file: self.ticket_file.clone(),
                allow_keys: self.allow_key.clone(),
                manage: self.manage,
            }],
        })
    }
}

/// Becomes true at the first signal to end.
fn stop_on_signals() -> io::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        // Without listeners all has ended.
        let _ = stop.send(true);
    });
    Ok(stopped)
}
