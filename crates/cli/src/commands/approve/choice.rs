//! What a custodian makes of a lease: to agree, to agree and add the next k, or to refuse.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use chancery_agent::{LeaseDecision, ShownLease, Wider};
use chancery_api::{Extent, FailureKind};
use chancery_node::SystemClock;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    commands::{typed_line, unlock::duration_of},
    error::CliError,
};

/// A decision, and what is added to the lease before.
pub(super) struct Choice {
    pub(super) decision: LeaseDecision,
    pub(super) wider: Option<Wider>,
}

impl From<LeaseDecision> for Choice {
    fn from(decision: LeaseDecision) -> Self {
        Self {
            decision,
            wider: None,
        }
    }
}

/// When a lease ends that a custodian widens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// So long after it was widened.
    After(Duration),
    /// At this time.
    At(OffsetDateTime),
}

impl End {
    fn lasts(self) -> Result<Duration, CliError> {
        match self {
            Self::After(duration) => Ok(duration),
            Self::At(time) => u64::try_from((time - SystemClock.now()).whole_seconds())
                .ok()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs)
                .ok_or_else(|| CliError::new(FailureKind::Invalid, "the time of --until is over")),
        }
    }
}

/// Reads `30m`, or a time.
pub(super) fn end_of(text: &str) -> Result<End, String> {
    duration_of(text)
        .map(End::After)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339).map(End::At))
        .map_err(|_| {
            format!(
                "{text:?} is neither a length of time, such as 30m, nor a time, such as 2026-11-22T06:00:00Z"
            )
        })
}

/// What `--next` and `--until` add.
pub(super) fn wider(next: Option<u64>, until: Option<End>) -> Result<Option<Wider>, CliError> {
    let Some(next) = next else { return Ok(None) };
    let lasts = until.map(End::lasts).transpose()?;
    Ok(Some(Wider::new(next, lasts)?))
}

/// What can be typed about a lease.
pub(super) const fn question(lease: &ShownLease) -> &'static str {
    match lease.text().extent {
        Extent::Manifest { count: 2.., .. } => "Type `agree`, `refuse REASON`, or Enter to leave it: ",
        _ => "Type `agree`, `agree and the next N`, `refuse REASON`, or Enter to leave it: ",
    }
}

/// Asks at the terminal; `None` when there is none or nothing was decided.
pub(super) fn ask(question: &str) -> Result<Option<Choice>, CliError> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let line = typed_line(question)?;
    let line = line.trim();
    if let Some(next) = Wider::typed(line) {
        return Ok(Some(Choice {
            decision: LeaseDecision::Agree,
            wider: Some(Wider::new(next, None)?),
        }));
    }
    match line.split_once(' ').unwrap_or((line, "")) {
        ("agree", "") => Ok(Some(LeaseDecision::Agree.into())),
        ("refuse", reason) => Ok(Some(LeaseDecision::refuse(reason)?.into())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_length_of_time_or_a_time() {
        assert_eq!(end_of("30m"), Ok(End::After(Duration::from_secs(1800))));
        assert!(matches!(end_of("2026-11-22T06:00:00Z"), Ok(End::At(_))));
        assert!(end_of("tomorrow").is_err());
        assert!(wider(Some(1), Some(End::At(OffsetDateTime::UNIX_EPOCH))).is_err());
        assert!(wider(Some(0), None).is_err());
        assert!(wider(None, None).unwrap().is_none());
    }
}
