//! One lease.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chancery_api::{
    CustodianStatement, DigestValue, Extent, HashName, HsmId, KeyOrigin, LeaseId, LeaseState, LeaseText,
    PersonId, StatementKind,
};
use chancery_keys::{Inspection, State, Status};
use chancery_store::Write;

use super::Scheme;
use crate::authority::CaKey;

/// Digests that a lease names.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) hash: HashName,
    pub(crate) digests: HashSet<DigestValue>,
}

/// How far a digest has come under a lease. It counts in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not known whether the reservation is durable: it is written again before the digest is signed.
    Unsure,
    /// The reservation is durable.
    Reserved,
    /// A signature was made and it is not known whether it is recorded: the database is asked.
    Doubt,
    /// A signature is recorded.
    Signed,
}

/// What one custodian gave for one HSM.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) chr: String,
    pub(crate) kind: StatementKind,
    /// As receipts carry it.
    pub(crate) statement: CustodianStatement,
}

/// What receipts of a lease have in common.
pub(crate) struct Proof {
    /// SubjectPublicKeyInfo of the key, DER.
    pub(crate) public_key: Vec<u8>,
    pub(crate) origin: KeyOrigin,
    /// EF 2F02 of the HSMs.
    pub(crate) chains: HashMap<HsmId, Vec<u8>>,
    /// Digests the lease names, ascending, when they are few.
    pub(crate) manifest: Vec<DigestValue>,
}

/// Custodians of one HSM being asked, from the first answer to the loss of what they opened.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Which time, from 1.
    pub(crate) number: i64,
    pub(crate) given: Vec<Given>,
    /// Era of the HSM ([`Status::era`]) that the answers were given in: with it they are over.
    pub(crate) era: Option<u64>,
    /// That era, once enough have answered and the HSM is open.
    pub(crate) granted: Option<u64>,
    /// What is in force once it is granted: it does not change any more.
    pub(crate) in_force: Option<Arc<InForce>>,
}

/// The answers that opened an HSM for a lease.
pub(crate) struct InForce {
    /// Number of the attempt.
    pub(crate) attempt: i64,
    /// Custodians needed, as the HSM says.
    pub(crate) needed: u8,
    pub(crate) statements: Vec<CustodianStatement>,
}

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InForce")
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    pub(crate) const fn new(number: i64) -> Self {
        Self {
            number,
            given: Vec::new(),
            era: None,
            granted: None,
            in_force: None,
        }
    }

    /// Goes on in this era of the HSM: what was given in another one is over.
    pub(crate) fn go_on_in(&mut self, era: u64) {
        if self.era.is_some_and(|before| before != era) {
            self.start_again();
        }
        self.era = Some(era);
    }

    /// See [`OpenLease::notice`].
    fn notice(&mut self, status: Option<&Status>) -> bool {
        let counts = status.is_some_and(|status| {
            matches!(status.state, State::Unlocked { .. } | State::Quorum { .. })
                && self.era.is_none_or(|era| era == status.era)
        });
        let before = self.number;
        if !counts {
            self.start_again();
        }
        self.number != before
    }

    /// Distinct people who answered.
    pub(crate) fn people(&self) -> usize {
        let people: HashSet<_> = self.given.iter().map(|given| given.person).collect();
        people.len()
    }

    /// Whether this person has answered.
    pub(crate) fn has_given(&self, person: PersonId) -> bool {
        self.given.iter().any(|given| given.person == person)
    }

    /// Enough have answered an HSM that is open in this era.
    pub(crate) fn grant(&mut self, era: u64, needed: u8) {
        self.granted = Some(era);
        self.in_force = Some(Arc::new(InForce {
            attempt: self.number,
            needed,
            statements: self.given.iter().map(|given| given.statement.clone()).collect(),
        }));
    }

    pub(crate) fn start_again(&mut self) {
        if self.given.is_empty() && self.granted.is_none() {
            return;
        }
        *self = Self::new(self.number + 1);
    }
}

/// Answers to an HSM's own challenges that were given for a lease.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GivenTo {
    pub(crate) hsm: HsmId,
    /// The era they were given in.
    pub(crate) era: Option<u64>,
    /// Holder references of the custodians' keys.
    pub(crate) custodians: HashSet<String>,
}

impl GivenTo {
    /// Whether these are all the answers an HSM counts.
    pub(crate) fn is_all_of(&self, inspection: &Inspection, status: &Status) -> bool {
        let mut counted = inspection
            .custodians
            .iter()
            .filter(|custodian| custodian.answered);
        self.era == Some(status.era) && counted.all(|custodian| self.custodians.contains(&custodian.chr))
    }
}

/// Why a digest is not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The lease names its digests, and this one is not among them.
    NotNamed,
    /// All distinct digests it permits are counted.
    Spent,
}

/// A lease that is not over.
pub(crate) struct OpenLease {
    pub(crate) id: LeaseId,
    pub(crate) text: Arc<LeaseText>,
    pub(crate) bytes: Arc<[u8]>,
    /// Texts it had before custodians widened it, canonical JSON, oldest first.
    pub(crate) earlier: Vec<Arc<[u8]>>,
    pub(crate) key: Arc<CaKey>,
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) proof: Arc<Proof>,
    pub(crate) state: LeaseState,
    pub(crate) because: Option<String>,
    pub(crate) version: u64,
    /// Reading of the node's monotonic clock at which its time is over, milliseconds.
    pub(crate) ends_at: u64,
    /// Reading at which it has waited long enough for its first quorum; none once it had one.
    pub(crate) waits_until: Option<u64>,
    pub(crate) named: Option<Arc<Named>>,
    pub(crate) counted: HashMap<DigestValue, Standing>,
    /// Digests counted that it does not name.
    pub(crate) further: u64,
    /// Digests whose signature is recorded.
    pub(crate) signed: u64,
    /// Digests that a call is at work on.
    pub(crate) busy: HashSet<DigestValue>,
    pub(crate) attempts: HashMap<HsmId, Attempt>,
    /// Answers recorded so far.
    pub(crate) answers: i64,
    /// When it ended; it is here until that is recorded.
    pub(crate) ended_ms: Option<i64>,
    /// Whether somebody is recording its end.
    pub(crate) recording: bool,
    /// Of a request that its requester has to look after while it waits for its first quorum.
    pub(crate) attended: Option<Attended>,
}

/// Whether a requester still looks after its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attended {
    /// How long it may be away, milliseconds.
    pub(crate) grace_ms: u64,
    /// Its calls that wait for a change now.
    pub(crate) looking: u32,
    /// Reading of the node's monotonic clock when it was there last, milliseconds.
    pub(crate) seen: u64,
}

impl Attended {
    fn is_gone(&self, now: u64) -> bool {
        self.looking == 0 && now >= self.seen.saturating_add(self.grace_ms)
    }
}

impl OpenLease {
    /// Distinct digests counted.
    pub(crate) fn used(&self) -> u64 {
        u64::try_from(self.counted.len()).unwrap_or(u64::MAX)
    }

    /// Whether it waits for its first quorum and its requester does not look after it any more.
    pub(crate) fn is_abandoned(&self, now: u64) -> bool {
        let gone = self.attended.is_some_and(|attended| attended.is_gone(now));
        gone && self.state == LeaseState::Waiting && self.waits_until.is_some()
    }

    pub(crate) fn remaining_ms(&self, now: u64) -> u64 {
        self.ends_at.saturating_sub(now)
    }

    /// Whether the digests may be signed together, counting those that are new; nothing is counted yet.
    pub(crate) fn permits(&self, digests: &[DigestValue]) -> Result<(), (DigestValue, Refusal)> {
        let mut new: HashSet<&DigestValue> = HashSet::new();
        let mut further = self.further;
        for digest in digests {
            if self.counted.contains_key(digest) || !new.insert(digest) {
                continue;
            }
            if self.is_named(digest) {
                continue;
            }
            let limit = match &self.text.extent {
                Extent::Manifest { .. } => return Err((digest.clone(), Refusal::NotNamed)),
                Extent::Named { further, .. } => *further,
                Extent::Count { count } => *count,
            };
            if further >= limit {
                return Err((digest.clone(), Refusal::Spent));
            }
            further += 1;
        }
        Ok(())
    }

    /// How many distinct digests that it does not name it would still permit after these.
    pub(crate) fn left_after(&self, digests: &[DigestValue]) -> u64 {
        let new: HashSet<&DigestValue> = digests
            .iter()
            .filter(|digest| !self.counted.contains_key(*digest) && !self.is_named(digest))
            .collect();
        let limit = match &self.text.extent {
            Extent::Manifest { .. } => 0,
            Extent::Named { further, .. } => *further,
            Extent::Count { count } => *count,
        };
        let used = self
            .further
            .saturating_add(u64::try_from(new.len()).unwrap_or(u64::MAX));
        limit.saturating_sub(used)
    }

    fn is_named(&self, digest: &DigestValue) -> bool {
        self.named
            .as_ref()
            .is_some_and(|named| named.digests.contains(digest))
    }

    /// Counts a digest from now on.
    pub(crate) fn count(&mut self, digest: &DigestValue) {
        if !self.counted.contains_key(digest) {
            if !self.is_named(digest) {
                self.further += 1;
            }
            self.counted.insert(digest.clone(), Standing::Unsure);
        }
    }

    /// Notes that a digest's signature is recorded.
    pub(crate) fn note_signed(&mut self, digest: &DigestValue) {
        if self.counted.insert(digest.clone(), Standing::Signed) != Some(Standing::Signed) {
            self.signed += 1;
        }
    }

    /// Whether everything it permits is signed.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.signed >= self.text.extent.limit()
    }

    /// HSMs its custodians opened for it and that are open, with their attempts.
    pub(crate) fn granted(&self) -> Vec<HsmId> {
        let granted = |(id, attempt): (&HsmId, &Attempt)| attempt.granted.map(|_| *id);
        self.attempts.iter().filter_map(granted).collect()
    }

    /// The attempt of an HSM's custodians that is under way.
    pub(crate) fn attempt(&mut self, hsm: HsmId) -> &mut Attempt {
        self.attempts.entry(hsm).or_insert_with(|| Attempt::new(1))
    }

    /// Whether an HSM has to stay open for this lease.
    pub(crate) fn needs(&self, hsm: HsmId) -> bool {
        self.state.is_open()
            && self
                .attempts
                .get(&hsm)
                .is_some_and(|attempt| !attempt.given.is_empty())
    }

    /// Whether the node takes the place of an HSM for any answer that counts now.
    pub(crate) fn node_enforced(&self) -> bool {
        let given = self.attempts.values().flat_map(|attempt| &attempt.given);
        given.into_iter().any(|given| given.kind == StatementKind::Open)
    }

    /// Looks at an HSM: answers for one that is gone, or was locked since, are worth nothing any more, whoever opened it again.
    /// Whether something changed.
    pub(crate) fn notice(&mut self, hsm: HsmId, status: Option<&Status>) -> bool {
        let attempt = self.attempts.get_mut(&hsm);
        attempt.is_some_and(|attempt| attempt.notice(status))
    }

    /// Answers that an HSM does not count any more take the whole attempt with them. Whether that was so.
    pub(crate) fn reconcile(&mut self, hsm: HsmId, answered: &[String]) -> bool {
        let attempt = self.attempt(hsm);
        let forgotten = |given: &Given| given.kind == StatementKind::Unlock && !answered.contains(&given.chr);
        let forgot = attempt.given.iter().any(forgotten);
        if forgot {
            attempt.start_again();
        }
        forgot
    }

    /// Whether it waits for its first quorum and nothing was counted under it: its text may be replaced.
    pub(crate) fn may_be_widened(&self) -> bool {
        self.state == LeaseState::Waiting && self.waits_until.is_some() && self.counted.is_empty()
    }

    /// The HSMs that may count answers given for it.
    pub(crate) fn answered(&self) -> Vec<GivenTo> {
        let mut answered = Vec::new();
        for (hsm, attempt) in &self.attempts {
            let given = attempt.given.iter();
            let by_hsm = given.filter(|given| given.kind == StatementKind::Unlock);
            let custodians: HashSet<String> = by_hsm.map(|given| given.chr.clone()).collect();
            if !custodians.is_empty() {
                answered.push(GivenTo {
                    hsm: *hsm,
                    era: attempt.era,
                    custodians,
                });
            }
        }
        answered
    }

    /// Takes another text. What was answered was about the one before; gives back HSMs that may count such answers.
    pub(crate) fn widen(&mut self, text: LeaseText, bytes: Vec<u8>, because: String) -> Vec<GivenTo> {
        self.earlier.push(Arc::clone(&self.bytes));
        self.text = Arc::new(text);
        self.bytes = bytes.into();
        let answered = self.answered();
        for attempt in self.attempts.values_mut() {
            attempt.start_again();
        }
        self.settle(LeaseState::Waiting, Some(because));
        answered
    }

    /// Moves it to a state.
    pub(crate) fn settle(&mut self, state: LeaseState, because: Option<String>) {
        self.state = state;
        self.because = because;
        self.version += 1;
    }

    /// The write that records where it stands.
    pub(crate) fn update(&self, epoch: i64, now: u64) -> Write {
        Write::UpdateLease {
            lease: self.id,
            epoch,
            state: self.state,
            because: self.because.clone(),
            used: i64::try_from(self.used()).unwrap_or(i64::MAX),
            remaining_ms: i64::try_from(self.remaining_ms(now)).unwrap_or(i64::MAX),
            wait_remaining_ms: self
                .waits_until
                .map(|until| i64::try_from(until.saturating_sub(now)).unwrap_or(i64::MAX)),
            ended_ms: self.ended_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State, era: u64) -> Status {
        Status {
            state,
            locked_because: None,
            last_loss: None,
            lock_at_ms: None,
            era,
        }
    }

    /// That an HSM is open says nothing: it may have been locked and opened for something else, in the same millisecond.
    #[test]
    fn what_was_granted_in_one_era_is_over_in_the_next() {
        let open = |era| status(State::Unlocked { since_ms: 7 }, era);
        let mut attempt = Attempt::new(1);
        attempt.go_on_in(4);
        attempt.grant(4, 2);
        assert!(!attempt.notice(Some(&open(4))));
        assert_eq!(attempt.granted, Some(4));
        assert!(attempt.notice(Some(&open(5))));
        assert_eq!((attempt.number, attempt.granted, attempt.era), (2, None, None));
        for gone in [None, Some(status(State::Locked, 4))] {
            let mut attempt = Attempt::new(1);
            attempt.go_on_in(4);
            attempt.grant(4, 2);
            assert!(attempt.notice(gone.as_ref()));
            assert!(attempt.in_force.is_none());
        }
        // An answer in a later era begins anew.
        attempt.go_on_in(5);
        attempt.grant(5, 2);
        attempt.go_on_in(6);
        assert_eq!((attempt.number, attempt.granted, attempt.era), (3, None, Some(6)));
    }
}
