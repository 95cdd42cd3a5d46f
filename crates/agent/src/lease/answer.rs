//! A custodian's answers for the HSMs of a lease, one HSM at a time.

use std::{thread, time::Duration};

use chancery_api::{
    Base64, DigestValue, LeaseAnswer, LeaseChallenge, LeaseChallengeView, LeaseManifest, LeaseView,
    StatementKind, lease_statement,
};
use chancery_cvc::{TrustAnchors, der_to_plain};
use chancery_driver::{Challenge, custodian};
use chancery_schsm::Algorithm;

use super::{LeaseDecision, SeenLog, ShownLease};
use crate::{Accepted, AcceptedHsm, AgentError, CUSTODIAN_KEY, accepted::verify, token::UnlockedToken};

/// Length of one number of a signature of the custodian key, in bytes.
const ORDER_LENGTH: usize = 32;

/// How often a challenge is asked for again because another process of this custodian was faster.
const TURNS: u8 = 3;
/// How often it is asked for again because the head of the log is not signed yet: a node signs one within a second.
const UNSIGNED: u8 = 10;
/// How long before each.
const PAUSE: Duration = Duration::from_millis(500);

/// The node, as far as answering a lease needs it.
pub trait LeaseNode {
    /// How a call fails.
    type Error: From<AgentError>;

    /// A page of the digests of a lease.
    ///
    /// # Errors
    /// When the call fails.
    fn manifest(&mut self, call: &LeaseManifest) -> Result<Vec<DigestValue>, Self::Error>;

    /// Fetches what is to be answered for one HSM.
    ///
    /// # Errors
    /// When the call fails and asking for the next HSM makes no sense.
    fn challenge(&mut self, call: &LeaseChallenge) -> Result<Asked, Self::Error>;

    /// Hands in an answer.
    ///
    /// # Errors
    /// When the node or the HSM does not take it.
    fn answer(&mut self, call: &LeaseAnswer) -> Result<LeaseView, Self::Error>;
}

/// What a node says when it is asked for a challenge.
#[derive(Clone, Debug)]
pub enum Asked {
    /// The challenge.
    Challenge(Box<LeaseChallengeView>),
    /// This HSM has nothing to answer: why.
    Nothing(String),
}

/// What became of one HSM.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Name of the HSM.
    pub hsm: String,
    /// The lease after the answer; why there was none.
    pub outcome: Result<LeaseView, String>,
}

/// A custodian with an unlocked token, ready to answer.
pub struct Custodian<'a> {
    person: String,
    chr: String,
    token: UnlockedToken,
    accepted: &'a Accepted,
    anchors: &'a TrustAnchors,
    log: SeenLog,
}

impl<'a> Custodian<'a> {
    /// A custodian whose PIN was presented.
    ///
    /// # Errors
    /// [`AgentError::Custodian`] when the token's custodian key is missing or may be used for other things.
    pub fn new(
        person: &str,
        mut token: UnlockedToken,
        accepted: &'a Accepted,
        anchors: &'a TrustAnchors,
        log: SeenLog,
    ) -> Result<Self, AgentError> {
        let name = token.name.clone();
        custodian::custodian_registration(&mut token.card, CUSTODIAN_KEY).map_err(|source| {
            AgentError::Custodian {
                name: name.clone(),
                source,
            }
        })?;
        let unknown = |why: String| AgentError::Chain {
            what: format!("token {name}"),
            why,
        };
        // Its own name alone: whose token it is was proven when it was opened, by other roots than the HSMs'.
        let chain = token.card.device_chain().map_err(AgentError::card(&name))?;
        let device = chain
            .device_name()
            .ok_or_else(|| unknown("it has no device certificate".to_owned()))?;
        let chr = device
            .with_sequence(CUSTODIAN_KEY.0.into())
            .map_err(|error| unknown(error.to_string()))?;
        Ok(Self {
            person: person.to_owned(),
            chr: chr.to_string(),
            token,
            accepted,
            anchors,
            log,
        })
    }

    /// Answers for every HSM of a lease, in the order of its text: each challenge is fetched, checked, answered and handed in before the
    /// next one is asked for. A refusal is one answer.
    ///
    /// # Errors
    /// What the node answers, and [`AgentError`] for whatever is not as it was shown: nothing more is signed then.
    pub fn decide<N: LeaseNode>(
        &mut self,
        node: &mut N,
        lease: &ShownLease,
        decision: &LeaseDecision,
    ) -> Result<Vec<Answered>, N::Error> {
        if *decision == LeaseDecision::Agree {
            lease.require_manifest()?;
        }
        let refuse = decision.reason().is_some();
        let mut done = Vec::new();
        for hsm in &lease.text().hsms {
            let outcome = self.decide_for(node, lease, &hsm.name, decision)?;
            let over = outcome
                .as_ref()
                .is_ok_and(|after| refuse || !after.state.is_open());
            done.push(Answered {
                hsm: hsm.name.clone(),
                outcome,
            });
            if over {
                break;
            }
        }
        Ok(done)
    }

    /// Answers for one HSM: the lease afterwards, or why there was nothing to answer.
    fn decide_for<N: LeaseNode>(
        &mut self,
        node: &mut N,
        lease: &ShownLease,
        hsm: &str,
        decision: &LeaseDecision,
    ) -> Result<Result<LeaseView, String>, N::Error> {
        let (mut turns, mut unsigned, mut locked) = (0, 0, false);
        let installation = lease.text().installation;
        loop {
            let asked = node.challenge(&LeaseChallenge {
                lease: lease.lease(),
                person: self.person.clone(),
                hsm: hsm.to_owned(),
                seen: self.log.place(installation),
                refuse: decision.reason().is_some(),
            })?;
            let view = match asked {
                Asked::Challenge(view) => view,
                Asked::Nothing(why) => return Ok(Err(why)),
            };
            if view.checkpoint.is_none() && unsigned < UNSIGNED && self.log.is_signed_only(installation) {
                unsigned += 1;
                thread::sleep(PAUSE);
                continue;
            }
            let answer = match self.answer(lease, hsm, decision, &view) {
                // Asked again from the place that another process of this custodian has seen.
                Err(AgentError::LogMoved) if turns < TURNS => {
                    turns += 1;
                    continue;
                }
                answer => answer?,
            };
            let after = node.answer(&answer)?;
            // The HSM is locked now, and its own challenge comes; once.
            if view.kind == StatementKind::Lock && !locked && after.state.is_open() {
                locked = true;
                continue;
            }
            return Ok(Ok(after));
        }
    }

    /// Builds and signs the answer for one HSM.
    fn answer(
        &mut self,
        lease: &ShownLease,
        asked: &str,
        decision: &LeaseDecision,
        view: &LeaseChallengeView,
    ) -> Result<LeaseAnswer, AgentError> {
        let refused = |why: String| AgentError::NotAccepted {
            hsm: asked.to_owned(),
            why,
        };
        let shown = lease.text().hsms.iter().find(|hsm| hsm.name == asked);
        if shown != Some(&view.hsm) {
            return Err(refused(
                "the node asks for another HSM than the lease shows".to_owned(),
            ));
        }
        let device = AcceptedHsm::from_chain(asked, &view.chain.0, self.anchors)?;
        self.accepted.check(asked, &device)?;
        let identity = verify(asked, &view.chain.0, self.anchors)?;
        let challenge: [u8; 8] = view.challenge.0.as_slice().try_into().map_err(|_| {
            refused(format!(
                "its challenge has {} bytes instead of 8",
                view.challenge.0.len()
            ))
        })?;
        if view.chr != self.chr {
            return Err(refused(format!(
                "the node asks for key {}, this custodian's is {}",
                crate::one_line(&view.chr),
                self.chr
            )));
        }
        check_kind(lease, decision, view.kind).map_err(refused)?;
        self.log.advance(
            lease.text().installation,
            view.log,
            &view.consistency,
            view.checkpoint.as_deref(),
        )?;
        let unlock = match view.kind {
            StatementKind::Unlock => Some(Base64(self.unlock(&identity, challenge)?)),
            StatementKind::Open | StatementKind::Refuse | StatementKind::Lock => None,
        };
        let reason = decision.reason();
        let statement = lease_statement(
            view.kind,
            lease.bytes(),
            view.log,
            reason,
            identity.name().as_str(),
            challenge,
        );
        Ok(LeaseAnswer {
            lease: lease.lease(),
            session: view.session.clone(),
            unlock,
            statement: Base64(self.sign(&statement)?),
            reason: reason.map(str::to_owned),
        })
    }

    fn unlock(
        &mut self,
        hsm: &chancery_cvc::DeviceIdentity,
        challenge: [u8; 8],
    ) -> Result<Vec<u8>, AgentError> {
        let name = self.token.name.clone();
        custodian::answer(
            &mut self.token.card,
            CUSTODIAN_KEY,
            hsm.name(),
            Challenge(challenge),
        )
        .map(|signature| signature.to_vec())
        .map_err(|source| AgentError::Custodian { name, source })
    }

    fn sign(&mut self, statement: &[u8]) -> Result<Vec<u8>, AgentError> {
        let name = self.token.name.clone();
        let signature = self
            .token
            .card
            .sign(CUSTODIAN_KEY, Algorithm::EcdsaSha256, statement)
            .map_err(AgentError::card(&name))?;
        der_to_plain(&signature, ORDER_LENGTH).map_err(|error| AgentError::Chain {
            what: format!("the answer of token {name}"),
            why: error.to_string(),
        })
    }
}

/// Whether what the node asks for is what was shown and decided.
fn check_kind(lease: &ShownLease, decision: &LeaseDecision, kind: StatementKind) -> Result<(), String> {
    match (decision, kind) {
        (LeaseDecision::Refuse { .. }, StatementKind::Refuse)
        | (LeaseDecision::Agree, StatementKind::Unlock) => Ok(()),
        (LeaseDecision::Agree, StatementKind::Open) if lease.node_enforced() => Ok(()),
        (LeaseDecision::Agree, StatementKind::Open) => Err(
            "the node wants to count the custodians itself, and the lease was shown as enforced by the HSMs"
                .to_owned(),
        ),
        (LeaseDecision::Agree, StatementKind::Lock) if lease.text().strict => Ok(()),
        (LeaseDecision::Agree, StatementKind::Lock) => {
            Err("the node wants to lock the HSM first, and the lease is not strict".to_owned())
        }
        (LeaseDecision::Agree, StatementKind::Refuse) => {
            Err("the node asks for a refusal, and it was agreed".to_owned())
        }
        (LeaseDecision::Refuse { .. }, _) => {
            Err("the node asks for an agreement, and it was refused".to_owned())
        }
    }
}
