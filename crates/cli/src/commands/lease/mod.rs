//! `lease`: what quorums permitted, and its end.

pub(crate) mod digests;
pub(crate) mod named;
pub(crate) mod show;
pub(crate) mod wait;

use chancery_api::{LeaseList, LeaseRevoke, LeaseShow, LeaseWithdraw};
use clap::{Args, Subcommand};

use crate::{context::Context, error::CliError, node_link::NodeArgs, report::Report};

/// Leases.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery lease list\n\
A lease is a quorum's permission to use one signing key: for named digests or a number of them, until a time.")]
pub(crate) enum LeaseCommand {
    /// Show leases, newest first
    List(List),
    /// Show one lease: what it permits, who agreed, who could
    Show(ShowLease),
    /// End a lease at once
    Revoke(Revoke),
    /// Take back what you asked for, or give up what is left of it
    Withdraw(Withdraw),
}

impl LeaseCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Revoke(command) => command.run(context),
            Self::Withdraw(command) => command.run(context),
        }
    }
}

/// Shows leases.
#[derive(Args)]
#[command(after_help = "Example: chancery lease list --open")]
pub(crate) struct List {
    /// Only those that wait or may be used
    #[arg(long)]
    open: bool,
    /// At most this many, up to 200
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    node: NodeArgs,
}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let leases = self.node.link(context)?.call(&LeaseList {
            open_only: self.open,
            limit: self.limit,
        })?;
        show::list(&leases)
    }
}

/// Shows a lease.
#[derive(Args)]
#[command(after_help = "Example: chancery lease show 01939d2e")]
pub(crate) struct ShowLease {
    /// The lease, or how it begins
    lease: String,
    #[command(flatten)]
    node: NodeArgs,
}

impl ShowLease {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let link = self.node.link(context)?;
        let lease = named::lease(&link, &self.lease)?;
        let view = link.call(&LeaseShow {
            lease,
            known: None,
            wait_seconds: 0,
        })?;
        show::report(&named::answered(lease, view)?)
    }
}

/// Ends a lease.
#[derive(Args)]
#[command(
    after_help = "Example: chancery lease revoke 01939d2e --reason \"build machine is compromised\"\n\
Ending a lease is always safe: it needs nobody's agreement. What was signed under it stays signed."
)]
pub(crate) struct Revoke {
    /// The lease, or how it begins
    lease: String,
    /// Why, one line
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Revoke {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let link = NodeArgs::default().link(context)?;
        let lease = named::lease(&link, &self.lease)?;
        let view = link.call(&LeaseRevoke {
            lease,
            reason: self.reason,
        })?;
        show::report(&named::answered(lease, view)?)
    }
}

/// Takes back a lease.
#[derive(Args)]
#[command(after_help = "Example: chancery lease withdraw 01939d2e")]
pub(crate) struct Withdraw {
    /// The lease, or how it begins
    lease: String,
    #[command(flatten)]
    node: NodeArgs,
}

impl Withdraw {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let link = self.node.link(context)?;
        let lease = named::lease(&link, &self.lease)?;
        show::report(&named::answered(lease, link.call(&LeaseWithdraw { lease })?)?)
    }
}
