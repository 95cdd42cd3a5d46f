//! `ticket`: single-use tickets for programs that can carry nothing but an address.

use chancery_api::TicketAdd;
use clap::{Args, Subcommand};
use serde_json::json;

use super::secret_file::TicketOutput;
use crate::{context::Context, error::CliError, report::Report};

/// Single-use tickets.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery ticket create cupboard --ticket-file path.txt")]
pub(crate) enum TicketCommand {
    /// Make a ticket that lasts five minutes and opens one session
    Create(Create),
}

impl TicketCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Create(command) => command.run(context),
        }
    }
}

/// Makes a ticket.
#[derive(Args)]
#[command(after_help = "\
Example: chancery ticket create cupboard --ticket-file path.txt
For terminals of others, such as ram-client, which take an address and nothing else: the path goes behind https://NODE:PORT. They \
have it on their command line, where others may read it, so it opens one session and lasts five minutes. A client that was cut off \
before it had its first answer may use it again in that time. Our own agent needs none.")]
pub(crate) struct Create {
    /// Connector whose device is attached with it
    connector: String,
    #[command(flatten)]
    output: TicketOutput,
}

impl Create {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let file = self.output.open()?;
        let made = context.call(&TicketAdd {
            connector: self.connector.clone(),
        })?;
        let (path, seconds) = (made.path.secret_text(), made.seconds);
        let lasts = format!("It opens one session and lasts {seconds} s.\n");
        match file {
            Some(file) => {
                let file = file.write(format!("{path}\n").as_bytes())?;
                let text = format!("The path with the ticket is in {}. {lasts}", file.display());
                let value = json!({ "connector": self.connector, "ticket_file": file, "seconds": seconds });
                Report::new(&value, text)
            }
            None => {
                let value = json!({ "connector": self.connector, "path": path, "seconds": seconds });
                Report::new(&value, format!("{path}\n{lasts}"))
            }
        }
    }
}
