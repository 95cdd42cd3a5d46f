//! A custodian with two HSMs they accepted, and a node that says what it was told to say.

use std::path::PathBuf;

use aws_lc_rs::signature::Ed25519KeyPair;
use chancery_agent::{
    Accepted, AcceptedHsm, AgentError, Asked, Custodian, Evidence, LeaseDecision, LeaseNode, SeenLog,
    ShownLease, custodian_key, fetch_manifest,
};
use chancery_api::{
    Base64, Claims, DigestValue, Extent, Hash32, HashName, HsmDocument, HsmId, LeaseAnswer, LeaseChallenge,
    LeaseChallengeView, LeaseId, LeaseManifest, LeaseState, LeaseText, LeaseView, LogPlace, Mechanism,
    ReplicaStateView, Requester, StatementKind, canonical_json, manifest_hash,
};
use chancery_audit::{Checkpoint, NoteSigner, TreeHash, consistency_proof, leaf_hash, root};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::common::{Place, installation};

pub(crate) fn digest(byte: u8) -> DigestValue {
    DigestValue::new(HashName::Sha256, vec![byte; 32]).unwrap()
}

pub(crate) fn leaves(count: u64) -> Vec<TreeHash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

pub(crate) fn place_of(leaves: &[TreeHash]) -> LogPlace {
    LogPlace {
        size: u64::try_from(leaves.len()).unwrap(),
        root: Hash32(*root(leaves).as_bytes()),
    }
}

/// Signs heads for the node.
pub(crate) fn log_signer() -> NoteSigner {
    let key = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    NoteSigner::new(&format!("chancery/{}", installation()), key).unwrap()
}

fn signed(place: LogPlace) -> String {
    let head = Checkpoint {
        origin: format!("chancery/{}", installation()),
        size: place.size,
        root: TreeHash::from_bytes(place.root.0),
    };
    head.sign(&log_signer()).unwrap().encode()
}

/// A custodian, two HSMs, and what a node says.
pub(crate) struct Scene {
    pub(crate) place: Place,
    accepted: Accepted,
    pub(crate) evidence: Evidence,
    chr: String,
    directory: PathBuf,
}

/// A node that says what it was told to say.
pub(crate) struct Node {
    pub(crate) chains: Vec<(String, Vec<u8>)>,
    text: LeaseText,
    chr: String,
    pub(crate) kind: StatementKind,
    pub(crate) leaves: Vec<TreeHash>,
    /// How many challenges come before the first one with a signed head.
    pub(crate) unsigned: usize,
    /// What it changes in an honest challenge.
    pub(crate) lie: fn(&mut LeaseChallengeView),
    pub(crate) digests: Vec<DigestValue>,
    pub(crate) nothing_for: Option<String>,
    pub(crate) asked: Vec<LeaseChallenge>,
    pub(crate) answers: Vec<LeaseAnswer>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let place = Place::new(&["alice"], &["hsm-a", "hsm-b"]);
        let mut token = place.unlocked("alice");
        let evidence = custodian_key(&mut token, place.tokens.anchors()).unwrap();
        drop(token);
        let device = place
            .tokens
            .list()
            .unwrap()
            .into_iter()
            .find(|token| token.name.as_str() == "alice")
            .unwrap()
            .device_id;
        let directory = place.dir.path().join("custodians");
        let mut accepted = Accepted::load(&directory, &device).unwrap();
        for name in ["hsm-a", "hsm-b"] {
            let hsm = AcceptedHsm::from_chain(name, &place.chain(name), place.tokens.anchors()).unwrap();
            accepted.accept(name, hsm).unwrap();
        }
        let chr = format!("{}00001", device.strip_suffix("00000").unwrap());
        Self {
            place,
            accepted,
            evidence,
            chr,
            directory,
        }
    }

    fn hsm(&self, name: &str) -> HsmDocument {
        let known = &self.accepted.hsms()[name];
        HsmDocument {
            id: HsmId::new(Uuid::from_bytes([name.as_bytes()[4]; 16])),
            name: name.to_owned(),
            device: known.device.clone(),
            key: known.key,
        }
    }

    pub(crate) fn text(&self) -> LeaseText {
        LeaseText {
            v: 1,
            installation: installation(),
            lease: LeaseId::new(Uuid::from_bytes([4; 16])),
            signer: "firmware".to_owned(),
            key: Hash32([6; 32]),
            algorithm: "ec:P-256".to_owned(),
            mechanism: Mechanism::Ecdsa,
            extent: Extent::Manifest {
                manifest: manifest_hash(&[digest(1), digest(2)]),
                count: 2,
            },
            purpose: "firmware 4.2".to_owned(),
            requester: Requester::Client {
                name: "build1".to_owned(),
                key: Hash32([8; 32]),
                address: "192.0.2.7".to_owned(),
            },
            claimed: Claims {
                user: "ci".to_owned(),
                host: "build1".to_owned(),
                command: "mkimage -F fit.itb".to_owned(),
            },
            asked: "2026-11-21T12:00:00Z".to_owned(),
            deadline: "2026-11-21T14:00:00Z".to_owned(),
            hsms: vec![self.hsm("hsm-a"), self.hsm("hsm-b")],
            strict: false,
            widened: Vec::new(),
        }
    }

    pub(crate) fn read(&self, view: &LeaseView) -> Result<ShownLease, AgentError> {
        ShownLease::read(view, installation(), &self.accepted)
    }

    pub(crate) fn node(&self, text: &LeaseText) -> Node {
        Node {
            chains: ["hsm-a", "hsm-b"]
                .map(|name| (name.to_owned(), self.place.chain(name)))
                .to_vec(),
            text: text.clone(),
            chr: self.chr.clone(),
            kind: StatementKind::Unlock,
            leaves: leaves(5),
            unsigned: usize::MAX,
            lie: |_| {},
            digests: vec![digest(1), digest(2)],
            nothing_for: None,
            asked: Vec::new(),
            answers: Vec::new(),
        }
    }

    pub(crate) fn log(&self) -> SeenLog {
        let device = self.chr.replace("00001", "00000");
        SeenLog::load(&self.directory, &device).unwrap()
    }

    pub(crate) fn custodian(&self) -> Custodian<'_> {
        self.custodian_with(self.log())
    }

    pub(crate) fn custodian_with(&self, log: SeenLog) -> Custodian<'_> {
        Custodian::new(
            "alice",
            self.place.unlocked("alice"),
            &self.accepted,
            self.place.tokens.anchors(),
            log,
        )
        .unwrap()
    }

    /// Fetches, shows and decides, as a command does.
    pub(crate) fn decide(&self, node: &mut Node, decision: &LeaseDecision) -> Result<(), AgentError> {
        let lease = self.read(&view(&node.text))?;
        let digests = fetch_manifest(&lease, |call| node.manifest(&call))?;
        let lease = lease.with_manifest(digests)?;
        self.custodian().decide(node, &lease, decision).map(drop)
    }
}

impl LeaseNode for Node {
    type Error = AgentError;

    fn manifest(&mut self, call: &LeaseManifest) -> Result<Vec<DigestValue>, AgentError> {
        let after = call.after.as_ref();
        Ok(self
            .digests
            .iter()
            .filter(|digest| after.is_none_or(|after| *digest > after))
            .take(1)
            .cloned()
            .collect())
    }

    fn challenge(&mut self, call: &LeaseChallenge) -> Result<Asked, AgentError> {
        self.asked.push(call.clone());
        if self.nothing_for.as_deref() == Some(call.hsm.as_str()) {
            return Ok(Asked::Nothing("it is open already".to_owned()));
        }
        let place = place_of(&self.leaves);
        let proof = call.seen.filter(|seen| seen.size < place.size).map(|seen| {
            consistency_proof(&self.leaves, seen.size, place.size)
                .unwrap()
                .iter()
                .map(|hash| Hash32(*hash.as_bytes()))
                .collect()
        });
        let mut view = LeaseChallengeView {
            session: format!("session of {}", call.hsm),
            kind: self.kind,
            hsm: self
                .text
                .hsms
                .iter()
                .find(|hsm| hsm.name == call.hsm)
                .unwrap()
                .clone(),
            chain: Base64(
                self.chains
                    .iter()
                    .find(|(name, _)| *name == call.hsm)
                    .unwrap()
                    .1
                    .clone(),
            ),
            chr: self.chr.clone(),
            challenge: Base64(vec![1, 2, 3, 4, 5, 6, 7, 8]),
            log: place,
            consistency: proof.unwrap_or_default(),
            checkpoint: (self.asked.len() > self.unsigned).then(|| signed(place)),
        };
        (self.lie)(&mut view);
        Ok(Asked::Challenge(Box::new(view)))
    }

    fn answer(&mut self, call: &LeaseAnswer) -> Result<LeaseView, AgentError> {
        self.answers.push(call.clone());
        Ok(view(&self.text))
    }
}

pub(crate) fn view(text: &LeaseText) -> LeaseView {
    LeaseView {
        lease: text.lease,
        text: Base64(canonical_json(text).unwrap()),
        state: LeaseState::Waiting,
        version: 1,
        agreed: vec!["bob".to_owned()],
        could: vec!["alice".to_owned()],
        needed: 2,
        because: None,
        node_enforced: false,
        used: 0,
        remaining_seconds: 7_000,
        hsms: vec![ReplicaStateView {
            hsm: "hsm-a".to_owned(),
            state: "quorum 1 of 2".to_owned(),
        }],
    }
}

pub(crate) fn refuse() -> LeaseDecision {
    LeaseDecision::refuse("wrong kernel version").unwrap()
}

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::parse("2026-11-21T12:03:20Z", &Rfc3339).unwrap()
}

pub(crate) fn why(outcome: Result<(), AgentError>) -> String {
    match outcome.unwrap_err() {
        AgentError::OtherLease(why) | AgentError::Log(why) | AgentError::NotAccepted { why, .. } => why,
        other => panic!("{other:?}"),
    }
}
