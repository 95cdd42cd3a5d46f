//! A small log made by hand, and the people in it.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use chancery_api::{
    ActId, ActPayload, ApprovedItem, Base64, Decision, Hash32, Installation, InstallationId, PersonDocument,
    PersonId, RequestNumber, Role, SignedAct, SignedItem, Subject, canonical_json, statement,
};
use chancery_audit::{Checkpoint, Frontier, NoteSigner, leaf_hash};
use openssl::{ec::EcGroup, ec::EcKey, ecdsa::EcdsaSig, nid::Nid, pkey::Private, sha::sha256};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::verify::{
    checker::{Checker, Verdict},
    record::{CertificateRecord, CheckpointRecord, HeadRecord, Header, LeafRecord, PersonRecord, Record},
};

pub(super) struct Someone {
    pub(super) document: PersonDocument,
    pub(super) key: EcKey<Private>,
}

impl Someone {
    pub(super) fn new(name: &str, number: u8, role: Role) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let document = PersonDocument {
            id: PersonId::new(Uuid::from_bytes([number; 16])),
            name: name.to_owned(),
            roles: vec![role],
            key: Hash32::of(&key.public_key_to_der().unwrap()),
            device: format!("UTCHD{number:06}00000"),
        };
        Self { document, key }
    }

    fn spki(&self) -> Base64 {
        Base64(self.key.public_key_to_der().unwrap())
    }

    fn sign(&self, number: u8, decision: Decision) -> (ActId, SignedAct) {
        let act = ActId::new(Uuid::from_bytes([number; 16]));
        let payload = ActPayload {
            v: 1,
            installation: installation(),
            act,
            nonce: Hash32([number; 32]),
            time: "2026-11-21T12:00:00Z".to_owned(),
            person: self.document.id,
            name: self.document.name.clone(),
            decision,
        };
        let payload = canonical_json(&payload).unwrap();
        let signature = EcdsaSig::sign(&sha256(&statement(installation(), &payload)), &self.key).unwrap();
        (
            act,
            SignedAct {
                payload: Base64(payload),
                signature: Base64(signature.to_der().unwrap()),
            },
        )
    }

    pub(super) fn actor(&self, number: u8, decision: Decision) -> Value {
        let (id, act) = self.sign(number, decision);
        json!({
            "act": id, "person": self.document.id, "name": self.document.name,
            "payload": act.payload, "signature": act.signature, "key": self.spki(),
        })
    }

    pub(super) fn approval(&self, number: u8, person: &Self) -> Value {
        let subject = Subject::Person(person.document.clone());
        let item = ApprovedItem {
            request: RequestNumber(1),
            document: Hash32::of(&canonical_json(&subject).unwrap()),
            subject,
            tbs: None,
        };
        self.actor(number, Decision::RequestApprove { items: vec![item] })
    }
}

fn installation() -> InstallationId {
    InstallationId::new(Uuid::from_bytes([0xAA; 16]))
}

pub(super) fn body(event: &str, actor: &Value, data: &Value) -> String {
    let value =
        json!({ "v": 1, "time": "2026-11-21T12:00:00Z", "event": event, "actor": actor, "data": data });
    String::from_utf8(canonical_json(&value).unwrap()).unwrap()
}

pub(super) fn signer() -> NoteSigner {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    assert_eq!(pair.public_key().as_ref().len(), 32);
    NoteSigner::new(&format!("chancery/{}", installation()), pair).unwrap()
}

/// alice pinned, carol made known by her, a certificate claimed by carol and issued.
pub(super) struct Log {
    pub(super) header: Header,
    pub(super) signer: NoteSigner,
    pub(super) alice: Someone,
    pub(super) carol: Someone,
    pub(super) bodies: Vec<String>,
    /// Sizes at which the head is signed.
    pub(super) signed: Vec<usize>,
    pub(super) rows: Vec<CertificateRecord>,
    pub(super) people: Vec<PersonRecord>,
}

pub(super) const TBS: Hash32 = Hash32([0x11; 32]);
const DER: Hash32 = Hash32([0x22; 32]);

impl Log {
    pub(super) fn good() -> Self {
        let alice = Someone::new("alice", 1, Role::TrustcenterManager);
        let carol = Someone::new("carol", 2, Role::CertificationOfficer);
        let (id, first_manager) = alice.sign(
            10,
            Decision::Init {
                person: alice.document.clone(),
            },
        );
        let signer = signer();
        let pinned = json!({
            "act": id, "person": alice.document.id, "name": "alice", "payload": first_manager.payload,
            "signature": first_manager.signature, "key": alice.spki(),
        });
        let header = Header {
            v: 1,
            installation: Installation {
                v: 1,
                id: installation(),
                rehearsal: true,
                first_manager,
                first_manager_key: alice.spki(),
                first_manager_chain: Base64::default(),
                first_manager_request: Base64::default(),
            },
            audit_key: Some(signer.verifier().to_vkey()),
        };
        let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
        let issued =
            json!({ "request": 2, "certificates": [{ "ca": "root", "serial": "0a", "certificate": DER }] });
        let bodies = vec![
            body("installation-opened", &pinned, &json!({})),
            body(
                "requests-approved",
                &alice.approval(11, &carol),
                &json!({ "requests": [1], "approved": [1] }),
            ),
            body(
                "certificates-claimed",
                &carol.actor(12, decision("0a", TBS)),
                &claimed,
            ),
            body(
                "certificates-issued",
                &json!({ "act": ActId::new(Uuid::from_bytes([12; 16])) }),
                &issued,
            ),
            body("hsm-locked", &json!({ "uid": 0 }), &json!({ "hsm": "hsm-a" })),
        ];
        let row = |person: &Someone| PersonRecord {
            id: person.document.id,
            name: person.document.name.clone(),
            key: person.document.key,
        };
        Self {
            header,
            signer,
            people: vec![row(&alice), row(&carol)],
            alice,
            carol,
            bodies,
            signed: vec![1, 3, 5],
            rows: vec![CertificateRecord {
                ca: "root".to_owned(),
                serial: "0a".to_owned(),
                state: "issued".to_owned(),
                profile: "server".to_owned(),
                tbs: TBS,
                sha256: Some(DER),
                der: None,
            }],
        }
    }

    fn checkpoints(&self) -> Vec<CheckpointRecord> {
        let mut frontier = Frontier::new();
        let mut notes = Vec::new();
        for (index, body) in self.bodies.iter().enumerate() {
            frontier.push(leaf_hash(body.as_bytes()));
            if self.signed.contains(&(index + 1)) {
                let note = Checkpoint::of(self.signer.verifier().name(), &frontier)
                    .sign(&self.signer)
                    .unwrap();
                notes.push(CheckpointRecord {
                    size: frontier.size(),
                    note: note.encode(),
                });
            }
        }
        notes
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let mut frontier = Frontier::new();
        for body in &self.bodies {
            frontier.push(leaf_hash(body.as_bytes()));
        }
        let mut records = vec![Record::Head(HeadRecord {
            size: frontier.size(),
            root: frontier.root(),
        })];
        records.extend(self.people.iter().cloned().map(Record::Person));
        records.extend(self.rows.iter().cloned().map(Record::Certificate));
        records.extend(self.checkpoints().into_iter().map(Record::Checkpoint));
        let leaf = |(index, body): (u64, &String)| {
            Record::Leaf(LeafRecord {
                index,
                body: body.clone(),
            })
        };
        records.extend((0..).zip(&self.bodies).map(leaf));
        records
    }

    pub(super) fn judged(&self, records: Vec<Record>) -> Verdict {
        let mut checker = Checker::new(self.header.clone()).unwrap();
        for record in records {
            checker.take(record);
        }
        checker.finish()
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.judged(self.records())
    }

    /// The one problem that a change must give.
    pub(super) fn problem(&self) -> String {
        let verdict = self.verdict();
        assert!(!verdict.holds);
        verdict.problems.join("\n")
    }
}

pub(super) fn decision(serial: &str, tbs: Hash32) -> Decision {
    let item = SignedItem {
        request: RequestNumber(2),
        ca: "root".to_owned(),
        serial: serial.to_owned(),
        subject: "CN=a".to_owned(),
        names: Vec::new(),
        tbs,
    };
    Decision::RequestSign { items: vec![item] }
}
