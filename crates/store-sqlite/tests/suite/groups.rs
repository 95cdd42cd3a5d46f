//! What is asked or written many at a time is the same as one by one.

use chancery_store::{Change, DecidedRequest, DecisionKind, RequestRecord, RequestState, Store, Write};
use chancery_store_sqlite::SqliteStore;

use crate::{
    audit::checked_leaves,
    fresh,
    samples::{act, act_id, ca, ca_id, certificate, certificate_id, change, person, request, request_number},
};

/// As many as fill two statements and a half.
const MANY: u64 = 20;

/// Requests 1 to `MANY`, approved by act 1; the first is also the CA's.
async fn approved(store: &SqliteStore) {
    let mut writes = vec![Write::InsertAct(act(1))];
    for number in 1..=MANY {
        let state = RequestState::Approved;
        writes.push(Write::InsertRequest(RequestRecord {
            state,
            ..request(number)
        }));
        writes.push(Write::InsertDecision {
            request: request_number(number),
            kind: DecisionKind::Approve,
            act: act_id(1),
        });
    }
    let mut authority = ca(1);
    (authority.signer, authority.certificate) = (None, None);
    writes.push(Write::InsertCa(authority));
    assert_eq!(store.commit(vec![change(writes)]).await.unwrap(), [Ok(())]);
}

fn claim(number: u64) -> Change {
    let mut row = certificate(number);
    (row.ca, row.request, row.act) = (ca_id(1), Some(request_number(number)), act_id(100 + number));
    change(vec![
        Write::InsertAct(act(100 + number)),
        Write::InsertCertificate(row),
        Write::ClaimRequest {
            request: request_number(number),
            certificate: certificate_id(number),
        },
        Write::InsertDecision {
            request: request_number(number),
            kind: DecisionKind::Sign,
            act: act_id(100 + number),
        },
    ])
}

fn issue(number: u64) -> Change {
    change(vec![
        Write::IssueCertificate {
            certificate: certificate_id(number),
            epoch: certificate(number).epoch,
            der: vec![0x30, u8::try_from(number).unwrap()],
        },
        Write::MoveRequest {
            request: request_number(number),
            from: RequestState::Signing,
            to: RequestState::Done,
        },
    ])
}

#[tokio::test]
async fn requests_asked_for_together_are_those_asked_for_one_by_one() {
    let (_directory, store) = fresh().await;
    approved(&store).await;
    let claims = (1..=3).map(claim).collect();
    assert!(store.commit(claims).await.unwrap().iter().all(Result::is_ok));
    for numbers in [0..0, 0..1, 5..6, 1..17, 0..MANY + 5] {
        let numbers: Vec<_> = numbers.map(request_number).collect();
        let mut singly = Vec::new();
        for number in &numbers {
            if let Some(request) = store.request(*number).await.unwrap() {
                let decisions = store.decisions(*number).await.unwrap();
                singly.push(DecidedRequest { request, decisions });
            }
        }
        let mut together = store.decided(&numbers).await.unwrap();
        together.sort_by_key(|decided| decided.request.number);
        assert_eq!(together, singly);
    }
    let twice = store
        .decided(&[request_number(2), request_number(2)])
        .await
        .unwrap();
    assert_eq!(twice.len(), 1);
    assert_eq!(twice[0].decisions.len(), 2);
}

#[tokio::test]
async fn what_a_decision_needs_is_what_is_asked_for_bit_by_bit() {
    let (_directory, store) = fresh().await;
    approved(&store).await;
    let mut somebody = person(1);
    somebody.request = Some(request_number(7));
    let group = vec![change(vec![Write::InsertPerson(somebody)])];
    assert_eq!(store.commit(group).await.unwrap(), [Ok(())]);
    for numbers in [vec![], vec![3], vec![7, 3, 3], (1..=MANY + 5).collect()] {
        let mut wanted: Vec<_> = numbers.into_iter().map(request_number).collect();
        let (people, mut found) = store.everybody_and(&wanted).await.unwrap();
        assert_eq!(people, store.people().await.unwrap());
        found.sort_by_key(|decided| decided.request.number);
        wanted.push(request_number(7));
        let mut expected = store.decided(&wanted).await.unwrap();
        expected.sort_by_key(|decided| decided.request.number);
        assert_eq!(found, expected);
    }
    // What was written meanwhile is seen: nothing is kept between questions.
    assert_eq!(store.commit(vec![claim(3)]).await.unwrap(), [Ok(())]);
    let (_, found) = store.everybody_and(&[request_number(3)]).await.unwrap();
    let third = found
        .iter()
        .find(|decided| decided.request.number == request_number(3))
        .unwrap();
    assert_eq!(third.request.state, RequestState::Signing);
    assert_eq!(third.decisions.len(), 2);
}

#[tokio::test]
async fn a_head_that_somebody_else_moved_is_read_again() {
    let (directory, store) = fresh().await;
    approved(&store).await;
    let other = SqliteStore::open(&directory.path().join("store.db"))
        .await
        .unwrap();
    for number in 1..=6 {
        let by_turns = if number % 2 == 0 { &store } else { &other };
        assert_eq!(by_turns.commit(vec![claim(number)]).await.unwrap(), [Ok(())]);
    }
    checked_leaves(&store).await;
}

#[tokio::test]
async fn a_group_is_written_as_its_changes_would_be() {
    let (_directory, store) = fresh().await;
    approved(&store).await;
    let results = store.commit((1..=MANY).map(claim).collect()).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let results = store.commit((1..=MANY).map(issue).collect()).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    for number in 1..=MANY {
        let found = store.certificate(certificate_id(number)).await.unwrap().unwrap();
        assert_eq!(found.der, Some(vec![0x30, u8::try_from(number).unwrap()]));
        assert_eq!(found.tbs, certificate(number).tbs);
        let request = store.request(request_number(number)).await.unwrap().unwrap();
        assert_eq!(request.state, RequestState::Done);
        assert_eq!(request.certificate, Some(certificate_id(number)));
        let decisions = store.decisions(request_number(number)).await.unwrap();
        let kinds: Vec<_> = decisions.iter().map(|decision| decision.kind).collect();
        assert_eq!(kinds, [DecisionKind::Approve, DecisionKind::Sign]);
        assert_eq!(*decisions[1].act, act(100 + number));
    }
}

#[tokio::test]
async fn of_a_group_only_the_changes_that_do_not_fit_are_left_out() {
    let (_directory, store) = fresh().await;
    approved(&store).await;
    assert_eq!(store.commit(vec![claim(4)]).await.unwrap(), [Ok(())]);
    // 4 was claimed before, 5 is claimed twice, and 6 is issued without a claim.
    let mut again = claim(5);
    again.writes[0] = Write::InsertAct(act(200));
    let group = vec![claim(3), claim(4), claim(5), again, issue(6), claim(7), issue(4)];
    let results = store.commit(group).await.unwrap();
    let fitted: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(
        fitted,
        [true, false, true, false, false, true, true],
        "{results:?}"
    );
    assert_eq!(store.act(act_id(200)).await.unwrap(), None);
    let state = |number| {
        let store = &store;
        async move {
            store
                .request(request_number(number))
                .await
                .unwrap()
                .unwrap()
                .state
        }
    };
    assert_eq!(state(4).await, RequestState::Done);
    assert_eq!(state(5).await, RequestState::Signing);
    assert_eq!(state(6).await, RequestState::Approved);
}
