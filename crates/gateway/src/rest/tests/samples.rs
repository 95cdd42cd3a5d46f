//! Samples of everything that is really answered.

use chancery_api::{
    Base64, Condition, CustodianStatement, CustodianView, Failure, FailureKind, Hash32, HsmDocument, HsmId,
    HsmState, HsmView, Inclusion, KeyOrigin, LeaseId, LeaseState, LeaseView, LogPlace, QuorumView, Receipt,
    ReplicaStateView, SignatureView, SigningKeyView, StatementKind,
};
use serde_json::Value;

use super::{DIGEST, LEASE};

/// Real answers, with every optional member there and not there.
pub(super) fn samples() -> Vec<(&'static str, Value)> {
    let lease = LeaseId::new(uuid());
    let replicas = vec![ReplicaStateView {
        hsm: "hsm-a".into(),
        state: "unlocked".into(),
    }];
    let key = SigningKeyView {
        name: "firmware".into(),
        algorithm: "ec:P-256".into(),
        public_key: Base64(vec![1]),
        key_id: 3,
        key_domain: "0102030405060708".into(),
        certificate: None,
        replicas: replicas.clone(),
    };
    let states = [
        HsmState::Detached,
        HsmState::Unregistered { missing: 1 },
        HsmState::Locked { could: vec![] },
        HsmState::Quorum {
            have: 1,
            need: 2,
            answered: vec!["ann".into()],
            could: vec!["bob".into()],
        },
        HsmState::Unlocked {
            since: "2026-01-01T00:00:00Z".into(),
            by: vec!["ann".into()],
            lease: vec!["firmware".into()],
        },
        HsmState::Lost {
            at: "2026-01-01T00:00:00Z".into(),
            because: "it was pulled".into(),
        },
    ];
    let mut all = vec![
        ("Receipt", to_value(&receipt())),
        (
            "Receipt",
            to_value(&Receipt {
                inclusion: None,
                ..receipt()
            }),
        ),
        ("SigningKey", to_value(&key)),
        (
            "SigningKey",
            to_value(&SigningKeyView {
                certificate: Some(Base64(vec![1])),
                ..key
            }),
        ),
        (
            "Signature",
            to_value(&SignatureView {
                digest: DIGEST.parse().unwrap(),
                signature: Base64(vec![1]),
                lease,
                hsm: "hsm-a".into(),
            }),
        ),
        (
            "Failure",
            to_value(&Failure::blocked(
                "no",
                vec![Condition::new("quorum", "what", "remedy", vec![])],
            )),
        ),
        (
            "Failure",
            to_value(&Failure::new(FailureKind::NotFound, "no").with_remedy("look")),
        ),
    ];
    for state in states {
        let quorum = (state == HsmState::Detached).then_some(QuorumView {
            required: 2,
            total: 3,
            missing: 0,
        });
        let hsm = HsmView {
            id: HsmId::new(uuid()),
            name: "hsm-a".into(),
            device: "UTCHDAAAAAA00000".into(),
            genuineness: "virtual".into(),
            kcv: quorum.map(|_| "01".into()),
            quorum,
            state,
            custodians: vec![CustodianView {
                person: "ann".into(),
                chr: "UTCHDBBBBBB00000".into(),
                answered: true,
            }],
            signers: vec!["root".into()],
            warnings: vec!["look".into()],
        };
        all.push(("Hsm", to_value(&hsm)));
    }
    for (state, because) in [
        (LeaseState::Waiting, None),
        (LeaseState::Live, None),
        (LeaseState::Refused, Some("no".to_owned())),
        (LeaseState::TimedOut, None),
        (LeaseState::Withdrawn, None),
        (LeaseState::Expired, None),
        (LeaseState::Exhausted, None),
        (LeaseState::Revoked, None),
    ] {
        let lease = LeaseView {
            lease,
            text: Base64(b"{}".to_vec()),
            state,
            version: 3,
            agreed: vec!["ann".into()],
            could: vec!["bob".into()],
            needed: 2,
            because,
            node_enforced: false,
            used: 1,
            remaining_seconds: 60,
            hsms: replicas.clone(),
        };
        all.push(("Lease", to_value(&lease)));
    }
    all
}

fn receipt() -> Receipt {
    let hsm = HsmDocument {
        id: HsmId::new(uuid()),
        name: "hsm-a".into(),
        device: "UTCHDAAAAAA00000".into(),
        key: Hash32([1; 32]),
    };
    let statement = |kind, unlock| CustodianStatement {
        person: "ann".into(),
        chr: "UTCHDBBBBBB00000".into(),
        key_request: Base64(vec![1]),
        chain: Base64(vec![1]),
        kind,
        hsm: hsm.clone(),
        challenge: Base64(vec![1; 8]),
        log: LogPlace {
            size: 7,
            root: Hash32([2; 32]),
        },
        unlock,
        statement: Base64(vec![1; 64]),
    };
    Receipt {
        v: 1,
        text: Base64(b"{}".to_vec()),
        digest: DIGEST.parse().unwrap(),
        signature: Base64(vec![1]),
        public_key: Base64(vec![1]),
        origin: KeyOrigin {
            request: Base64(vec![1]),
            chain: Base64(vec![1]),
        },
        hsm: hsm.clone(),
        hsm_chain: Base64(vec![1]),
        time: "2026-01-01T00:00:00Z".into(),
        node_enforced: false,
        needed: 2,
        statements: vec![
            statement(StatementKind::Unlock, Some(Base64(vec![1; 64]))),
            statement(StatementKind::Open, None),
        ],
        manifest: vec![DIGEST.parse().unwrap()],
        leaf: 6,
        leaf_body: Base64(b"{}".to_vec()),
        inclusion: Some(Inclusion {
            checkpoint: "note".into(),
            proof: vec![Hash32([3; 32])],
        }),
    }
}

fn uuid() -> uuid::Uuid {
    LEASE.parse().unwrap()
}

pub(super) fn to_value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}
