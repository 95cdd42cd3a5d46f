//! A small log made by hand, and everything that can be done to it.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use chancery_api::{
    ActId, ActPayload, ApprovedItem, Base64, Decision, InstallationId, PersonDocument, PersonId,
    RequestNumber, Role, SignedAct, SignedItem, Subject, canonical_json, statement,
};
use chancery_audit::NoteSigner;
use openssl::{ec::EcGroup, ec::EcKey, ecdsa::EcdsaSig, nid::Nid, pkey::Private, sha::sha256};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

struct Someone {
    document: PersonDocument,
    key: EcKey<Private>,
}

impl Someone {
    fn new(name: &str, number: u8, role: Role) -> Self {
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

    fn actor(&self, number: u8, decision: Decision) -> Value {
        let (id, act) = self.sign(number, decision);
        json!({
            "act": id, "person": self.document.id, "name": self.document.name,
            "payload": act.payload, "signature": act.signature, "key": self.spki(),
        })
    }

    fn approval(&self, number: u8, person: &Self) -> Value {
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

fn body(event: &str, actor: &Value, data: &Value) -> String {
    let value =
        json!({ "v": 1, "time": "2026-11-21T12:00:00Z", "event": event, "actor": actor, "data": data });
    String::from_utf8(canonical_json(&value).unwrap()).unwrap()
}

fn signer() -> NoteSigner {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    assert_eq!(pair.public_key().as_ref().len(), 32);
    NoteSigner::new(&format!("chancery/{}", installation()), pair).unwrap()
}

/// alice pinned, carol made known by her, a certificate claimed by carol and issued.
struct Log {
    header: Header,
    signer: NoteSigner,
    alice: Someone,
    carol: Someone,
    bodies: Vec<String>,
    /// Sizes at which the head is signed.
    signed: Vec<usize>,
    rows: Vec<CertificateRecord>,
    people: Vec<PersonRecord>,
}

const TBS: Hash32 = Hash32([0x11; 32]);
const DER: Hash32 = Hash32([0x22; 32]);

impl Log {
    fn good() -> Self {
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

    fn records(&self) -> Vec<Record> {
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

    fn judged(&self, records: Vec<Record>) -> Verdict {
        let mut checker = Checker::new(self.header.clone()).unwrap();
        for record in records {
            checker.take(record);
        }
        checker.finish()
    }

    fn verdict(&self) -> Verdict {
        self.judged(self.records())
    }

    /// The one problem that a change must give.
    fn problem(&self) -> String {
        let verdict = self.verdict();
        assert!(!verdict.holds);
        verdict.problems.join("\n")
    }
}

fn decision(serial: &str, tbs: Hash32) -> Decision {
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

#[test]
fn a_good_log_holds() {
    let verdict = Log::good().verdict();
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert!(verdict.holds);
    assert_eq!(
        (verdict.leaves, verdict.checkpoints, verdict.signed_leaves),
        (5, 3, 5)
    );
    assert_eq!((verdict.acts, verdict.people, verdict.certificates), (3, 2, 1));
}

#[test]
fn leaves_newer_than_the_newest_checkpoint_and_rows_are_fine() {
    let mut log = Log::good();
    log.signed = vec![1];
    let mut records = log.records();
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0b", "tbs": TBS }] });
    let body = body(
        "certificates-claimed",
        &log.carol.actor(13, decision("0b", TBS)),
        &claimed,
    );
    records.push(Record::Leaf(LeafRecord { index: 5, body }));
    let verdict = log.judged(records);
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert_eq!((verdict.leaves, verdict.signed_leaves), (6, 1));
}

#[test]
fn a_changed_leaf_breaks_the_checkpoint_over_it() {
    let log = Log::good();
    let mut records = log.records();
    for record in &mut records {
        if let Record::Leaf(leaf) = record
            && leaf.index == 4
        {
            leaf.body = leaf.body.replace("hsm-a", "hsm-b");
        }
    }
    let problems = log.judged(records).problems.join("\n");
    assert!(
        problems.contains("checkpoint over 5: the log was changed"),
        "{problems}"
    );
    assert!(problems.contains("the head over 5"), "{problems}");
}

#[test]
fn leaves_that_are_missing_or_swapped_are_noticed() {
    let log = Log::good();
    let mut cut = log.records();
    cut.pop();
    let problems = log.judged(cut).problems.join("\n");
    assert!(
        problems.contains("a checkpoint covers 5 leaves and there are 4"),
        "{problems}"
    );
    assert!(problems.contains("the head counts 5"), "{problems}");
    let mut gap = log.records();
    let leaf = gap.len() - 2;
    gap.remove(leaf);
    assert!(
        log.judged(gap)
            .problems
            .iter()
            .any(|problem| problem == "leaf 4 stands where leaf 3 should")
    );
}

#[test]
fn a_checkpoint_of_another_key_is_refused() {
    let mut log = Log::good();
    log.signer = signer();
    assert!(log.problem().contains("the checkpoint over 1 leaves"));
    let mut log = Log::good();
    log.header.audit_key = None;
    assert!(log.problem().contains("the audit key is not there"));
}

#[test]
fn a_log_rewritten_under_new_checkpoints_still_needs_the_pinned_first_act() {
    let mut log = Log::good();
    log.bodies.remove(0);
    assert!(
        log.problem()
            .contains("first leaf is not the act of the pinned manager")
    );
    let other = Log::good();
    let mut log = Log::good();
    log.bodies[0].clone_from(&other.bodies[0]);
    assert!(
        log.problem()
            .contains("first leaf is not the act of the pinned manager")
    );
    let mut log = Log::good();
    log.bodies[4] = log.bodies[0].clone();
    assert!(
        log.problem()
            .contains("not the pinned act of the first manager, or not the first")
    );
}

#[test]
fn an_act_that_is_not_signed_by_its_person_is_refused() {
    let mut log = Log::good();
    let impostor = Someone {
        document: log.carol.document.clone(),
        key: Someone::new("x", 9, Role::Auditor).key,
    };
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &impostor.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("signed by another key"));

    let mut log = Log::good();
    let mut actor = log.carol.actor(12, decision("0a", TBS));
    actor["signature"] = log.carol.actor(13, decision("0a", TBS))["signature"].clone();
    log.bodies[2] = body("certificates-claimed", &actor, &claimed);
    assert!(log.problem().contains("its signature does not hold"));
}

#[test]
fn people_count_only_when_a_manager_made_them_known() {
    let mut log = Log::good();
    let mallory = Someone::new("mallory", 7, Role::CertificationOfficer);
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &mallory.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("no manager made this person known"));
    // carol cannot make anybody known.
    let mut log = Log::good();
    log.bodies[4] = body("requests-approved", &log.carol.approval(14, &mallory), &json!({}));
    assert!(log.problem().contains("carol is no TrustCenter Manager"));
    // A row alone gives no rights.
    let mut log = Log::good();
    log.people.push(PersonRecord {
        id: mallory.document.id,
        name: "mallory".to_owned(),
        key: mallory.document.key,
    });
    assert!(
        log.problem()
            .contains("mallory is in the database and no manager signed them")
    );
}

#[test]
fn a_decision_takes_its_role_and_counts_once() {
    let mut log = Log::good();
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &log.alice.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("alice may not decide on request-sign"));
    let mut log = Log::good();
    log.bodies[4] = log.bodies[2].clone();
    assert!(log.problem().contains("stands in the log twice"));
}

#[test]
fn certificates_of_log_and_database_are_the_same() {
    let mut log = Log::good();
    log.rows[0].serial = "0b".to_owned();
    let problems = log.problem();
    assert!(
        problems.contains("certificate 0b of CA root is in the database and not in the log"),
        "{problems}"
    );
    assert!(
        problems.contains("certificate 0a of CA root is in the log and not in the database"),
        "{problems}"
    );
    let mut log = Log::good();
    log.rows[0].tbs = Hash32([0x33; 32]);
    assert!(
        log.problem()
            .contains("to-be-signed bytes are not those in the log")
    );
    let mut log = Log::good();
    log.rows[0].sha256 = Some(Hash32([0x33; 32]));
    assert!(log.problem().contains("is another one than the log says"));
    let mut log = Log::good();
    log.rows[0].sha256 = None;
    assert!(log.problem().contains("the database has lost it"));
    let mut log = Log::good();
    log.bodies[3] = body("hsm-locked", &json!({ "uid": 0 }), &json!({}));
    assert!(log.problem().contains("is signed and the log does not say so"));
}

#[test]
fn what_was_claimed_must_be_what_was_decided_on() {
    let mut log = Log::good();
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": Hash32([0x44; 32]) }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &log.carol.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("not the one that was decided on"));
    let mut log = Log::good();
    let twice = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[4] = body(
        "certificates-claimed",
        &log.carol.actor(15, decision("0a", TBS)),
        &twice,
    );
    assert!(
        log.problem()
            .contains("serial number 0a of CA root was given twice")
    );
}

#[test]
fn a_leaf_that_is_not_canonical_or_not_understood_is_named() {
    for (bad, why) in [
        ("{}", "it is no event"),
        ("{ }", "canonical"),
        ("x", "no JSON"),
        ("[]", "it is no event"),
    ] {
        let mut log = Log::good();
        log.bodies[4] = bad.to_owned();
        let problem = log.problem();
        assert!(
            problem.starts_with("leaf 4: ") && problem.contains(why),
            "{bad}: {problem}"
        );
    }
}
