//! `approve`: the custodian's side of leases. What is asked is shown here, the PIN is asked here, the own token answers here.

mod choice;
mod desk;
mod hook;
mod watch;

use std::path::{Path, PathBuf};

use chancery_agent::{
    Comparison, Custodian, LeaseDecision, LeaseNode as _, Seat, ShownLease, Wider, fetch_manifest, one_line,
    short_line,
};
use chancery_api::{FailureKind, LeaseId, LeasePending, LeaseShow, LeaseView};
use chancery_node::SystemClock;
use clap::Args;
use serde_json::json;

use self::{
    choice::{Choice, End, ask, end_of, question},
    desk::Desk,
};
use crate::{
    commands::lease::{named, show},
    context::Context,
    error::CliError,
    node_link::{NodeArgs, NodeLink},
    own_side::{OwnSide, seat_of},
    report::Report,
    secrets::PinArgs,
    table::LONGEST,
};

/// Decides on leases.
#[derive(Args)]
#[command(
    after_help = "Example: chancery approve --as alice\n         chancery approve 01939d2e --as alice --compare fit.itb\n         \
chancery approve --as alice --watch --node https://node:8444 --node-cert node.pem --client-key alice.pem\n         \
chancery approve 01939d2e --as alice --refuse \"wrong kernel version\"\n         \
chancery approve 01939d2e --as alice --next 20 --until 30m\n\
Everything you agree to is shown before the PIN is asked; your token answers here, for HSMs you accepted, and signs what was \
shown. On a machine of your own it needs what chancery custodian accept kept there, and your token, in a reader or virtual. Nothing is ever approved without you: --watch and --hook only tell you.\n\
With --next the requester may sign so many further digests, which nobody knows yet: the lease has another text then, custodians who had \
answered are asked again, and all of them read who added what.\n\
A hook finds the lease in CHANCERY_LEASE, CHANCERY_PURPOSE, CHANCERY_SIGNER, CHANCERY_REQUESTER, and all of it as JSON on standard input."
)]
pub(crate) struct Approve {
    /// The lease, or how it begins: who names it agrees, and is asked for the PIN alone. When absent, the one that waits, and a question
    #[arg(conflicts_with = "watch")]
    lease: Option<String>,
    /// The custodian
    #[arg(long = "as", value_name = "NAME")]
    custodian: String,
    /// The custodian's token: device id, label, or name of a virtual token [default: the one that was accepted for, or that of the person]
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
    /// Agree, and to the next N digests of the requester's, whatever they are
    #[arg(long, value_name = "N", conflicts_with_all = ["watch", "refuse"])]
    next: Option<u64>,
    /// With --next: the lease ends then, after so long (30m, 2h) or at a time [default: as it was asked for]
    #[arg(long, value_name = "TIME", value_parser = end_of, requires = "next")]
    until: Option<End>,
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
        let wider = choice::wider(self.next, self.until)?;
        let seat = seat_of(context, &self.custodian, self.node.node.as_deref())?;
        let link = self.node.link_of(context, seat.as_ref().map(Seat::membership))?;
        let token = self.token.as_deref();
        let side = Side(OwnSide::new(
            context,
            seat,
            link.is_here(),
            &self.custodian,
            token,
        )?);
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
        let mut choice = match refusal {
            Some(refusal) => refusal.into(),
            None => self.agreement(&lease, comparison.as_ref())?,
        };
        if choice.decision == LeaseDecision::Agree {
            choice.wider = wider.or(choice.wider);
        }
        let pin_file = self.pin.pin_file.as_deref();
        side.decide(context, &link, lease, &choice, pin_file)
    }

    /// The lease that is meant: the one named, or the only one that waits.
    fn asked(&self, link: &NodeLink<'_>) -> Result<LeaseView, CliError> {
        if let Some(text) = &self.lease
            && let Ok(id) = uuid::Uuid::parse_str(text)
        {
            let lease = LeaseId::new(id);
            let view = link.call(&LeaseShow {
                lease,
                known: None,
                wait_seconds: 0,
            })?;
            return named::answered(lease, view);
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
    fn agreement(&self, lease: &ShownLease, comparison: Option<&Comparison>) -> Result<Choice, CliError> {
        let differs = comparison.is_some_and(|comparison| !comparison.is_complete());
        if !differs && self.lease.is_some() {
            return Ok(LeaseDecision::Agree.into());
        }
        let words = if differs {
            "YOUR OWN BUILD DIFFERS. Type `agree` to agree all the same, `refuse REASON`, or Enter to leave it: "
        } else {
            question(lease)
        };
        match ask(words)? {
            Some(choice) => Ok(choice),
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

/// A custodian's side, asked about leases.
struct Side(OwnSide);

impl Side {
    /// Reads a lease, and all its digests.
    fn read(&self, link: &NodeLink<'_>, view: &LeaseView) -> Result<ShownLease, CliError> {
        let lease = ShownLease::read(view, self.0.installation, &self.0.accepted)?;
        lease.check_clock(SystemClock.now())?;
        let mut desk = Desk(link);
        let digests = fetch_manifest(&lease, |call| desk.manifest(&call))?;
        Ok(lease.with_manifest(digests)?)
    }

    /// Has the node add to a lease, and shows what came of it: that is what is signed.
    fn widen(
        &self,
        context: &Context,
        link: &NodeLink<'_>,
        lease: &ShownLease,
        wider: &Wider,
    ) -> Result<ShownLease, CliError> {
        let person = &self.0.person;
        let view = link.call(&wider.call(lease, person))?;
        let after = self.read(link, &view)?;
        wider.check(lease, &after, person, SystemClock.now())?;
        for line in after.lines(SystemClock.now(), None) {
            context.tell(line);
        }
        Ok(after)
    }

    /// Has the own token answer, once its PIN was asked.
    fn decide(
        &self,
        context: &Context,
        link: &NodeLink<'_>,
        lease: ShownLease,
        choice: &Choice,
        pin_file: Option<&Path>,
    ) -> Result<Report, CliError> {
        let side = &self.0;
        let token = side.unlock(context, pin_file)?;
        let log = side.log()?;
        let mut custodian = Custodian::new(&side.person, token, &side.accepted, &side.anchors, log)?;
        let decision = &choice.decision;
        let lease = match &choice.wider {
            // Its PIN is right: nobody is asked again for nothing.
            Some(wider) => self.widen(context, link, &lease, wider)?,
            None => lease,
        };
        let answered = custodian.decide(&mut Desk(link), &lease, decision)?;
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
                    text.push_str(&format!(
                        "{}: {}\n",
                        one_line(&one.hsm),
                        short_line(state, LONGEST)
                    ));
                    hsms.push(json!({ "hsm": one.hsm, "state": state }));
                    last = Some(view);
                }
                Err(why) => {
                    text.push_str(&format!(
                        "{}: not answered: {}\n",
                        one_line(&one.hsm),
                        short_line(why, LONGEST)
                    ));
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
                    side.person,
                    why.map_or("it has none", String::as_str)
                ),
            ));
        };
        let verb = match decision {
            LeaseDecision::Agree => "agreed",
            LeaseDecision::Refuse { .. } => "refused",
        };
        text.push_str(&format!(
            "{} {verb}; lease {} is {}: {} of {} custodians agreed\n",
            side.person,
            view.lease,
            view.state.name(),
            view.agreed.len(),
            view.needed
        ));
        let shown = json!({ "decision": verb, "answers": hsms, "lease": show::json(view)? });
        Report::new(&shown, text)
    }
}
