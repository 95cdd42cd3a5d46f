//! The commands and what they have in common.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        approve::Approve,
        attest::AttestCommand,
        audit::AuditCommand,
        ca::CaCommand,
        cert::CertCommand,
        completion::Completion,
        connect::Connect,
        crl::CrlCommand,
        custodian::CustodianCommand,
        dkek::DkekCommand,
        hsm::HsmCommand,
        init::Init,
        lease::LeaseCommand,
        network::{ClientCommand, ConnectorCommand, TicketCommand},
        node,
        person::PersonCommand,
        quickstart::Quickstart,
        receipt::ReceiptCommand,
        request::RequestCommand,
        sign::Sign,
        signer::SignerCommand,
        token::TokenCommand,
        unlock::UnlockCommand,
        vtoken::VtokenCommand,
    },
    context::Context,
    error::CliError,
    report::Report,
};

/// A trust center in one program: certificates signed by keys that only a quorum of custodians can unlock.
#[derive(Parser)]
#[command(name = "chancery", version, after_help = EXAMPLE, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLE: &str = "\
Example: a working trust center on virtual tokens in one command
  chancery quickstart
Exit codes: 0 done, 1 defect, 2 usage, 3 invalid, 4 blocked, 5 not found, 6 conflict or in use, 7 refused, 8 unavailable, \
9 other version, 10 refused by a token";

/// Options of every command.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// Data directory of the trust center [default: $XDG_DATA_HOME/chancery or ~/.local/share/chancery]
    #[arg(
        long,
        global = true,
        env = "CHANCERY_DATA_DIR",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build a working trust center for rehearsal, step by step, from ordinary commands
    Quickstart(Quickstart),
    /// Make a new installation and pin its first manager
    Init(Init),
    /// Run the node in the foreground
    Serve(node::Serve),
    /// Attach tokens of this machine to a node elsewhere, and hold them for it
    Connect(Connect),
    /// End the node: every HSM is locked
    Stop(node::Stop),
    /// State of the node
    Status(node::ShowStatus),
    /// Virtual tokens; need no node
    #[command(subcommand)]
    Vtoken(VtokenCommand),
    /// Tokens, real and virtual: look, set up, change PINs, work with keys; need no node
    #[command(subcommand)]
    Token(TokenCommand),
    /// Proof of where keys come from: verify it, keep it, show what it is worth; needs no node
    #[command(subcommand)]
    Attest(AttestCommand),
    /// Backup shares of key domains: share files, password shares, and a doctor for both
    #[command(subcommand)]
    Dkek(DkekCommand),
    /// The tokens that hold the trust center's keys
    #[command(subcommand)]
    Hsm(HsmCommand),
    /// The people whose tokens unlock HSMs
    #[command(subcommand)]
    Custodian(CustodianCommand),
    /// People and their roles
    #[command(subcommand)]
    Person(PersonCommand),
    /// Certification authorities
    #[command(subcommand)]
    Ca(CaCommand),
    /// CA keys and signing keys, and their replicas on HSMs
    #[command(subcommand)]
    Signer(SignerCommand),
    /// Ask the custodians for a lease, to sign something
    #[command(subcommand)]
    Unlock(UnlockCommand),
    /// Decide on leases as a custodian: what is asked is shown here, and your own token answers here
    Approve(Approve),
    /// Leases: what custodians permitted
    #[command(subcommand)]
    Lease(LeaseCommand),
    /// Sign digests or files under a lease
    Sign(Sign),
    /// Receipts of signatures
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Requests: import, approve, sign, and why one cannot go on
    #[command(subcommand)]
    Request(RequestCommand),
    /// Certificates
    #[command(subcommand)]
    Cert(CertCommand),
    /// Revocation lists
    #[command(subcommand)]
    Crl(CrlCommand),
    /// Connectors: how tokens that are elsewhere come to the node
    #[command(subcommand)]
    Connector(ConnectorCommand),
    /// Single-use tickets for terminals of others
    #[command(subcommand)]
    Ticket(TicketCommand),
    /// Clients: programs that ask for leases and sign, and the agents of custodians elsewhere
    #[command(subcommand)]
    Client(ClientCommand),
    /// The audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Completion script for a shell
    Completion(Completion),
}

impl Cli {
    /// Runs the command, prints its outcome and says how the process ends.
    pub(crate) fn execute(self) -> ExitCode {
        let json = self.global.json;
        let outcome = Context::new(&self.global).and_then(|context| self.command.run(&context));
        let code = match outcome {
            Ok(report) => report.print(json),
            Err(error) => error.print(json),
        };
        ExitCode::from(code)
    }
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Quickstart(command) => command.run(context),
            Self::Init(command) => command.run(context),
            Self::Serve(command) => command.run(context),
            Self::Connect(command) => command.run(context),
            Self::Stop(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::Vtoken(group) => group.run(context),
            Self::Token(group) => group.run(context),
            Self::Attest(group) => group.run(context),
            Self::Dkek(group) => group.run(context),
            Self::Hsm(group) => group.run(context),
            Self::Custodian(group) => group.run(context),
            Self::Person(group) => group.run(context),
            Self::Ca(group) => group.run(context),
            Self::Signer(group) => group.run(context),
            Self::Unlock(group) => group.run(context),
            Self::Approve(command) => command.run(context),
            Self::Lease(group) => group.run(context),
            Self::Sign(command) => command.run(context),
            Self::Receipt(group) => group.run(context),
            Self::Request(group) => group.run(context),
            Self::Cert(group) => group.run(context),
            Self::Crl(group) => group.run(context),
            Self::Connector(group) => group.run(context),
            Self::Ticket(group) => group.run(context),
            Self::Client(group) => group.run(context),
            Self::Audit(group) => group.run(context),
            Self::Completion(command) => command.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_table_of_commands_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn walk(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            if !help.contains("Example") {
                without.push(path.to_owned());
            }
            for sub in command.get_subcommands() {
                walk(sub, &format!("{path} {}", sub.get_name()), without);
            }
        }
        let mut without = Vec::new();
        walk(&Cli::command(), "chancery", &mut without);
        assert!(without.is_empty(), "no example: {without:?}");
    }
}
