//! What happens in a trust center, told to a store; every database must know it afterwards.

use chancery_store::{
    CertificateState, DecisionKind, DecisionRecord, ReplicaRecord, ReplicaState, RequestKind, RequestRecord,
    RequestState, RevokedEntry, Store, TokenMark, Write,
};

use crate::{audit::checked_leaves, samples::*};

/// Tells the whole story to an empty store.
pub(crate) async fn tell(store: &dyn Store) {
    nothing_is_there(store).await;
    assert_eq!(store.begin_epoch(5).await.unwrap(), 1);
    people_are_signed_into_being(store).await;
    an_hsm_is_attached_and_lost(store).await;
    custodians_are_registered(store).await;
    a_ca_is_made(store).await;
    a_certificate_is_issued(store).await;
    a_signature_is_taken_over(store).await;
    a_certificate_is_revoked(store).await;
    a_crl_is_made(store).await;
    lists_come_in_pages(store).await;
    checkpoints_are_kept(store).await;
    assert_eq!(store.begin_epoch(6).await.unwrap(), 2);
    checked_leaves(store).await;
}

async fn nothing_is_there(store: &dyn Store) {
    assert_eq!(store.act(act_id(1)).await.unwrap(), None);
    assert_eq!(store.people().await.unwrap(), []);
    assert_eq!(store.person(person_id(1)).await.unwrap(), None);
    assert_eq!(store.person_by_name("person 1").await.unwrap(), None);
    assert_eq!(store.hsms().await.unwrap(), []);
    assert_eq!(store.custodians(hsm_id(1)).await.unwrap(), []);
    assert_eq!(store.signers().await.unwrap(), []);
    assert_eq!(store.signer(signer_id(1)).await.unwrap(), None);
    assert_eq!(store.replicas(signer_id(1)).await.unwrap(), []);
    assert_eq!(store.cas().await.unwrap(), []);
    assert_eq!(store.ca(ca_id(1)).await.unwrap(), None);
    assert_eq!(store.ca_by_name("CA 1").await.unwrap(), None);
    assert_eq!(store.last_request().await.unwrap(), request_number(0));
    assert_eq!(store.request(request_number(1)).await.unwrap(), None);
    assert_eq!(store.requests(None, None, 10).await.unwrap(), []);
    assert_eq!(store.decisions(request_number(1)).await.unwrap(), []);
    assert_eq!(store.certificate(certificate_id(1)).await.unwrap(), None);
    assert_eq!(store.certificates_by_serial(b"serial 1").await.unwrap(), []);
    assert_eq!(store.certificates(None, None, 10).await.unwrap(), []);
    assert_eq!(
        store
            .certificates(None, Some(certificate_id(1)), 10)
            .await
            .unwrap(),
        []
    );
    assert_eq!(store.certificates_signing().await.unwrap(), []);
    assert_eq!(store.revoked(ca_id(1)).await.unwrap(), []);
    assert_eq!(store.last_crl(ca_id(1)).await.unwrap(), None);
    assert_eq!(store.issued_crl(ca_id(1)).await.unwrap(), None);
    assert_eq!(store.audit_head().await.unwrap().size, 0);
    assert_eq!(store.audit_leaves(0, 10).await.unwrap(), []);
    assert_eq!(store.checkpoint().await.unwrap(), None);
    assert_eq!(store.checkpoints(0, 10).await.unwrap(), []);
}

async fn people_are_signed_into_being(store: &dyn Store) {
    // The first manager is there before any request.
    let writes = vec![Write::InsertAct(act(1)), Write::InsertPerson(person(1))];
    commit(store, writes).await.unwrap();
    assert_eq!(store.act(act_id(1)).await.unwrap(), Some(act(1)));

    let asked = RequestRecord {
        kind: RequestKind::Person,
        ..request(1)
    };
    commit(store, vec![Write::InsertRequest(asked.clone())])
        .await
        .unwrap();
    assert_eq!(store.last_request().await.unwrap(), request_number(1));
    let mut second = person(2);
    second.request = Some(request_number(1));
    let writes = vec![
        Write::InsertAct(act(2)),
        Write::InsertDecision {
            request: request_number(1),
            kind: DecisionKind::Approve,
            act: act_id(2),
        },
        Write::MoveRequest {
            request: request_number(1),
            from: RequestState::Open,
            to: RequestState::Done,
        },
        Write::InsertPerson(second.clone()),
    ];
    commit(store, writes).await.unwrap();
    let done = RequestRecord {
        state: RequestState::Done,
        ..asked
    };
    assert_eq!(store.request(request_number(1)).await.unwrap(), Some(done));
    assert_eq!(store.people().await.unwrap(), [person(1), second.clone()]);
    assert_eq!(store.person(person_id(2)).await.unwrap(), Some(second.clone()));
    assert_eq!(store.person_by_name("person 2").await.unwrap(), Some(second));
}

async fn an_hsm_is_attached_and_lost(store: &dyn Store) {
    commit(store, vec![Write::InsertHsm(hsm(2)), Write::InsertHsm(hsm(1))])
        .await
        .unwrap();
    assert_eq!(store.hsms().await.unwrap(), [hsm(1), hsm(2)]);
    let mut known = hsm(1);
    known.kcv = Some(vec![7; 8]);
    known.quorum_required = 3;
    known.quorum_total = 5;
    known.locator = "virtual:elsewhere".to_owned();
    known.attached = false;
    known.lost = Some((77, "unplugged".to_owned()));
    commit(store, vec![Write::UpdateHsm(known.clone())])
        .await
        .unwrap();
    assert_eq!(store.hsms().await.unwrap(), [known.clone(), hsm(2)]);
    let mark = TokenMark {
        sequence: 9,
        hash: vec![1; 32],
    };
    commit(
        store,
        vec![Write::SetHsmMark {
            hsm: hsm_id(1),
            mark: mark.clone(),
        }],
    )
    .await
    .unwrap();
    known.mark = Some(mark);
    assert_eq!(store.hsms().await.unwrap(), [known.clone(), hsm(2)]);
    known.lost = None;
    known.attached = true;
    // What is immutable stays, whatever the record says.
    let mut renamed = known.clone();
    renamed.name = "other".to_owned();
    renamed.device_key = vec![0];
    commit(store, vec![Write::UpdateHsm(renamed)]).await.unwrap();
    assert_eq!(store.hsms().await.unwrap(), [known, hsm(2)]);
}

async fn custodians_are_registered(store: &dyn Store) {
    for person in [2, 1] {
        commit(store, vec![Write::InsertCustodian(custodian(1, person))])
            .await
            .unwrap();
    }
    commit(store, vec![Write::InsertCustodian(custodian(2, 1))])
        .await
        .unwrap();
    assert_eq!(
        store.custodians(hsm_id(1)).await.unwrap(),
        [custodian(1, 1), custodian(1, 2)]
    );
    let anew = vec![
        Write::ClearCustodians(hsm_id(1)),
        Write::InsertCustodian(custodian(1, 2)),
    ];
    commit(store, anew).await.unwrap();
    assert_eq!(store.custodians(hsm_id(1)).await.unwrap(), [custodian(1, 2)]);
    assert_eq!(store.custodians(hsm_id(2)).await.unwrap(), [custodian(2, 1)]);
}

async fn a_ca_is_made(store: &dyn Store) {
    let asked = RequestRecord {
        kind: RequestKind::Ca,
        ..request(2)
    };
    let named = chancery_store::CaRecord {
        request: request_number(2),
        ..ca(1)
    };
    commit(
        store,
        vec![Write::InsertRequest(asked), Write::InsertCa(named.clone())],
    )
    .await
    .unwrap();
    assert_eq!(store.cas().await.unwrap(), std::slice::from_ref(&named));
    let born = vec![
        Write::InsertSigner(signer(1)),
        Write::SetCaSigner {
            ca: ca_id(1),
            signer: signer_id(1),
        },
        replica(1, ReplicaState::Present, 10),
        replica(2, ReplicaState::Copying, 11),
    ];
    commit(store, born).await.unwrap();
    commit(store, vec![replica(2, ReplicaState::Verified, 12)])
        .await
        .unwrap();
    assert_eq!(store.signers().await.unwrap(), [signer(1)]);
    assert_eq!(store.signer(signer_id(1)).await.unwrap(), Some(signer(1)));
    let replicas = store.replicas(signer_id(1)).await.unwrap();
    let states: Vec<_> = replicas.iter().map(|r| (r.hsm, r.state, r.checked_ms)).collect();
    assert_eq!(
        states,
        [
            (hsm_id(1), ReplicaState::Present, 10),
            (hsm_id(2), ReplicaState::Verified, 12)
        ]
    );
    // Its own certificate belongs to no request of anybody else.
    let mut root = certificate(1);
    root.request = None;
    let writes = vec![
        Write::InsertCertificate(root),
        Write::SetCaCertificate {
            ca: ca_id(1),
            certificate: certificate_id(1),
        },
    ];
    commit(store, writes).await.unwrap();
    commit(store, vec![issue(1, 1)]).await.unwrap();
    let whole = chancery_store::CaRecord {
        signer: Some(signer_id(1)),
        certificate: Some(certificate_id(1)),
        ..named
    };
    assert_eq!(store.ca(ca_id(1)).await.unwrap(), Some(whole.clone()));
    assert_eq!(store.ca_by_name("CA 1").await.unwrap(), Some(whole));
    assert_eq!(
        store
            .certificate(certificate_id(1))
            .await
            .unwrap()
            .unwrap()
            .request,
        None
    );
}

async fn a_certificate_is_issued(store: &dyn Store) {
    let number = request_number(3);
    commit(store, vec![Write::InsertRequest(request(3))])
        .await
        .unwrap();
    let approved = vec![
        Write::InsertAct(act(3)),
        Write::InsertDecision {
            request: number,
            kind: DecisionKind::Approve,
            act: act_id(3),
        },
        Write::MoveRequest {
            request: number,
            from: RequestState::Open,
            to: RequestState::Approved,
        },
        Write::SetRequestTbs {
            request: number,
            state: RequestState::Approved,
            tbs: b"first".to_vec(),
        },
    ];
    commit(store, approved).await.unwrap();
    let stale = Write::SetRequestTbs {
        request: number,
        state: RequestState::Approved,
        tbs: b"second".to_vec(),
    };
    commit(store, vec![stale]).await.unwrap();

    let mut recorded = certificate(2);
    recorded.request = Some(number);
    recorded.act = act_id(4);
    let claimed = vec![
        // The decision to sign is older than the approval by its own clock: the order is that of the rows.
        Write::InsertAct(chancery_store::ActRecord {
            created_ms: 1,
            ..act(4)
        }),
        Write::InsertDecision {
            request: number,
            kind: DecisionKind::Sign,
            act: act_id(4),
        },
        Write::ClaimRequest {
            request: number,
            certificate: certificate_id(2),
        },
        Write::InsertCertificate(recorded.clone()),
    ];
    commit(store, claimed).await.unwrap();
    assert_eq!(store.certificates_signing().await.unwrap(), [recorded.clone()]);
    let signing = store.request(number).await.unwrap().unwrap();
    assert_eq!(
        (signing.state, signing.certificate, signing.tbs.as_deref()),
        (
            RequestState::Signing,
            Some(certificate_id(2)),
            Some(b"second".as_slice())
        )
    );
    let kinds: Vec<_> = store
        .decisions(number)
        .await
        .unwrap()
        .into_iter()
        .map(kind_and_act)
        .collect();
    assert_eq!(
        kinds,
        [
            (DecisionKind::Approve, act_id(3)),
            (DecisionKind::Sign, act_id(4))
        ]
    );

    let done = Write::MoveRequest {
        request: number,
        from: RequestState::Signing,
        to: RequestState::Done,
    };
    commit(store, vec![issue(2, 1), done]).await.unwrap();
    recorded.state = CertificateState::Issued;
    recorded.der = Some(b"der".to_vec());
    assert_eq!(
        store.certificate(certificate_id(2)).await.unwrap(),
        Some(recorded.clone())
    );
    assert_eq!(
        store.certificates_by_serial(b"serial 2").await.unwrap(),
        [recorded]
    );
    assert_eq!(store.certificates_signing().await.unwrap(), []);
}

async fn a_signature_is_taken_over(store: &dyn Store) {
    commit(store, vec![Write::InsertCertificate(certificate(3))])
        .await
        .unwrap();
    commit(
        store,
        vec![Write::ReclaimCertificate {
            certificate: certificate_id(3),
            epoch: 2,
        }],
    )
    .await
    .unwrap();
    // The signature of the epoch before comes late, and is worth nothing.
    let late = commit(store, vec![issue(3, 1)]).await.unwrap_err();
    assert_eq!(
        (late.table, late.key),
        ("certificate", certificate_id(3).to_string())
    );
    assert_eq!(store.certificates_signing().await.unwrap()[0].epoch, 2);
    commit(store, vec![issue(3, 2)]).await.unwrap();
}

async fn a_certificate_is_revoked(store: &dyn Store) {
    let revoke = |number, reason| Write::RevokeCertificate {
        certificate: certificate_id(number),
        revoked_seconds: 500,
        reason,
        act: act_id(1),
    };
    commit(store, vec![revoke(3, 1), revoke(2, 4)]).await.unwrap();
    let revoked = store.certificate(certificate_id(2)).await.unwrap().unwrap();
    assert_eq!(
        (revoked.state, revoked.revoked),
        (CertificateState::Revoked, Some((500, 4, act_id(1))))
    );
    let entry = |serial: &[u8], reason| RevokedEntry {
        serial: serial.to_vec(),
        revoked_seconds: 500,
        reason,
        act: act_id(1),
    };
    assert_eq!(
        store.revoked(ca_id(1)).await.unwrap(),
        [entry(b"serial 2", 4), entry(b"serial 3", 1)]
    );
    assert_eq!(store.revoked(ca_id(2)).await.unwrap(), []);
}

async fn a_crl_is_made(store: &dyn Store) {
    commit(store, vec![Write::InsertCrl(crl(1))]).await.unwrap();
    assert_eq!(store.last_crl(ca_id(1)).await.unwrap(), Some(crl(1)));
    assert_eq!(store.issued_crl(ca_id(1)).await.unwrap(), None);
    commit(
        store,
        vec![Write::ReclaimCrl {
            ca: ca_id(1),
            number: 1,
            epoch: 2,
        }],
    )
    .await
    .unwrap();
    let signed = |epoch| Write::IssueCrl {
        ca: ca_id(1),
        number: 1,
        epoch,
        der: b"crl".to_vec(),
    };
    assert_eq!(commit(store, vec![signed(1)]).await.unwrap_err().table, "crl");
    commit(store, vec![signed(2)]).await.unwrap();
    let mut first = crl(1);
    first.state = CertificateState::Issued;
    first.der = Some(b"crl".to_vec());
    first.epoch = 2;
    commit(store, vec![Write::InsertCrl(crl(2))]).await.unwrap();
    assert_eq!(store.last_crl(ca_id(1)).await.unwrap(), Some(crl(2)));
    assert_eq!(store.issued_crl(ca_id(1)).await.unwrap(), Some(first));
}

async fn lists_come_in_pages(store: &dyn Store) {
    let mut writes: Vec<_> = (4..=20)
        .map(|number| Write::InsertRequest(request(number)))
        .collect();
    // All of one moment, so that only the identifier tells them apart.
    writes.extend((4..=20).map(|number| {
        let mut certificate = certificate(number);
        certificate.created_ms = 4;
        Write::InsertCertificate(certificate)
    }));
    commit(store, writes).await.unwrap();

    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = store.requests(None, before, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.number);
        assert!(page.len() <= 3);
        seen.extend(page.into_iter().map(|request| request.number));
    }
    assert_eq!(seen, (1..=20).rev().map(request_number).collect::<Vec<_>>());
    let open = store
        .requests(Some(RequestState::Open), Some(request_number(6)), 10)
        .await
        .unwrap();
    let open: Vec<_> = open.into_iter().map(|request| request.number).collect();
    assert_eq!(open, [request_number(5), request_number(4), request_number(2)]);

    for ca in [None, Some(ca_id(1))] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = store.certificates(ca, before, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            assert!(page.len() <= 3);
            seen.extend(page.into_iter().map(|certificate| certificate.id));
        }
        assert_eq!(seen, (1..=20).rev().map(certificate_id).collect::<Vec<_>>());
    }
    assert_eq!(store.certificates(Some(ca_id(2)), None, 10).await.unwrap(), []);
}

async fn checkpoints_are_kept(store: &dyn Store) {
    for size in [1, 5, 3] {
        commit(
            store,
            vec![Write::InsertCheckpoint {
                size,
                note: format!("note {size}"),
            }],
        )
        .await
        .unwrap();
    }
    let note = |size| (size, format!("note {size}"));
    assert_eq!(store.checkpoint().await.unwrap(), Some(note(5)));
    assert_eq!(store.checkpoints(0, 2).await.unwrap(), [note(1), note(3)]);
    assert_eq!(store.checkpoints(1, 10).await.unwrap(), [note(3), note(5)]);
}

fn issue(number: u64, epoch: i64) -> Write {
    Write::IssueCertificate {
        certificate: certificate_id(number),
        epoch,
        der: b"der".to_vec(),
    }
}

fn replica(hsm: u64, state: ReplicaState, checked_ms: i64) -> Write {
    Write::PutReplica(ReplicaRecord {
        signer: signer_id(1),
        hsm: hsm_id(hsm),
        state,
        checked_ms,
    })
}

fn kind_and_act(decision: DecisionRecord) -> (DecisionKind, chancery_api::ActId) {
    (decision.kind, decision.act.id)
}
