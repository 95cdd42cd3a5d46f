//! Secure messaging against a recorded session of other software, and against OpenSSL where nothing is published.

use std::collections::BTreeMap;
use std::path::Path;

use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord};
use chancery_schsm::secure_messaging::{
    CardChannel, ChannelKeys, HostChannel, MAX_PROTECTED_DATA, Protocol, SecureMessagingError,
};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcPoint};
use openssl::nid::Nid;
use openssl::symm::{Cipher, Crypter, Mode};
use proptest::prelude::*;

/// The recorded session: values by name.
fn session() -> BTreeMap<String, Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors/sm-session.txt");
    std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.split_once(char::is_whitespace)?;
            let value = value.trim_start_matches(|c: char| !c.is_ascii_hexdigit() || c == ' ');
            // "rsp-1 (SSC 2)   9902..": the value is the first word that is all digits of that length.
            let value = value
                .split_whitespace()
                .find(|word| word.len() >= 14 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            Some((name.to_owned(), hex::decode(value).ok()?))
        })
        .collect()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn keys(protocol: Protocol) -> ChannelKeys {
    ChannelKeys::derive(protocol, &[0x5A; 32], b"nonce..8")
}

fn pair(protocol: Protocol) -> (HostChannel, CardChannel) {
    (HostChannel::new(keys(protocol)), CardChannel::new(keys(protocol)))
}

fn header(command: &CommandApdu) -> [u8; 4] {
    [command.class, command.instruction, command.p1, command.p2]
}

#[test]
fn keys_and_token_of_the_recorded_session() {
    let session = session();
    let group = EcGroup::from_curve_name(Nid::BRAINPOOL_P256R1).unwrap();
    let mut context = BigNumContext::new().unwrap();
    let host = EcPoint::from_bytes(&group, &session["host-ephemeral"], &mut context).unwrap();
    let private = BigNum::from_slice(&session["device-private"]).unwrap();
    let mut shared = EcPoint::new(&group).unwrap();
    shared.mul2(&group, &host, &private, &mut context).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    shared
        .affine_coordinates(&group, &mut x, &mut y, &mut context)
        .unwrap();
    let x = x.to_vec_padded(32).unwrap();
    assert_eq!(x, session["shared-x"]);

    let nonce = session["nonce"].as_slice().try_into().unwrap();
    let keys = ChannelKeys::derive(Protocol::Aes128, &x, &nonce);
    let (encryption, authentication) = keys.secret_bytes();
    assert_eq!(encryption.as_slice(), session["KENC"]);
    assert_eq!(authentication.as_slice(), session["KMAC"]);
    assert_eq!(
        keys.token(&session["host-ephemeral"]).as_slice(),
        session["token"]
    );
    assert!(keys.token_matches(&session["host-ephemeral"], &session["token"]));
    assert!(!keys.token_matches(&session["host-ephemeral"], &session["nonce"]));
    assert!(!keys.token_matches(&session["host-ephemeral"], &[]));
    assert!(!format!("{keys:?}").contains("F2"));
}

#[test]
fn both_ends_of_the_recorded_session() {
    let session = session();
    let nonce = session["nonce"].as_slice().try_into().unwrap();
    let keys = ChannelKeys::derive(Protocol::Aes128, &session["shared-x"], &nonce);
    let (mut host, mut card) = (HostChannel::new(keys.clone()), CardChannel::new(keys));
    let steps = [
        ("00200081 06 363438323139", "cmd-1", "", "rsp-1"),
        ("805A0181 00", "cmd-2", "4A1A940597DB7FDC", "rsp-2"),
        ("00200081 08 4A1A940597DB7FDC", "cmd-3", "", "rsp-3"),
    ];
    for (plain, command, answer, response) in steps {
        let plain = CommandApdu::parse(&bytes(plain)).unwrap();
        let protected = host.protect_command(&plain).unwrap();
        assert_eq!(protected.encode().as_slice(), session[command], "{command}");
        let opened = card
            .unprotect_command(header(&protected), protected.data())
            .unwrap();
        assert_eq!(opened, plain, "{command}");

        let protected = card.protect_response(&bytes(answer), StatusWord::OK).unwrap();
        let protected = [protected, vec![0x90, 0x00]].concat();
        assert_eq!(protected, session[response], "{response}");
        let opened = host
            .unprotect_response(&ResponseApdu::parse(&protected).unwrap())
            .unwrap();
        assert_eq!(
            (opened.data.to_vec(), opened.status),
            (bytes(answer), StatusWord::OK)
        );
    }
    assert!(host.is_open() && card.is_open());
}

/// Single DES of one block: triple DES with equal halves, so that OpenSSL's default provider does it.
fn des(key: &[u8], block: &[u8], mode: Mode) -> Vec<u8> {
    let mut crypter = Crypter::new(Cipher::des_ede3(), mode, &[key, key, key].concat(), None).unwrap();
    crypter.pad(false);
    let mut out = vec![0; 24];
    let length = crypter.update(block, &mut out).unwrap();
    out.truncate(length);
    out
}

/// ISO/IEC 9797-1 algorithm 3 over whole blocks.
fn retail_mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let (first, second) = key.split_at(8);
    let chained = message.chunks(8).fold(vec![0; 8], |state, block| {
        let mixed: Vec<u8> = state.iter().zip(block).map(|(one, other)| one ^ other).collect();
        des(first, &mixed, Mode::Encrypt)
    });
    des(first, &des(second, &chained, Mode::Decrypt), Mode::Encrypt)
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = [bytes, &[0x80]].concat();
    padded.resize(padded.len().next_multiple_of(8), 0);
    padded
}

#[test]
fn triple_des_as_openssl_computes_it() {
    let keys = keys(Protocol::TripleDes);
    let (encryption, authentication) = keys.secret_bytes();
    let (encryption, authentication) = (encryption.to_vec(), authentication.to_vec());
    let point = [0x04; 65];
    let data_object = [bytes("7F494F 060A04007F00070202030201 8641"), point.to_vec()].concat();
    assert_eq!(
        keys.token(&point).to_vec(),
        retail_mac(&authentication, &padded(&data_object))
    );

    let mut host = HostChannel::new(keys.clone());
    let command = CommandApdu::parse(&bytes("00200081 06 363438323139 00")).unwrap();
    let protected = host.protect_command(&command).unwrap();
    let triple = [&encryption[..], &encryption[..8]].concat();
    let mut crypter = Crypter::new(Cipher::des_ede3_cbc(), Mode::Encrypt, &triple, Some(&[0; 8])).unwrap();
    crypter.pad(false);
    let mut text = vec![0; 24];
    let length = crypter.update(&padded(b"648219"), &mut text).unwrap();
    text.truncate(length);
    let objects = [bytes("870901"), text, bytes("970100")].concat();
    let message = [
        &bytes("0000000000000001")[..],
        &padded(&bytes("0C200081")),
        &padded(&objects),
    ]
    .concat();
    let expected = [objects, bytes("8E08"), retail_mac(&authentication, &message)].concat();
    assert_eq!(protected.data(), expected);

    let mut card = CardChannel::new(keys);
    card.unprotect_command(header(&protected), protected.data())
        .unwrap();
    let answer = card.protect_response(&[], StatusWord(0x63C2)).unwrap();
    let objects = bytes("990263C2");
    let message = [bytes("0000000000000002"), padded(&objects)].concat();
    let expected = [objects, bytes("8E08"), retail_mac(&authentication, &message)].concat();
    assert_eq!(answer, expected);
}

/// Every shape a command can have, with even and odd instruction.
const SHAPES: [&str; 14] = [
    "00200081",
    "00840000 08",
    "00840000 00",
    "80580000 000000",
    "00840000 000200",
    "00200081 06 363438323139",
    "00240081 000006 363438323139",
    "00A40400 0B E82B0601040181C31F0201 00",
    "80680173 000006 68656C6C6F0A 0200",
    "80680173 000006 68656C6C6F0A 0000",
    "00B12F03 000004 54020000 0000",
    "00B12F03 04 54020000 FE",
    "00D7CE01 06 54020000 5300",
    "00D7CE01 000006 54020000 5300",
];

#[test]
fn every_shape_travels_in_both_protocols() {
    for protocol in Protocol::ALL {
        let (mut host, mut card) = pair(protocol);
        for shape in SHAPES {
            let plain = CommandApdu::parse(&bytes(shape)).unwrap();
            let protected = host.protect_command(&plain).unwrap();
            let again = CommandApdu::parse(&protected.encode()).unwrap();
            assert_eq!(again.class, plain.class | 0x0C);
            assert_eq!(again.is_extended(), plain.is_extended(), "{shape}");
            assert!(again.expected() >= 256);
            let cryptogram = again.data().first().copied();
            match (plain.data().is_empty(), plain.instruction & 1) {
                (true, _) => assert!(matches!(cryptogram, Some(0x97 | 0x8E))),
                (false, 0) => assert_eq!(cryptogram, Some(0x87), "{shape}"),
                (false, _) => assert_eq!(cryptogram, Some(0x85), "{shape}"),
            }
            let opened = card.unprotect_command(header(&again), again.data()).unwrap();
            assert_eq!(opened.data(), plain.data(), "{shape}");
            assert_eq!(opened.expected(), plain.expected(), "{shape}");
            assert_eq!(header(&opened), header(&plain));

            let answer = vec![0xA5; usize::try_from(plain.expected().min(300)).unwrap()];
            let sealed = card.protect_response(&answer, StatusWord::WARNING_EOF).unwrap();
            let response = ResponseApdu::new(sealed, StatusWord::OK);
            let opened = host.unprotect_response(&response).unwrap();
            assert_eq!(
                (&opened.data[..], opened.status),
                (&answer[..], StatusWord::WARNING_EOF)
            );
        }
    }
}

#[test]
fn the_longest_data_travels_and_a_byte_more_is_refused_without_harm() {
    for protocol in Protocol::ALL {
        let (mut host, mut card) = pair(protocol);
        let command = |length| {
            CommandApdu::new(0x00, 0xD7, 0x2F, 0x10)
                .with_data(&vec![7; length])
                .unwrap()
                .expecting(65_536)
        };
        let refused = host.protect_command(&command(MAX_PROTECTED_DATA + 1));
        assert!(matches!(refused, Err(SecureMessagingError::TooLong { .. })));
        let refused = host.protect_command(&CommandApdu::new(0x0C, 0x20, 0, 0x81));
        assert_eq!(refused, Err(SecureMessagingError::Class { class: 0x0C }));
        let protected = host.protect_command(&command(MAX_PROTECTED_DATA)).unwrap();
        let opened = card
            .unprotect_command(header(&protected), protected.data())
            .unwrap();
        assert_eq!(opened.data().len(), MAX_PROTECTED_DATA);
        let answer = card
            .protect_response(&vec![7; MAX_PROTECTED_DATA], StatusWord::OK)
            .unwrap();
        assert!(answer.len() <= 65_536);
        let opened = host
            .unprotect_response(&ResponseApdu::new(answer, StatusWord::OK))
            .unwrap();
        assert_eq!(opened.data.len(), MAX_PROTECTED_DATA);
    }
}

#[test]
fn any_altered_byte_closes_the_end_that_reads_it() {
    for protocol in Protocol::ALL {
        for shape in SHAPES {
            let plain = CommandApdu::parse(&bytes(shape)).unwrap();
            let (mut host, mut card) = pair(protocol);
            let protected = host.protect_command(&plain).unwrap();
            let message = [&header(&protected)[..], protected.data()].concat();
            for place in 0..message.len() {
                let mut altered = message.clone();
                altered[place] ^= 0x01;
                let (head, data) = altered.split_first_chunk::<4>().unwrap();
                let mut card = CardChannel::new(keys(protocol));
                let error = card.unprotect_command(*head, data).unwrap_err();
                assert!(
                    matches!(error.card_status().0, 0x6987 | 0x6988 | 0x6E00),
                    "{error}"
                );
                assert!(!card.is_open());
                assert_eq!(
                    card.unprotect_command(header(&protected), protected.data()),
                    Err(SecureMessagingError::Closed)
                );
            }
            card.unprotect_command(header(&protected), protected.data())
                .unwrap();
            let answer = card.protect_response(b"answer", StatusWord::OK).unwrap();
            for place in 0..answer.len() {
                let mut host = HostChannel::new(keys(protocol));
                host.protect_command(&plain).unwrap();
                let mut altered = answer.clone();
                altered[place] ^= 0x01;
                let altered = ResponseApdu::new(altered, StatusWord::OK);
                assert!(host.unprotect_response(&altered).is_err(), "byte {place}");
                assert!(!host.is_open());
            }
        }
    }
}

#[test]
fn what_is_missing_is_said_to_be_missing() {
    let missing = |data: &[u8]| {
        CardChannel::new(keys(Protocol::Aes128))
            .unprotect_command([0x0C, 0x20, 0x00, 0x81], data)
            .unwrap_err()
            .card_status()
    };
    assert_eq!(missing(&[]), StatusWord::SECURE_MESSAGING_MISSING);
    assert_eq!(missing(&bytes("970100")), StatusWord::SECURE_MESSAGING_MISSING);
    assert_eq!(missing(b"\x00"), StatusWord::SECURE_MESSAGING_INCORRECT);
    assert_eq!(missing(&bytes("8E0100")), StatusWord::SECURE_MESSAGING_INCORRECT);
    assert_eq!(
        missing(&bytes("8E08 0000000000000000 970100")),
        StatusWord::SECURE_MESSAGING_INCORRECT
    );
}

#[test]
fn a_message_is_valid_once_and_in_its_place() {
    let verify = CommandApdu::parse(&bytes("00200081")).unwrap();
    let (mut host, mut card) = pair(Protocol::Aes128);
    let first = host.protect_command(&verify).unwrap();
    card.unprotect_command(header(&first), first.data()).unwrap();
    let answer = card.protect_response(&[], StatusWord::OK).unwrap();
    let answer = ResponseApdu::new(answer, StatusWord::OK);
    host.unprotect_response(&answer).unwrap();
    // replayed to the card
    assert_eq!(
        card.unprotect_command(header(&first), first.data()),
        Err(SecureMessagingError::Mac)
    );
    // replayed to the host
    host.protect_command(&verify).unwrap();
    assert_eq!(host.unprotect_response(&answer), Err(SecureMessagingError::Mac));
    assert_eq!(host.protect_command(&verify), Err(SecureMessagingError::Closed));

    // out of turn
    let (mut host, mut card) = pair(Protocol::Aes128);
    assert_eq!(
        card.protect_response(&[], StatusWord::OK),
        Err(SecureMessagingError::OutOfOrder)
    );
    host.protect_command(&verify).unwrap();
    assert_eq!(
        host.protect_command(&verify),
        Err(SecureMessagingError::OutOfOrder)
    );
    assert!(!host.is_open() && !card.is_open());

    // an answer from outside the channel
    let (mut host, _) = pair(Protocol::Aes128);
    host.protect_command(&verify).unwrap();
    let bare = ResponseApdu::new(Vec::new(), StatusWord::SECURE_MESSAGING_INCORRECT);
    assert_eq!(
        host.unprotect_response(&bare),
        Err(SecureMessagingError::Refused {
            status: StatusWord::SECURE_MESSAGING_INCORRECT
        })
    );
    assert!(!host.is_open());
}

proptest! {
    #[test]
    fn any_data_comes_through_as_it_was(
        data in proptest::collection::vec(any::<u8>(), 0..600),
        answer in proptest::collection::vec(any::<u8>(), 0..600),
        header in (any::<bool>(), any::<u8>(), any::<u8>(), any::<u8>()),
        expected in 0u32..70_000,
        status in any::<u16>(),
        aes in any::<bool>(),
    ) {
        let protocol = if aes { Protocol::Aes128 } else { Protocol::TripleDes };
        let (mut host, mut card) = pair(protocol);
        let (proprietary, instruction, p1, p2) = header;
        let class = if proprietary { 0x80 } else { 0x00 };
        let plain = CommandApdu::new(class, instruction, p1, p2)
            .with_data(&data)
            .unwrap()
            .expecting(expected);
        for _ in 0..3 {
            let sealed = host.protect_command(&plain).unwrap();
            let opened = card
                .unprotect_command(
                    [sealed.class, sealed.instruction, sealed.p1, sealed.p2],
                    sealed.data(),
                )
                .unwrap();
            prop_assert_eq!(opened.data(), plain.data());
            prop_assert_eq!(opened.expected(), plain.expected());
            let sealed = card.protect_response(&answer, StatusWord(status)).unwrap();
            let opened = host.unprotect_response(&ResponseApdu::new(sealed, StatusWord::OK)).unwrap();
            prop_assert_eq!(&opened.data[..], &answer[..]);
            prop_assert_eq!(opened.status, StatusWord(status));
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), aes in any::<bool>()) {
        let protocol = if aes { Protocol::Aes128 } else { Protocol::TripleDes };
        let (mut host, mut card) = pair(protocol);
        prop_assert!(card.unprotect_command([0x0C, 0x20, 0x00, 0x81], &bytes).is_err());
        host.protect_command(&CommandApdu::new(0x00, 0x20, 0x00, 0x81)).unwrap();
        prop_assert!(host.unprotect_response(&ResponseApdu::new(bytes, StatusWord::OK)).is_err());
    }
}

/// Commands protected ahead are the same bytes as those protected in turn, and their answers are taken in their order alone.
#[test]
fn commands_can_be_protected_before_earlier_answers() {
    for protocol in [Protocol::Aes128, Protocol::TripleDes] {
        let commands: Vec<_> = (1..=4)
            .map(|number| CommandApdu::parse(&bytes(&format!("8068{number:02}7002{number:02}AA00"))).unwrap())
            .collect();
        let (mut in_turn, mut card) = pair(protocol);
        let mut exchanges = Vec::new();
        for command in &commands {
            let protected = in_turn.protect_command(command).unwrap();
            card.unprotect_command(header(&protected), protected.data())
                .unwrap();
            let answer = card.protect_response(&[command.p1; 40], StatusWord::OK).unwrap();
            let answer = ResponseApdu::new(answer, StatusWord::OK);
            in_turn.unprotect_response(&answer).unwrap();
            exchanges.push((protected, answer));
        }
        let (mut ahead, _) = pair(protocol);
        for (command, (protected, _)) in commands.iter().zip(&exchanges) {
            assert_eq!(ahead.protect_ahead(command).unwrap().encode(), protected.encode());
        }
        assert_eq!(ahead.pending(), 4);
        for (command, (_, answer)) in commands.iter().zip(&exchanges) {
            let opened = ahead.unprotect_response(answer).unwrap();
            assert_eq!(opened.data.as_slice(), [command.p1; 40]);
        }
        assert_eq!(ahead.pending(), 0);
        assert!(
            ahead.unprotect_response(&exchanges[3].1).is_err(),
            "nothing is under way"
        );

        let (mut ahead, _) = pair(protocol);
        for command in &commands {
            ahead.protect_ahead(command).unwrap();
        }
        assert_eq!(
            ahead.unprotect_response(&exchanges[1].1),
            Err(SecureMessagingError::Mac),
            "an answer that is not the oldest"
        );
        assert!(!ahead.is_open());
        let (mut ahead, _) = pair(protocol);
        ahead.protect_ahead(&commands[0]).unwrap();
        assert_eq!(
            ahead.protect_command(&commands[1]),
            Err(SecureMessagingError::OutOfOrder)
        );
    }
}
