//! Bytes to both ends of a secure channel: the command a token receives and the answer a host receives.
//!
//! The MAC would stop every invented message at the door. So the first byte of the input chooses: the message as it is, or
//! the data objects before the MAC, which is computed here with code of its own.
#![no_main]

use aes::Aes128;
use aes::cipher::KeyInit;
use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord};
use chancery_schsm::secure_messaging::{CardChannel, ChannelKeys, HostChannel, Protocol};
use cmac::{Cmac, Mac};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, message)) = bytes.split_first() else {
        return;
    };
    let protocol = if mode & 4 == 0 {
        Protocol::Aes128
    } else {
        Protocol::TripleDes
    };
    match mode & 3 {
        0 => command(protocol, message),
        1 => response(protocol, message),
        2 => command(Protocol::Aes128, &authenticated(1, Some(HEADER), message)),
        _ => response(Protocol::Aes128, &authenticated(2, None, message)),
    }
});

/// What a token opens is answered, and then the channel goes on; what it refuses closes the channel.
fn command(protocol: Protocol, message: &[u8]) {
    let mut card = CardChannel::new(keys(protocol));
    match card.unprotect_command(HEADER, message) {
        Ok(opened) => {
            assert!(opened.data().len() < message.len());
            assert!(card.protect_response(opened.data(), StatusWord::OK).is_ok());
            assert!(card.is_open());
        }
        Err(error) => {
            assert!(matches!(error.card_status().0, 0x6987 | 0x6988));
            assert!(!card.is_open());
        }
    }
}

fn response(protocol: Protocol, message: &[u8]) {
    let mut host = HostChannel::new(keys(protocol));
    let [class, instruction, p1, p2] = HEADER;
    let verify = CommandApdu::new(class & 0x80, instruction, p1, p2);
    host.protect_command(&verify).expect("a short command");
    let opened = host.unprotect_response(&ResponseApdu::new(message.to_vec(), StatusWord::OK));
    assert_eq!(opened.is_ok(), host.is_open());
    assert!(opened.is_err() || host.protect_command(&verify).is_ok());
}

fn keys(protocol: Protocol) -> ChannelKeys {
    ChannelKeys::derive(protocol, &[0x5A; 32], b"nonce..8")
}

/// The data objects with their MAC at this count. Written from the format, not with the code under test.
fn authenticated(count: u8, header: Option<[u8; 4]>, objects: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 15];
    message.push(count);
    for part in [header.as_ref().map_or(&[][..], |header| header), objects] {
        if !part.is_empty() {
            message.extend_from_slice(part);
            message.push(0x80);
            message.resize(message.len().next_multiple_of(16), 0);
        }
    }
    let keys = keys(Protocol::Aes128);
    let (_, key) = keys.secret_bytes();
    let mut mac = Cmac::<Aes128>::new(key.into());
    mac.update(&message);
    let code = mac.finalize().into_bytes();
    [objects, &[0x8E, 0x08], &code[..8]].concat()
}

/// VERIFY, protected.
const HEADER: [u8; 4] = [0x0C, 0x20, 0x00, 0x81];
