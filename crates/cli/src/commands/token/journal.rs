//! `token journal`, `token resume`, `token undo`: work of several steps that was interrupted.

use chancery_api::FailureKind;
use chancery_driver::{SoPinStatus, so_pin_status};
use chancery_tokens::{
    acceptance,
    initialise::{self, Done, Plan, Secrets},
    journal::{Journal, Record, Work},
    reach::Intent,
};
use clap::Args;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    arrival, domain,
    failure::card,
    init::{CliOrInitialise, carry_out, plan_json, translate},
    pins::{SoPinArgs, UserPinArgs, new_so_pin, new_user_pin, so_pin, tell_tries},
    reaching::{journal_directory, select},
};
use crate::{context::Context, error::CliError, report::Report, table::table};

/// Shows work that is not finished.
#[derive(Args)]
#[command(after_help = "Example: chancery token journal\nPINs, shares and keys are in no journal.")]
pub(crate) struct ShowJournal {}

impl ShowJournal {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let records = match context.data_if_any()? {
            Some(data) => Journal::new(data.path().join("journal")).list()?,
            None => Vec::new(),
        };
        let mut text = table(
            &["ID", "TOKEN", "BEGUN", "STATE"],
            records
                .iter()
                .map(|record| {
                    vec![
                        record.id.clone(),
                        record.token.clone(),
                        begun(record),
                        if record.busy { "a process is at it" } else { "open" }.to_owned(),
                    ]
                })
                .collect(),
            "no work is open",
        );
        for record in &records {
            text.push_str(&format!("{}\n", record.id));
            match record.plan::<Plan>() {
                Ok(plan) if record.kind == initialise::KIND => {
                    text.push_str(&account_text(&initialise::account(&plan, record)));
                }
                _ => {
                    for step in &record.steps {
                        let state = if step.done {
                            "done"
                        } else {
                            "begun, not known to be done"
                        };
                        text.push_str(&format!("  {}: {state}\n", chancery_agent::one_line(&step.name)));
                    }
                }
            }
        }
        if records.iter().any(|record| !record.busy) {
            text.push_str("do: chancery token resume ID, or chancery token undo ID\n");
        }
        Report::new(&records, text)
    }
}

/// Finishes interrupted work.
#[derive(Args)]
#[command(after_help = "Example: chancery token resume init-1\n\
What was certainly done is not done again; what may have been done is found out from the token.")]
pub(crate) struct Resume {
    /// Its id; the only one that is open when not given
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    pin: UserPinArgs,
    #[command(flatten)]
    so_pin: SoPinArgs,
}

/// Undoes interrupted work.
#[derive(Args)]
#[command(after_help = "Example: chancery token undo init-1\n\
What INITIALIZE DEVICE erased cannot be brought back; --forget drops the note of it, and the token stays as it is.")]
pub(crate) struct Undo {
    /// Its id; the only one that is open when not given
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Drop the note and leave the token as it is
    #[arg(long)]
    forget: bool,
    /// Delete a key without asking even if it cannot be told whether the work brought it
    #[arg(long, conflicts_with = "forget")]
    yes: bool,
    #[command(flatten)]
    pin: UserPinArgs,
}

impl Resume {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let work = Journal::new(journal_directory(context)?).take(self.id.as_deref())?;
        match work.record().kind.as_str() {
            initialise::KIND => self.initialisation(context, work),
            acceptance::KIND => super::test::resume(context, work, &self.pin),
            kind if arrival::is_ours(kind) => arrival::finish(context, work, &self.pin),
            kind if domain::is_ours(kind) => domain::finish(context, work, &self.pin),
            other => Err(unknown_kind(&work, other)),
        }
    }

    fn initialisation(&self, context: &Context, work: Work) -> Result<Report, CliError> {
        let plan: Plan = work.record().plan()?;
        let wanted = format!("device:{}", work.record().device);
        let (chosen, mut token) = select(context, Some(&wanted), Intent::Change)?;
        let called = chosen.to_string();
        let state = so_pin_status(&mut token).map_err(|error| card(&called, &error))?;
        carry_out(&chosen, &plan, work, |work| {
            initialise::resume(token, &plan, work, || {
                let user_pin = if plan.blueprint.with_pin {
                    let pin = new_user_pin("PIN", &called, self.pin.pin_file.as_deref(), "--pin-file");
                    Some(pin.map_err(CliOrInitialise::Cli)?)
                } else {
                    None
                };
                let so_pin = match state {
                    SoPinStatus::NotVerified { tries_left } => {
                        tell_tries(context, &called, "SO-PIN", Some(tries_left));
                        so_pin(&called, &self.so_pin)
                    }
                    _ => new_so_pin(
                        "SO-PIN",
                        &called,
                        self.so_pin.so_pin_file.as_deref(),
                        "--so-pin-file",
                    ),
                };
                Ok::<_, CliOrInitialise>(Secrets {
                    user_pin,
                    so_pin: so_pin.map_err(CliOrInitialise::Cli)?,
                })
            })
        })
    }
}

impl Undo {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let work = Journal::new(journal_directory(context)?).take(self.id.as_deref())?;
        let id = work.id().to_owned();
        if self.forget {
            work.finish()?;
            return Report::new(
                &json!({ "id": id, "forgotten": true }),
                format!("{id} is forgotten; the token is as it is: chancery token info shows how"),
            );
        }
        match work.record().kind.as_str() {
            initialise::KIND => undo_initialisation(context, work, &id),
            acceptance::KIND => super::test::undo(context, work, &self.pin),
            kind if arrival::is_ours(kind) => arrival::take_back(context, work, &self.pin, self.yes),
            kind if domain::is_ours(kind) => domain::take_back(context, work, &self.pin),
            other => Err(unknown_kind(&work, other)),
        }
    }
}

fn undo_initialisation(context: &Context, work: Work, id: &str) -> Result<Report, CliError> {
    let plan: Plan = work.record().plan()?;
    let wanted = format!("device:{}", work.record().device);
    let (chosen, mut token) = select(context, Some(&wanted), Intent::Change)?;
    initialise::undo(&mut token, &plan, &work).map_err(|error| {
        translate(&chosen.to_string(), &error).and_then_do(&format!(
            "chancery token resume {id} finishes it, chancery token undo {id} --forget leaves it as it is"
        ))
    })?;
    work.finish()?;
    Report::new(
        &json!({ "id": id, "undone": true, "plan": plan_json(&plan) }),
        format!("{id} is undone: {chosen} was not touched"),
    )
}

fn unknown_kind(work: &Work, kind: &str) -> CliError {
    CliError::new(
        FailureKind::Version,
        format!(
            "{} is work of kind {kind}, which this version does not know",
            work.id()
        ),
    )
}

/// A failure that leaves work open: what was and was not done, and the commands that go on.
pub(super) fn open_work(failure: CliError, id: &str, account: &str) -> CliError {
    let step = format!(
        "chancery token resume {id} finishes this, chancery token undo {id} takes it back if it can be"
    );
    CliError::Open {
        failure: Box::new(failure),
        account: account.trim_end().to_owned(),
    }
    .and_then_do(&step)
}

/// What was and was not done, a line a step.
pub(super) fn account_text(account: &[(String, Done)]) -> String {
    account
        .iter()
        .map(|(step, done)| {
            let state = match done {
                Done::Yes => "done",
                Done::No => "not done",
                Done::Unknown => "begun, not known to be done",
            };
            format!("  {step}: {state}\n")
        })
        .collect()
}

fn begun(record: &Record) -> String {
    OffsetDateTime::from_unix_timestamp(record.begun)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| record.begun.to_string())
}
