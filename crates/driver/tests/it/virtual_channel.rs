//! Secure messaging between the driver and a virtual token.

use crate::common::Shared;
use crate::common::rehearsal::{Rehearsal, login, name, openssl_accepts, pin};
use chancery_cvc::Curve;
use chancery_driver::keystore::{self, KeyDescription};
use chancery_driver::secure::{ChannelError, ChannelLost};
use chancery_driver::{Card, Error, KeyAlgorithm, KeySpec, PinStatus};
use chancery_iso7816::{StatusWord, Transport, TransportError};
use chancery_schsm::{Algorithm, AlgorithmList, KeyId};
use zeroize::Zeroizing;

fn spec(id: u8, algorithm: KeyAlgorithm) -> KeySpec {
    KeySpec {
        id: KeyId(id),
        algorithm,
        chr: name("UTCA00001"),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter: None,
    }
}

/// Notes every command as it passes.
struct Tap<T> {
    inner: T,
    seen: std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>,
}

impl<T: Transport> Transport for Tap<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.seen.lock().unwrap().push(command.to_vec());
        let answer = self.inner.transmit(command)?;
        self.seen.lock().unwrap().push(answer.to_vec());
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

#[test]
fn a_whole_life_passes_through_the_channel_and_nothing_in_clear() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let seen = std::sync::Arc::default();
    let tap = Tap {
        inner: token.clone(),
        seen: std::sync::Arc::clone(&seen),
    };
    let mut card = Card::new(tap).select().unwrap();
    let device = card.device_identity(&rehearsal.anchors).unwrap();
    let mut card = card.secured(&device).unwrap();
    let begun = seen.lock().unwrap().len();
    assert!(matches!(
        card.pin_status().unwrap(),
        PinStatus::NotVerified { .. }
    ));
    let mut card = card.verify_pin(&pin()).unwrap();
    for (id, algorithm, signing) in [
        (1, KeyAlgorithm::Ec(Curve::Secp256r1), Algorithm::EcdsaSha256),
        (2, KeyAlgorithm::Rsa(2048), Algorithm::RsaPkcs1Sha256),
        (3, KeyAlgorithm::Ec(Curve::Secp521r1), Algorithm::EcdsaSha256),
    ] {
        let (generated, _) = card.generate_attested(&spec(id, algorithm), &device).unwrap();
        card.describe_key(
            KeyId(id),
            &generated.public_key,
            &KeyDescription::new("secret label"),
        )
        .unwrap();
        let signature = card.sign(KeyId(id), signing, b"message").unwrap();
        assert!(openssl_accepts(&generated.public_key, b"message", &signature));
    }
    assert_eq!(keystore::list(&mut card).unwrap().len(), 3);
    assert_eq!(card.channel().lost(), None);
    let seen = seen.lock().unwrap();
    let passed: Vec<_> = seen.iter().skip(begun).collect();
    assert!(passed.iter().step_by(2).all(|command| command[0] & 0x0C == 0x0C));
    for secret in [&b"648219"[..], b"secret label", b"message"] {
        let in_clear = passed
            .iter()
            .any(|bytes| bytes.windows(secret.len()).any(|window| window == secret));
        assert!(!in_clear, "{}", String::from_utf8_lossy(secret));
    }
    drop(seen);
    // Without the channel the token goes on; the plain command closes its end, and ends the login made in it.
    let mut card = card.unsecured();
    let refused = card.sign(KeyId(1), Algorithm::EcdsaSha256, b"message");
    assert!(refused.unwrap_err().is_locked());
    let mut card = card.logout().unwrap().verify_pin(&pin()).unwrap();
    assert!(card.sign(KeyId(1), Algorithm::EcdsaSha256, b"message").is_ok());
}

#[test]
fn a_login_made_before_lasts_and_long_data_passes() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[[3; 32]]);
    let mut card = login(token);
    let device = rehearsal.identity(&mut card);
    let mut card = card.secured(&device).unwrap();
    card.generate(&spec(1, KeyAlgorithm::Rsa(4096))).unwrap();
    let blob = card.wrap(KeyId(1)).unwrap();
    card.unwrap(KeyId(2), &blob).unwrap();
    let long: Vec<u8> = (0..=255_u8).cycle().take(5000).collect();
    card.write_file(chancery_schsm::Fid(0xCF01), &long).unwrap();
    assert_eq!(
        card.read_file(chancery_schsm::Fid(0xCF01)).unwrap().unwrap(),
        long
    );
}

#[test]
fn another_token_under_the_name_is_noticed() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let other = rehearsal.hsm_with_pin("other", &[]);
    let mut card = login(token);
    let device = rehearsal.identity(&mut card);
    let failed = Card::new(other).select().unwrap().secured(&device).err().unwrap();
    assert!(matches!(failed.error, ChannelError::NotTheDevice));
    // The card is still of use without a channel.
    let mut card = failed.card;
    assert!(card.device_identity(&rehearsal.anchors).is_ok());
}

#[test]
fn a_plain_command_of_another_program_ends_the_channel() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let mut other: Shared<_> = token.clone();
    let mut card = login(token);
    let device = rehearsal.identity(&mut card);
    let mut card = card.secured(&device).unwrap();
    card.random(8).unwrap();
    other.transmit(&[0x00, 0x84, 0x00, 0x00, 0x08]).unwrap();
    assert!(matches!(card.random(8), Err(Error::Link { .. })));
    assert!(matches!(card.channel().lost(), Some(ChannelLost::Closed { .. })));
    let ChannelLost::Closed { status } = card.channel().lost().unwrap().clone() else {
        panic!("closed")
    };
    assert_ne!(status, StatusWord::OK);
    // Another channel on the same way.
    let mut card = card.unsecured().secured(&device).unwrap();
    card.random(8).unwrap();
}

/// Takes several commands, and carries each out when its answer is asked for.
struct Wide<T> {
    inner: T,
    sent: std::collections::VecDeque<Vec<u8>>,
}

impl<T: Transport> Transport for Wide<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        assert!(self.sent.is_empty(), "a command before the answers to others");
        self.inner.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }

    fn window(&self) -> usize {
        8
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        self.sent.push_back(command.to_vec());
        Ok(())
    }

    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let command = self.sent.pop_front().expect("a command under way");
        self.inner.transmit(&command)
    }
}

#[test]
fn signatures_can_be_submitted_before_earlier_ones_are_there() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[]);
    let mut other: Shared<_> = token.clone();
    let wide = Wide {
        inner: token,
        sent: std::collections::VecDeque::new(),
    };
    let mut card = login(wide);
    let device = rehearsal.identity(&mut card);
    let ec = card
        .generate(&spec(1, KeyAlgorithm::Ec(Curve::Secp521r1)))
        .unwrap()
        .public_key;
    let rsa = card
        .generate(&spec(2, KeyAlgorithm::Rsa(2048)))
        .unwrap()
        .public_key;
    let mut card = card.secured(&device).unwrap();
    assert_eq!(card.window(), 8);
    let uses = [
        (KeyId(1), Algorithm::EcdsaSha256, &ec),
        (KeyId(2), Algorithm::RsaPkcs1Sha256, &rsa),
    ];
    let submitted: Vec<_> = uses
        .into_iter()
        .cycle()
        .take(6)
        .map(|(id, algorithm, key)| (card.submit(id, algorithm, b"message").unwrap(), key))
        .collect();
    let early = card.random(8).unwrap_err();
    assert!(matches!(early, Error::Input { .. }), "{early}");
    for (submitted, key) in submitted {
        let signature = card.collect(submitted).unwrap();
        assert!(openssl_accepts(key, b"message", &signature));
    }
    card.random(8).unwrap();

    // A refusal is that command's alone, and answers are taken in order.
    let first = card.submit(KeyId(9), Algorithm::EcdsaSha256, b"message").unwrap();
    let second = card.submit(KeyId(1), Algorithm::EcdsaSha256, b"message").unwrap();
    let third = card.submit(KeyId(1), Algorithm::EcdsaSha256, b"message").unwrap();
    assert!(matches!(card.collect(first), Err(Error::NoSuchKey { .. })));
    assert!(matches!(card.collect(third), Err(Error::Input { .. })));
    card.collect(second).unwrap();

    // Somebody else's command ends the channel, and voids what is under way; another channel goes on.
    let mut card = card.unsecured().secured(&device).unwrap();
    let under_way: Vec<_> = (0..4)
        .map(|_| card.submit(KeyId(1), Algorithm::EcdsaSha256, b"message").unwrap())
        .collect();
    let mut answers = under_way.into_iter();
    card.collect(answers.next().unwrap()).unwrap();
    other.transmit(&[0x00, 0x84, 0x00, 0x00, 0x08]).unwrap();
    for void in answers {
        assert!(card.collect(void).is_err());
    }
    assert!(matches!(card.channel().lost(), Some(ChannelLost::Closed { .. })));
    let mut card = card.unsecured().secured(&device).unwrap();
    card.random(8).unwrap();
}

#[test]
fn a_recorded_generation_leaves_the_token_as_it_was() {
    let mut rehearsal = Rehearsal::new();
    let token = rehearsal.hsm_with_pin("hsm", &[[3; 32]]);
    let mut card = login(token);
    let device = rehearsal.identity(&mut card);
    let wanted = KeySpec {
        algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256]).unwrap(),
        use_counter: Some(7),
        ..spec(5, KeyAlgorithm::Ec(Curve::Secp256r1))
    };
    let (mut card, made) = card.generate_recorded(&wanted, &device).unwrap();
    assert_eq!(made.attested.public_key(), &made.key.public_key);
    assert_eq!(
        made.record.exchanges.len(),
        4,
        "two SELECTs, the generation, the key domain"
    );
    let signature = card.sign(KeyId(5), Algorithm::EcdsaSha256, b"message").unwrap();
    assert!(openssl_accepts(&made.key.public_key, b"message", &signature));
    // An id in use: nothing is generated, and the token comes back open.
    let failed = card.generate_recorded(&wanted, &device).err().unwrap();
    assert!(
        failed.error.to_string().contains("a key with this id exists"),
        "{}",
        failed.error
    );
    let mut card = failed.card;
    assert!(card.sign(KeyId(5), Algorithm::EcdsaSha256, b"message").is_ok());
}
