//! `token pin`: the user PIN.

use std::path::PathBuf;

use chancery_api::{FailureKind, SecretText};
use chancery_driver::{Firmware, PinStatus, Selected, SoPinStatus, so_pin_status};
use chancery_tokens::reach::{Intent, TokenTransport};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    failure::card,
    info::{pin_json, pin_words, so_pin_json, so_pin_words},
    pins::{
        SoPinArgs, UserPinArgs, keep_rehearsal_pins, new_user_pin_text, pin_of, so_pin, tell_tries, user_pin,
    },
    reaching::{TokenArgs, select},
};
use crate::{context::Context, error::CliError, report::Report, table::facts};

/// The user PIN.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery token pin status DENK0404144")]
pub(crate) enum PinCommand {
    /// State of PIN and SO-PIN; spends no try
    Status(Status),
    /// Replace the PIN, or the transport PIN a new token came with
    Change(Change),
    /// Give a blocked PIN its tries back, with the SO-PIN
    Unblock(Unblock),
}

impl PinCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Status(command) => command.run(context),
            Self::Change(command) => command.run(context),
            Self::Unblock(command) => command.run(context),
        }
    }
}

/// Shows the state of the PINs.
#[derive(Args)]
#[command(after_help = "Example: chancery token pin status\nAsking costs no try.")]
pub(crate) struct Status {
    #[command(flatten)]
    token: TokenArgs,
}

impl Status {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Read)?;
        let failed = |error: &chancery_driver::Error| card(&chosen.to_string(), error);
        let pin = token.pin_status().map_err(|error| failed(&error))?;
        let so_pin = so_pin_status(&mut token).map_err(|error| failed(&error))?;
        Report::new(
            &json!({ "device": chosen.device(), "pin": pin_json(pin), "so_pin": so_pin_json(so_pin) }),
            facts(&[
                ("device", chosen.device().to_owned()),
                ("PIN", pin_words(pin)),
                ("SO-PIN", so_pin_words(so_pin)),
            ]),
        )
    }
}

/// Changes the PIN.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token pin change alice\n         chancery token pin change DENK0404144 --pin-file old.txt --new-pin-file new.txt"
)]
pub(crate) struct Change {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    pin: UserPinArgs,
    /// Take the new PIN from a file that nobody else may read; - for the next line of standard input
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

impl Change {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Change)?;
        let called = chosen.to_string();
        let status = token.pin_status().map_err(|error| card(&called, &error))?;
        match status {
            PinStatus::Blocked => {
                return Err(CliError::Token {
                    message: format!("{called}: its PIN is blocked"),
                    remedy: Some("chancery token pin unblock TOKEN".to_owned()),
                });
            }
            PinStatus::Absent => {
                return Err(CliError::Token {
                    message: format!("{called}: it has no PIN"),
                    remedy: Some("chancery token init TOKEN".to_owned()),
                });
            }
            PinStatus::TransportPin => {
                context.tell(format!(
                    "{called}: type its transport PIN, then the PIN of your own"
                ));
            }
            _ => {}
        }
        if self.pin.pin_file.is_some()
            && let PinStatus::NotVerified { tries_left } = status
            && tries_left > 1
        {
            tell_tries(context, &called, "PIN", Some(tries_left));
        }
        let old = user_pin(context, &chosen, &self.pin, status)?;
        let text = new_user_pin_text("PIN", &called, self.new_pin_file.as_deref(), "--new-pin-file")?;
        let new = pin_of(&text)?;
        token
            .change_pin(&old, &new)
            .map_err(|error| card(&called, &error))?;
        keep_rehearsal_pins(context, &chosen, |pins| {
            pins.user_pin = Some(SecretText::new((*text).clone()));
        });
        // A transport PIN is gone only when the token says so.
        let after = token.pin_status().map_err(|error| card(&called, &error))?;
        if after == PinStatus::TransportPin {
            return Err(CliError::new(
                FailureKind::Unavailable,
                format!("{called}: the token took the new PIN and still asks for its transport PIN"),
            ));
        }
        Report::new(
            &json!({ "device": chosen.device(), "changed": "pin" }),
            format!("the PIN of {called} is changed"),
        )
    }
}

/// Unblocks the PIN.
#[derive(Args)]
#[command(after_help = "Example: chancery token pin unblock alice --keep\n\
Whether the SO-PIN may do this, and whether it may set another PIN, was decided when the token was initialised.")]
pub(crate) struct Unblock {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    so_pin: SoPinArgs,
    /// Give the tries back and keep the PIN as it is
    #[arg(long, conflicts_with = "new_pin_file")]
    keep: bool,
    /// Take the new PIN from a file that nobody else may read; - for the next line of standard input
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

impl Unblock {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        use chancery_schsm::InitializeOptions as Options;

        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Change)?;
        let called = chosen.to_string();
        if let Some(options) = token.options() {
            if !options.contains(Options::RESET_RETRY_COUNTER)
                && !options.contains(Options::RESET_WITHOUT_NEW_PIN)
            {
                return Err(CliError::Token {
                    message: format!("{called} was initialised so that nothing unblocks its PIN"),
                    remedy: Some("chancery token init TOKEN --erase-keys: its keys are lost".to_owned()),
                });
            }
            if options.contains(Options::RESET_WITHOUT_NEW_PIN) && !self.keep {
                return Err(CliError::Token {
                    message: format!("{called} was initialised so that no new PIN can be set"),
                    remedy: Some(
                        "chancery token pin unblock TOKEN --keep gives the old PIN its tries back".to_owned(),
                    ),
                });
            }
        }
        tell_so_tries(context, &called, &mut token)?;
        let so_pin = so_pin(&called, &self.so_pin)?;
        let text = if self.keep {
            None
        } else {
            Some(new_user_pin_text(
                "PIN",
                &called,
                self.new_pin_file.as_deref(),
                "--new-pin-file",
            )?)
        };
        let new = text.as_ref().map(|text| pin_of(text)).transpose()?;
        token
            .unblock_pin(&so_pin, new.as_ref())
            .map_err(|error| card(&called, &error))?;
        if let Some(text) = &text {
            keep_rehearsal_pins(context, &chosen, |pins| {
                pins.user_pin = Some(SecretText::new((**text).clone()));
            });
        }
        let status = token.pin_status().map_err(|error| card(&called, &error))?;
        Report::new(
            &json!({ "device": chosen.device(), "unblocked": true, "new_pin": new.is_some(), "pin": pin_json(status) }),
            format!("the PIN of {called} is usable again: {}", pin_words(status)),
        )
    }
}

/// Says how many tries the SO-PIN has; refuses when none.
pub(super) fn tell_so_tries(
    context: &Context,
    called: &str,
    token: &mut Selected<TokenTransport>,
) -> Result<(), CliError> {
    match so_pin_status(token).map_err(|error| card(called, &error))? {
        SoPinStatus::Blocked => Err(CliError::Token {
            message: format!("{called}: its SO-PIN is blocked"),
            remedy: None,
        }),
        SoPinStatus::Absent => Err(CliError::Token {
            message: format!("{called}: it has no SO-PIN: it is not initialised"),
            remedy: Some("chancery token init TOKEN".to_owned()),
        }),
        SoPinStatus::NotVerified { tries_left } => {
            tell_tries(context, called, "SO-PIN", Some(tries_left));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether the firmware can check or change the SO-PIN alone.
pub(super) const fn knows_so_pin(firmware: Firmware) -> bool {
    firmware.major >= 2
}
