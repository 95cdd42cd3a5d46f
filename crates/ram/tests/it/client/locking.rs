//! The lock time that comes with an unlock.

use std::time::Duration;

use chancery_ram::client::{End, Event};
use chancery_ram::policy::Policy;

use crate::client::world::{commands, hex, proven};

const SECOND: Duration = Duration::from_secs(1);

fn with_lock(left: &str) -> [(&str, &str); 2] {
    [("x-chancery-sequence", "2"), ("x-chancery-lock-in", left)]
}

#[test]
fn the_card_is_reset_at_the_lock_time_whatever_the_server_does() {
    let (mut world, fetch, _) = proven(Policy::new());
    world.replies(&fetch, 200, &with_lock("30"), &commands(&["0084000008"]));
    let answer = world.post();
    world.later(31 * SECOND);
    assert_eq!(world.resets, 1, "the server does it itself");
    assert_eq!(world.session.deadline(), Some(world.now + SECOND));
    world.later(SECOND);
    assert_eq!(world.resets, 2);
    assert_eq!(world.events.last(), Some(&Event::LockedInTime));
    // Nothing is left to lock: one reset is enough, whatever the server repeats.
    world.replies(
        &answer,
        200,
        &[("x-chancery-sequence", "3"), ("x-chancery-lock-in", "0")],
        &hex("AA00"),
    );
    world.later(5 * SECOND);
    assert_eq!((world.resets, &world.end), (2, &None));
}

#[test]
fn in_a_cut_it_is_kept_to_the_second() {
    let (mut world, fetch, answer) = proven(Policy::new());
    world.replies(&fetch, 200, &with_lock("30"), &hex("AA00"));
    world.breaks(&answer);
    world.later(30 * SECOND);
    assert_eq!(world.resets, 2);
    assert!(world.events.contains(&Event::LockedInTime));
}

#[test]
fn a_later_answer_moves_it_or_takes_it_back() {
    for (header, resets) in [(Some("300"), 1), (None, 1), (Some("10"), 2)] {
        let (mut world, fetch, answer) = proven(Policy::new());
        world.replies(&fetch, 200, &with_lock("30"), &hex("AA00"));
        let mut headers = vec![("x-chancery-sequence", "3")];
        headers.extend(header.map(|left| ("x-chancery-lock-in", left)));
        world.replies(&answer, 200, &headers, &hex("AA00"));
        world.later(40 * SECOND);
        assert_eq!(world.resets, resets, "{header:?}");
    }
}

#[test]
fn a_card_at_work_is_locked_when_it_is_done() {
    let (mut world, fetch, _) = proven(Policy::new());
    world.slow = true;
    world.replies(
        &fetch,
        200,
        &with_lock("5"),
        &commands(&["0084000008", "0084000008"]),
    );
    world.later(60 * SECOND);
    assert_eq!(world.resets, 1);
    world.card_finishes();
    world.card_finishes();
    assert_eq!(world.resets, 2, "before the second command");
    assert!(!matches!(world.end, Some(End::CardLost { .. })));
}
