//! Waiting for custodians.

use chancery_api::{FailureKind, LeaseShow, LeaseState, LeaseView};

use super::named;
use crate::{
    context::Context,
    error::CliError,
    node_link::{Interrupt, NodeLink},
    progress::Progress,
    table::{LONGEST, counted, foreign_names},
};

/// Seconds one call waits; the node allows 30.
const SECONDS: u32 = 25;

/// Waits until a lease may be used, and tells meanwhile who agreed and who could. What ends the wait otherwise is a failure, with its
/// reason as the last line.
pub(crate) fn until_live(
    context: &Context,
    link: &NodeLink<'_>,
    interrupt: &Interrupt,
    mut view: LeaseView,
) -> Result<LeaseView, CliError> {
    while view.state == LeaseState::Waiting {
        let line = sentence(&view);
        context.tell(&line);
        let _progress = Progress::start(&line);
        let known = view.version;
        while view.state == LeaseState::Waiting && view.version == known {
            let changed = link.call_quietly(&LeaseShow {
                lease: view.lease,
                known: Some(known),
                wait_seconds: SECONDS,
            });
            interrupt.stop_here_if_interrupted();
            view = named::answered(view.lease, changed?)?;
        }
    }
    ended(&view)?;
    Ok(view)
}

fn sentence(view: &LeaseView) -> String {
    let missing = usize::from(view.needed).saturating_sub(view.agreed.len());
    let agreed = match view.agreed.as_slice() {
        [] => "nobody has agreed yet".to_owned(),
        names => format!("agreed: {}", foreign_names(names)),
    };
    format!(
        "lease {} waits for {}; {agreed}; could: {}",
        view.lease,
        counted(missing, "custodian"),
        foreign_names(&view.could)
    )
}

/// A failure when a lease came to an end without being of use. Its last line is the reason.
pub(crate) fn ended(view: &LeaseView) -> Result<(), CliError> {
    let (kind, how) = match view.state {
        LeaseState::Waiting | LeaseState::Live | LeaseState::Exhausted => return Ok(()),
        LeaseState::Refused => (FailureKind::Refused, "was refused"),
        LeaseState::TimedOut => (FailureKind::Blocked, "was not given in time"),
        LeaseState::Withdrawn => (FailureKind::Blocked, "was withdrawn"),
        LeaseState::Expired => (FailureKind::Blocked, "is over"),
        LeaseState::Revoked => (FailureKind::Blocked, "was revoked"),
    };
    let because = view.because.as_deref().unwrap_or("nobody said why");
    Err(CliError::new(
        kind,
        format!(
            "lease {} {how}: {}",
            view.lease,
            chancery_agent::short_line(because, LONGEST)
        ),
    ))
}
