//! `approve --watch`: leases are told as they come; who sits at the terminal is asked about each.

use std::{collections::BTreeMap, thread, time::Duration};

use chancery_api::{FailureKind, Hash32, LeaseId, LeasePending, LeaseView};
use chancery_node::SystemClock;

use super::{Side, ask, hook, question};
use crate::{
    context::Context, error::CliError, node_link::NodeLink, progress::Progress, report::Report,
    secrets::PinArgs,
};

/// Seconds one call waits; the node allows 30.
const SECONDS: u32 = 25;
/// Pause after a node could not be reached; doubled up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Watches until it is interrupted, or until the node answers with something that waiting does not mend.
pub(super) fn run(
    context: &Context,
    link: &NodeLink<'_>,
    side: &Side,
    pin: &PinArgs,
    hook: Option<&str>,
) -> Result<Report, CliError> {
    context.tell(format!(
        "waiting for leases that {} could agree to; Ctrl-C ends it",
        side.0.person
    ));
    let mut known: BTreeMap<LeaseId, Hash32> = BTreeMap::new();
    let mut pause = PAUSE;
    loop {
        let call = LeasePending {
            person: side.0.person.clone(),
            known: known.keys().copied().collect(),
            wait_seconds: SECONDS,
        };
        let pending = {
            let _progress = Progress::start("no lease waits");
            link.call_quietly(&call)
        };
        let pending = match pending {
            Ok(pending) => pending,
            Err(CliError::Failed(failure)) if failure.kind == FailureKind::Unavailable => {
                context.tell(CliError::Failed(failure).text().trim_end());
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        };
        pause = PAUSE;
        // What is over may come again under the same name: after a loss a lease waits once more.
        known.retain(|lease, _| pending.iter().any(|view| view.lease == *lease));
        for view in pending {
            // With another text it is another one: somebody widened it.
            let text = Hash32::of(&view.text.0);
            if known.insert(view.lease, text) != Some(text) && one(context, link, side, pin, hook, &view) {
                known.remove(&view.lease);
            }
        }
    }
}

/// Tells about one lease and asks, when there is somebody to ask; whether it was decided.
fn one(
    context: &Context,
    link: &NodeLink<'_>,
    side: &Side,
    pin: &PinArgs,
    hook: Option<&str>,
    view: &LeaseView,
) -> bool {
    if let Some(command) = hook
        && let Err(why) = hook::run(command, &side.0.person, view)
    {
        context.tell(format!("(the hook: {why})"));
    }
    let outcome = side.read(link, view).and_then(|lease| {
        context.tell("");
        for line in lease.lines(SystemClock.now(), None) {
            context.tell(line);
        }
        match ask(question(&lease))? {
            Some(choice) => side
                .decide(context, link, lease, &choice, pin.pin_file.as_deref())
                .map(Some),
            None => {
                context.tell(format!(
                    "not decided: chancery approve {} --as {}",
                    view.lease, side.0.person
                ));
                Ok(None)
            }
        }
    });
    match outcome {
        Ok(Some(report)) => {
            context.tell(report.text().trim_end());
            true
        }
        Ok(None) => false,
        Err(error) => {
            context.tell(error.text().trim_end());
            false
        }
    }
}
