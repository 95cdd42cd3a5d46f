//! Records to write, told apart by a number.

use chancery_api::{ActId, CaId, CertificateId, HsmId, PersonId, RequestNumber, SignerId};
use chancery_store::{
    ActRecord, CaRecord, CertificateRecord, CertificateState, Change, Conflict, CrlRecord, CustodianRecord,
    HsmRecord, PersonRecord, RequestKind, RequestRecord, RequestState, SignerRecord, Store, Write,
};
use uuid::Uuid;

pub(crate) fn act_id(number: u64) -> ActId {
    ActId::new(uuid(1, number))
}

pub(crate) fn person_id(number: u64) -> PersonId {
    PersonId::new(uuid(2, number))
}

pub(crate) fn hsm_id(number: u64) -> HsmId {
    HsmId::new(uuid(3, number))
}

pub(crate) fn signer_id(number: u64) -> SignerId {
    SignerId::new(uuid(4, number))
}

pub(crate) fn ca_id(number: u64) -> CaId {
    CaId::new(uuid(5, number))
}

pub(crate) fn certificate_id(number: u64) -> CertificateId {
    CertificateId::new(uuid(6, number))
}

pub(crate) fn request_number(number: u64) -> RequestNumber {
    RequestNumber(signed(number))
}

pub(crate) fn act(number: u64) -> ActRecord {
    ActRecord {
        id: act_id(number),
        person: person_id(1),
        verb: "approve".to_owned(),
        payload: bytes("payload", number),
        signature: bytes("signature", number),
        nonce: bytes("nonce", number),
        created_ms: 1_000 + signed(number),
    }
}

pub(crate) fn person(number: u64) -> PersonRecord {
    PersonRecord {
        id: person_id(number),
        name: format!("person {number}"),
        document: bytes("document", number),
        public_key: bytes("person key", number),
        chain: bytes("chain", number),
        key_request: bytes("key request", number),
        request: None,
        created_ms: signed(number),
    }
}

pub(crate) fn hsm(number: u64) -> HsmRecord {
    HsmRecord {
        id: hsm_id(number),
        name: format!("hsm {number}"),
        device: format!("UTCHD{number:06}00000"),
        device_key: bytes("device key", number),
        chain: bytes("chain", number),
        locator: format!("virtual:hsm{number}"),
        kcv: None,
        quorum_required: 2,
        quorum_total: 3,
        attached: true,
        mark: None,
        lost: None,
        act: act_id(1),
        created_ms: signed(number),
    }
}

pub(crate) fn custodian(hsm: u64, person: u64) -> CustodianRecord {
    CustodianRecord {
        hsm: hsm_id(hsm),
        person: person_id(person),
        chr: format!("UTCHD{person:06}00001"),
        public_key: bytes("custodian key", person),
        chain: bytes("chain", person),
        key_request: bytes("key request", person),
        request: request_number(1),
    }
}

pub(crate) fn signer(number: u64) -> SignerRecord {
    SignerRecord {
        id: signer_id(number),
        kcv: vec![7; 8],
        key_id: signed(number),
        algorithm: "ec:P-256".to_owned(),
        public_key: bytes("signer key", number),
        attestation: bytes("attestation", number),
        chain: bytes("chain", number),
        created_ms: signed(number),
    }
}

pub(crate) fn ca(number: u64) -> CaRecord {
    CaRecord {
        id: ca_id(number),
        name: format!("CA {number}"),
        request: request_number(1),
        key_id: signed(number),
        signer: None,
        certificate: None,
        created_ms: signed(number),
    }
}

pub(crate) fn request(number: u64) -> RequestRecord {
    RequestRecord {
        number: request_number(number),
        kind: RequestKind::Certificate,
        state: RequestState::Open,
        title: format!("request {number}"),
        document: bytes("document", number),
        evidence: bytes("evidence", number),
        tbs: None,
        certificate: None,
        created_by_uid: 1000,
        created_ms: signed(number),
    }
}

pub(crate) fn certificate(number: u64) -> CertificateRecord {
    CertificateRecord {
        id: certificate_id(number),
        ca: ca_id(1),
        serial: bytes("serial", number),
        state: CertificateState::Signing,
        request: Some(request_number(1)),
        act: act_id(1),
        profile: "tls-server".to_owned(),
        subject: format!("CN=host{number}.example"),
        names: format!("host{number}.example\nwww.host{number}.example"),
        not_after_seconds: 2_000_000_000,
        tbs: bytes("tbs", number),
        der: None,
        epoch: 1,
        created_ms: signed(number),
        revoked: None,
    }
}

pub(crate) fn crl(number: u64) -> CrlRecord {
    CrlRecord {
        ca: ca_id(1),
        number: signed(number),
        state: CertificateState::Signing,
        tbs: bytes("crl", number),
        der: None,
        this_update_seconds: signed(number),
        next_update_seconds: signed(number) + 86_400,
        entries: 0,
        epoch: 1,
        act: act_id(1),
    }
}

/// A change with one event for each row, which names the rows.
pub(crate) fn change(writes: Vec<Write>) -> Change {
    let events = writes
        .iter()
        .map(|write| format!("{write:?}").into_bytes())
        .collect();
    Change { writes, events }
}

/// Commits one change, which must not fail as a group.
pub(crate) async fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<(), Conflict> {
    let mut outcomes = store.commit(vec![change(writes)]).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

/// What most rows refer to: act 1, person 1, request 1, HSM 1, signer 1 and CA 1.
pub(crate) async fn found(store: &dyn Store) {
    let writes = vec![
        Write::InsertAct(act(1)),
        Write::InsertPerson(person(1)),
        Write::InsertRequest(request(1)),
        Write::InsertHsm(hsm(1)),
        Write::InsertSigner(signer(1)),
        Write::InsertCa(ca(1)),
    ];
    commit(store, writes).await.unwrap();
}

fn bytes(what: &str, number: u64) -> Vec<u8> {
    format!("{what} {number}").into_bytes()
}

fn uuid(kind: u64, number: u64) -> Uuid {
    Uuid::from_u64_pair(kind, number)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}
