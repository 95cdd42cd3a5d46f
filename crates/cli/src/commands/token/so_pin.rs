//! `token so-pin`: the SO-PIN, which initialises and unblocks.

use std::path::PathBuf;

use chancery_api::{FailureKind, SecretText};
use chancery_tokens::reach::Intent;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    failure::card,
    pin::{knows_so_pin, tell_so_tries},
    pins::{SoPinArgs, keep_rehearsal_pins, new_so_pin_text, so_pin},
    reaching::{TokenArgs, select},
};
use crate::{context::Context, error::CliError, report::Report};

/// The SO-PIN.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery token so-pin change alice")]
pub(crate) enum SoPinCommand {
    /// Replace the SO-PIN
    Change(Change),
    /// Check an SO-PIN; a wrong one costs one of its 15 tries
    Check(Check),
}

impl SoPinCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Change(command) => command.run(context),
            Self::Check(command) => command.run(context),
        }
    }
}

/// Changes the SO-PIN.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token so-pin change alice\nNothing unblocks an SO-PIN that was wrong 15 times."
)]
pub(crate) struct Change {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    so_pin: SoPinArgs,
    /// Take the new SO-PIN from a file that nobody else may read; - for the next line of standard input
    #[arg(long, value_name = "FILE")]
    new_so_pin_file: Option<PathBuf>,
}

impl Change {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Change)?;
        let called = chosen.to_string();
        tell_so_tries(context, &called, &mut token)?;
        let old = so_pin(&called, &self.so_pin)?;
        let (new, text) = new_so_pin_text(
            "SO-PIN",
            &called,
            self.new_so_pin_file.as_deref(),
            "--new-so-pin-file",
        )?;
        token
            .change_so_pin(&old, &new)
            .map_err(|error| card(&called, &error))?;
        keep_rehearsal_pins(context, &chosen, |pins| {
            pins.so_pin = SecretText::new((*text).clone());
        });
        Report::new(
            &json!({ "device": chosen.device(), "changed": "so-pin" }),
            format!("the SO-PIN of {called} is changed"),
        )
    }
}

/// Checks the SO-PIN.
#[derive(Args)]
#[command(after_help = "Example: chancery token so-pin check alice --so-pin-file so.txt")]
pub(crate) struct Check {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    so_pin: SoPinArgs,
}

impl Check {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Change)?;
        let called = chosen.to_string();
        if !knows_so_pin(token.firmware()) {
            return Err(CliError::new(
                FailureKind::Invalid,
                format!("{called}: firmware {} cannot check an SO-PIN", token.firmware()),
            ));
        }
        tell_so_tries(context, &called, &mut token)?;
        let candidate = so_pin(&called, &self.so_pin)?;
        token
            .verify_so_pin(&candidate)
            .map_err(|error| card(&called, &error))?;
        Report::new(
            &json!({ "device": chosen.device(), "so_pin": "right" }),
            format!("the SO-PIN of {called} is right"),
        )
    }
}
