//! SO-PIN, version and memory, key domains, session PIN: byte by byte.

use crate::common::Script;
use chancery_driver::{DeviceState, Error, SoPin, SoPinStatus, device_state, so_pin_status};

fn so_pin() -> SoPin {
    SoPin::from_hex("3537363231383830").unwrap()
}

#[test]
fn every_state_of_the_so_pin() {
    for (answer, status) in [
        ("9000", SoPinStatus::Verified),
        ("63CF", SoPinStatus::NotVerified { tries_left: 15 }),
        ("63C1", SoPinStatus::NotVerified { tries_left: 1 }),
        ("63C0", SoPinStatus::Blocked),
        ("6983", SoPinStatus::Blocked),
        ("6984", SoPinStatus::Absent),
        ("6A88", SoPinStatus::Absent),
        ("6300", SoPinStatus::Unknown),
    ] {
        let mut card = Script::selected(&[("00200088", answer)]);
        assert_eq!(so_pin_status(&mut card).unwrap(), status, "{answer}");
    }
    let mut card = Script::selected(&[("00200088", "6E00")]);
    assert!(matches!(so_pin_status(&mut card), Err(Error::NotSelected { .. })));
}

#[test]
fn the_so_pin_is_checked_and_changed() {
    let mut card = Script::selected(&[
        ("00200088 08 3537363231383830", "9000"),
        ("00240088 10 3537363231383830 AABBCCDDEEFF0011", "9000"),
        ("00200088 08 3537363231383830", "63CE"),
        ("00200088 08 3537363231383830", "6983"),
    ]);
    card.verify_so_pin(&so_pin()).unwrap();
    let new = SoPin::from_hex("AABBCCDDEEFF0011").unwrap();
    card.change_so_pin(&so_pin(), &new).unwrap();
    assert!(matches!(
        card.verify_so_pin(&so_pin()),
        Err(Error::WrongSoPin { .. })
    ));
    assert!(matches!(
        card.verify_so_pin(&so_pin()),
        Err(Error::PinBlocked { .. })
    ));
}

#[test]
fn version_and_memory_of_every_generation() {
    let state = |answer| device_state(&mut Script::selected(&[("8050000000", answer)])).unwrap();
    assert_eq!(
        state("00100000 00 0606 9000"),
        Some(DeviceState {
            free_memory: Some(1_048_576),
            version: (6, 6)
        })
    );
    assert_eq!(
        state("0401 9000"),
        Some(DeviceState {
            free_memory: None,
            version: (4, 1)
        })
    );
    for none in ["9000", "04 9000", "6D00", "6A80"] {
        assert_eq!(state(none), None, "{none}");
    }
}

#[test]
fn key_domains_are_made_and_deleted() {
    let mut card = Script::authenticated(&[
        ("8052010201 03 00", "0303 0000000000000000 9000"),
        ("8052030200", "9000"),
        // What some firmware says of a domain that is not there any more.
        ("8052030200", "6A88"),
        ("8052030200", "6A89"),
        ("8052040200", "9000"),
    ]);
    assert_eq!(card.create_key_domain(2, 3).unwrap().outstanding, 3);
    card.delete_key_domain(2).unwrap();
    card.delete_key_domain(2).unwrap();
    assert!(matches!(card.delete_key_domain(2), Err(Error::Refused { .. })));
    card.delete_kek(2).unwrap();
    assert!(matches!(card.create_key_domain(2, 0), Err(Error::Input { .. })));
}

#[test]
fn a_session_pin_is_a_pin_or_nonsense() {
    let mut card = Script::authenticated(&[
        ("805A018100", "3132333435363738 9000"),
        ("805A018100", "31 9000"),
        ("805A018100", "6985"),
    ]);
    assert_eq!(format!("{:?}", card.session_pin().unwrap()), "Pin(..)");
    assert!(matches!(card.session_pin(), Err(Error::Protocol { .. })));
    assert!(matches!(card.session_pin(), Err(Error::Refused { .. })));
}
