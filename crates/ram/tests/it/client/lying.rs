//! A server that wants more than it may have.

use chancery_ram::client::{End, Event, PostKind};
use chancery_ram::policy::{Policy, Reason};

use crate::client::world::{World, answers, commands, good_card, hex, proven};

const EVIL: &[&str] = &[
    // INITIALIZE with PINs, VERIFY, CHANGE, RESET RETRY COUNTER, session PIN
    "805000000E 80020001 8106363438323139 9008 00",
    "0020008106 363438323139",
    "002400810C 363438323139363438323138",
    "002C00810E 3537363231383830363438323139",
    "805A018100",
    // UPDATE, DELETE, GENERATE, WRAP, UNWRAP, DERIVE, CIPHER, key domains, registration
    "00D72F1007 54020000 530100",
    "00E4020002 CC01",
    "0046010003 5F2901",
    "0048 01B0 03 910110",
    "80720192 000000",
    "8074 0193",
    "80760102 02 9801",
    "80780110 10 00000000000000000000000000000000 00",
    "8052000020 0000000000000000000000000000000000000000000000000000000000000000",
    "80520300 00",
    "80540000 03 7F2100",
    // Keys that were not named, and the device's own
    "80680270 04 01020304 00",
    "80680070 04 01020304 00",
    "80620280 04 01020304 00",
    "80620184 04 01020304 00",
    // Private data, other applications, chaining
    "00B1CD01 04 54020000 00",
    "00A4040008 A000000151000000 00",
    "10200081 06 363438323139",
    // No command at all; it has no protected form
    "0020",
];

/// The protected form of the same header with a cryptogram.
fn protected(command: &str) -> String {
    let command = hex(command);
    let header = |index: usize| command.get(index).copied().unwrap_or_default();
    format!(
        "{:02X}{:02X}{:02X}{:02X} 1D 871101 000102030405060708090A0B0C0D0E0F 8E080102030405060708 00",
        header(0) | 0x0C,
        header(1),
        header(2),
        header(3)
    )
}

#[test]
fn the_card_never_sees_what_it_is_not_to_see_plain_or_protected() {
    let (mut world, fetch, _) = proven(Policy::new().with_key(1));
    world.seen.clear();
    let both: Vec<String> = EVIL
        .iter()
        .map(|plain| (*plain).to_owned())
        .chain(
            EVIL.iter()
                .filter(|plain| !plain.starts_with("00A404"))
                .map(|plain| protected(plain)),
        )
        .collect();
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    world.numbered(&fetch, 2, &commands(&both));
    assert_eq!(world.seen, Vec::<Vec<u8>>::new());
    assert_eq!(world.refused(), both.len(), "each is shown");
    let answer = world.post();
    assert_eq!(answers(&answer), vec!["6982"; both.len()]);
    let malformed =
        |event: &&Event| matches!(event, Event::Refused(refusal) if refusal.reason == Reason::Malformed);
    assert_eq!(
        world.events.iter().filter(malformed).count(),
        1,
        "the one that is none"
    );
    // None of what was shown has anything of a PIN.
    assert!(!format!("{:?}", world.events).contains("3634"));
    // The session goes on with what is allowed.
    world.numbered(&answer, 3, &commands(&["80680170 04 01020304 00"]));
    assert_eq!(world.seen.len(), 1);
}

#[test]
fn management_lets_all_through_but_pins() {
    let (mut world, fetch, _) = proven(Policy::new().with_management());
    world.seen.clear();
    world.numbered(&fetch, 2, &commands(EVIL));
    let kept: Vec<u8> = world.seen.iter().map(|command| command[1]).collect();
    assert!(kept.contains(&0x50) && kept.contains(&0xD7) && kept.contains(&0xE4));
    assert!(
        !kept
            .iter()
            .any(|instruction| matches!(instruction, 0x20 | 0x24 | 0x2C | 0x5A))
    );
}

#[test]
fn without_a_channel_nothing_protected_reaches_the_card() {
    let mut world = World::new(Policy::new(), good_card);
    let post = world.post();
    let protected = "0C200081 0A 8E080102030405060708 00";
    world.numbered(&post, 1, &commands(&[protected]));
    assert!(world.seen.is_empty());
    let reasons: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Refused(refusal) => Some(refusal.reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [Reason::NoChannel]);

    // A plain command ends a channel, and so does a status word from outside of it.
    let (mut world, fetch, _) = proven(Policy::new());
    world.seen.clear();
    world.numbered(&fetch, 2, &commands(&[protected, "80540000 04", protected]));
    let seen: Vec<u8> = world.seen.iter().map(|command| command[0]).collect();
    assert_eq!(seen, [0x0C, 0x80]);
}

#[test]
fn numbers_that_make_no_sense_end_the_session() {
    for number in [6, 100, u64::MAX] {
        let (mut world, fetch, _) = proven(Policy::new());
        world.numbered(&fetch, number, &hex("AA00"));
        let farewell = world.post();
        assert_eq!(farewell.kind, PostKind::Farewell);
        world.replies(&farewell, 204, &[], &[]);
        assert!(matches!(world.ended(), End::NoTerminalServer { .. }));
    }
    let (mut world, fetch, _) = proven(Policy::new());
    let headers = [("x-chancery-sequence", "two")];
    world.replies(&fetch, 200, &headers, &commands(&["0084000008"]));
    let farewell = world.post();
    world.breaks(&farewell);
    assert!(matches!(world.ended(), End::NoTerminalServer { .. }));
}

#[test]
fn late_and_unknown_answers_change_nothing() {
    let (mut world, fetch, _) = proven(Policy::new());
    world.numbered(&fetch, 2, &commands(&["0084000008"]));
    let seen = world.seen.len();
    // The same POST is answered twice.
    world.numbered(&fetch, 3, &commands(&["0084000008"]));
    assert_eq!(world.seen.len(), seen);
    world.session.card_did(good_card(&[0, 0x84, 0, 0, 8]));
    world.run();
    assert_eq!(world.end, None);
}
