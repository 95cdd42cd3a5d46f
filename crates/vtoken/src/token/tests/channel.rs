//! The recorded session of secure messaging, replayed to a token that has the recorded device key.

use chancery_schsm::secure_messaging::{CardChannel, ChannelKeys, Protocol};
use zeroize::Zeroizing;

use super::*;
use crate::secret::SecretBytes;
use crate::state::Change;

/// The recorded session: values by name.
fn session() -> std::collections::BTreeMap<String, Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors/sm-session.txt");
    std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, values) = line.split_once(char::is_whitespace)?;
            let value = values
                .split_whitespace()
                .find(|word| word.len() >= 14 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            Some((name.to_owned(), hex::decode(value).ok()?))
        })
        .collect()
}

#[test]
fn the_recorded_session_byte_for_byte() {
    let session = session();
    let mut bench = Bench::new();
    let mut device = bench.state().device.clone();
    device.private_key = SecretBytes::from(session["device-private"].as_slice());
    bench.token.card.commit(&[Change::Personalise(device)]).unwrap();
    bench.ok(SELECT);
    bench.ok("8050000000001980020004 8106363438323139 8208 3537363231383830 910103");

    let answer = bench.token.process(&session["mse-set-at"]);
    assert_eq!(*answer, [0x90, 0x00]);
    let point = &session["host-ephemeral"];
    let authenticate = [&bytes("0086000045 7C438041")[..], point, &[0]].concat();
    let answer = bench.token.process(&authenticate);
    let (head, rest) = answer.split_at(4);
    assert_eq!((head, answer.len()), (&bytes("7C148108")[..], 24));
    // Another nonce than the recorded one, so other keys; that both sides have the same shows in the token.
    let keys = |nonce: &[u8]| {
        let nonce = nonce.try_into().unwrap();
        ChannelKeys::derive(Protocol::Aes128, &session["shared-x"], &nonce)
    };
    assert!(keys(&rest[..8]).token_matches(point, &rest[10..18]));

    bench.token.card.session.channel = Some(CardChannel::new(keys(&session["nonce"])));
    assert_eq!(*bench.token.process(&session["cmd-1"]), session["rsp-1"]);
    // The session PIN is random: all but it and the MAC is as recorded.
    let answer = bench.token.process(&session["cmd-2"]);
    let recorded = &session["rsp-2"];
    assert_eq!(answer.len(), recorded.len());
    assert_eq!(
        (&answer[..3], &answer[19..25]),
        (&recorded[..3], &recorded[19..25])
    );
    assert_ne!(*answer, *recorded);
    let mut pin = Zeroizing::new([0; 8]);
    pin.copy_from_slice(&bytes("4A1A940597DB7FDC"));
    bench.token.card.session_pin = Some(pin);
    assert_eq!(*bench.token.process(&session["cmd-3"]), session["rsp-3"]);
}
