//! `token init`.

mod losses;
mod options;
mod wizard;

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use chancery_api::FailureKind;
use chancery_driver::{Pin, Selected, SoPin, SoPinStatus, so_pin_status};
use chancery_node::SystemClock;
use chancery_tokens::{
    info::option_words,
    initialise::{self, Before, Blueprint, InitialiseError, KIND, Plan, Secrets},
    journal::{Begin, Journal},
    reach::{Intent, TokenTransport},
};
use clap::Args;
use serde_json::{Value, json};

use self::losses::Losses;
pub(super) use self::options::SetupArgs;
use super::{
    failure::card,
    journal::{account_text, open_work},
    pins::{SoPinArgs, UserPinArgs, new_so_pin, new_user_pin, so_pin, tell_tries},
    reaching::{Chosen, journal_directory, select},
};
use crate::{commands::typed_line, context::Context, error::CliError, report::Report, table::counted};

/// Sets a token up.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token init DENK0404144 --label signer --dkek-shares 2\n\
        chancery token init hsm-a --domains 4 --quorum 2of3 --no-pin\n\
        chancery token init hsm-a --wizard\n\
Everything on the token is erased but its device key. What will be set is shown, with the bytes of the command, and asked once; \
--dry-run only shows it. An interrupted initialisation is finished by chancery token resume."
)]
pub(crate) struct Init {
    /// Device id, label, or name of a virtual token; device:, label: or name: before it says which
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    setup: SetupArgs,
    #[command(flatten)]
    pin: UserPinArgs,
    #[command(flatten)]
    so_pin: SoPinArgs,
    /// Ask for everything, one question after the other
    #[arg(long)]
    wizard: bool,
    /// Show what would be set and the command's bytes, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Erase the keys that are on the token; has to be confirmed by typing the device id, or with --confirm
    #[arg(long)]
    erase_keys: bool,
    /// The device id of the token whose keys are to be erased, for scripts
    #[arg(long, value_name = "DEVICE", requires = "erase_keys")]
    confirm: Option<String>,
    /// Do not ask whether to begin
    #[arg(long)]
    yes: bool,
}

impl Init {
    /// Runs the command.
    pub(crate) fn run(mut self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, Some(&self.token), Intent::Change)?;
        let called = chosen.to_string();
        let failed = |error: &chancery_driver::Error| card(&called, error);
        let blueprint = if self.wizard {
            self.setup = wizard::ask_all(context, &called)?;
            self.setup.blueprint()?
        } else {
            self.setup.blueprint()?
        };
        blueprint
            .check()
            .map_err(|error| CliError::new(FailureKind::Invalid, error.to_string()))?;
        let before = Before::of(&mut token).map_err(|error| failed(&error))?;
        let so_pin_state = so_pin_status(&mut token).map_err(|error| failed(&error))?;
        let losses = Losses::of(&mut token, &before).map_err(|error| failed(&error))?;
        let plan = Plan { blueprint, before };
        if self.dry_run {
            return self.show(context, &chosen, &plan, &losses, so_pin_state);
        }
        if so_pin_state == SoPinStatus::Blocked {
            return Err(CliError::Token {
                message: format!("{called}: its SO-PIN is blocked: it cannot be initialised any more"),
                remedy: None,
            });
        }
        if !plan.before.keys.is_empty() && !self.erase_keys {
            let error = InitialiseError::HasKeys {
                keys: plan.before.keys.clone(),
            };
            return Err(CliError::with_remedy(
                FailureKind::Conflict,
                format!("{called}: {error}; nothing was done"),
                format!("chancery token init {} --erase-keys", chosen.device()),
            ));
        }
        let (plan, secrets) = self.ask_secrets(context, &called, plan, so_pin_state)?;
        let shown = effect(&plan, &called, &losses, so_pin_state, Some(&secrets))?;
        self.confirm(context, &chosen, &plan, &shown)?;
        let work = Journal::new(journal_directory(context)?).begin(
            &Begin {
                kind: KIND,
                device: chosen.device(),
                token: &called,
                now: SystemClock.now().unix_timestamp(),
            },
            &plan,
        )?;
        carry_out(&chosen, &plan, work, |work| {
            initialise::run(token, &plan, &secrets, work).map_err(CliOrInitialise::Initialise)
        })
    }

    /// Shows the effect and does nothing. PINs are not asked for: the command has the length of those in files, or of the
    /// shortest.
    fn show(
        &self,
        context: &Context,
        chosen: &Chosen,
        plan: &Plan,
        losses: &Losses,
        so_pin_state: SoPinStatus,
    ) -> Result<Report, CliError> {
        let user_pin = match &self.pin.pin_file {
            Some(path) if path != Path::new("-") && plan.blueprint.with_pin => Some(new_user_pin(
                "PIN",
                &chosen.to_string(),
                Some(path),
                "--pin-file",
            )?),
            _ if plan.blueprint.with_pin => {
                context.tell("(the PIN is taken to have 6 characters: name --pin-file to see the command as it will be)");
                Pin::new("000000").ok()
            }
            _ => None,
        };
        let placeholder = Secrets {
            user_pin,
            so_pin: SoPin::new([0; 8]),
        };
        let plan = self.with_tries(plan.clone(), placeholder.user_pin.as_ref())?;
        let text = effect(
            &plan,
            &chosen.to_string(),
            losses,
            so_pin_state,
            Some(&placeholder),
        )?;
        let view = json!({
            "device": chosen.device(),
            "dry_run": true,
            "erases": losses.json(&plan.before),
            "sets": plan.blueprint,
            "options": option_words(chancery_schsm::InitializeOptions(plan.blueprint.options)),
            "command": preview(&plan, &placeholder)?,
        });
        Report::new(&view, format!("{text}nothing was done\n"))
    }

    fn ask_secrets(
        &self,
        context: &Context,
        called: &str,
        plan: Plan,
        so_pin_state: SoPinStatus,
    ) -> Result<(Plan, Secrets), CliError> {
        let user_pin = if plan.blueprint.with_pin {
            let what = if self.setup.transport_pin {
                "transport PIN"
            } else {
                "PIN"
            };
            Some(new_user_pin(
                what,
                called,
                self.pin.pin_file.as_deref(),
                "--pin-file",
            )?)
        } else {
            None
        };
        // The rule about tries and lengths is checked before the SO-PIN is asked for.
        let plan = self.with_tries(plan, user_pin.as_ref())?;
        let so_pin = if let SoPinStatus::NotVerified { tries_left } = so_pin_state {
            tell_tries(context, called, "SO-PIN", Some(tries_left));
            so_pin(called, &self.so_pin)?
        } else {
            new_so_pin(
                "SO-PIN",
                called,
                self.so_pin.so_pin_file.as_deref(),
                "--so-pin-file",
            )?
        };
        Ok((plan, Secrets { user_pin, so_pin }))
    }

    /// The tries that were asked for, or the most that a PIN of this length may have.
    fn with_tries(&self, mut plan: Plan, pin: Option<&Pin>) -> Result<Plan, CliError> {
        let most = pin.map_or(3, Pin::most_tries);
        plan.blueprint.retry = self.setup.tries.unwrap_or(most);
        if plan.blueprint.retry == 0 || plan.blueprint.retry > most {
            return Err(CliError::with_remedy(
                FailureKind::Invalid,
                format!(
                    "a PIN of this length has 1 to {most} tries, not {}; nothing was done",
                    plan.blueprint.retry
                ),
                "6 characters: up to 3 tries, 7: up to 5, more: up to 10",
            ));
        }
        Ok(plan)
    }

    fn confirm(&self, context: &Context, chosen: &Chosen, plan: &Plan, shown: &str) -> Result<(), CliError> {
        context.tell(shown.trim_end());
        if !plan.before.keys.is_empty() {
            // Asked whatever else was said.
            let typed = match &self.confirm {
                Some(typed) => typed.clone(),
                None => ask(
                    &format!(
                        "{} will be lost for ever. Type the device id {} to erase what is there:",
                        counted(plan.before.keys.len(), "key"),
                        chosen.device()
                    ),
                    "--confirm DEVICE",
                )?,
            };
            return if typed == chosen.device() {
                Ok(())
            } else {
                Err(CliError::new(
                    FailureKind::Invalid,
                    format!(
                        "{typed:?} is not the device id {}: nothing was done",
                        chosen.device()
                    ),
                ))
            };
        }
        if self.yes {
            return Ok(());
        }
        match ask("Initialise this token? Type yes:", "--yes")?.as_str() {
            "yes" => Ok(()),
            _ => Err(CliError::new(
                FailureKind::Invalid,
                "not confirmed: nothing was done",
            )),
        }
    }
}

/// Asks for a line at the terminal.
pub(super) fn ask(question: &str, option: &str) -> Result<String, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!("nobody can be asked: use {option}")));
    }
    let line = typed_line(&format!("{question}\n"))?;
    Ok(line.trim().to_owned())
}

/// What will be erased and set, with the bytes of the command.
fn effect(
    plan: &Plan,
    called: &str,
    losses: &Losses,
    so_pin: SoPinStatus,
    secrets: Option<&Secrets>,
) -> Result<String, CliError> {
    let blueprint = &plan.blueprint;
    let mut text = format!("{called}\n");
    let words = option_words(chancery_schsm::InitializeOptions(blueprint.options));
    let words = if words.is_empty() {
        "none".to_owned()
    } else {
        words.join("; ")
    };
    let backup = match (blueprint.dkek_shares, blueprint.domains) {
        (Some(0), _) => "one key encryption key, random: keys never leave for another token".to_owned(),
        (Some(shares), _) => format!(
            "one DKEK of {}, to be imported next (chancery dkek)",
            counted(shares, "share")
        ),
        (None, Some(places)) if blueprint.domain_shares.is_empty() => {
            format!("{places} places for key domains, none made yet")
        }
        (None, Some(places)) => format!(
            "{places} places for key domains; made now with {} shares",
            blueprint
                .domain_shares
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        (None, None) => "none: keys never leave this token".to_owned(),
    };
    let opened = match (blueprint.with_pin, blueprint.quorum) {
        (true, None) => "by its PIN".to_owned(),
        (false, Some((n, m))) => format!("by {n} of {m} custodians"),
        (true, Some((n, m))) => format!("by its PIN, and by {n} of {m} custodians once they are registered"),
        (false, None) => "by nobody".to_owned(),
    };
    let mut facts = vec![
        ("erases", losses.text(&plan.before)),
        ("options", format!("{:04X}: {words}", blueprint.options)),
        ("opened", opened),
    ];
    if blueprint.with_pin {
        facts.push(("PIN tries", blueprint.retry.to_string()));
    }
    facts.push(("backup", backup));
    facts.push((
        "SO-PIN",
        match so_pin {
            SoPinStatus::NotVerified { tries_left } => {
                format!("the present one is checked; a wrong one costs one of {tries_left} tries")
            }
            _ => "is set now, and needed for ever to initialise again".to_owned(),
        },
    ));
    facts.push((
        "label",
        blueprint.label.clone().unwrap_or_else(|| "none".to_owned()),
    ));
    if let Some(secrets) = secrets {
        facts.push(("command", preview(plan, secrets)?));
    }
    text.push_str(&crate::table::facts(&facts));
    Ok(text)
}

fn preview(plan: &Plan, secrets: &Secrets) -> Result<String, CliError> {
    plan.blueprint
        .setup(secrets.user_pin.clone(), secrets.so_pin.clone())
        .preview()
        .map_err(|error| card("nothing was done", &error))
}

/// What [`carry_out`] runs fails with: a step, or a PIN that was not to be had.
pub(super) enum CliOrInitialise {
    /// A step.
    Initialise(InitialiseError),
    /// A question.
    Cli(CliError),
}

impl From<InitialiseError> for CliOrInitialise {
    fn from(error: InitialiseError) -> Self {
        Self::Initialise(error)
    }
}

/// Runs an initialisation or the rest of one, and tells what was and what was not done.
pub(super) fn carry_out(
    chosen: &Chosen,
    plan: &Plan,
    mut work: chancery_tokens::journal::Work,
    run: impl FnOnce(&mut chancery_tokens::journal::Work) -> Result<Selected<TokenTransport>, CliOrInitialise>,
) -> Result<Report, CliError> {
    match run(&mut work) {
        Ok(_) => {
            work.finish()?;
            let view = json!({
                "device": chosen.device(),
                "initialised": true,
                "label": plan.blueprint.label,
                "sets": plan.blueprint,
            });
            Report::new(&view, format!("{chosen} is initialised\n{}", next_steps(plan)))
        }
        Err(CliOrInitialise::Cli(error)) => Err(error),
        Err(CliOrInitialise::Initialise(error)) => {
            let account = initialise::account(plan, work.record());
            let untouched = work.record().steps.is_empty();
            let failure = translate(&chosen.to_string(), &error);
            if untouched {
                work.finish()?;
                return Err(failure);
            }
            let id = work.id().to_owned();
            Err(open_work(failure, &id, &account_text(&account)))
        }
    }
}

/// A failed step in the words and exit codes of the command line.
pub(super) fn translate(called: &str, error: &InitialiseError) -> CliError {
    let message = format!("{called}: {}", crate::error::chain(error));
    match error {
        InitialiseError::Card { step, source } => card(&format!("{called}: {step}"), source),
        InitialiseError::Rule { .. } | InitialiseError::PinMissing { .. } => {
            CliError::new(FailureKind::Invalid, message)
        }
        InitialiseError::HasKeys { .. } | InitialiseError::Changed | InitialiseError::CannotUndo => {
            CliError::new(FailureKind::Conflict, message)
        }
        InitialiseError::Differs(_) => CliError::new(FailureKind::Refused, message),
        _ => CliError::new(FailureKind::Unavailable, message),
    }
}

/// What is to be done with the new token.
fn next_steps(plan: &Plan) -> String {
    let blueprint: &Blueprint = &plan.blueprint;
    let mut text = String::new();
    if blueprint.dkek_shares.is_some_and(|shares| shares > 0) || !blueprint.domain_shares.is_empty() {
        text.push_str("next: chancery dkek import, once for each share\n");
    }
    if blueprint.quorum.is_some() {
        text.push_str("next: register the custodians; until all are registered the quorum is not in force\n");
    }
    if blueprint.has(chancery_schsm::InitializeOptions::TRANSPORT_PIN) {
        text.push_str("next: its owner replaces the transport PIN: chancery token pin change TOKEN\n");
    }
    text
}

/// JSON of what an initialisation was to set.
pub(super) fn plan_json(plan: &Plan) -> Value {
    json!({ "sets": plan.blueprint, "before": plan.before })
}
