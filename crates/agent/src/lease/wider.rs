//! "Agree, and the next k": what a custodian adds to a lease, and whether the node added that and nothing else.

use std::time::Duration;

use chancery_api::{Hash32, LeaseWiden, MOST_NEXT, NotWidened, Widening};
use time::OffsetDateTime;

use super::{ShownLease, remaining, shown::LONGEST_NAME};
use crate::{
    AgentError,
    text::{quoted, short_line},
};

/// What a custodian adds to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wider {
    next: u64,
    lasts: Option<Duration>,
}

impl Wider {
    /// So many further digests, which nobody knows yet; the lease is to last so long from now, or as long as it does.
    ///
    /// # Errors
    /// [`AgentError::OtherLease`] for no digest or too many.
    pub fn new(next: u64, lasts: Option<Duration>) -> Result<Self, AgentError> {
        if (1..=MOST_NEXT).contains(&next) {
            Ok(Self { next, lasts })
        } else {
            Err(AgentError::OtherLease(NotWidened::Number.to_string()))
        }
    }

    /// Reads `agree and the next N`, as somebody types it; none for anything else.
    #[must_use]
    pub fn typed(words: &str) -> Option<u64> {
        let words: Vec<&str> = words.split_whitespace().collect();
        match words.as_slice() {
            ["agree", "and", "the", "next", next] | ["agree", "next", next] => next.parse().ok(),
            _ => None,
        }
    }

    /// What the node is asked for: only the lease that was shown is widened.
    #[must_use]
    pub fn call(&self, shown: &ShownLease, person: &str) -> LeaseWiden {
        LeaseWiden {
            lease: shown.lease(),
            person: person.to_owned(),
            read: Hash32::of(shown.bytes()),
            next: self.next,
            seconds: self.lasts.map(|lasts| lasts.as_secs()),
        }
    }

    /// Whether the lease is the one that was shown with this added by this person, and nothing else, at this time by this machine's
    /// clock.
    ///
    /// # Errors
    /// [`AgentError::OtherLease`]; [`AgentError::Clock`] when it would end at another time than was asked for;
    /// [`AgentError::NodeEnforcedNow`] when the HSMs counted the custodians before, and do not now.
    pub fn check(
        &self,
        before: &ShownLease,
        after: &ShownLease,
        person: &str,
        now: OffsetDateTime,
    ) -> Result<(), AgentError> {
        let refuse = |why: String| Err(AgentError::OtherLease(why));
        let Some(last) = after.text().widened.last() else {
            return refuse("the node did not add what was asked for".to_owned());
        };
        if last.by != person || last.next != self.next {
            return refuse(format!(
                "the node added {} digests as {}, and {} as {person} were asked for",
                last.next,
                quoted(&last.by, LONGEST_NAME),
                self.next
            ));
        }
        if before.text().widen(last.clone()).as_ref() != Ok(after.text()) {
            return refuse("the node changed more of it than was asked for".to_owned());
        }
        after.check_clock(now)?;
        self.check_end(last, after, now)?;
        if after.node_enforced() && !before.node_enforced() {
            return Err(AgentError::NodeEnforcedNow { lease: after.lease() });
        }
        Ok(())
    }

    /// Whether the lease ends when it was to end: by this machine's clock, for `at` is the node's word.
    fn check_end(&self, last: &Widening, after: &ShownLease, now: OffsetDateTime) -> Result<(), AgentError> {
        let refuse = |why: &str| Err(AgentError::OtherLease(why.to_owned()));
        let (lasts, until) = match (self.lasts, &last.until) {
            (None, None) => return Ok(()),
            (Some(lasts), Some(until)) => (lasts, until),
            (None, Some(_)) => return refuse("the node changed its end, and nobody asked for that"),
            (Some(_), None) => return refuse("the node did not change its end as was asked for"),
        };
        let Some(until) = remaining::parse(until) else {
            return refuse("its times cannot be read");
        };
        let lasts = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let off = (until - now).whole_seconds().saturating_sub(lasts);
        if off.abs() > remaining::SKEW {
            return Err(AgentError::Clock {
                what: "with what you added the lease would end".to_owned(),
                apart: remaining::apart(off),
                lease: after.lease(),
            });
        }
        Ok(())
    }
}

/// What others added, a line each.
pub(super) fn lines(widened: &[Widening]) -> Vec<String> {
    widened
        .iter()
        .map(|widening| {
            let until = widening
                .until
                .as_ref()
                .map_or_else(String::new, |until| format!(" and set its end to {}", short_line(until, LONGEST_NAME)));
            format!(
                "{} added THE NEXT {} DIGESTS at {}{until}, by the node's word; who agreed to less before answers again",
                quoted(&widening.by, LONGEST_NAME),
                widening.next,
                short_line(&widening.at, LONGEST_NAME)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_names_a_number() {
        assert_eq!(Wider::typed("agree and the next 20"), Some(20));
        assert_eq!(Wider::typed(" agree  next 3 "), Some(3));
        for other in [
            "agree",
            "agree and the next",
            "agree and the next -1",
            "agree and the next 3 or so",
            "refuse and the next 3",
        ] {
            assert_eq!(Wider::typed(other), None, "{other}");
        }
        for wrong in [0, MOST_NEXT + 1] {
            assert!(Wider::new(wrong, None).is_err());
        }
    }
}
