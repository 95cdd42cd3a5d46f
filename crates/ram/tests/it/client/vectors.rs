//! Exchanges recorded with other clients, and what a client does with single messages.

use chancery_ram::client::{CardDid, End, Event, PostKind};
use chancery_ram::policy::Policy;
use zeroize::Zeroizing;

use crate::client::world::{ATR, World, good_card, hex};

/// A session with a server that is not ours, up to the first template.
fn first(template: &str, card: fn(&[u8]) -> CardDid) -> World {
    let mut world = World::new(Policy::new(), card);
    let post = world.posted(&format!("E81AC018{ATR}"));
    world.ok(&post, template);
    world
}

#[test]
fn the_worked_exchange() {
    let mut world = World::new(Policy::new(), |command| {
        let answer = match command {
            [0x00, 0xA4, ..] => "6F05 8503 020501 9000",
            [0x00, 0x84, ..] => "0001020304050607 9000",
            _ => "63C3",
        };
        CardDid::Answered(Zeroizing::new(hex(answer)))
    });
    assert_eq!(world.resets, 1, "whatever the card was told before is gone");
    let post = world.posted(&format!("E81AC018{ATR}"));
    assert_eq!(post.kind, PostKind::Initiation);
    let header = |name: &str| {
        post.headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_string())
    };
    assert_eq!(
        header("content-type").unwrap(),
        "application/org.openscdp-content-mgt-response;version=1.0"
    );
    assert_eq!(header("x-admin-protocol").unwrap(), "openscdp-remote-admin/1.0");
    assert_eq!(header("x-chancery-agent").unwrap(), "1");
    assert_eq!(header("cookie"), None);

    let set = [("Set-Cookie", "JSESSIONID=node0abc123; Path=/rt")];
    world.replies(
        &post,
        200,
        &set,
        &hex("AA13 2211 00A404000BE82B0601040181C31F020100"),
    );
    let post = world.posted("AB0E 2309 6F0585030205019000 800101");
    let cookie = post.headers.iter().find(|(name, _)| *name == "cookie").unwrap();
    assert_eq!(cookie.1.as_str(), "JSESSIONID=node0abc123");
    world.ok(&post, "AA0D 2205 0084000008 2204 00200081");
    let post = world.posted("AB13 230A 00010203040506079000 2302 63C3 800102");
    world.ok(&post, "AA14 E012 020101 0C0D 52656164696E6720746F6B656E");
    let post = world.posted("AB03 800100");
    world.ok(&post, "AA00");
    let post = world.posted("AB03 800100");
    world.ok(&post, "AA02 C000");
    assert_eq!(world.resets, 2);
    let post = world.posted(&format!("AB1D C018{ATR} 800100"));
    world.replies(&post, 204, &[], &[]);
    assert_eq!(*world.ended(), End::Completed);
    assert_eq!(world.resets, 3, "nothing stays open");
    assert!(world.posts.is_empty());
    let said: Vec<_> = world.events.iter().collect();
    assert_eq!(
        said,
        [
            &Event::Connected { own: false },
            &Event::Notified {
                id: 1,
                text: "Reading token".to_owned(),
                seconds: None
            }
        ]
    );
}

#[test]
fn a_card_pulled_in_the_middle() {
    let mut challenges = 0;
    let mut world = World::new(Policy::new(), move |_| {
        challenges += 1;
        if challenges == 1 {
            CardDid::Answered(Zeroizing::new(hex("0001020304050607 9000")))
        } else {
            CardDid::Failed {
                reason: "Transaction failed.".to_owned(),
            }
        }
    });
    let post = world.post();
    world.ok(&post, "AA15 2205 0084000008 2205 0084000008 2205 0084000008");
    let post = world
        .posted("AB26 230A 00010203040506079000 E115 0C13 5472616E73616374696F6E206661696C65642E 800101");
    assert_eq!(post.kind, PostKind::Farewell);
    assert_eq!(world.seen.len(), 2, "the third is not tried");
    assert_eq!(world.end, None, "the server is told first");
    world.replies(&post, 204, &[], &[]);
    assert!(matches!(world.ended(), End::CardLost { why } if why == "Transaction failed."));
}

#[test]
fn an_answer_without_a_status_is_a_card_that_is_gone() {
    let mut world = first("AA07 2205 0084000008", |_| {
        CardDid::Answered(Zeroizing::new(Vec::new()))
    });
    let post = world.post();
    assert_eq!(post.kind, PostKind::Farewell);
    world.breaks(&post);
    assert!(matches!(world.ended(), End::CardLost { .. }));
}

#[test]
fn single_messages() {
    let challenge = "230A 00010203040506079000";
    for (template, answer) in [
        (
            "AA18 E016 02012A 0C0E 47656E65726174696E67206B6579 C3011E",
            "AB03 800100".to_owned(),
        ),
        ("AA0E E00C 0202012C 0C06 626967206964", "AB03 800100".to_owned()),
        // A negative notification is an error to show; the session goes on.
        ("AA0B E009 0201FB 0C04 66697665", "AB03 800100".to_owned()),
        (
            "AA12 E009 0201FB 0C04 66697665 2205 0084000008",
            format!("AB0F {challenge} 800101"),
        ),
        // Unknown objects are skipped.
        ("AA0A 800101 2205 0084000008", format!("AB0F {challenge} 800101")),
        ("AA820007 2205 0084000008", format!("AB0F {challenge} 800101")),
        ("AA07 2205 0084000008 0000FF", format!("AB0F {challenge} 800101")),
        (
            "AA09 C000 2205 0084000008",
            format!("AB29 C018{ATR} {challenge} 800101"),
        ),
    ] {
        let mut world = first(template, good_card);
        world.posted(&answer);
        assert_eq!(world.end, None, "{template}");
    }
}

#[test]
fn many_commands_in_one_template_are_counted() {
    let one = "2205 0084000008".repeat(130);
    let mut world = first(&format!("AA82038E {one}"), good_card);
    let all = "230A 00010203040506079000".repeat(130);
    world.posted(&format!("AB82061C {all} 80020082"));
}

#[test]
fn an_order_to_close_is_obeyed() {
    let mut world = first("AA07 E105 0C03 627965", good_card);
    let post = world.posted("AB03 800100");
    world.breaks(&post);
    assert_eq!(*world.ended(), End::Completed);
}

#[test]
fn answers_longer_than_a_message_end_the_session_with_what_fits() {
    let one = "2207 00840000000FFF".repeat(17);
    let length = one.split_whitespace().collect::<String>().len() / 2;
    let mut world = first(&format!("AA81{length:02X} {one}"), |_| {
        CardDid::Answered(Zeroizing::new([vec![7; 4094], vec![0x90, 0x00]].concat()))
    });
    let post = world.post();
    assert_eq!(post.kind, PostKind::Farewell);
    assert!(post.body.len() < 65_536 && post.body.len() > 60_000);
    assert_eq!(world.seen.len(), 16);
}

#[test]
fn statuses_end_a_session_and_reset_the_card() {
    let status = |status: u16, text: &str| End::Status {
        status,
        text: text.to_owned(),
    };
    for (code, at_first, later) in [
        (204, End::Completed, End::Completed),
        (302, status(302, "moved"), status(302, "moved")),
        (400, status(400, "moved"), status(400, "moved")),
        (401, status(401, "moved"), status(401, "moved")),
        (403, status(403, "moved"), status(403, "moved")),
        (404, status(404, "moved"), End::Forgotten),
        (409, status(409, "moved"), status(409, "moved")),
        (500, status(500, "moved"), status(500, "moved")),
        (503, status(503, "moved"), status(503, "moved")),
        (504, End::NotWanted, End::Aborted),
    ] {
        let mut world = World::new(Policy::new(), good_card);
        let post = world.post();
        world.replies(&post, code, &[], b" moved\n");
        assert_eq!((world.ended(), world.resets), (&at_first, 2), "{code}");

        let mut world = first("AA00", good_card);
        let post = world.post();
        world.replies(&post, code, &[], b" moved\n");
        assert_eq!((world.ended(), world.resets), (&later, 2), "{code}");
        assert!(world.posts.is_empty());
    }
}

#[test]
fn a_session_that_the_server_ends_after_an_error_has_failed() {
    let mut world = first("AA09 E007 0201FF 0C026E6F", good_card);
    let post = world.posted("AB03 800100");
    world.replies(&post, 204, &[], &[]);
    let why = "no".to_owned();
    assert_eq!(*world.ended(), End::Failed { why });
    assert_eq!(world.resets, 2);

    // What was said without being an error is not the reason.
    let mut world = first("AA09 E007 020105 0C026E6F", good_card);
    let post = world.posted("AB03 800100");
    world.replies(&post, 204, &[], &[]);
    assert_eq!(*world.ended(), End::Completed);
}

#[test]
fn what_is_no_message_is_no_server() {
    for body in [
        "",
        "3C68746D6C3E",
        "AA83000000",
        "AA80",
        "AA05 2205 0084",
        "AB03800100",
        "AA03 C00100",
    ] {
        let mut world = first(body, good_card);
        assert!(world.seen.is_empty());
        let farewell = world.post();
        world.replies(&farewell, 204, &[], &[]);
        assert!(matches!(world.ended(), End::NoTerminalServer { .. }), "{body}");
    }
}

#[test]
fn a_cut_ends_a_session_with_a_server_that_is_not_ours() {
    let mut world = first("AA07 2205 0084000008", good_card);
    let post = world.post();
    world.breaks(&post);
    assert!(matches!(world.ended(), End::Unreachable { .. }));
    assert_eq!(world.resets, 2);
}
