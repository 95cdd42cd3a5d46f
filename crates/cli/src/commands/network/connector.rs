//! `connector`: long-lived tickets with which agents attach tokens.

use chancery_api::{ConnectorAdd, ConnectorList, ConnectorRevoke, ConnectorView};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::secret_file::TicketOutput;
use crate::{
    context::Context,
    error::CliError,
    report::Report,
    table::{facts, table},
};

/// Connectors: how tokens that are elsewhere come to the node.
#[derive(Subcommand)]
#[command(
    after_help = "Example: chancery connector add cupboard --ticket-file cupboard.ticket\nExample: chancery connector list"
)]
pub(crate) enum ConnectorCommand {
    /// Make a connector and its ticket
    Add(Add),
    /// All connectors: which is connected, from where, why one was lost
    List(List),
    /// End a connector: its ticket is worth nothing any more, its session is closed
    Revoke(Revoke),
}

impl ConnectorCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Add(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Revoke(command) => command.run(context),
        }
    }
}

/// Makes a connector.
#[derive(Args)]
#[command(after_help = "\
Example: chancery connector add cupboard --ticket-file cupboard.ticket
The agent takes the ticket from that file: chancery connect --ticket-file cupboard.ticket. A ticket brings a token to the node and \
no right to anything; the first HSM attached through the connector is the only one it takes from then on.")]
pub(crate) struct Add {
    /// Name of the connector
    name: String,
    /// Holder reference of the one device it may attach; the first HSM attached through it without
    #[arg(long, value_name = "CHR")]
    device: Option<String>,
    #[command(flatten)]
    output: TicketOutput,
}

impl Add {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let file = self.output.open()?;
        let made = context.call(&ConnectorAdd {
            name: self.name,
            device: self.device,
        })?;
        let ticket = made.ticket.secret_text();
        let mut value = value(&made.connector);
        let mut text = shown(&made.connector);
        match file {
            Some(file) => {
                let path = file.write(format!("{ticket}\n").as_bytes())?;
                value["ticket_file"] = json!(path);
                text.push_str(&format!(
                    "The ticket is in {}: take it to the agent, and keep no copy. It is not shown again.\n",
                    path.display()
                ));
            }
            None => {
                value["ticket"] = json!(ticket);
                text.push_str(&format!("{ticket}\nThe ticket is not shown again.\n"));
            }
        }
        Report::new(&value, text)
    }
}

/// Shows connectors.
#[derive(Args)]
#[command(after_help = "Example: chancery connector list --json")]
pub(crate) struct List {}

impl List {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let connectors = context.call(&ConnectorList {})?;
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let rows = connectors
            .iter()
            .map(|connector| {
                vec![
                    connector.name.clone(),
                    connector.state.clone(),
                    dash(&connector.since),
                    dash(&connector.hsm),
                    dash(&connector.device),
                    dash(&connector.address),
                    dash(&connector.because),
                ]
            })
            .collect();
        let header = [
            "connector",
            "state",
            "since",
            "HSM",
            "device",
            "address",
            "lost because",
        ];
        Report::new(&connectors, table(&header, rows, "no connectors"))
    }
}

/// Ends a connector.
#[derive(Args)]
#[command(
    after_help = "Example: chancery connector revoke cupboard\nAn HSM behind it is lost at once, and with it what unlocked it."
)]
pub(crate) struct Revoke {
    /// Name of the connector
    name: String,
}

impl Revoke {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let connector = context.call(&ConnectorRevoke { name: self.name })?;
        Report::new(&connector, shown(&connector))
    }
}

fn value(connector: &ConnectorView) -> Value {
    // A view is always JSON.
    serde_json::to_value(connector).unwrap_or_default()
}

fn shown(connector: &ConnectorView) -> String {
    let mut lines = vec![
        ("connector", connector.name.clone()),
        ("state", connector.state.clone()),
    ];
    let some = |text: &Option<String>| text.clone();
    for (name, text) in [
        ("since", some(&connector.since)),
        ("device", some(&connector.device)),
        ("HSM", some(&connector.hsm)),
    ] {
        if let Some(text) = text {
            lines.push((name, text));
        }
    }
    facts(&lines)
}
