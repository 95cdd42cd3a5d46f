//! A change that does not fit fails alone, by name, and leaves nothing.

use chancery_store::{CertificateState, DecisionKind, RequestState, Store, TokenMark, Write};
use chancery_store_sqlite::SqliteStore;

use crate::{audit::checked_leaves, fresh, samples::*};

/// A store where request 1 is open and request 2 is approved, certificate 1 is being signed in epoch 5,
/// certificate 2 is issued and CRL 1 is being signed in epoch 5.
async fn prepared() -> (tempfile::TempDir, SqliteStore) {
    let (directory, store) = fresh().await;
    found(&store).await;
    let (mut signing, mut list) = (certificate(1), crl(1));
    signing.epoch = 5;
    list.epoch = 5;
    let writes = vec![
        Write::InsertRequest(request(2)),
        Write::MoveRequest {
            request: request_number(2),
            from: RequestState::Open,
            to: RequestState::Approved,
        },
        Write::InsertCertificate(signing),
        Write::InsertCertificate(certificate(2)),
        Write::IssueCertificate {
            certificate: certificate_id(2),
            epoch: 1,
            der: b"der".to_vec(),
        },
        Write::InsertCrl(list),
        Write::InsertCustodian(custodian(1, 1)),
        Write::SetCaSigner {
            ca: ca_id(1),
            signer: signer_id(1),
        },
        Write::SetCaCertificate {
            ca: ca_id(1),
            certificate: certificate_id(2),
        },
        Write::InsertDecision {
            request: request_number(1),
            kind: DecisionKind::Approve,
            act: act_id(1),
        },
        Write::InsertCheckpoint {
            size: 1,
            note: "note".to_owned(),
        },
    ];
    commit(&store, writes).await.unwrap();
    (directory, store)
}

#[tokio::test]
async fn every_write_that_does_not_fit_is_refused_by_table_and_key() {
    let (_directory, store) = prepared().await;
    let before = checked_leaves(&store).await;
    for (write, table, key, detail) in refused() {
        let name = format!("{write:?}");
        // In one change with a row that would fit, which must not be there afterwards.
        let conflict = commit(&store, vec![Write::InsertRequest(request(99)), write])
            .await
            .unwrap_err();
        assert_eq!(conflict.table, table, "{name}");
        assert_eq!(conflict.key, key, "{name}");
        assert!(conflict.detail.contains(detail), "{name}: {conflict}");
        assert_eq!(store.request(request_number(99)).await.unwrap(), None, "{name}");
    }
    assert_eq!(checked_leaves(&store).await, before);
}

/// Writes that do not fit into a prepared store: table, key and part of the detail of their conflicts.
fn refused() -> Vec<(Write, &'static str, String, &'static str)> {
    let (one, two, nine) = (request_number(1), request_number(2), request_number(9));
    let certificate_key = |number| certificate_id(number).to_string();
    let mark = TokenMark {
        sequence: 1,
        hash: vec![0; 32],
    };
    let mut cases = Vec::new();
    let mut case = |write, table, key: String, detail| cases.push((write, table, key, detail));

    case(Write::InsertAct(act(1)), "act", act_id(1).to_string(), "the same");
    let mut act_again = act(2);
    act_again.nonce = act(1).nonce;
    case(
        Write::InsertAct(act_again),
        "act",
        act_id(2).to_string(),
        "act.nonce",
    );
    case(
        Write::InsertPerson(person(1)),
        "person",
        person(1).name,
        "the same",
    );
    let mut same_name = person(2);
    same_name.name = person(1).name;
    case(
        Write::InsertPerson(same_name),
        "person",
        person(1).name,
        "person.name",
    );
    let mut same_key = person(2);
    same_key.public_key = person(1).public_key;
    case(
        Write::InsertPerson(same_key),
        "person",
        person(2).name,
        "person.public_key",
    );
    let mut stray = person(2);
    stray.request = Some(nine);
    case(Write::InsertPerson(stray), "person", person(2).name, "not there");
    let mut same_device = hsm(2);
    same_device.device = hsm(1).device;
    case(Write::InsertHsm(same_device), "hsm", hsm(2).name, "hsm.device");
    case(Write::UpdateHsm(hsm(2)), "hsm", hsm(2).name, "no such HSM");
    case(
        Write::SetHsmMark { hsm: hsm_id(2), mark },
        "hsm",
        hsm_id(2).to_string(),
        "no such HSM",
    );
    case(
        Write::InsertCustodian(custodian(1, 1)),
        "custodian",
        custodian(1, 1).chr,
        "the same",
    );
    case(
        Write::InsertCustodian(custodian(2, 1)),
        "custodian",
        custodian(2, 1).chr,
        "not there",
    );
    let mut key_again = signer(2);
    key_again.public_key = signer(1).public_key;
    case(
        Write::InsertSigner(key_again),
        "signer",
        signer_id(2).to_string(),
        "signer.public_key",
    );
    case(Write::InsertCa(ca(1)), "ca", ca(1).name, "the same");
    let set_signer = Write::SetCaSigner {
        ca: ca_id(1),
        signer: signer_id(1),
    };
    case(set_signer, "ca", ca_id(1).to_string(), "without a signer");
    let set_certificate = Write::SetCaCertificate {
        ca: ca_id(1),
        certificate: certificate_id(1),
    };
    case(
        set_certificate,
        "ca",
        ca_id(1).to_string(),
        "without a certificate",
    );
    case(
        Write::InsertRequest(request(1)),
        "request",
        "1".to_owned(),
        "request.number",
    );
    let moved = Write::MoveRequest {
        request: one,
        from: RequestState::Approved,
        to: RequestState::Done,
    };
    case(moved, "request", "1".to_owned(), "approved");
    let tbs = Write::SetRequestTbs {
        request: two,
        state: RequestState::Open,
        tbs: vec![1],
    };
    case(tbs, "request", "2".to_owned(), "open");
    let claim = |request| Write::ClaimRequest {
        request,
        certificate: certificate_id(1),
    };
    case(claim(one), "request", "1".to_owned(), "approved");
    case(claim(nine), "request", "9".to_owned(), "approved");
    let decided = |act| Write::InsertDecision {
        request: one,
        kind: DecisionKind::Sign,
        act: act_id(act),
    };
    case(decided(1), "decision", "1".to_owned(), "the same");
    case(decided(9), "decision", "1".to_owned(), "not there");
    let mut serial_again = certificate(3);
    serial_again.serial = certificate(1).serial;
    case(
        Write::InsertCertificate(serial_again),
        "certificate",
        certificate_key(3),
        "certificate.serial",
    );
    let mut signed_already = certificate(3);
    signed_already.state = CertificateState::Issued;
    case(
        Write::InsertCertificate(signed_already),
        "certificate",
        certificate_key(3),
        "before it is signed",
    );
    for (number, epoch) in [(1, 5), (1, 4), (2, 9), (9, 9)] {
        let write = Write::ReclaimCertificate {
            certificate: certificate_id(number),
            epoch,
        };
        case(
            write,
            "certificate",
            certificate_key(number),
            "in an epoch before",
        );
    }
    for (number, epoch) in [(1, 4), (1, 6), (2, 1), (9, 5)] {
        let write = Write::IssueCertificate {
            certificate: certificate_id(number),
            epoch,
            der: vec![1],
        };
        case(
            write,
            "certificate",
            certificate_key(number),
            "being signed in epoch",
        );
    }
    for number in [1, 9] {
        let (revoked_seconds, reason, act) = (1, 0, act_id(1));
        let certificate = certificate_id(number);
        let write = Write::RevokeCertificate {
            certificate,
            revoked_seconds,
            reason,
            act,
        };
        case(write, "certificate", certificate_key(number), "issued");
    }
    case(Write::InsertCrl(crl(1)), "crl", "1".to_owned(), "the same");
    let mut signed_list = crl(2);
    signed_list.state = CertificateState::Issued;
    case(
        Write::InsertCrl(signed_list),
        "crl",
        "2".to_owned(),
        "before it is signed",
    );
    let reclaim = Write::ReclaimCrl {
        ca: ca_id(1),
        number: 1,
        epoch: 5,
    };
    case(reclaim, "crl", "1".to_owned(), "in an epoch before");
    let issue = |number, epoch| Write::IssueCrl {
        ca: ca_id(1),
        number,
        epoch,
        der: vec![1],
    };
    case(issue(1, 4), "crl", "1".to_owned(), "in epoch 4");
    case(issue(2, 5), "crl", "2".to_owned(), "in epoch 5");
    let note = Write::InsertCheckpoint {
        size: 1,
        note: "other".to_owned(),
    };
    case(note, "audit_checkpoint", "1".to_owned(), "the same");
    cases
}

#[tokio::test]
async fn only_the_guilty_change_of_a_group_fails() {
    let (_directory, store) = prepared().await;
    let before = checked_leaves(&store).await;
    let good = |number| {
        change(vec![
            Write::InsertRequest(request(number)),
            Write::InsertAct(act(number)),
        ])
    };
    // The second has one good row before the bad one; the fourth would only fit if the second had been made.
    let bad = change(vec![Write::InsertRequest(request(11)), Write::InsertAct(act(1))]);
    let approve = |number| {
        let request = request_number(number);
        change(vec![Write::MoveRequest {
            request,
            from: RequestState::Open,
            to: RequestState::Approved,
        }])
    };
    let group = vec![good(10), bad, good(12), approve(11), approve(12)];
    let fitting: Vec<_> = [0, 2, 4]
        .into_iter()
        .flat_map(|index: usize| group[index].events.clone())
        .collect();
    let outcomes = store.commit(group).await.unwrap();
    let states: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(states, [true, false, true, false, true]);
    assert_eq!(outcomes[1].as_ref().unwrap_err().table, "act");
    assert_eq!(outcomes[3].as_ref().unwrap_err().key, "11");

    assert_eq!(
        store.request(request_number(10)).await.unwrap(),
        Some(request(10))
    );
    assert_eq!(store.request(request_number(11)).await.unwrap(), None);
    assert_eq!(
        store.request(request_number(12)).await.unwrap().unwrap().state,
        RequestState::Approved
    );
    assert_eq!(checked_leaves(&store).await, [before, fitting].concat());
}

#[tokio::test]
async fn a_group_of_nothing_but_conflicts_leaves_the_log_alone() {
    let (_directory, store) = prepared().await;
    let before = checked_leaves(&store).await;
    let bad = || change(vec![Write::InsertAct(act(1))]);
    let outcomes = store.commit(vec![bad(), bad()]).await.unwrap();
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!(checked_leaves(&store).await, before);
}
