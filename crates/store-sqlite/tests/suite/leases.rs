//! Signing keys, leases, and what is counted and signed under them.

use chancery_api::{HashName, LeaseId, LeaseState, RequestNumber, StatementKind};
use chancery_store::{
    Change, LeaseAnswerRecord, LeaseCallRecord, LeaseRecord, LeaseSignatureRecord, LeaseWideningRecord,
    ManifestRecord, SigningKeyRecord, Store, Write,
};
use uuid::Uuid;

use crate::{
    fresh,
    samples::{act, change, commit, hsm, person, request, signer},
};

fn id(number: u8) -> LeaseId {
    LeaseId::new(Uuid::from_bytes([number; 16]))
}

fn lease(number: u8) -> LeaseRecord {
    LeaseRecord {
        id: id(number),
        signer: signer(1).id,
        requester: "local:1000".to_owned(),
        text: vec![number; 200],
        created_ms: i64::from(number),
        state: LeaseState::Waiting,
        because: None,
        used: 0,
        remaining_ms: 3_600_000,
        wait_remaining_ms: Some(900_000),
        // That of an empty log.
        log_frontier: Some(vec![0; 8]),
        epoch: 1,
        ended_ms: None,
    }
}

fn update(number: u8, epoch: i64, used: i64, remaining_ms: i64, ended_ms: Option<i64>) -> Write {
    Write::UpdateLease {
        lease: id(number),
        epoch,
        state: LeaseState::Live,
        because: Some("why".to_owned()),
        used,
        remaining_ms,
        wait_remaining_ms: Some(remaining_ms / 2),
        ended_ms,
    }
}

fn reserve(digest: &str) -> Write {
    Write::ReserveDigest {
        lease: id(1),
        digest: digest.to_owned(),
        reserved_ms: 9,
    }
}

fn signature(digest: &str) -> LeaseSignatureRecord {
    LeaseSignatureRecord {
        lease: id(1),
        digest: digest.to_owned(),
        signature: vec![7; 64],
        hsm: hsm(1).id,
        attempt: 1,
        signed_ms: 10,
        leaf_hash: vec![8; 32],
        log_size: 0,
    }
}

async fn with_lease() -> (tempfile::TempDir, chancery_store_sqlite::SqliteStore) {
    let (directory, store) = fresh().await;
    let manifest = ManifestRecord {
        hash: HashName::Sha256,
        digests: vec![3; 64],
    };
    let rows = vec![
        Write::InsertAct(act(1)),
        Write::InsertPerson(person(1)),
        Write::InsertRequest(request(1)),
        Write::InsertHsm(hsm(1)),
        Write::InsertSigner(signer(1)),
        Write::InsertLease(lease(1), Some(manifest.clone())),
        Write::InsertLease(lease(2), None),
    ];
    commit(&store, rows).await.unwrap();
    assert_eq!(store.lease_manifest(id(1)).await.unwrap(), Some(manifest));
    assert_eq!(store.lease_manifest(id(2)).await.unwrap(), None);
    (directory, store)
}

#[tokio::test]
async fn a_signing_key_gets_one_signer_and_its_name_is_its_own() {
    let (_directory, store) = with_lease().await;
    let key = SigningKeyRecord {
        request: RequestNumber(1),
        name: "firmware".to_owned(),
        key_id: 3,
        signer: None,
        certificate: None,
        created_ms: 4,
    };
    let one = |write| commit(&store, vec![write]);
    one(Write::InsertSigningKey(key.clone())).await.unwrap();
    one(Write::InsertSigningKey(key.clone())).await.unwrap_err();
    let set = || Write::SetSigningKeySigner {
        request: RequestNumber(1),
        signer: signer(1).id,
    };
    one(set()).await.unwrap();
    one(set()).await.unwrap_err();
    let certificate = |request| Write::SetSigningKeyCertificate {
        request: RequestNumber(request),
        certificate: vec![0x30],
    };
    one(certificate(1)).await.unwrap();
    one(certificate(2)).await.unwrap_err();
    let stored = SigningKeyRecord {
        signer: Some(signer(1).id),
        certificate: Some(vec![0x30]),
        ..key
    };
    assert_eq!(store.signing_keys().await.unwrap(), [stored]);
}

#[tokio::test]
async fn a_lease_is_written_by_the_start_that_serves_it_and_not_after_its_end() {
    let (_directory, store) = with_lease().await;
    let one = |write| commit(&store, vec![write]);
    one(update(1, 2, 1, 10, None)).await.unwrap_err();
    one(Write::ClaimLease {
        lease: id(1),
        epoch: 2,
    })
    .await
    .unwrap();
    one(update(1, 1, 1, 10, None)).await.unwrap_err();
    one(update(1, 2, 5, 1000, None)).await.unwrap();
    // The count never falls, and the time never grows.
    one(update(1, 2, 4, 2000, None)).await.unwrap();
    let now = store.lease(id(1)).await.unwrap().unwrap();
    assert_eq!(
        (now.used, now.remaining_ms, now.wait_remaining_ms, now.state),
        (5, 1000, Some(500), LeaseState::Live)
    );
    // Once it had its quorum it waits for no first one any more.
    for wait in [None, Some(7)] {
        let mut had = update(1, 2, 5, 1000, None);
        if let Write::UpdateLease {
            wait_remaining_ms, ..
        } = &mut had
        {
            *wait_remaining_ms = wait;
        }
        one(had).await.unwrap();
        assert_eq!(store.lease(id(1)).await.unwrap().unwrap().wait_remaining_ms, None);
    }
    assert_eq!(store.open_leases().await.unwrap().len(), 2);
    one(update(1, 2, 5, 0, Some(77))).await.unwrap();
    one(update(1, 2, 5, 0, Some(78))).await.unwrap_err();
    one(Write::ClaimLease {
        lease: id(1),
        epoch: 3,
    })
    .await
    .unwrap_err();
    assert_eq!(store.open_leases().await.unwrap(), [lease(2)]);
    let newest: Vec<_> = store
        .leases(10)
        .await
        .unwrap()
        .into_iter()
        .map(|lease| lease.id)
        .collect();
    assert_eq!(newest, [id(2), id(1)]);
}

#[tokio::test]
async fn a_lease_knows_where_the_log_stood_when_it_was_inserted() {
    let (_directory, store) = with_lease().await;
    let leaf = |body: &[u8]| Change {
        writes: Vec::new(),
        events: vec![body.to_vec()],
    };
    store.commit(vec![leaf(b"{}"), leaf(b"[]")]).await.unwrap();
    let before = store.audit_head().await.unwrap().frontier;
    let inserted = Change {
        writes: vec![Write::InsertLease(lease(3), None)],
        events: vec![b"3".to_vec()],
    };
    store.commit(vec![inserted]).await.unwrap().remove(0).unwrap();
    let known = store.lease(id(3)).await.unwrap().unwrap().log_frontier;
    assert_eq!(known, Some(before));
    assert_ne!(known, Some(store.audit_head().await.unwrap().frontier));
}

#[tokio::test]
async fn a_digest_counts_once_and_is_signed_once() {
    let (_directory, store) = with_lease().await;
    let many: Vec<Write> = (0..20)
        .map(|number| reserve(&format!("sha256:{number:02}")))
        .collect();
    // Together, and with some that are there already.
    for rows in [many.clone(), [vec![update(1, 1, 20, 5, None)], many].concat()] {
        commit(&store, rows).await.unwrap();
    }
    assert_eq!(store.lease_digests(id(1)).await.unwrap().len(), 20);
    let signed = |digest: &str| Write::InsertLeaseSignature(signature(digest));
    let leaf = Change {
        writes: vec![signed("sha256:03"), signed("sha256:04")],
        events: vec![b"{}".to_vec()],
    };
    let before = store.audit_head().await.unwrap().size;
    assert!(store.commit(vec![leaf]).await.unwrap()[0].is_ok());
    let stored = store.lease_signature(id(1), "sha256:03").await.unwrap().unwrap();
    assert_eq!(
        stored,
        LeaseSignatureRecord {
            log_size: before,
            ..signature("sha256:03")
        }
    );
    assert_eq!(store.lease_signatures(id(1)).await.unwrap().len(), 2);
    assert_eq!(store.lease_signature(id(1), "sha256:05").await.unwrap(), None);
    // Twice, or without being counted: neither, and nothing else of the change.
    for (digest, beside) in [("sha256:03", "sha256:90"), ("sha256:99", "sha256:91")] {
        commit(&store, vec![reserve(beside), signed(digest)])
            .await
            .unwrap_err();
    }
    // In a group the others are not disturbed.
    let group = vec![
        change(vec![signed("sha256:03")]),
        change(vec![signed("sha256:06")]),
    ];
    let outcomes = store.commit(group).await.unwrap();
    assert!(outcomes[0].is_err() && outcomes[1].is_ok());
    assert_eq!(store.lease_digests(id(1)).await.unwrap().len(), 20);
}

#[tokio::test]
async fn answers_and_calls_are_read_as_they_were_written() {
    let (_directory, store) = with_lease().await;
    let answer = |place| LeaseAnswerRecord {
        lease: id(1),
        place,
        hsm: hsm(1).id,
        attempt: 2,
        person: person(1).id,
        name: "ann".to_owned(),
        chr: "UTCHDAAAAAA00001".to_owned(),
        chain: vec![1],
        key_request: vec![2],
        kind: StatementKind::Open,
        challenge: vec![3; 8],
        log_size: 4,
        log_root: vec![5; 32],
        unlock: (place == 1).then(|| vec![6; 64]),
        statement: vec![7; 64],
        reason: (place == 2).then(|| "no".to_owned()),
        answered_ms: 8,
    };
    for place in [2, 1] {
        commit(&store, vec![Write::InsertLeaseAnswer(answer(place))])
            .await
            .unwrap();
    }
    commit(&store, vec![Write::InsertLeaseAnswer(answer(1))])
        .await
        .unwrap_err();
    assert_eq!(store.lease_answers(id(1)).await.unwrap(), [answer(1), answer(2)]);
    let call = LeaseCallRecord {
        requester: "local:1000".to_owned(),
        key: "build 7".to_owned(),
        lease: id(1),
        call: vec![9; 32],
        created_ms: 10,
    };
    commit(&store, vec![Write::InsertLeaseCall(call.clone())])
        .await
        .unwrap();
    commit(&store, vec![Write::InsertLeaseCall(call.clone())])
        .await
        .unwrap_err();
    assert_eq!(
        store.lease_call("local:1000", "build 7").await.unwrap(),
        Some(call)
    );
    assert_eq!(store.lease_call("local:1001", "build 7").await.unwrap(), None);
}

#[tokio::test]
async fn a_text_is_replaced_only_while_it_waits_and_the_earlier_one_is_kept() {
    let (_directory, store) = with_lease().await;
    let widening = |place: i64, text: &[u8]| LeaseWideningRecord {
        lease: id(1),
        place,
        text: text.to_vec(),
        last_answer: place - 1,
        person: person(1).id,
        name: "ann".to_owned(),
        widened_ms: 7,
    };
    let widen = |place, before: &[u8], after: &[u8], epoch, remaining_ms| Write::WidenLease {
        widening: widening(place, before),
        epoch,
        text: after.to_vec(),
        remaining_ms,
    };
    let (first, second, third) = (vec![1; 200], vec![2; 210], vec![3; 220]);
    commit(&store, vec![widen(1, &first, &second, 1, 7_200_000)])
        .await
        .unwrap();
    let row = store.lease(id(1)).await.unwrap().unwrap();
    assert_eq!((row.text.clone(), row.remaining_ms), (second.clone(), 7_200_000));
    // Another text than the row's, another start of the node, the same place again.
    for wrong in [
        widen(2, &first, &third, 1, 1),
        widen(2, &second, &third, 2, 1),
        widen(1, &second, &third, 1, 1),
    ] {
        commit(&store, vec![wrong]).await.unwrap_err();
    }
    assert_eq!(
        store.lease(id(1)).await.unwrap().unwrap(),
        row,
        "nothing is half done"
    );
    commit(&store, vec![widen(2, &second, &third, 1, 60_000)])
        .await
        .unwrap();
    let found = store.lease_widenings(id(1)).await.unwrap();
    assert_eq!(found, [widening(1, &first), widening(2, &second)]);
    assert!(store.lease_widenings(id(2)).await.unwrap().is_empty());
    // Once something is counted, or it is live, its text stays.
    commit(&store, vec![update(1, 1, 0, 50_000, None)]).await.unwrap();
    commit(&store, vec![widen(3, &third, &first, 1, 1)])
        .await
        .unwrap_err();
}
