//! `approve`: the custodian's side of leases. What is asked is shown here, the PIN is asked here, the own token answers here.

mod desk;
mod hook;
mod watch;

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use chancery_agent::{
    Accepted, Comparison, Custodian, LeaseDecision, LeaseNode as _, LocalTokens, SeenLog, ShownLease,
    fetch_manifest, one_line,
};
use chancery_api::{FailureKind, InstallationId, LeasePending, LeaseShow, LeaseView};
use chancery_node::SystemClock;
use clap::Args;
use serde_json::json;

use self::desk::Desk;
use crate::{
    commands::lease::{named, show},
    context::Context,
    error::CliError,
    node_link::{NodeArgs, NodeLink},
    report::Report,
    secrets::PinArgs,
};

/// Decides on leases.
#[derive(Args)]
#[command(
    after_help = "Example: chancery approve --as alice\n         chancery approve 01939d2e --as alice --compare fit.itb\n         \
chancery approve --as alice --watch --node https://node:8443 --node-cert node.pem --client-key alice.pem\n         \
chancery approve 01939d2e --as alice --refuse \"wrong kernel version\"\n\
Everything you agree to is shown before the PIN is asked; your token answers here, for HSMs you accepted at registration, and signs \
what was shown. Nothing is ever approved without you: --watch and --hook only tell you.\n\
A hook finds the lease in CHANCERY_LEASE, CHANCERY_PURPOSE, CHANCERY_SIGNER, CHANCERY_REQUESTER, and all of it as JSON on standard input."
)]
pub(crate) struct Approve {
    /// The lease, or how it begins; the one that waits when absent
    #[arg(conflicts_with = "watch")]
    lease: Option<String>,
    /// The custodian
    #[arg(long = "as", value_name = "NAME")]
    custodian: String,
    /// The custodian's token [default: that of the person, or the token of that name]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Wait for leases, and show each as it comes
    #[arg(long)]
    watch: bool,
    /// Hash your own build and compare it with the digests of the lease; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    compare: Vec<PathBuf>,
    /// Refuse, and tell the requester why
    #[arg(long, value_name = "REASON", conflicts_with = "watch")]
    refuse: Option<String>,
    /// Run this command, by sh, for each lease that comes: to send mail or a message
    #[arg(long, value_name = "COMMAND", requires = "watch")]
    hook: Option<String>,
    #[command(flatten)]
    pin: PinArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl Approve {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let refusal = self.refuse.as_deref().map(LeaseDecision::refuse).transpose()?;
        let link = self.node.link(context)?;
        let side = Side::new(context, &link, &self.custodian, self.token.as_deref())?;
        if self.watch {
            return watch::run(context, &link, &side, &self.pin, self.hook.as_deref());
        }
        let view = self.asked(&link)?;
        let lease = side.read(&link, &view)?;
        let comparison = if self.compare.is_empty() {
            None
        } else {
            Some(Comparison::of(lease.digests(), &self.compare)?)
        };
        for line in lease.lines(SystemClock.now(), comparison.as_ref()) {
            context.tell(line);
        }
        let decision = match refusal {
            Some(refusal) => refusal,
            None => self.agreement(comparison.as_ref())?,
        };
        let pin_file = self.pin.pin_file.as_deref();
        side.decide(context, &link, &lease, &decision, pin_file)
    }

    /// The lease that is meant: the one named, or the only one that waits.
    fn asked(&self, link: &NodeLink<'_>) -> Result<LeaseView, CliError> {
        if let Some(text) = &self.lease
            && let Ok(id) = uuid::Uuid::parse_str(text)
        {
            return link.call(&LeaseShow {
                lease: chancery_api::LeaseId::new(id),
                known: None,
                wait_seconds: 0,
            });
        }
        let pending = link.call(&LeasePending {
            person: self.custodian.clone(),
            known: Vec::new(),
            wait_seconds: 0,
        })?;
        match (&self.lease, pending.as_slice()) {
            (Some(text), pending) => named::among(pending, text).cloned(),
            (None, [only]) => Ok(only.clone()),
            (None, []) => Err(CliError::with_remedy(
                FailureKind::NotFound,
                format!("no lease waits for {}", self.custodian),
                "chancery approve --watch waits for one",
            )),
            (None, several) => {
                let names: Vec<_> = several.iter().map(|view| view.lease.to_string()).collect();
                Err(CliError::with_remedy(
                    FailureKind::Conflict,
                    format!("several leases wait for {}: {}", self.custodian, names.join(", ")),
                    "name one: chancery approve LEASE --as NAME",
                ))
            }
        }
    }

    /// What makes it a person's agreement: the lease was named, or somebody at the terminal says so now.
    fn agreement(&self, comparison: Option<&Comparison>) -> Result<LeaseDecision, CliError> {
        let differs = comparison.is_some_and(|comparison| !comparison.is_complete());
        if !differs && self.lease.is_some() {
            return Ok(LeaseDecision::Agree);
        }
        let question = if differs {
            "YOUR OWN BUILD DIFFERS. Type `agree` to agree all the same, `refuse REASON`, or Enter to leave it: "
        } else {
            "Type `agree`, `refuse REASON`, or Enter to leave it: "
        };
        match ask(question)? {
            Some(decision) => Ok(decision),
            None if differs => Err(CliError::new(
                FailureKind::Refused,
                "your own build differs from what the lease names: nothing was decided",
            )),
            None => Err(CliError::with_remedy(
                FailureKind::Blocked,
                "nothing was decided",
                "name the lease: chancery approve LEASE --as NAME",
            )),
        }
    }
}

/// Asks at the terminal; `None` when there is none or nothing was decided.
fn ask(question: &str) -> Result<Option<LeaseDecision>, CliError> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut shown = io::stderr().lock();
    // Who closed the stream is not asked.
    let _ = shown.write_all(question.as_bytes()).and_then(|()| shown.flush());
    drop(shown);
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(CliError::file("read from", Path::new("the terminal")))?;
    let line = line.trim();
    match line.split_once(' ').unwrap_or((line, "")) {
        ("agree", "") => Ok(Some(LeaseDecision::Agree)),
        ("refuse", reason) => Ok(Some(LeaseDecision::refuse(reason)?)),
        _ => Ok(None),
    }
}

/// A custodian's side: token, accepted HSMs, places in logs.
struct Side {
    person: String,
    tokens: LocalTokens,
    token: String,
    device: String,
    installation: InstallationId,
    accepted: Accepted,
    directory: PathBuf,
}

impl Side {
    fn new(
        context: &Context,
        link: &NodeLink<'_>,
        person: &str,
        token: Option<&str>,
    ) -> Result<Self, CliError> {
        let tokens = context.tokens()?;
        // A node elsewhere is not asked whose token is whose.
        let mut own = match token {
            Some(name) => tokens.open(name)?,
            None if link.is_here() => tokens.by_device(&context.person(person)?.device)?,
            None => tokens.open(person)?,
        };
        let identity = own.card().device_identity(tokens.anchors());
        let device = identity
            .map_err(|source| chancery_agent::AgentError::Card {
                name: own.name().to_owned(),
                source,
            })?
            .name()
            .to_string();
        let name = own.name().to_owned();
        drop(own);
        let directory = Context::accepted_directory(&context.data()?);
        Ok(Self {
            person: person.to_owned(),
            accepted: Accepted::load(&directory, &device)?,
            installation: context.installation()?.id,
            tokens,
            token: name,
            device,
            directory,
        })
    }

    /// Reads a lease, and all its digests.
    fn read(&self, link: &NodeLink<'_>, view: &LeaseView) -> Result<ShownLease, CliError> {
        let lease = ShownLease::read(view, self.installation, &self.accepted)?;
        let mut desk = Desk(link);
        let digests = fetch_manifest(&lease, |call| desk.manifest(&call))?;
        Ok(lease.with_manifest(digests)?)
    }

    /// Has the own token answer, once its PIN was asked.
    fn decide(
        &self,
        context: &Context,
        link: &NodeLink<'_>,
        lease: &ShownLease,
        decision: &LeaseDecision,
        pin_file: Option<&Path>,
    ) -> Result<Report, CliError> {
        let token = context.unlocked_token(&self.token, pin_file)?;
        let log = SeenLog::load(&self.directory, &self.device)?;
        let mut custodian = Custodian::new(&self.person, token, &self.accepted, self.tokens.anchors(), log)?;
        let answered = custodian.decide(&mut Desk(link), lease, decision)?;
        drop(custodian);
        let mut text = String::new();
        let mut hsms = Vec::new();
        let mut last = None;
        for one in &answered {
            match &one.outcome {
                Ok(view) => {
                    let state = view
                        .hsms
                        .iter()
                        .find(|hsm| hsm.hsm == one.hsm)
                        .map_or("answered", |hsm| hsm.state.as_str());
                    text.push_str(&format!("{}: {}\n", one.hsm, one_line(state)));
                    hsms.push(json!({ "hsm": one.hsm, "state": state }));
                    last = Some(view);
                }
                Err(why) => {
                    text.push_str(&format!("{}: not answered: {}\n", one.hsm, one_line(why)));
                    hsms.push(json!({ "hsm": one.hsm, "failure": why }));
                }
            }
        }
        let Some(view) = last else {
            let why = answered.iter().find_map(|one| one.outcome.as_ref().err());
            return Err(CliError::new(
                FailureKind::Blocked,
                format!(
                    "no HSM of the lease took an answer of {}: {}",
                    self.person,
                    one_line(why.map_or("it has none", String::as_str))
                ),
            ));
        };
        let verb = match decision {
            LeaseDecision::Agree => "agreed",
            LeaseDecision::Refuse { .. } => "refused",
        };
        text.push_str(&format!(
            "{} {verb}; lease {} is {}: {} of {} custodians agreed\n",
            self.person,
            view.lease,
            view.state.name(),
            view.agreed.len(),
            view.needed
        ));
        let shown = json!({ "decision": verb, "answers": hsms, "lease": show::json(view)? });
        Report::new(&shown, text)
    }
}
