//! Finding tokens, and working on them while others do.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Disturbed, Place, pin, so_pin};
use chancery_driver::{Error, Initialize};
use chancery_iso7816::TransportError;
use chancery_schsm::InitializeOptions;
use chancery_tokens::reach::{
    Found, Intent, Places, Presence, ReachError, Reached, Session, SessionError, TokenTransport, Way,
};

fn places(place: &Place) -> Places {
    Places::new().with_virtual_tokens(place.tokens(), place.at_rest())
}

fn initialised(place: &Place, name: &str, label: &str) -> String {
    let device = place.make(name);
    let mut card = place.select(name);
    card.initialize(&Initialize {
        options: InitializeOptions::RESET_RETRY_COUNTER,
        user_pin: Some(pin()),
        so_pin: so_pin(),
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: None,
    })
    .unwrap();
    card.verify_pin(&pin()).unwrap().write_label(label).unwrap();
    device
}

#[test]
fn tokens_are_found_by_device_id_label_and_name() {
    let place = Place::new();
    let a = initialised(&place, "hsm-a", "signer");
    let b = place.make("hsm-b");
    let places = places(&place);
    let survey = places.survey().unwrap();
    let seen: Vec<_> = survey
        .tokens
        .iter()
        .map(|found| (found.device.clone().unwrap(), found.label.clone()))
        .collect();
    assert_eq!(seen, [(a.clone(), Some("signer".to_owned())), (b.clone(), None)]);
    for wanted in [a.as_str(), "signer", "hsm-a"] {
        let reached = places.reach(Some(wanted), Intent::Change).unwrap();
        assert_eq!(reached.found().device.as_deref(), Some(a.as_str()));
        reached.select().unwrap();
    }
}

#[test]
fn a_token_that_is_held_is_in_use_for_everybody_else() {
    let place = Place::new();
    place.make("hsm-a");
    let places = places(&place);
    let held = places.reach(Some("hsm-a"), Intent::Change).unwrap();
    let survey = places.survey().unwrap();
    let pid = std::process::id();
    assert_eq!(survey.tokens[0].presence, Presence::InUse { pid: Some(pid) });
    assert!(survey.tokens[0].device.is_some());
    assert!(
        matches!(places.reach(Some("hsm-a"), Intent::Read), Err(ReachError::InUse { pid: Some(p), .. }) if p == pid)
    );
    drop(held);
    places.reach(Some("hsm-a"), Intent::Read).unwrap();
}

#[test]
fn a_damaged_token_is_listed_and_hinders_no_other() {
    let place = Place::new();
    place.make("hsm-a");
    place.make("hsm-b");
    std::fs::write(place.tokens().join("hsm-a/state.log"), b"nonsense").unwrap();
    let survey = places(&place).survey().unwrap();
    assert!(matches!(survey.tokens[0].presence, Presence::Unusable { .. }));
    assert_eq!(survey.tokens[1].presence, Presence::Ready);
    assert!(matches!(
        places(&place).reach(Some("hsm-a"), Intent::Read),
        Err(ReachError::Unusable { .. })
    ));
}

#[test]
fn a_machine_without_tokens_says_what_to_do() {
    let place = Place::new();
    let error = places(&place).reach(None, Intent::Read).unwrap_err();
    assert!(matches!(error, ReachError::NoTokens { .. }));
    assert!(error.remedy().unwrap().contains("vtoken create"));
}

#[test]
fn another_device_in_its_place_is_noticed() {
    let place = Place::new();
    place.make("hsm-a");
    let b = place.make("hsm-b");
    let found = found(&b);
    let transport = TokenTransport::new(Box::new(place.open("hsm-a")));
    let error = Reached::new(found, transport).select().map(drop).unwrap_err();
    assert!(matches!(error, ReachError::OtherDevice { expected, .. } if expected == b));
}

fn found(device: &str) -> Found {
    Found {
        way: Way::Reader {
            reader: "a reader".to_owned(),
            name: None,
        },
        device: Some(device.to_owned()),
        label: None,
        presence: Presence::Ready,
    }
}

/// A session on a token whose card others reset before the commands with these numbers.
fn disturbed(place: &Place, device: &str, at: &[usize]) -> Session {
    let transport = Disturbed::new(place.open("hsm-a"), at);
    let reached = Reached::new(found(device), TokenTransport::new(Box::new(transport)));
    let mut session = Session::select(reached).unwrap();
    session.unlock(pin()).unwrap();
    session
}

/// SELECT, READ of the chain, VERIFY.
const TO_OPEN: usize = 3;

#[test]
fn after_a_foreign_reset_a_repeatable_step_is_taken_again_on_the_open_token() {
    let place = Place::new();
    let device = initialised(&place, "hsm-a", "before");
    let mut session = disturbed(&place, &device, &[TO_OPEN]);
    let runs = AtomicUsize::new(0);
    session
        .repeatable(|card| {
            runs.fetch_add(1, Ordering::Relaxed);
            card.write_label("after")
        })
        .unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    let resets = session.resets();
    assert_eq!(resets.len(), 1);
    assert!(resets[0].to_string().contains("another program reset the card"));
}

#[test]
fn a_step_that_must_not_be_taken_twice_stops_and_says_so() {
    let place = Place::new();
    let device = initialised(&place, "hsm-a", "before");
    let mut session = disturbed(&place, &device, &[TO_OPEN]);
    let runs = AtomicUsize::new(0);
    let error = session
        .once("write the label", |card| {
            runs.fetch_add(1, Ordering::Relaxed);
            card.write_label("after")
        })
        .unwrap_err();
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert!(matches!(&error, SessionError::Interrupted { step, .. } if step == "write the label"));
    assert!(
        error.to_string().contains("another program reset the card"),
        "{error}"
    );
    // The token is open again, so that it can be looked at.
    session.repeatable(|card| card.write_label("after")).unwrap();
}

#[test]
fn a_card_that_is_reset_for_ever_is_given_up() {
    let place = Place::new();
    let device = initialised(&place, "hsm-a", "x");
    // Each turn takes the disturbed command, then SELECT, READ and VERIFY.
    let at: Vec<usize> = (0..40).map(|turn| TO_OPEN + turn * (TO_OPEN + 1)).collect();
    let mut session = disturbed(&place, &device, &at);
    let error = session.repeatable(|card| card.write_label("y")).unwrap_err();
    assert!(matches!(error, SessionError::Hopeless { .. }), "{error}");
}

#[test]
fn a_command_that_is_never_permitted_is_no_reset() {
    let place = Place::new();
    let device = initialised(&place, "hsm-a", "x");
    let mut session = disturbed(&place, &device, &[]);
    let error = session
        .once("delete the device key", |card| {
            card.delete_file(chancery_schsm::Fid(0xCC00))
        })
        .unwrap_err();
    assert!(
        matches!(&error, SessionError::Card(error) if matches!(**error, Error::NotAuthenticated { .. })),
        "{error}"
    );
    assert!(session.resets().is_empty());
}

#[test]
fn a_card_exchanged_during_a_reset_is_not_given_the_pin() {
    use chancery_iso7816::Transport;
    use zeroize::Zeroizing;

    /// The first card until the command with this number, the second from then on.
    struct Exchanged<A, B>(A, B, usize, std::sync::Arc<AtomicUsize>);

    impl<A: Transport, B: Transport> Transport for Exchanged<A, B> {
        fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
            self.2 = self.2.wrapping_sub(1);
            match self.2 {
                0 => Err(TransportError::Reset {
                    reason: "reset".to_owned(),
                }),
                left if left < 1000 => self.0.transmit(command),
                _ => {
                    if command.get(1) == Some(&0x20) {
                        self.3.fetch_add(1, Ordering::Relaxed);
                    }
                    self.1.transmit(command)
                }
            }
        }

        fn reset(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
    }

    let place = Place::new();
    let device = initialised(&place, "hsm-a", "x");
    initialised(&place, "hsm-b", "x");
    let verifies = std::sync::Arc::new(AtomicUsize::new(0));
    let transport = Exchanged(
        place.open("hsm-a"),
        place.open("hsm-b"),
        TO_OPEN + 1,
        std::sync::Arc::clone(&verifies),
    );
    let reached = Reached::new(found(&device), TokenTransport::new(Box::new(transport)));
    let mut session = Session::select(reached).unwrap();
    session.unlock(pin()).unwrap();
    let error = session.repeatable(|card| card.write_label("y")).unwrap_err();
    assert!(
        matches!(&error, SessionError::OtherDevice { expected, .. } if *expected == device),
        "{error}"
    );
    assert_eq!(verifies.load(Ordering::Relaxed), 0);
    assert!(matches!(
        session.repeatable(|card| card.write_label("y")),
        Err(SessionError::Locked { .. })
    ));
}
