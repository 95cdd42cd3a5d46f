//! "And the next k": what a custodian adds to a lease while its request waits.

use serde::{Deserialize, Serialize};

use crate::{Extent, LeaseText};

/// Most digests one custodian adds at once.
pub const MOST_NEXT: u64 = 10_000;
/// How often a lease may be widened: each time everybody answers again.
pub const MOST_WIDENINGS: usize = 8;

/// Digests that a custodian added to a lease, by the word of the node; the custodians sign it with the rest of the text. Stored;
/// fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widening {
    /// Name of the custodian.
    pub by: String,
    /// How many further distinct digests, which nobody knows yet.
    pub next: u64,
    /// When, by the node's clock, RFC 3339, UTC.
    pub at: String,
    /// Until when the lease lasts from then on, RFC 3339, UTC; as before when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Why a lease cannot be widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWidened {
    /// No digest more, or too many.
    #[error("a custodian adds 1 to {MOST_NEXT} digests")]
    Number,
    /// The requester named exactly what it wants.
    #[error("it names {0} digests and is for exactly these: who wants more asks for another lease")]
    Exact(u64),
    /// Widened too often.
    #[error("it was widened {MOST_WIDENINGS} times already")]
    TooOften,
}

impl LeaseText {
    /// The text with what a custodian adds. Everything else stays what it was.
    ///
    /// # Errors
    /// [`NotWidened`].
    pub fn widen(&self, widening: Widening) -> Result<Self, NotWidened> {
        let next = widening.next;
        if !(1..=MOST_NEXT).contains(&next) {
            return Err(NotWidened::Number);
        }
        if self.widened.len() >= MOST_WIDENINGS {
            return Err(NotWidened::TooOften);
        }
        let extent = match &self.extent {
            Extent::Manifest { manifest, count: 1 } => Extent::Named {
                manifest: *manifest,
                count: 1,
                further: next,
            },
            Extent::Manifest { count, .. } => return Err(NotWidened::Exact(*count)),
            Extent::Named {
                manifest,
                count,
                further,
            } => Extent::Named {
                manifest: *manifest,
                count: *count,
                further: further.saturating_add(next),
            },
            Extent::Count { count } => Extent::Count {
                count: count.saturating_add(next),
            },
        };
        let mut widened = self.clone();
        widened.extent = extent;
        if let Some(until) = &widening.until {
            widened.deadline.clone_from(until);
        }
        widened.widened.push(widening);
        Ok(widened)
    }

    /// Whether what custodians added is in what the text permits, and the deadline is the one they set.
    #[must_use]
    pub fn is_widened_rightly(&self) -> bool {
        let added = self
            .widened
            .iter()
            .fold(0_u64, |sum, widening| sum.saturating_add(widening.next));
        let room = match &self.extent {
            Extent::Manifest { .. } => 0,
            Extent::Named { further, .. } => *further,
            // At least one digest was asked for.
            Extent::Count { count } => count.saturating_sub(1),
        };
        let until = self
            .widened
            .iter()
            .rev()
            .find_map(|widening| widening.until.as_ref());
        self.widened.len() <= MOST_WIDENINGS
            && self
                .widened
                .iter()
                .all(|widening| (1..=MOST_NEXT).contains(&widening.next))
            && added <= room
            && until.is_none_or(|until| *until == self.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claims, Hash32, InstallationId, LeaseId, Mechanism, Requester, canonical_json};

    fn text(extent: Extent) -> LeaseText {
        LeaseText {
            v: 1,
            installation: InstallationId::new(uuid::Uuid::from_bytes([1; 16])),
            lease: LeaseId::new(uuid::Uuid::from_bytes([2; 16])),
            signer: "firmware".to_owned(),
            key: Hash32([3; 32]),
            algorithm: "ec:P-256".to_owned(),
            mechanism: Mechanism::Ecdsa,
            extent,
            purpose: "firmware 4.2".to_owned(),
            requester: Requester::Local { uid: 1000 },
            claimed: Claims::default(),
            asked: "2026-11-21T12:00:00Z".to_owned(),
            deadline: "2026-11-21T13:00:00Z".to_owned(),
            hsms: Vec::new(),
            strict: false,
            widened: Vec::new(),
        }
    }

    fn by(person: &str, next: u64, until: Option<&str>) -> Widening {
        Widening {
            by: person.to_owned(),
            next,
            at: "2026-11-21T12:01:00Z".to_owned(),
            until: until.map(str::to_owned),
        }
    }

    #[test]
    fn a_text_that_nobody_widened_is_what_it_always_was() {
        let plain = text(Extent::Count { count: 2 });
        let bytes = canonical_json(&plain).unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            concat!(
                r#"{"algorithm":"ec:P-256","asked":"2026-11-21T12:00:00Z","claimed":{"command":"","host":"","user":""},"#,
                r#""deadline":"2026-11-21T13:00:00Z","extent":{"count":2,"kind":"count"},"hsms":[],"#,
                r#""installation":"01010101-0101-0101-0101-010101010101","#,
                r#""key":"0303030303030303030303030303030303030303030303030303030303030303","#,
                r#""lease":"02020202-0202-0202-0202-020202020202","mechanism":"ecdsa","purpose":"firmware 4.2","#,
                r#""requester":{"kind":"local","uid":1000},"signer":"firmware","strict":false,"v":1}"#
            )
        );
        assert_eq!(serde_json::from_slice::<LeaseText>(&bytes).unwrap(), plain);
        let widened = plain.widen(by("bob", 3, None)).unwrap();
        let bytes = canonical_json(&widened).unwrap();
        assert_eq!(serde_json::from_slice::<LeaseText>(&bytes).unwrap(), widened);
    }

    #[test]
    fn what_is_added_is_in_the_extent_and_nothing_else_changes() {
        let manifest = Hash32([9; 32]);
        let one = text(Extent::Manifest { manifest, count: 1 });
        let widened = one.widen(by("bob", 20, None)).unwrap();
        assert_eq!(
            widened.extent,
            Extent::Named {
                manifest,
                count: 1,
                further: 20
            }
        );
        assert_eq!(widened.deadline, one.deadline);
        let again = widened
            .widen(by("carol", 5, Some("2026-11-21T12:30:00Z")))
            .unwrap();
        assert_eq!(again.extent.limit(), 26);
        assert_eq!(again.deadline, "2026-11-21T12:30:00Z");
        assert!(widened.is_widened_rightly() && again.is_widened_rightly());
        assert_eq!(
            text(Extent::Count { count: 2 })
                .widen(by("bob", 1, None))
                .unwrap()
                .extent,
            Extent::Count { count: 3 }
        );
        let back = LeaseText {
            extent: one.extent.clone(),
            widened: Vec::new(),
            ..widened
        };
        assert_eq!(back, one);
    }

    #[test]
    fn there_are_limits() {
        let one = text(Extent::Count { count: 1 });
        for next in [0, MOST_NEXT + 1, u64::MAX] {
            assert_eq!(one.widen(by("bob", next, None)), Err(NotWidened::Number));
        }
        let exact = text(Extent::Manifest {
            manifest: Hash32([9; 32]),
            count: 2,
        });
        assert_eq!(exact.widen(by("bob", 1, None)), Err(NotWidened::Exact(2)));
        let mut often = one;
        for _ in 0..MOST_WIDENINGS {
            often = often.widen(by("bob", 1, None)).unwrap();
        }
        assert_eq!(often.widen(by("bob", 1, None)), Err(NotWidened::TooOften));
    }

    #[test]
    fn a_text_that_claims_more_than_it_permits_is_told() {
        let widened = text(Extent::Count { count: 1 })
            .widen(by("bob", 4, Some("2026-11-21T12:30:00Z")))
            .unwrap();
        let wrong: [fn(&mut LeaseText); 5] = [
            |text| text.extent = Extent::Count { count: 4 },
            |text| {
                text.extent = Extent::Manifest {
                    manifest: Hash32([9; 32]),
                    count: 5,
                }
            },
            |text| text.deadline = "2026-11-21T18:00:00Z".to_owned(),
            |text| text.widened[0].next = 0,
            |text| text.widened = vec![text.widened[0].clone(); MOST_WIDENINGS + 1],
        ];
        for wrong in wrong {
            let mut text = widened.clone();
            wrong(&mut text);
            assert!(!text.is_widened_rightly(), "{text:?}");
        }
    }
}
