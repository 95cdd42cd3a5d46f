//! `hsm`.

mod init;
mod unlock;

use chancery_api::{HsmList, HsmLock, HsmStatus, HsmView, Intent};
use clap::{Args, Subcommand};

use crate::{
    act::{self, Actor, decide},
    context::Context,
    error::CliError,
    report::Report,
    secrets::PinArgs,
    table::{facts, list, table},
};

/// HSMs.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery hsm list")]
pub(crate) enum HsmCommand {
    /// Initialise tokens as HSMs of one new key domain
    Init(init::Init),
    /// Have the node hold an HSM
    Attach(Attach),
    /// Show the HSMs and their state
    List(List),
    /// Ask one HSM, or all, for its state
    Status(Status),
    /// Answer HSMs' challenges as a custodian
    Unlock(unlock::Unlock),
    /// Lock HSMs at once
    Lock(Lock),
    /// Have the node give an HSM up
    Detach(Detach),
}

impl HsmCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Init(command) => command.run(context),
            Self::Attach(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::Unlock(command) => command.run(context),
            Self::Lock(command) => command.run(context),
            Self::Detach(command) => command.run(context),
        }
    }
}

/// Attaches an HSM.
#[derive(Args)]
#[command(after_help = "\
Example: chancery hsm attach hsm-a --as alice
Example: chancery hsm attach hsm-b --connector cupboard --as alice
With a connector the token is where that agent is; the node opens a channel into the token itself and sends nothing plain after \
it. An HSM that is known may move from the node's machine to a connector and back.")]
pub(crate) struct Attach {
    /// Name of the token, which is that of the HSM
    name: String,
    /// Connector it is found through; on the node's own machine without it
    #[arg(long, value_name = "CONNECTOR")]
    connector: Option<String>,
    /// Who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Attach {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        let hsms = act::hsms(decide(
            context,
            actor,
            Intent::HsmAttach {
                token: self.name,
                connector: self.connector,
            },
        )?)?;
        Report::new(&hsms, states(&hsms))
    }
}

/// Detaches an HSM.
#[derive(Args)]
#[command(
    after_help = "Example: chancery hsm detach hsm-a --as alice\nIt is locked with that, and can be taken away."
)]
pub(crate) struct Detach {
    /// Name
    name: String,
    /// Who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
}

impl Detach {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        let hsms = act::hsms(decide(context, actor, Intent::HsmDetach { hsm: self.name })?)?;
        Report::new(&hsms, states(&hsms))
    }
}

/// Shows HSMs.
#[derive(Args)]
#[command(after_help = "Example: chancery hsm list --json")]
pub(crate) struct List {}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let hsms = context.call(&HsmList {})?;
        Report::new(&hsms, states(&hsms))
    }
}

/// Shows one HSM in full.
#[derive(Args)]
#[command(after_help = "Example: chancery hsm status hsm-a\n\
Tells apart locked, quorum k of n (who answered, who could), unlocked since, and lost since when and why.")]
pub(crate) struct Status {
    /// Name; all when absent
    name: Option<String>,
}

impl Status {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let hsms = match self.name {
            Some(hsm) => vec![context.call(&HsmStatus { hsm })?],
            None => context.call(&HsmList {})?,
        };
        let texts: Vec<_> = hsms.iter().map(show).collect();
        let text = if texts.is_empty() {
            states(&hsms)
        } else {
            texts.join("\n")
        };
        Report::new(&hsms, text)
    }
}

/// Locks HSMs.
#[derive(Args)]
#[command(after_help = "Example: chancery hsm lock\nNeeds no decision of anybody: locking is always safe.")]
pub(crate) struct Lock {
    /// Names; every attached HSM when absent
    names: Vec<String>,
}

impl Lock {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let hsms = context.call(&HsmLock { hsms: self.names })?;
        Report::new(&hsms, states(&hsms))
    }
}

/// HSMs with their state, a line each, and what somebody should look at.
pub(crate) fn states(hsms: &[HsmView]) -> String {
    let rows = hsms
        .iter()
        .map(|hsm| {
            vec![
                hsm.name.clone(),
                hsm.state.sentence(),
                hsm.device.clone(),
                hsm.genuineness.clone(),
                hsm.kcv.clone().unwrap_or_else(|| "-".to_owned()),
                list(&hsm.signers),
            ]
        })
        .collect();
    let mut text = table(
        &["HSM", "STATE", "DEVICE", "IS", "KEY DOMAIN", "SIGNERS"],
        rows,
        "no HSMs yet; see chancery hsm init --help",
    );
    for hsm in hsms {
        for warning in &hsm.warnings {
            text.push_str(&format!("warning: {}: {warning}\n", hsm.name));
        }
    }
    text
}

fn show(hsm: &HsmView) -> String {
    let mut lines = vec![
        ("HSM", hsm.name.clone()),
        ("state", hsm.state.sentence()),
        ("device", format!("{} ({})", hsm.device, hsm.genuineness)),
        ("key domain", hsm.kcv.clone().unwrap_or_else(|| "none".to_owned())),
        ("signers", list(&hsm.signers)),
    ];
    if let Some(quorum) = &hsm.quorum {
        let missing = match quorum.missing {
            0 => String::new(),
            missing => format!(", {missing} not registered yet"),
        };
        lines.push((
            "quorum",
            format!("{} of {}{missing}", quorum.required, quorum.total),
        ));
    }
    for custodian in &hsm.custodians {
        let person = if custodian.person.is_empty() {
            "unknown"
        } else {
            &custodian.person
        };
        let answered = if custodian.answered { ", has answered" } else { "" };
        lines.push((
            "custodian",
            format!("{person} with key {}{answered}", custodian.chr),
        ));
    }
    for warning in &hsm.warnings {
        lines.push(("warning", warning.clone()));
    }
    facts(&lines)
}
