//! A token that is far away: everything goes through a secure channel, and nothing else does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_api::HsmId;
use chancery_driver::secure::ChannelError;
use chancery_iso7816::CommandApdu;
use chancery_keys::{
    Connect, ConnectError, Hsm, HsmError, ImportState, KeyAlgorithm, Pool, SignatureAlgorithm, StartOptions,
    State, Token, identify,
};
use openssl::hash::MessageDigest;

use crate::bench::{Installation, KEY, set_up, spec, unlock};
use crate::signing::behaves;
use crate::wire::{Fault, SELECT, Wire};

const ECDSA: SignatureAlgorithm = SignatureAlgorithm::EcdsaDigest;

/// What is wrong with what went over the wire: commands in plain after chip authentication that are not the beginning of
/// another channel, and anything that carries a PIN, plain or not.
fn trespasses(seen: &[(Vec<u8>, Vec<u8>)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut secured = false;
    for (command, answer) in seen {
        let header: [u8; 4] = *command.first_chunk().unwrap();
        let [class, instruction, ..] = header;
        let protected = class & 0x0C == 0x0C;
        // A question for the tries left of a PIN has no data, and so no cryptogram when it is protected.
        let data = CommandApdu::parse(command).unwrap().data().to_vec();
        let empty = data.is_empty() || (protected && !matches!(data.first(), Some(0x85 | 0x87)));
        if matches!(instruction, 0x20 | 0x24 | 0x2C) && !empty {
            found.push(format!("a PIN may be in {header:02X?}"));
        }
        match header {
            _ if protected => {}
            [0x00, 0x22, 0x41, 0xA4] => {}
            [0x00, 0x86, 0x00, 0x00] => secured = answer.ends_with(&[0x90, 0x00]),
            _ if secured => found.push(format!("{header:02X?} in plain")),
            _ => {}
        }
    }
    if !secured {
        found.push("there was no chip authentication".to_owned());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_passes_through_the_channel_and_nothing_in_plain() {
    let installation = Installation::new();
    let mut custodians = installation.custodians();
    let [a, b] = ["hsm-a", "hsm-b"].map(|name| installation.far(name, |wire| wire, StartOptions::default()));
    for far in [&a, &b] {
        set_up(&far.hsm, &custodians).await;
        unlock(&far.hsm, &mut custodians).await;
    }
    let key = a.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
    let copy = a.hsm.export(KEY).await.unwrap();
    let copied = b.hsm.import(KEY, copy, &key.public_key_spki).await.unwrap();
    assert_eq!(copied, ImportState::Copied);
    assert_eq!(b.hsm.inspect().await.unwrap().keys, [KEY]);
    let pool = Arc::new(Pool::new());
    let ids = [1, 2].map(|number| HsmId::new(uuid::Uuid::from_u128(number)));
    pool.insert(ids[0], a.hsm.clone());
    pool.insert(ids[1], b.hsm.clone());
    let signer = pool.signer(key.public_key_spki.clone(), KEY, ids.to_vec());
    behaves(Arc::new(signer), MessageDigest::sha256()).await;
    // To be locked is a SELECT through the channel, and another channel.
    let before = a.wire.authenticated();
    a.hsm.lock().await.unwrap();
    assert_eq!(a.hsm.state(), State::Locked);
    assert_eq!(a.wire.authenticated(), before + 1);
    unlock(&a.hsm, &mut custodians).await;
    a.hsm.close("it was detached");
    assert_eq!(
        a.wire.headers().last(),
        Some(&[0x0C, 0xA4, 0x04, 0x00]),
        "locked as the last thing"
    );
    for far in [&a, &b] {
        assert_eq!(trespasses(&far.wire.seen()), Vec::<String>::new());
        assert!(far.wire.seen().len() > 50);
    }
    // The check can fail.
    let mut seen = b.wire.seen();
    seen.push((SELECT.to_vec(), vec![0x90, 0x00]));
    assert_eq!(trespasses(&seen).len(), 1);
    let asked = vec![0x0C, 0x20, 0x00, 0x81, 0x04, 0x97, 0x01, 0x00, 0x8E, 0x00];
    seen.push((asked.clone(), vec![0x90, 0x00]));
    assert_eq!(trespasses(&seen).len(), 1);
    let mut told = asked;
    told[5] = 0x87;
    seen.push((told, vec![0x90, 0x00]));
    assert_eq!(trespasses(&seen).len(), 2);
    assert_eq!(trespasses(&seen[..1]).len(), 1);
}

#[tokio::test]
async fn nothing_comes_between_a_challenge_and_its_answer() {
    let installation = Installation::new();
    let options = StartOptions {
        probe: Some(Duration::from_millis(5)),
        ..StartOptions::default()
    };
    let mut custodians = installation.custodians();
    let far = installation.far("hsm-a", |wire| wire.with_window(16, true), options);
    set_up(&far.hsm, &custodians).await;
    for custodian in custodians.iter_mut().take(2) {
        let challenge = far.hsm.challenge(&custodian.chr).await.unwrap();
        let commands = far.wire.seen().len();
        // As long as many probes would take.
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(far.wire.seen().len(), commands);
        let signature = custodian.answer(&far.hsm, challenge.challenge);
        far.hsm.answer(&challenge.session, &signature).await.unwrap();
    }
    assert!(far.hsm.state().is_unlocked());
    let headers = far.wire.headers();
    let challenges: Vec<_> = (0..headers.len())
        .filter(|place| headers[*place][1] == 0x84)
        .collect();
    assert_eq!(challenges.len(), 2);
    for place in challenges {
        assert_eq!(headers[place + 1][1], 0x82);
    }
    assert_eq!(trespasses(&far.wire.seen()), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_without_secure_messaging_is_refused() {
    let installation = Installation::new();
    let wire = Wire::to(installation.token("hsm-a"));
    wire.without_secure_messaging();
    let anchors = Arc::clone(&installation.anchors);
    let refused = Hsm::start("hsm-a", Arc::new(wire.clone()), anchors, installation.clock()).unwrap_err();
    let HsmError::NoChannel { source, .. } = &refused else {
        panic!("{refused}")
    };
    assert!(matches!(**source, ChannelError::Refused { .. }));
    assert!(refused.to_string().contains("over a network"), "{refused}");
    assert!(source.to_string().contains("6A88"), "{source}");
    assert_eq!(wire.authenticated(), 0);
}

#[tokio::test]
async fn whoever_shows_the_certificates_of_another_device_gets_nowhere() {
    let installation = Installation::new();
    let (far, _, _) = installation.open_far(|wire| wire, StartOptions::default()).await;
    let genuine = far.hsm.identity().clone();
    far.wire.fail_after(0, Fault::Gone);
    far.hsm.inspect().await.unwrap_err();

    far.wire.mend();
    far.wire.lead_to(installation.token("other"));
    let other = far.hsm.reconnect().await.unwrap_err();
    assert!(matches!(other, HsmError::OtherDevice { .. }), "{other}");
    far.wire.pretend(genuine.chain.clone());
    far.wire.forget();
    let proven = far.wire.authenticated();
    let refused = far.hsm.reconnect().await.unwrap_err();
    assert!(
        matches!(&refused, HsmError::NoChannel { source, .. } if matches!(**source, ChannelError::NotTheDevice)),
        "{refused}"
    );
    assert!(matches!(far.hsm.state(), State::Lost { .. }));
    assert_eq!(far.wire.authenticated(), proven);
    assert_eq!(
        far.wire.headers().last().unwrap()[1],
        0x86,
        "the last thing it saw"
    );
}

/// Gives a token that is connected already.
struct Once(Mutex<Option<Box<dyn Token>>>);

impl Connect for Once {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        Ok(self.0.lock().unwrap().take().unwrap())
    }
}

#[tokio::test]
async fn a_device_is_identified_before_it_takes_a_place() {
    let installation = Installation::new();
    let wire = Wire::to(installation.token("hsm-a"));
    let (identity, token) = identify("hsm-a", wire.connect().unwrap(), &installation.anchors).unwrap();
    assert_eq!(wire.authenticated(), 1);
    // Whoever has it next goes on in the same channel: nothing at all is plain any more.
    let once = Arc::new(Once(Mutex::new(Some(token))));
    let anchors = Arc::clone(&installation.anchors);
    let hsm = Hsm::start("hsm-a", once, anchors, installation.clock()).unwrap();
    assert_eq!(*hsm.identity(), identity);
    assert_eq!(trespasses(&wire.seen()), Vec::<String>::new());
    assert_eq!(wire.selections(), 1, "in plain, to find out who it is");
    assert_eq!(wire.authenticated(), 1, "no other channel was opened");
    hsm.closed("it was looked at").await;
    let none = chancery_cvc::TrustAnchors::none();
    assert!(matches!(
        identify("hsm-a", wire.connect().unwrap(), &none),
        Err(HsmError::Chain { .. })
    ));
}

#[tokio::test]
async fn a_channel_that_the_token_has_no_more_is_opened_anew() {
    let installation = Installation::new();
    let wire = Wire::to(installation.token("hsm-a"));
    let (identity, mut token) = identify("hsm-a", wire.connect().unwrap(), &installation.anchors).unwrap();
    let challenge = token.transmit(&[0x00, 0x84, 0x00, 0x00, 0x08]).unwrap();
    assert!(
        challenge.ends_with(&[0x90, 0x00]),
        "a plain command ends the token's channel"
    );
    let once = Arc::new(Once(Mutex::new(Some(token))));
    let anchors = Arc::clone(&installation.anchors);
    let hsm = Hsm::start("hsm-a", once, anchors, installation.clock()).unwrap();
    assert_eq!(*hsm.identity(), identity);
    assert!(wire.authenticated() > 1, "it proved itself again");
    hsm.closed("it was looked at").await;
}

#[tokio::test]
async fn an_hsm_locks_itself_when_its_time_is_over() {
    let installation = Installation::new();
    for window in [1, 16] {
        let (far, mut custodians, _) = installation
            .open_far(|wire| wire.with_window(window, true), StartOptions::default())
            .await;
        let hour = Duration::from_secs(3600);
        far.hsm.lock_in(Some(hour)).await.unwrap();
        let at_ms = far.hsm.status().lock_at_ms.unwrap();
        assert_eq!(at_ms, crate::bench::NOW + 3_600_000);
        far.hsm.lock_in(None).await.unwrap();
        assert_eq!(far.hsm.status().lock_at_ms, None);
        far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
        let mut watch = far.hsm.watch();
        let soon = Duration::from_millis(30);
        far.hsm.lock_in(Some(soon)).await.unwrap();
        let status = watch
            .wait_for(|status| !status.state.is_unlocked())
            .await
            .unwrap();
        assert_eq!((&status.state, status.lock_at_ms), (&State::Locked, None));
        assert_eq!(status.last_loss, None, "it was asked for");
        drop(status);
        assert_eq!(far.wire.told(), [Some(hour), None, Some(soon)]);
        let closed = far.hsm.lock_in(Some(soon)).await.unwrap_err();
        assert!(matches!(closed, HsmError::Locked { .. }), "{closed}");
        unlock(&far.hsm, &mut custodians).await;
        assert_eq!(far.hsm.status().lock_at_ms, None);
        far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
        far.hsm.closed("enough").await;
        std::fs::remove_dir_all(installation.token_dir()).unwrap();
    }
}
