//! What is stored is read back as it was.

use super::*;
use crate::state::State;

fn every_change() -> Vec<Change> {
    let pin = PinRecord::new(b"648219", 3, true, [9; 16]);
    let registered = RegisteredKey {
        chr: "UTCHDABCDEF00001".into(),
        spki: vec![0x30, 0x00],
        request: vec![0x67, 0x00],
    };
    let key = |kind| KeyRecord {
        kind,
        secret: SecretBytes::from(&[1, 2, 3][..]),
        algorithms: Some(vec![0x70, 0x92]),
        use_counter: Some(10),
        key_domain: Some(0),
        made_here: true,
    };
    let bare = KeyRecord {
        algorithms: None,
        use_counter: None,
        key_domain: None,
        made_here: false,
        ..key(KeyKind::Aes)
    };
    vec![
        Change::Personalise(DeviceRecord {
            private_key: SecretBytes::from(&[7; 32][..]),
            chr: "UTCHDABCDEF00000".into(),
            certificates: vec![0x7F, 0x21],
        }),
        Change::Initialise(Initialisation {
            options: 0x0011,
            user_pin: Some(pin.clone()),
            so_pin: None,
            key_domains: vec![Some(SharedDomain::awaiting(2)), None],
            random_kek: Some(SecretBytes::from(&[3; 32][..])),
            pka: Some(Pka {
                required: 2,
                slots: vec![Some(registered.clone()), None, None],
            }),
        }),
        Change::SetOptions(1),
        Change::PutFile {
            fid: 0xCE01,
            contents: vec![5; 300],
        },
        Change::PutFile {
            fid: 0xC401,
            contents: vec![],
        },
        Change::DeleteFile { fid: 0xC401 },
        Change::PutKey {
            id: 1,
            key: key(KeyKind::Ec),
        },
        Change::PutKey {
            id: 2,
            key: key(KeyKind::Rsa),
        },
        Change::PutKey { id: 3, key: bare },
        Change::DeleteKey { id: 2 },
        Change::SetUseCounter { id: 1, left: 9 },
        Change::PinTries {
            reference: PinReference::User,
            left: 2,
        },
        Change::SetPin {
            reference: PinReference::So,
            pin: Some(pin),
        },
        Change::SetPin {
            reference: PinReference::User,
            pin: None,
        },
        Change::PutKeyDomain {
            index: 1,
            domain: Some(SharedDomain::awaiting(1)),
        },
        Change::PutKeyDomain {
            index: 0,
            domain: None,
        },
        Change::PutExchangeDomain {
            index: 0,
            domain: ExchangeDomain {
                uid: vec![4; 64],
                kek: None,
            },
        },
        Change::PutExchangeDomain {
            index: 0,
            domain: ExchangeDomain {
                uid: vec![5; 64],
                kek: Some(SecretBytes::from(&[6; 32][..])),
            },
        },
        Change::RegisterPka {
            slot: 2,
            key: registered,
        },
        Change::SetFirmware(Firmware::V2_6),
        Change::SetFirmware(Firmware::V4_1),
        Change::SetFirmware(Firmware::V2_6),
    ]
}

#[test]
fn every_change_survives_encoding() {
    let changes = every_change();
    assert_eq!(decode(&encode(&changes)).as_deref(), Ok(changes.as_slice()));
}

#[test]
fn a_key_of_the_first_versions_is_of_unknown_origin() {
    let stored = [0x06, 5, 3, 0, 0, 0, 2, 0xAA, 0xBB, 1, 0, 0, 0, 1, 0x10, 0, 1, 0];
    let change = Change::PutKey {
        id: 5,
        key: KeyRecord {
            kind: KeyKind::Aes,
            secret: SecretBytes::from(&[0xAA, 0xBB][..]),
            algorithms: Some(vec![0x10]),
            use_counter: None,
            key_domain: Some(0),
            made_here: false,
        },
    };
    assert_eq!(decode(&stored), Ok(vec![change]));
}

#[test]
fn a_snapshot_makes_the_same_state() {
    let mut state = State::default();
    for change in every_change() {
        state.apply(&change);
        let mut again = State::default();
        for step in decode(&encode(&state.as_changes())).expect("what was encoded") {
            again.apply(&step);
        }
        assert_eq!(again, state, "after {change:?}");
    }
}

#[test]
fn truncated_bytes_never_decode_to_the_whole() {
    let changes = every_change();
    let bytes = encode(&changes);
    for length in 0..bytes.len() {
        assert_ne!(decode(&bytes[..length]).as_deref(), Ok(changes.as_slice()));
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_without_panic(bytes in proptest::collection::vec(0u8.., 0..200)) {
        let _ = decode(&bytes);
    }
}

#[test]
fn initialisation_keeps_the_device_and_nothing_else() {
    let mut state = State::default();
    for change in every_change() {
        state.apply(&change);
    }
    let device = state.device.clone();
    state.apply(&Change::Initialise(Initialisation {
        options: 0,
        user_pin: None,
        so_pin: None,
        key_domains: vec![],
        random_kek: None,
        pka: None,
    }));
    assert_eq!(
        state,
        State {
            device,
            initialised: true,
            firmware: Firmware::V2_6,
            ..State::default()
        }
    );
}
