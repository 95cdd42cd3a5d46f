//! `token domain create`, `delete` and `delete-key`.

use chancery_api::FailureKind;
use chancery_tokens::domain::{DomainState, Overview, Place, create, delete, delete_key};
use clap::Args;
use serde_json::json;

use super::failure::domain;
use crate::{
    commands::token::{
        failure::card,
        opening::{confirm, open},
        pins::UserPinArgs,
    },
    context::Context,
    error::CliError,
    report::Report,
    table::counted,
};

/// Makes a key domain whose key encryption key comes of shares.
#[derive(Args)]
#[command(after_help = "Example: chancery token domain create alice --shares 3\n\
The token must have been set up with a place for it: chancery token init --domains N. The shares are imported by chancery dkek \
import.")]
pub(crate) struct Create {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Number of shares
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    shares: u8,
    /// Number of the domain [default: the first free place]
    #[arg(long, value_name = "N")]
    domain: Option<u8>,
    #[command(flatten)]
    pin: UserPinArgs,
}

/// Which domain of which token.
#[derive(Args)]
struct DomainArgs {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Number of the domain
    #[arg(value_name = "DOMAIN")]
    domain: u8,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pin: UserPinArgs,
}

/// Deletes a key domain that no key belongs to.
#[derive(Args)]
#[command(after_help = "Example: chancery token domain delete alice 1 --yes\n\
Its place is free again, for a domain of shares or an exchange domain.")]
pub(crate) struct Delete {
    #[command(flatten)]
    args: DomainArgs,
}

/// Deletes the key encryption key of a key domain.
#[derive(Args)]
#[command(after_help = "Example: chancery token domain delete-key alice 1\n\
The domain stays and waits for its shares, or for an agreement. Until the same key encryption key is there again, nothing that was \
wrapped under it fits this token.")]
pub(crate) struct DeleteKey {
    #[command(flatten)]
    args: DomainArgs,
}

impl Create {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = open(context, Some(&self.token), &self.pin)?;
        let called = chosen.to_string();
        let (number, status) =
            create(&mut token, self.domain, self.shares).map_err(|error| domain(&called, &error))?;
        Report::new(
            &json!({
                "token": chosen.device(),
                "domain": number,
                "shares": status.shares,
                "outstanding": status.outstanding,
            }),
            format!(
                "key domain {number} of {called} waits for {}\ndo: chancery dkek import FILE {} --domain {number}\n",
                counted(status.outstanding, "share"),
                chosen.device()
            ),
        )
    }
}

impl Delete {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let number = self.args.domain;
        let (chosen, mut token) = open(context, Some(&self.args.token), &self.args.pin)?;
        let called = chosen.to_string();
        if !self.args.yes {
            let overview = Overview::of(&mut token).map_err(|error| card(&called, &error))?;
            let place = overview.place(number).map_err(|error| domain(&called, &error))?;
            let lines = [format!(
                "{called}: key domain {number}, {}, will be gone.",
                words(place)
            )];
            ask(context, &lines, &format!("Delete key domain {number}?"))?;
        }
        let gone = delete(&mut token, number).map_err(|error| domain(&called, &error))?;
        Report::new(
            &json!({
                "token": chosen.device(),
                "domain": number,
                "deleted": true,
                "kcv": gone.state.kcv().map(|kcv| kcv.to_string()),
            }),
            format!("{called}: key domain {number} is deleted, {}", words(&gone)),
        )
    }
}

impl DeleteKey {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let number = self.args.domain;
        let (chosen, mut token) = open(context, Some(&self.args.token), &self.args.pin)?;
        let called = chosen.to_string();
        if !self.args.yes {
            let overview = Overview::of(&mut token).map_err(|error| card(&called, &error))?;
            let place = overview.place(number).map_err(|error| domain(&called, &error))?;
            let lines = [
                format!("{called}: key domain {number}, {}", words(place)),
                format!(
                    "The key encryption key will be gone; keys in the domain: {}. What was wrapped under it fits this token again \
                     only when the same key comes back.",
                    place.keys.len()
                ),
            ];
            ask(
                context,
                &lines,
                &format!("Delete the key encryption key of key domain {number}?"),
            )?;
        }
        let gone = delete_key(&mut token, number).map_err(|error| domain(&called, &error))?;
        let next = match gone.state {
            DomainState::Exchange { .. } => {
                "chancery token domain agree brings another, or the same between the same keys"
            }
            _ => "chancery dkek import brings shares",
        };
        Report::new(
            &json!({
                "token": chosen.device(),
                "domain": number,
                "deleted_kcv": gone.state.kcv().map(|kcv| kcv.to_string()),
            }),
            format!("{called}: key domain {number} has no key encryption key any more; {next}"),
        )
    }
}

fn ask(context: &Context, lines: &[String], question: &str) -> Result<(), CliError> {
    if confirm(context, lines, question)? {
        Ok(())
    } else {
        Err(CliError::new(FailureKind::Invalid, "nothing was deleted"))
    }
}

/// A domain in words.
fn words(place: &Place) -> String {
    let kcv = match place.state.kcv() {
        Some(kcv) => format!("KCV {kcv}"),
        None => "without key encryption key".to_owned(),
    };
    match &place.state {
        DomainState::Free => "a free place".to_owned(),
        DomainState::Shares {
            shares, outstanding, ..
        } => format!("of {} ({outstanding} missing), {kcv}", counted(*shares, "share")),
        DomainState::Exchange { group, .. } => {
            format!("of group {}, {kcv}", hex::encode_upper(group))
        }
    }
}
