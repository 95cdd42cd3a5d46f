//! The node as the custodian's side sees it.

use chancery_agent::{Asked, LeaseNode};
use chancery_api::{DigestValue, FailureKind, LeaseAnswer, LeaseChallenge, LeaseManifest, LeaseView};

use crate::{commands::lease::named, error::CliError, node_link::NodeLink};

/// Calls of the custodian's side.
pub(super) struct Desk<'a>(pub(super) &'a NodeLink<'a>);

impl LeaseNode for Desk<'_> {
    type Error = CliError;

    fn manifest(&mut self, call: &LeaseManifest) -> Result<Vec<DigestValue>, CliError> {
        self.0.call(call)
    }

    fn challenge(&mut self, call: &LeaseChallenge) -> Result<Asked, CliError> {
        match self.0.call(call) {
            Ok(view) => Ok(Asked::Challenge(Box::new(view))),
            // Another HSM of the lease may still have something to answer.
            Err(CliError::Failed(failure))
                if [
                    FailureKind::Conflict,
                    FailureKind::Blocked,
                    FailureKind::Unavailable,
                ]
                .contains(&failure.kind) =>
            {
                Ok(Asked::Nothing(failure.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn answer(&mut self, call: &LeaseAnswer) -> Result<LeaseView, CliError> {
        named::answered(call.lease, self.0.call(call)?)
    }
}
