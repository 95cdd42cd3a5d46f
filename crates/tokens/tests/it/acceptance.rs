//! The test of new tokens, on good ones and on broken ones.

use std::sync::{Arc, Mutex};

use crate::common::{Altered, Breaking, Cut, Disturbed, PIN, Place, pin, so_pin};
use chancery_cvc::Curve;
use chancery_driver::keystore::KeyDescription;
use chancery_driver::{Card, Initialize, KeyAlgorithm, KeySpec};
use chancery_iso7816::Transport;
use chancery_schsm::{AlgorithmList, InitializeOptions, KeyId};
use chancery_tokens::acceptance::{
    self, AcceptanceError, ApduLog, KIND, Kind, LogHead, Outcome, Plan, parse_log, replay,
};
use chancery_tokens::journal::{Begin, Journal, Work};
use chancery_tokens::reach::{Found, Presence, Reached, Session, SessionError, TokenTransport, Way};

const KINDS: [Kind; 3] = [Kind::P256, Kind::Brainpool256, Kind::Rsa2048];

const SIGN: u8 = 0x68;

fn initialised(place: &Place, name: &str) -> String {
    let device = place.make(name);
    place
        .select(name)
        .initialize(&Initialize {
            options: InitializeOptions::RESET_RETRY_COUNTER,
            user_pin: Some(pin()),
            so_pin: so_pin(),
            retry: 3,
            dkek_shares: None,
            quorum: None,
            domains: None,
        })
        .unwrap();
    device
}

fn session(device: &str, transport: impl Transport + 'static) -> Session {
    let found = Found {
        way: Way::Reader {
            reader: "a reader".to_owned(),
            name: None,
        },
        device: Some(device.to_owned()),
        label: None,
        presence: Presence::Ready,
    };
    let mut session = Session::select(Reached::new(found, TokenTransport::new(Box::new(transport)))).unwrap();
    session.unlock(pin()).unwrap();
    session
}

fn begin(place: &Place, plan: &Plan) -> Work {
    let begin = Begin {
        kind: KIND,
        device: "UTCHDAAAAAA",
        token: "a",
        now: 0,
    };
    Journal::new(place.path("journal")).begin(&begin, plan).unwrap()
}

fn test(place: &Place, session: &mut Session, operations: u32) -> Result<Outcome, AcceptanceError> {
    let plan = acceptance::plan(session, &KINDS, operations, false)?;
    let mut work = begin(place, &plan);
    let outcome = acceptance::run(session, &plan, &place.anchors(), &mut work, |_, _| {})?;
    work.finish()?;
    Ok(outcome)
}

fn failed(outcome: &Outcome) -> Vec<&str> {
    let failed = outcome.findings.iter().filter(|finding| !finding.ok);
    failed.map(|finding| finding.check.as_str()).collect()
}

#[test]
fn a_good_token_passes_and_is_left_empty() {
    let place = Place::new();
    let device = initialised(&place, "a");
    let mut session = session(&device, place.open("a"));
    let outcome = test(&place, &mut session, 150).unwrap();
    assert!(outcome.passed(), "{:?}", failed(&outcome));
    assert_eq!(outcome.operations, 150);
    drop(session);
    let objects = place.select("a").enumerate().unwrap();
    assert!(objects.keys().is_empty());
    assert!(objects.iter().all(|file| file.is_key()), "{objects:?}");
}

#[test]
fn broken_tokens_fail_by_what_is_broken_in_them() {
    let place = Place::new();
    let device = initialised(&place, "a");
    let spoil = |what: u8, spoil: fn(&mut Vec<u8>)| {
        let mut turn = 0;
        let transport = Altered(place.open("a"), move |command: &[u8], mut answer: Vec<u8>| {
            if command.get(1) == Some(&what) {
                turn += 1;
                if turn % 7 == 6 {
                    spoil(&mut answer);
                }
            }
            answer
        });
        let mut session = session(&device, transport);
        let outcome = test(&place, &mut session, 60).unwrap();
        assert!(!outcome.passed());
        outcome
    };
    // A bit of a signature, away from the structure around it.
    let outcome = spoil(SIGN, |answer| {
        let at = answer.len() - 4;
        answer[at] ^= 0x01;
    });
    assert!(
        failed(&outcome).iter().all(|check| check.starts_with("sign, ")),
        "{:?}",
        failed(&outcome)
    );
    // A generator that gives the same bytes now and then.
    let outcome = spoil(0x84, |answer| {
        let length = answer.len() - 2;
        answer[..length].fill(0x5A);
    });
    assert_eq!(failed(&outcome), ["random bytes"]);
    // A version that changes.
    let mut turn = 0;
    let transport = Altered(place.open("a"), move |command: &[u8], mut answer: Vec<u8>| {
        if command.get(1) == Some(&0x50) {
            turn += 1;
            let at = answer.len() - 3;
            answer[at] = turn;
        }
        answer
    });
    let outcome = test(&place, &mut session(&device, transport), 10).unwrap();
    assert_eq!(
        failed(&outcome),
        ["serial number, chain and version stay the same"]
    );
}

#[test]
fn a_token_that_signs_twice_with_one_nonce_is_found() {
    let place = Place::new();
    let device = initialised(&place, "a");
    // What came first is given again: right for its message, and its first half comes twice.
    let mut first = None;
    let transport = Altered(
        place.open("a"),
        move |command: &[u8], answer: Vec<u8>| match command {
            [_, SIGN, _, 0x73, ..] => first.get_or_insert(answer).clone(),
            _ => answer,
        },
    );
    let outcome = test(&place, &mut session(&device, transport), 60).unwrap();
    assert!(failed(&outcome).contains(&"ECDSA signatures have nonces of their own"));
}

#[test]
fn a_chain_of_another_device_does_not_prove_its_keys() {
    let place = Place::new();
    initialised(&place, "a");
    let b = place.make("b");
    let other = place
        .select("b")
        .read_file(chancery_schsm::fid::DEVICE_CERTIFICATES)
        .unwrap()
        .unwrap();
    let transport = Altered(place.open("a"), move |command: &[u8], answer: Vec<u8>| {
        if command.get(1..4) == Some(&[0xB1, 0x2F, 0x02]) {
            [&other[..], &[0x90, 0x00]].concat()
        } else {
            answer
        }
    });
    let outcome = test(&place, &mut session(&b, transport), 10).unwrap();
    assert!(
        failed(&outcome)
            .iter()
            .any(|check| check.starts_with("origin of key"))
    );
}

#[test]
fn a_token_with_keys_is_tested_only_beside_them() {
    let place = Place::new();
    let device = initialised(&place, "a");
    let mut card = place.select("a").verify_pin(&pin()).unwrap();
    card.generate(&KeySpec {
        id: KeyId(255),
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: chancery_cvc::Reference::new("UTCHDAAAAAA00001").unwrap(),
        algorithms: AlgorithmList::default(),
        key_domain: None,
        use_counter: None,
    })
    .unwrap();
    drop(card);
    let mut session = session(&device, place.open("a"));
    let error = test(&place, &mut session, 10).unwrap_err();
    assert!(matches!(error, AcceptanceError::HasKeys { keys: 1 }), "{error}");
    let plan = acceptance::plan(&mut session, &KINDS, 20, true).unwrap();
    assert!(plan.keys.iter().all(|(id, _)| *id != 255));
    let mut work = begin(&place, &plan);
    let outcome = acceptance::run(&mut session, &plan, &place.anchors(), &mut work, |_, _| {}).unwrap();
    assert!(outcome.passed(), "{:?}", failed(&outcome));
    drop(session);
    assert_eq!(place.select("a").enumerate().unwrap().keys(), [KeyId(255)]);
}

#[test]
fn interrupted_it_goes_on_or_cleans_up() {
    let place = Place::new();
    for cut in [4, 8, 12, 20, 40, 60, 90, 120] {
        for resume in [true, false] {
            let name = format!("t{cut}-{resume}");
            let device = initialised(&place, &name);
            let plan = {
                let mut session = session(&device, place.open(&name));
                acceptance::plan(&mut session, &KINDS, 100, false).unwrap()
            };
            let mut work = begin(&place, &plan);
            let breaking = Breaking::new(place.open(&name), Cut::After(cut));
            let mut broken = session(&device, breaking);
            let error = acceptance::run(&mut broken, &plan, &place.anchors(), &mut work, |_, _| {})
                .map(drop)
                .unwrap_err();
            let lost =
                matches!(&error, AcceptanceError::Session(SessionError::Card(error)) if error.is_link_loss());
            assert!(lost, "{cut}: {error}");
            drop((broken, work));
            let mut work = Journal::new(place.path("journal")).take(None).unwrap();
            let mut session = session(&device, place.open(&name));
            if resume {
                let outcome =
                    acceptance::run(&mut session, &plan, &place.anchors(), &mut work, |_, _| {}).unwrap();
                assert!(outcome.passed(), "{cut}: {:?}", failed(&outcome));
                assert_eq!(outcome.operations, 100);
            } else {
                acceptance::clean_up(&mut session, &plan, &mut work).unwrap();
            }
            work.finish().unwrap();
            drop(session);
            assert!(
                place.select(&name).enumerate().unwrap().keys().is_empty(),
                "{cut}"
            );
        }
    }
}

#[test]
fn resets_by_other_programs_do_not_end_it() {
    let place = Place::new();
    let device = initialised(&place, "a");
    let transport = Disturbed::new(place.open("a"), &[60, 75, 101]);
    let outcome = test(&place, &mut session(&device, transport), 100).unwrap();
    assert!(outcome.passed(), "{:?}", failed(&outcome));
    assert_eq!(outcome.foreign_resets, 3);
}

#[test]
fn another_key_in_the_place_of_a_test_key_is_not_deleted() {
    let place = Place::new();
    let device = initialised(&place, "a");
    let mut broken = session(&device, Breaking::new(place.open("a"), Cut::After(60)));
    let plan = acceptance::plan(&mut broken, &KINDS, 100, false).unwrap();
    let mut work = begin(&place, &plan);
    acceptance::run(&mut broken, &plan, &place.anchors(), &mut work, |_, _| {})
        .map(drop)
        .unwrap_err();
    drop(broken);
    let mut card = place.select("a").verify_pin(&pin()).unwrap();
    let id = KeyId(plan.keys[0].0);
    card.delete_key(id).unwrap();
    card.generate(&KeySpec {
        id,
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: chancery_cvc::Reference::new("UTCHDAAAAAA00001").unwrap(),
        algorithms: AlgorithmList::default(),
        key_domain: None,
        use_counter: None,
    })
    .unwrap();
    drop(card);
    let mut session = session(&device, place.open("a"));
    let error = acceptance::clean_up(&mut session, &plan, &mut work).unwrap_err();
    assert!(matches!(error, AcceptanceError::OtherKey { id: other } if other == id));
    drop(session);
    assert!(place.select("a").enumerate().unwrap().has_key(id));
}

#[test]
fn a_key_made_before_the_test_could_make_its_own_is_left_alone() {
    let place = Place::new();
    let device = initialised(&place, "a");
    // Until the step of the first key is begun, the link cut before GENERATE.
    let plan = {
        let mut session = session(&device, place.open("a"));
        acceptance::plan(&mut session, &KINDS, 100, false).unwrap()
    };
    let mut work = (4..60)
        .find_map(|cut| {
            let mut broken = session(&device, Breaking::new(place.open("a"), Cut::Before(cut)));
            let mut work = begin(&place, &plan);
            acceptance::run(&mut broken, &plan, &place.anchors(), &mut work, |_, _| {})
                .map(drop)
                .unwrap_err();
            if work.record().steps.is_empty() {
                work.finish().unwrap();
                return None;
            }
            Some(work)
        })
        .unwrap();
    assert!(place.select("a").enumerate().unwrap().keys().is_empty());
    let id = KeyId(plan.keys[0].0);
    // As our own commands would make one there: the same name, and a description.
    let mut card = place.select("a").verify_pin(&pin()).unwrap();
    let name = card.device_chain().unwrap().device_name().unwrap().clone();
    let made = card
        .generate(&KeySpec {
            id,
            algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
            chr: name.with_sequence(id.0.into()).unwrap(),
            algorithms: AlgorithmList::default(),
            key_domain: None,
            use_counter: None,
        })
        .unwrap();
    let description = KeyDescription {
        label: "somebody else's".to_owned(),
        cka_id: None,
        usage: None,
    };
    card.describe_key(id, &made.public_key, &description).unwrap();
    drop(card);
    let mut session = session(&device, place.open("a"));
    let gone = acceptance::run(&mut session, &plan, &place.anchors(), &mut work, |_, _| {});
    assert!(matches!(gone, Err(AcceptanceError::OtherKey { id: other }) if other == id));
    let gone = acceptance::clean_up(&mut session, &plan, &mut work);
    assert!(matches!(gone, Err(AcceptanceError::OtherKey { id: other }) if other == id));
    drop(session);
    assert!(place.select("a").enumerate().unwrap().has_key(id));
}

/// A test of token `a`, logged.
fn log_of(place: &Place) -> String {
    let device = initialised(place, "a");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let transport = ApduLog::new(
        place.open("a"),
        Box::new(move |line: &str| sink.lock().unwrap().push(line.to_owned())),
    );
    let mut session = session(&device, transport);
    assert!(test(place, &mut session, 40).unwrap().passed());
    let head = LogHead {
        chancery_apdu_log: LogHead::FORMAT,
        device,
        firmware: "4.1".to_owned(),
        options: Some(1),
    };
    let mut text = serde_json::to_string(&head).unwrap();
    for line in lines.lock().unwrap().iter() {
        text.push('\n');
        text.push_str(line);
    }
    text
}

#[test]
fn a_log_plays_the_same_on_another_token_and_holds_no_pin() {
    let place = Place::new();
    let log = log_of(&place);
    assert!(!log.contains(&hex::encode_upper(PIN)) && !log.contains(PIN));
    let (_, exchanges) = parse_log(log.as_bytes()).unwrap();
    assert!(exchanges.len() > 100);
    initialised(&place, "b");
    let comparison = replay(&exchanges, &mut place.open("b"), PIN.as_bytes()).unwrap();
    assert_eq!(comparison.played, exchanges.len());
    assert!(comparison.deviations.is_empty(), "{:?}", comparison.deviations);
}

#[test]
fn where_another_token_behaves_differently_is_told() {
    let place = Place::new();
    let log = log_of(&place);
    let (_, exchanges) = parse_log(log.as_bytes()).unwrap();
    initialised(&place, "b");
    let mut other = Altered(place.open("b"), |command: &[u8], answer: Vec<u8>| match command {
        [_, SIGN, _, 0x72, ..] => vec![0x6A, 0x81],
        [_, 0x50, 0, 0, ..] => [&answer[1..]].concat(),
        _ => answer,
    });
    let comparison = replay(&exchanges, &mut other, PIN.as_bytes()).unwrap();
    let what: Vec<_> = comparison
        .deviations
        .iter()
        .map(|deviation| deviation.what)
        .collect();
    assert!(what.contains(&"status") && what.contains(&"length"), "{what:?}");
    let status = comparison
        .deviations
        .iter()
        .find(|deviation| deviation.what == "status")
        .unwrap();
    assert_eq!((status.logged.as_str(), status.here.as_str()), ("9000", "6A81"));
    drop(other);
    // A token with another PIN is as different as can be, and its PIN is tried only as often as the log says.
    let wrong = replay(&exchanges, &mut place.open("b"), b"000000").unwrap();
    assert!(!wrong.deviations.is_empty());
    let mut card = Card::new(place.open("b")).select().unwrap();
    assert_eq!(
        card.pin_status().unwrap(),
        chancery_driver::PinStatus::NotVerified { tries_left: 2 }
    );
}
