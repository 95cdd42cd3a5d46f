//! The audit log as a reader finds it.

use chancery_audit::{Frontier, leaf_hash, root};
use chancery_store::{Change, Store};

use crate::fresh;

/// All leaves, checked: no gap, and the head is the one these leaves give.
pub(crate) async fn checked_leaves(store: &dyn Store) -> Vec<Vec<u8>> {
    let head = store.audit_head().await.unwrap();
    let mut bodies = Vec::new();
    loop {
        let from = i64::try_from(bodies.len()).unwrap();
        let page = store.audit_leaves(from, 1000).await.unwrap();
        if page.is_empty() {
            break;
        }
        for leaf in page {
            assert_eq!(leaf.index, i64::try_from(bodies.len()).unwrap());
            bodies.push(leaf.body);
        }
    }
    assert_eq!(head.size, i64::try_from(bodies.len()).unwrap());
    let hashes: Vec<_> = bodies.iter().map(|body| leaf_hash(body)).collect();
    assert_eq!(
        Frontier::from_bytes(&head.frontier).unwrap().root(),
        root(&hashes)
    );
    bodies
}

#[tokio::test]
async fn leaves_of_many_groups_are_one_log_in_the_order_of_the_changes() {
    let (_directory, store) = fresh().await;
    assert!(checked_leaves(&store).await.is_empty());
    let mut expected = Vec::new();
    for group in 0..24_u8 {
        let group: Vec<_> = (0..=group % 8)
            .map(|change| Change {
                writes: Vec::new(),
                events: (0..change).map(|event| vec![group, change, event]).collect(),
            })
            .collect();
        expected.extend(group.iter().flat_map(|change| change.events.clone()));
        let outcomes = store.commit(group).await.unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
    }
    assert_eq!(checked_leaves(&store).await, expected);
    assert_eq!(store.commit(Vec::new()).await.unwrap(), []);
}
