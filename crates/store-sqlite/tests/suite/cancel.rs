//! A caller that stops waiting leaves the store usable and every group whole.

use chancery_store::{Change, Store, Write};

use crate::{audit::checked_leaves, fresh, samples::*};

#[tokio::test]
async fn a_commit_nobody_waits_for_is_made_wholly_or_not_at_all() {
    let (_directory, store) = fresh().await;
    found(&store).await;
    let mut expected = checked_leaves(&store).await;
    let (mut made, mut lost) = (0, 0);
    // The more often others run meanwhile, the further the commit comes before it is dropped.
    for turns in 0..200 {
        let number = 100 + turns;
        let group: Vec<Change> = vec![change(vec![
            Write::InsertRequest(request(number)),
            Write::InsertAct(act(number)),
        ])];
        let events = group[0].events.clone();
        tokio::select! {
            biased;
            outcomes = store.commit(group) => assert_eq!(outcomes.unwrap(), [Ok(())]),
            () = turns_of_others(turns) => {}
        }
        // The next commit waits for whatever is left of the one before.
        let after = change(vec![Write::InsertRequest(request(number + 10_000))]);
        let after_events = after.events.clone();
        assert_eq!(store.commit(vec![after]).await.unwrap(), [Ok(())]);
        let row = store.request(request_number(number)).await.unwrap();
        assert_eq!(row.is_some(), store.act(act_id(number)).await.unwrap().is_some());
        if row.is_some() {
            made += 1;
            expected.extend(events);
        } else {
            lost += 1;
        }
        expected.extend(after_events);
    }
    assert_eq!(checked_leaves(&store).await, expected);
    assert!(lost > 0, "nothing was ever dropped half-way ({made} made)");
}

async fn turns_of_others(turns: u64) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}
