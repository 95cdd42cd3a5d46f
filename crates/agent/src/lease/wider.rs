//! "Agree, and the next k": what a custodian adds to a lease, and whether the node added that and nothing else.

use std::time::Duration;

use chancery_api::{Hash32, LeaseWiden, MOST_NEXT, NotWidened, Widening};

use super::{ShownLease, remaining};
use crate::{AgentError, one_line, text::short_line};

/// Longest foreign text that is shown, in characters.
const LONGEST_NAME: usize = 160;

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

    /// Whether the lease is the one that was shown with this added by this person, and nothing else.
    ///
    /// # Errors
    /// [`AgentError::OtherLease`].
    pub fn check(&self, before: &ShownLease, after: &ShownLease, person: &str) -> Result<(), AgentError> {
        let refuse = |why: String| Err(AgentError::OtherLease(why));
        let Some(last) = after.text().widened.last() else {
            return refuse("the node did not add what was asked for".to_owned());
        };
        if last.by != person || last.next != self.next || !self.lasts_as_asked(last) {
            return refuse(format!(
                "the node added {} digests as {}, and {} as {person} were asked for",
                last.next,
                one_line(&last.by),
                self.next
            ));
        }
        if before.text().widen(last.clone()).as_ref() != Ok(after.text()) {
            return refuse("the node changed more of it than was asked for".to_owned());
        }
        Ok(())
    }

    fn lasts_as_asked(&self, widening: &Widening) -> bool {
        let (lasts, until) = match (self.lasts, &widening.until) {
            (None, None) => return true,
            (Some(lasts), Some(until)) => (lasts, until),
            _ => return false,
        };
        let (Some(at), Some(until)) = (remaining::parse(&widening.at), remaining::parse(until)) else {
            return false;
        };
        let seconds = u64::try_from((until - at).whole_seconds()).unwrap_or(0);
        // Both are whole seconds.
        seconds.abs_diff(lasts.as_secs()) <= 1
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
                short_line(&widening.by, LONGEST_NAME),
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
