//! Cards that lie, are broken, or are others than they were.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Altered, Lying, Place, today};
use chancery_cvc::{Genuineness, TrustAnchors};
use chancery_driver::{Card, Error, PinStatus, Selected};
use chancery_iso7816::Transport;
use chancery_tokens::info::{Verdict, inspect};
use chancery_tokens::reach::{Found, Presence, ReachError, Reached, TokenTransport, Way};
use proptest::prelude::*;

/// Answer to SELECT of a version 4.1 token.
const FCI: &[u8] = &[
    0x6F, 0x0A, 0x82, 0x01, 0x78, 0x85, 0x05, 0x00, 0x01, 0x00, 0x04, 0x01, 0x90, 0x00,
];

const SELECT: u8 = 0xA4;
const READ: u8 = 0xB1;

/// A card that answers SELECT of the application as it should and everything else by a function.
fn lying(
    mut answer: impl FnMut(&[u8]) -> Vec<u8> + Send,
) -> Lying<impl FnMut(usize, &[u8]) -> Vec<u8> + Send> {
    Lying(
        move |_, command: &[u8]| match command {
            [_, SELECT, 0x04, ..] => FCI.to_vec(),
            command => answer(command),
        },
        0,
    )
}

fn selected<T: Transport>(transport: T) -> Selected<T> {
    Card::new(transport).select().unwrap()
}

#[test]
fn a_virtual_token_is_said_to_be_one() {
    let place = Place::new();
    let device = place.make("a");
    let info = inspect(&mut place.select("a"), &place.anchors(), Some(today())).unwrap();
    assert_eq!(info.device, Some(device));
    assert!(!info.genuine.is_production());
    assert!(
        matches!(
            &info.genuine,
            Verdict::Proven {
                genuine: Genuineness::Virtual,
                ..
            }
        ),
        "{:?}",
        info.genuine
    );
    // Under the maker's root alone it is nothing at all.
    let production = TrustAnchors::production().unwrap();
    let info = inspect(&mut place.select("a"), &production, Some(today())).unwrap();
    assert!(matches!(info.genuine, Verdict::NotProven { .. }));
}

#[test]
fn more_data_that_never_ends_is_not_fetched() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let card = lying(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        vec![0x61, 0x10]
    });
    let error = inspect(&mut selected(card), &TrustAnchors::production().unwrap(), None).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(sent.load(Ordering::Relaxed) < 20);
}

#[test]
fn a_file_that_never_ends_is_given_up() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let card = lying(move |command| match command.get(1) {
        Some(&READ) => {
            count.fetch_add(1, Ordering::Relaxed);
            let mut answer = vec![0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF];
            answer.resize(1000, 0xAA);
            answer.extend([0x90, 0x00]);
            answer
        }
        Some(0x20) => vec![0x63, 0xC3],
        Some(0x58) => vec![0x90, 0x00],
        _ => vec![0x6D, 0x00],
    });
    let info = inspect(&mut selected(card), &TrustAnchors::production().unwrap(), None).unwrap();
    assert!(matches!(info.genuine, Verdict::Unreadable { .. }));
    assert!(
        info.remarks.iter().any(|remark| remark.contains("label")),
        "{:?}",
        info.remarks
    );
    assert_eq!(info.pin, PinStatus::NotVerified { tries_left: 3 });
    assert!(sent.load(Ordering::Relaxed) < 200);
}

#[test]
fn answers_without_status_word_are_nonsense() {
    for short in [vec![], vec![0x90]] {
        let card = lying(move |_| short.clone());
        let error = inspect(&mut selected(card), &TrustAnchors::production().unwrap(), None).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
    }
}

#[test]
fn no_answer_to_select_is_no_token() {
    for bad in [
        &b""[..],
        b"\x90\x00",
        b"\x6F\x05\x85\xFF\x01\x90\x00",
        b"\x6A\x82",
        b"\x61\xFF",
    ] {
        let card = Lying(move |_, _: &[u8]| bad.to_vec(), 0);
        assert!(Card::new(card).select().is_err(), "{bad:02X?}");
    }
}

#[test]
fn a_chain_of_another_device_is_noticed_by_whoever_was_looking_for_this_one() {
    let place = Place::new();
    let a = place.make("a");
    place.make("b");
    let other = place
        .select("b")
        .read_file(chancery_schsm::fid::DEVICE_CERTIFICATES)
        .unwrap()
        .unwrap();
    let card = Altered(place.open("a"), move |command: &[u8], answer: Vec<u8>| {
        if command.get(1..4) == Some(&[READ, 0x2F, 0x02]) {
            [&other[..], &[0x90, 0x00]].concat()
        } else {
            answer
        }
    });
    let found = Found {
        way: Way::Reader {
            reader: "a reader".to_owned(),
            name: None,
        },
        device: Some(a.clone()),
        label: None,
        presence: Presence::Ready,
    };
    let error = Reached::new(found, TokenTransport::new(Box::new(card)))
        .select()
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, ReachError::OtherDevice { expected, .. } if expected == a));
}

#[test]
fn odd_labels_and_lists_hinder_nothing_else() {
    let place = Place::new();
    place.make("a");
    let card = Altered(place.open("a"), |command: &[u8], answer: Vec<u8>| {
        match command.get(1..4) {
            // A label of another shape, over its end.
            Some(&[READ, 0x2F, 0x03]) => vec![0x30, 0x7F, 0x80, 0x01, 0x41, 0x90, 0x00],
            // The device key twice, padding, files of kinds nobody knows.
            Some(&[0x58, 0x00, 0x00]) => vec![
                0xCC, 0x00, 0xCC, 0x00, 0x00, 0x00, 0x12, 0x34, 0xC4, 0x07, 0xCC, 0x05, 0x90, 0x00,
            ],
            _ => answer,
        }
    });
    let info = inspect(&mut selected(card), &place.anchors(), None).unwrap();
    assert_eq!(info.keys.iter().map(|id| id.0).collect::<Vec<_>>(), [5]);
    // 05 and the left-over description of 07 are taken.
    assert_eq!(info.free_key_ids, 253);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_card_answers_a_look_ends(
        answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..40),
        good_status in any::<bool>(),
    ) {
        let mut turn = 0_usize;
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let card = lying(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            turn += 1;
            let mut answer = answers[turn % answers.len()].clone();
            if good_status {
                answer.extend([0x90, 0x00]);
            }
            answer
        });
        let anchors = TrustAnchors::production().unwrap();
        // An error is as good as any: it must end, and soon.
        let _ = inspect(&mut selected(card), &anchors, None);
        prop_assert!(sent.load(Ordering::Relaxed) < 3000);
    }
}
