//! `person`.

use std::path::PathBuf;

use chancery_agent::act_key;
use chancery_api::{Base64, PersonAdd, PersonList, PersonView, Role};
use clap::{Args, Subcommand};

use crate::{
    act::Actor,
    commands::{custodian::card::from_file, request},
    context::Context,
    error::CliError,
    report::Report,
    secrets::ApproverArgs,
    table::{list, table},
};

/// People.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery person list")]
pub(crate) enum PersonCommand {
    /// Ask for a new person with roles; a TrustCenter Manager approves it
    Add(Add),
    /// Show the people who count
    List(List),
}

impl PersonCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Add(command) => command.run(context),
            Self::List(command) => command.run(context),
        }
    }
}

/// Asks for a person.
#[derive(Args)]
#[command(
    after_help = "Example: chancery person add bob --role registration-officer --token bob --as alice\n         \
chancery person add bob --role subscriber --card bob.card --as alice\n\
The person's token makes a key that signs what the person decides; the manager signs the person, key and roles. The fingerprint of a card \
is typed as its custodian reads it to you by telephone."
)]
pub(crate) struct Add {
    /// Name
    name: String,
    /// Role; may be given more than once
    #[arg(long = "role", required = true, value_name = "ROLE")]
    roles: Vec<Role>,
    /// The person's token
    #[arg(long, value_name = "TOKEN", required_unless_present = "card")]
    token: Option<String>,
    /// The person's card, when the token is on another machine: chancery custodian card
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "pin_file"])]
    card: Option<PathBuf>,
    /// The card's fingerprint as its custodian read it to you, instead of typing it
    #[arg(long, value_name = "FINGERPRINT", requires = "card")]
    fingerprint: Option<String>,
    /// Take the PIN of the person's token from a file; - for standard input
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    #[command(flatten)]
    approver: ApproverArgs,
}

impl Add {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chain, key_request) = match (&self.card, &self.token) {
            (Some(file), _) => {
                let card = from_file(context, file, self.fingerprint.as_deref())?;
                (card.chain().to_vec(), card.act_key().to_vec())
            }
            (None, token) => {
                let tokens = context.tokens()?;
                let name = token.as_deref().unwrap_or(&self.name);
                let mut token = context.unlocked_token(name, self.pin_file.as_deref())?;
                let evidence = act_key(&mut token, tokens.anchors())?;
                (evidence.chain, evidence.key_request)
            }
        };
        let opened = context.call(&PersonAdd {
            name: self.name,
            roles: self.roles,
            chain: Base64(chain),
            key_request: Base64(key_request),
        })?;
        let Some(manager) = &self.approver.approver else {
            return request::opened(&opened);
        };
        let actor = Actor::new(manager, self.approver.as_pin_file.as_deref());
        request::decided(&request::approve_opened(context, actor, opened.request)?)
    }
}

/// Shows people.
#[derive(Args)]
#[command(
    after_help = "Example: chancery person list --json\nPeople count when a TrustCenter Manager has signed them; rows in the database alone give no rights."
)]
pub(crate) struct List {}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let people: Vec<PersonView> = context.call(&PersonList {})?;
        let rows = people
            .iter()
            .map(|person| {
                let roles: Vec<_> = person.roles.iter().map(|role| role.title()).collect();
                vec![
                    person.name.clone(),
                    list(&roles),
                    person.device.clone(),
                    list(&person.custodian_of),
                    list(&person.granted_by),
                ]
            })
            .collect();
        let text = table(
            &["PERSON", "ROLES", "TOKEN", "CUSTODIAN OF", "SIGNED BY"],
            rows,
            "nobody",
        );
        Report::new(&people, text)
    }
}
