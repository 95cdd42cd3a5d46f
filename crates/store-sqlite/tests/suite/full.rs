//! No space left: a clean error, nothing half-written, and life goes on.

use chancery_store::{Change, RequestState, Store, StoreError, Write};
use chancery_store_sqlite::{Options, SqliteStore};

use crate::{audit::checked_leaves, samples::*};

#[tokio::test]
async fn a_full_database_loses_and_half_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = Options::new(&path).max_pages(120).open().await.unwrap();
    found(&store).await;

    let (mut number, mut leaves) = (1, checked_leaves(&store).await);
    let error = loop {
        number += 1;
        assert!(number < 1000, "a limit that limits nothing");
        match store.commit(large(number)).await {
            Ok(outcomes) => {
                assert!(outcomes.iter().all(Result::is_ok));
                leaves.extend(large(number).into_iter().flat_map(|change| change.events));
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(number > 3, "full at once");

    // Reading goes on, and finds exactly what was acknowledged.
    assert_eq!(checked_leaves(&store).await, leaves);
    assert!(store.request(request_number(number - 1)).await.unwrap().is_some());
    for change in large(number) {
        let Some(Write::InsertRequest(request)) = change.writes.first() else {
            unreachable!()
        };
        assert_eq!(store.request(request.number).await.unwrap(), None);
    }
    // Again and again the same clean error, and what needs no more space still works.
    for _ in 0..3 {
        assert!(matches!(
            store.commit(large(number)).await,
            Err(StoreError::Full { .. })
        ));
        let (from, to) = (RequestState::Open, RequestState::Open);
        let small = Write::MoveRequest {
            request: request_number(1),
            from,
            to,
        };
        let outcomes = store
            .commit(vec![Change {
                writes: vec![small],
                events: Vec::new(),
            }])
            .await
            .unwrap();
        assert_eq!(outcomes, [Ok(())]);
    }
    store.close().await;

    // With space again, the same group goes through.
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(checked_leaves(&store).await, leaves);
    assert_eq!(store.commit(large(number)).await.unwrap(), [Ok(()), Ok(())]);
    leaves.extend(large(number).into_iter().flat_map(|change| change.events));
    assert_eq!(checked_leaves(&store).await, leaves);
}

#[tokio::test]
async fn a_database_that_may_not_even_hold_its_schema_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    assert!(Options::new(&path).max_pages(10).open().await.is_err());
    // Nothing is in the way of making it properly.
    found(&SqliteStore::open(&path).await.unwrap()).await;
}

/// Two changes of one group: the first with a small request, the second with one of several pages.
fn large(number: u64) -> Vec<Change> {
    let mut second = request(number + 10_000);
    second.evidence = vec![7; 20_000];
    vec![
        change(vec![Write::InsertRequest(request(number))]),
        change_of(second),
    ]
}

fn change_of(request: chancery_store::RequestRecord) -> Change {
    let events = vec![format!("request {}", request.number).into_bytes()];
    Change {
        writes: vec![Write::InsertRequest(request)],
        events,
    }
}
