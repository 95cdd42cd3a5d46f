//! Prefetch and resume, with a server of ours.

use std::time::Duration;

use chancery_ram::client::{End, Event, Pauses, PostKind, RESUME};
use chancery_ram::policy::Policy;

use crate::client::world::{World, answers, commands, good_card, hex, proven};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_next_template_comes_while_the_card_works() {
    let mut world = World::new(Policy::new(), good_card);
    let first = world.post();
    world.slow = true;
    world.numbered(&first, 1, &commands(&["0084000008"]));
    assert!(world.is_card_busy());
    // Asked for ahead, with the session's secret.
    let fetch = world.fetch(2);
    let header = |post: &chancery_ram::client::Post, name: &str| {
        post.headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_string())
    };
    assert_eq!(header(&fetch, "x-chancery-fetch").unwrap(), "2");
    assert_eq!(header(&fetch, "x-chancery-session").unwrap(), "secret");
    assert_eq!(header(&fetch, "x-chancery-sequence"), None);
    world.numbered(&fetch, 2, &commands(&["0084000008"]));
    assert!(world.posts.is_empty() && world.fetches.is_empty());
    // The card goes on at once; the answer is under way meanwhile, and template 3 is asked for.
    world.card_finishes();
    let answer = world.post();
    assert_eq!(answer.kind, PostKind::Answer(1));
    assert_eq!(header(&answer, "x-chancery-sequence").unwrap(), "1");
    assert!(world.is_card_busy());
    let fetch = world.fetch(3);
    world.acknowledged(&answer);
    // A keep-alive waits for its turn and is answered.
    world.numbered(&fetch, 3, &hex("AA00"));
    assert!(world.posts.is_empty());
    world.card_finishes();
    assert_eq!(world.post().kind, PostKind::Answer(2));
    let keep_alive = world.posted("AB03800100");
    assert_eq!(keep_alive.kind, PostKind::Answer(3));
    world.fetch(4);
}

#[test]
fn a_template_that_comes_with_an_answer_needs_no_fetch() {
    // The fetch was overtaken: the answer to template 1 brings template 2, and the fetch is too late.
    let (mut world, fetch, answer) = proven(Policy::new());
    world.numbered(&answer, 2, &commands(&["0084000008"]));
    assert_eq!(world.post().kind, PostKind::Answer(2));
    world.replies(&fetch, 409, &[], b"");
    assert_eq!(world.end, None);
    let fetch = world.fetch(3);
    world.replies(&fetch, 409, &[], b"");
    assert!(matches!(world.ended(), End::Status { status: 409, .. }));
}

#[test]
fn templates_that_overtake_each_other_run_in_order() {
    let (mut world, fetch, answer) = proven(Policy::new());
    world.seen.clear();
    world.numbered(&answer, 3, &commands(&["8058000000"]));
    assert!(world.seen.is_empty());
    world.numbered(&fetch, 2, &commands(&["0084000008"]));
    let order: Vec<u8> = world.seen.iter().map(|command| command[1]).collect();
    assert_eq!(order, [0x84, 0x58]);
}

#[test]
fn a_cut_is_survived_and_nothing_runs_twice() {
    let (mut world, fetch, answer) = proven(Policy::new());
    let body = answer.body.clone();
    world.breaks(&answer);
    world.breaks(&fetch);
    assert!(matches!(world.events.last(), Some(Event::Cut { .. })));
    assert_eq!(world.resets, 1, "it stays powered");
    assert!(world.posts.is_empty());
    // The same posts again, later and later.
    let mut repeats = 0;
    while world.now < Duration::from_secs(1030) {
        world.now = world.session.deadline().unwrap();
        world.run();
        for post in world
            .posts
            .drain(..)
            .chain(world.fetches.drain(..))
            .collect::<Vec<_>>()
        {
            match post.kind {
                PostKind::Answer(1) => assert_eq!(post.body, body),
                kind => assert_eq!(kind, PostKind::Fetch(2)),
            }
            world.breaks(&post);
            repeats += 1;
        }
    }
    assert!((10..60).contains(&repeats), "{repeats}");
    world.now = world.session.deadline().unwrap();
    world.run();
    let (first, fetch) = (world.post(), world.fetch(2));
    let seen = world.seen.len();
    world.acknowledged(&first);
    assert!(matches!(world.events.last(), Some(Event::Resumed { after }) if *after > 20 * SECOND));
    world.numbered(&fetch, 2, &commands(&["0084000008"]));
    assert_eq!(world.seen.len(), seen + 1);
    // The server asks for template 2 again: its answer was lost. It is sent again, and the card sees nothing.
    let second = world.post();
    assert_eq!(second.kind, PostKind::Answer(2));
    world.acknowledged(&second);
    let fetch = world.fetch(3);
    world.numbered(&fetch, 2, &commands(&["0084000008"]));
    let again = world.post();
    assert_eq!((again.kind, &again.body), (PostKind::Answer(2), &second.body));
    assert_eq!(world.seen.len(), seen + 1);
}

#[test]
fn a_cut_that_lasts_resets_the_card() {
    let (mut world, fetch, answer) = proven(Policy::new());
    world.breaks(&answer);
    world.breaks(&fetch);
    world.later(RESUME - SECOND);
    assert_eq!((world.resets, &world.end), (1, &None));
    world.later(SECOND);
    assert_eq!(world.resets, 2);
    assert!(matches!(world.ended(), End::Unreachable { .. }));
}

#[test]
fn a_server_that_was_started_anew_knows_no_session() {
    let (mut world, fetch, answer) = proven(Policy::new());
    world.breaks(&fetch);
    world.replies(&answer, 404, &[], b"");
    assert_eq!((world.ended(), world.resets), (&End::Forgotten, 2));
}

#[test]
fn a_server_that_forgets_the_session_after_it_said_why_is_believed() {
    let (mut world, fetch, _) = proven(Policy::new());
    // A notice below 0: an error.
    world.numbered(&fetch, 2, &hex("AA0EE00C0201FF0C077265766F6B6564"));
    let answer = world.post();
    assert_eq!(answer.kind, PostKind::Answer(2));
    world.replies(&answer, 404, &[], b"");
    let why = "revoked".to_owned();
    assert_eq!(world.ended(), &End::Failed { why });
}

#[test]
fn a_proxy_that_sees_no_server_is_a_cut() {
    for status in [502, 503, 504] {
        let (mut world, fetch, _) = proven(Policy::new());
        world.replies(&fetch, status, &[], b"<html>");
        assert_eq!(world.end, None);
        assert!(matches!(world.events.last(), Some(Event::Cut { .. })));
    }
}

#[test]
fn without_chip_authentication_nothing_is_resumed() {
    for more in [&[][..], &["00A404000B E82B0601040181C31F0201 00"][..]] {
        let (mut world, fetch, _) = if more.is_empty() {
            let mut world = World::new(Policy::new(), good_card);
            let first = world.post();
            world.numbered(&first, 1, &commands(&["0084000008"]));
            let (fetch, answer) = (world.fetch(2), world.post());
            (world, fetch, answer)
        } else {
            // It was done, and selecting the application has ended everything.
            let (mut world, fetch, answer) = proven(Policy::new());
            world.numbered(&fetch, 2, &commands(more));
            let second = world.post();
            (world, second, answer)
        };
        world.breaks(&fetch);
        assert!(matches!(world.ended(), End::Unreachable { .. }), "{more:?}");
        assert_eq!(world.resets, 2);
    }
}

#[test]
fn stopping_resets_the_card_and_tells_the_server() {
    let (mut world, fetch, _) = proven(Policy::new());
    world.slow = true;
    world.numbered(&fetch, 2, &commands(&["0084000008", "0084000008"]));
    world.session.stop();
    world.run();
    let farewell = world.post();
    assert_eq!(farewell.kind, PostKind::Farewell);
    assert_eq!(answers(&farewell), ["close: the agent was stopped"]);
    world.replies(&farewell, 204, &[], &[]);
    assert_eq!(world.end, None, "the command at work is finished first");
    world.card_finishes();
    world.card_finishes();
    assert_eq!((world.ended(), world.resets), (&End::Stopped, 2));
    assert_eq!(world.seen.iter().filter(|command| command[1] == 0x84).count(), 1);
}

#[test]
fn pauses_grow_and_refusals_wait_long() {
    let unreachable = End::Unreachable { why: String::new() };
    let mut pauses = Pauses::new();
    let seconds: Vec<u64> = (0..8)
        .map(|_| pauses.after(&unreachable, SECOND).as_secs())
        .collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(pauses.after(&unreachable, RESUME * 2).as_secs(), 1);
    for status in [401, 403, 404] {
        let refusal = End::Status {
            status,
            text: String::new(),
        };
        assert!(pauses.after(&refusal, SECOND) >= RESUME * 5);
    }
    assert!(pauses.after(&End::Forgotten, SECOND) <= 2 * SECOND);
}
