//! The node a command calls: that of the data directory here, over its socket, or one elsewhere, over TLS.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use chancery_agent::Membership;
use chancery_api::Method;
use chancery_client::{Identity, NodeClient, Settings, SettingsError, Timeouts, Trust};
use clap::Args;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{context::Context, error::CliError, progress::Progress};

/// Which node is called.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Node elsewhere")]
pub(crate) struct NodeArgs {
    /// Call this node, https://HOST:PORT, and not the one of the data directory here
    #[arg(long, value_name = "URL")]
    pub(crate) node: Option<String>,
    /// The node's own certificate: network/node.pem in its data directory
    #[arg(long, value_name = "FILE", requires = "node", conflicts_with = "node_ca")]
    pub(crate) node_cert: Option<PathBuf>,
    /// Certification authorities, one of which issued the node's certificate
    #[arg(long, value_name = "FILE", requires = "node")]
    pub(crate) node_ca: Option<PathBuf>,
    /// This client's private key (PEM), with its certificate in the same file: chancery client key
    #[arg(long, value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,
    /// Its certificate, when it is in a file of its own
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
}

impl NodeArgs {
    /// The node these options name.
    pub(crate) fn link<'a>(&self, context: &'a Context) -> Result<NodeLink<'a>, CliError> {
        self.link_of(context, None)
    }

    /// The node these options name, and what they leave open as the custodian accepted it.
    pub(crate) fn link_of<'a>(
        &self,
        context: &'a Context,
        seat: Option<&Membership>,
    ) -> Result<NodeLink<'a>, CliError> {
        let known = seat.and_then(Membership::node);
        let (url, accepted) = match (&self.node, known) {
            (Some(url), known) => (url, known.filter(|known| known.url == *url)),
            (None, Some(known)) => (&known.url, Some(known)),
            (None, None) if seat.is_some() => {
                return Err(CliError::Usage(
                    "the invitation named no node: --node https://HOST:PORT --node-cert FILE".to_owned(),
                ));
            }
            (None, None) if self.client_key.is_some() => {
                return Err(CliError::Usage(
                    "--client-key goes with --node https://HOST:PORT".to_owned(),
                ));
            }
            (None, None) => return Ok(NodeLink::Here(context)),
        };
        let trust = match (&self.node_cert, &self.node_ca, accepted) {
            (Some(certificate), ..) => Trust::pinned(certificate).map_err(failed)?,
            (None, Some(authorities), _) => Trust::authorities(authorities).map_err(failed)?,
            (None, None, Some(known)) => Trust::PinnedCertificate(known.certificate.clone().into_bytes()),
            (None, None, None) => {
                return Err(CliError::Usage(
                    "--node needs --node-cert FILE or --node-ca FILE, to know the node by".to_owned(),
                ));
            }
        };
        let key = self
            .client_key
            .as_deref()
            .or_else(|| seat.and_then(Membership::client_key))
            .ok_or_else(|| {
                CliError::Usage(
                    "--node needs --client-key FILE, the key by which the node knows you".to_owned(),
                )
            })?;
        let settings = Settings {
            url: url.clone(),
            trust,
            identity: Some(
                Identity::from_files(key, self.client_cert.as_deref().unwrap_or(key)).map_err(failed)?,
            ),
            timeouts: Timeouts::default(),
        };
        Ok(NodeLink::There(Arc::new(
            NodeClient::new(&settings).map_err(failed)?,
        )))
    }
}

fn failed(error: SettingsError) -> CliError {
    CliError::from(chancery_api::Failure::from(chancery_client::ClientError::from(
        error,
    )))
}

/// A node to call.
#[derive(Clone)]
pub(crate) enum NodeLink<'a> {
    /// That of the data directory here; started when none runs.
    Here(&'a Context),
    /// One elsewhere.
    There(Arc<NodeClient>),
}

impl NodeLink<'_> {
    /// Calls the node.
    pub(crate) fn call<M: Method>(&self, method: &M) -> Result<M::Reply, CliError> {
        match self {
            Self::Here(context) => context.call(method),
            Self::There(client) => {
                let _progress = Progress::start(&format!("waiting for {} ({})", client.node(), M::NAME));
                Ok(there(client, method)?)
            }
        }
    }

    /// Calls the node for somebody who shows what is waited for.
    pub(crate) fn call_quietly<M: Method>(&self, method: &M) -> Result<M::Reply, CliError> {
        match self {
            Self::Here(context) => context.call_quietly(method),
            Self::There(client) => Ok(there(client, method)?),
        }
    }

    /// Whether it is the node here.
    pub(crate) const fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }

    /// Makes a call when this process is interrupted or told to end, and ends it then. What is told comes before. Who waits meanwhile
    /// asks the [`Interrupt`] before it draws conclusions.
    pub(crate) fn call_when_interrupted<M: Method + 'static>(
        &self,
        method: M,
        told: &'static str,
    ) -> Result<Interrupt, CliError> {
        let there = match self {
            Self::There(client) => Ok(Arc::clone(client)),
            Self::Here(context) => Err((context.data()?.path().to_owned(), context.json())),
        };
        when_interrupted(move || {
            let outcome = match &there {
                Ok(client) => self::there(client, &method).map(drop).map_err(CliError::from),
                Err((directory, json)) => here(directory, *json, &method),
            };
            let context = Context::at(PathBuf::new(), false);
            match outcome {
                Ok(()) => context.tell(format!("\n({told})")),
                Err(error) => context.tell(format!("\n{}", error.text().trim_end())),
            }
        })
        .map_err(|error| CliError::Output(std::io::Error::other(error)))
    }
}

fn here<M: Method>(directory: &Path, json: bool, method: &M) -> Result<(), CliError> {
    Context::at(directory.to_owned(), json)
        .call_quietly(method)
        .map(drop)
}

fn there<M: Method>(client: &NodeClient, method: &M) -> Result<M::Reply, chancery_api::Failure> {
    client.call(method).map_err(chancery_api::Failure::from)
}

/// Whether this process was interrupted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Goes no further when the process is about to end: another thread has the last word.
    pub(crate) fn stop_here_if_interrupted(&self) {
        while self.0.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}

/// Does something at the first SIGINT, SIGTERM or SIGHUP, and then ends the process as shells count it.
fn when_interrupted(act: impl FnOnce() + Send + 'static) -> Result<Interrupt, std::io::Error> {
    let interrupted = Interrupt::default();
    let seen = interrupted.clone();
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let kind = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
                _ = hangup.recv() => SignalKind::hangup(),
            }
        });
        seen.0.store(true, Ordering::SeqCst);
        act();
        std::process::exit(128 + kind.as_raw_value());
    })?;
    Ok(interrupted)
}
