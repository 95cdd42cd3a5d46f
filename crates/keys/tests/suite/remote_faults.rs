//! A wire that breaks, and others at a token far away: what is lost, what is not, and how it is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chancery_api::HsmId;
use chancery_keys::{
    GenerateSpec, HsmError, KeyAlgorithm, KeyError, Pool, SignatureAlgorithm, SigningKey as _, StartOptions,
    State,
};

use crate::bench::{Installation, KEY, NOW, one_answers, spec, unlock};
use crate::wire::Fault;

const ECDSA: SignatureAlgorithm = SignatureAlgorithm::EcdsaDigest;
/// What costs a channel and nothing else.
const OF_THE_CHANNEL: [Fault; 4] = [Fault::Plain, Fault::LoseCommand, Fault::LoseAnswer, Fault::Alter];

fn quick_to_look() -> StartOptions {
    StartOptions {
        probe: Some(Duration::from_millis(10)),
        ..StartOptions::default()
    }
}

#[tokio::test]
async fn a_lost_channel_is_no_lost_quorum() {
    let installation = Installation::new();
    let (far, _, _) = installation.open_far(|wire| wire, StartOptions::default()).await;
    for fault in OF_THE_CHANNEL {
        // In a signature, in a look, in the commands that open the next channel.
        for after in 0..4 {
            let proven = far.wire.authenticated();
            far.wire.fail_after(after, fault);
            if after == 2 {
                far.wire.fail_after(0, Fault::Plain);
            }
            far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
            if after == 2 {
                far.wire.fail_after(1, fault);
            }
            far.hsm.inspect().await.unwrap();
            while !far.wire.fault_is_over() {
                far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
            }
            far.hsm.sign(KEY, ECDSA, vec![8; 32]).await.unwrap();
            assert!(far.wire.authenticated() > proven, "{fault:?} after {after}");
            assert!(far.hsm.state().is_unlocked());
        }
    }
    assert_eq!(far.wire.selections(), 0);
    assert_eq!(far.hsm.status().last_loss, None);
}

#[tokio::test]
async fn a_procedure_in_which_a_channel_is_lost_can_be_repeated() {
    let installation = Installation::new();
    let (far, _, _) = installation.open_far(|wire| wire, StartOptions::default()).await;
    for (key_id, fault) in (2..).zip(OF_THE_CHANNEL) {
        let wanted = GenerateSpec {
            key_id,
            ..spec(KeyAlgorithm::EcP256)
        };
        // Its second command generates the key.
        far.wire.fail_after(1, fault);
        let broken = far.hsm.generate(wanted.clone()).await.unwrap_err();
        assert!(
            matches!(broken, HsmError::ChannelLost { .. }),
            "{fault:?}: {broken}"
        );
        assert!(broken.to_string().contains("open again"), "{broken}");
        let was_there = far.hsm.key(key_id).await.unwrap();
        let key = far.hsm.generate(wanted).await.unwrap();
        assert!(was_there.is_none_or(|before| before == key), "a key was replaced");
    }
    assert_eq!(far.wire.selections(), 0, "files and keys are read by name");
}

#[tokio::test]
async fn an_answer_counts_though_its_confirmation_was_lost() {
    let installation = Installation::new();
    let mut custodians = installation.custodians();
    for (name, fault, counts) in [
        ("hsm-a", Fault::LoseAnswer, true),
        ("hsm-b", Fault::Alter, true),
        ("hsm-c", Fault::LoseCommand, false),
        ("hsm-d", Fault::Plain, false),
    ] {
        let far = installation.far(name, |wire| wire, StartOptions::default());
        crate::bench::set_up(&far.hsm, &custodians).await;
        one_answers(&far.hsm, &mut custodians[0]).await;
        let challenge = far.hsm.challenge(&custodians[1].chr).await.unwrap();
        let signature = custodians[1].answer(&far.hsm, challenge.challenge);
        far.wire.fail_after(0, fault);
        let answered = far.hsm.answer(&challenge.session, &signature).await;
        if counts {
            assert!(answered.unwrap().is_unlocked(), "{fault:?}");
        } else {
            let lost = answered.unwrap_err();
            assert!(matches!(lost, HsmError::ChannelLost { .. }), "{fault:?}: {lost}");
            assert_eq!(far.hsm.state(), State::Quorum { have: 1, need: 2 });
            assert!(one_answers(&far.hsm, &mut custodians[1]).await.is_unlocked());
        }
    }
}

#[tokio::test]
async fn whoever_takes_the_quorum_away_is_noticed_by_itself() {
    let installation = Installation::new();
    let (far, mut custodians, _) = installation.open_far(|wire| wire, quick_to_look()).await;
    for (number, fault) in (1..).zip([Fault::Reset, Fault::Select]) {
        let now = NOW + 1000 * i64::try_from(number).unwrap();
        installation.now.store(now, Ordering::SeqCst);
        let mut watch = far.hsm.watch();
        far.wire.fail_after(3, fault);
        let status = watch
            .wait_for(|status| !status.state.is_unlocked())
            .await
            .unwrap()
            .clone();
        let loss = status.last_loss.unwrap();
        assert_eq!(
            (loss.number, loss.at_ms, loss.was_open),
            (number, now, true),
            "{fault:?}"
        );
        let likely = if fault == Fault::Reset {
            "power"
        } else {
            "another program at its reader"
        };
        assert!(loss.because.contains(likely), "{fault:?}: {}", loss.because);
        let cause = status.locked_because.unwrap();
        assert_eq!((cause.at_ms, &cause.text), (now, &loss.because));
        let refused = far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap_err();
        assert!(
            matches!(refused, HsmError::Locked { because: Some(_), .. }),
            "{refused}"
        );

        unlock(&far.hsm, &mut custodians).await;
        let status = far.hsm.status();
        assert_eq!(status.locked_because, None);
        assert_eq!(status.last_loss.unwrap().number, number, "it stays known");
        far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
    }
}

#[tokio::test]
async fn a_connector_that_goes_is_noticed_and_proves_its_device_when_it_comes_back() {
    let installation = Installation::new();
    let (far, mut custodians, _) = installation.open_far(|wire| wire, quick_to_look()).await;
    let pool = Arc::new(Pool::new());
    let mut changes = pool.changes();
    let id = HsmId::new(uuid::Uuid::from_u128(1));
    pool.insert(id, far.hsm.clone());
    assert_eq!(changes.recv().await.unwrap(), id);
    let proven = far.wire.authenticated();
    far.wire.fail_after(0, Fault::Gone);
    assert_eq!(changes.recv().await.unwrap(), id);
    let State::Lost { because, .. } = far.hsm.state() else {
        panic!("{}", far.hsm.state())
    };
    assert!(because.contains("the connector went away"), "{because}");
    far.hsm.reconnect().await.unwrap_err();
    far.wire.mend();
    far.hsm.reconnect().await.unwrap();
    assert_eq!(changes.recv().await.unwrap(), id);
    assert_eq!(far.wire.authenticated(), proven + 1);
    assert_eq!(far.hsm.state(), State::Locked, "the token was without power");
    assert!(far.hsm.status().last_loss.unwrap().was_open);
    unlock(&far.hsm, &mut custodians).await;
    far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
    drop(pool.remove(id));
    while changes.recv().await.unwrap() != id || pool.get(id).is_some() {}
}

#[tokio::test]
async fn an_hsm_lost_in_a_signature_is_failed_over_or_told() {
    let installation = Installation::new();
    for window in [1, 8] {
        let mut custodians = installation.custodians();
        let [a, b] = ["hsm-a", "hsm-b"].map(|name| {
            installation.far(
                name,
                |wire| wire.with_window(window, true),
                StartOptions::default(),
            )
        });
        for far in [&a, &b] {
            crate::bench::set_up(&far.hsm, &custodians).await;
            unlock(&far.hsm, &mut custodians).await;
        }
        let key = a.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
        let copy = a.hsm.export(KEY).await.unwrap();
        b.hsm.import(KEY, copy, &key.public_key_spki).await.unwrap();
        let ids = [1, 2].map(|number| HsmId::new(uuid::Uuid::from_u128(number)));
        let pool = Arc::new(Pool::new());
        pool.insert(ids[0], a.hsm.clone());
        pool.insert(ids[1], b.hsm.clone());
        let signer = pool.signer(key.public_key_spki, KEY, ids.to_vec());
        a.wire.fail_after(0, Fault::Gone);
        signer.sign(b"to be signed").await.unwrap();
        assert!(matches!(a.hsm.state(), State::Lost { .. }));
        b.wire.fail_after(0, Fault::Select);
        let locked = signer.sign(b"to be signed").await.unwrap_err();
        assert!(matches!(locked, KeyError::Locked { .. }), "{locked}");
        b.wire.fail_after(0, Fault::Gone);
        b.hsm.inspect().await.unwrap_err();
        let gone = signer.sign(b"to be signed").await.unwrap_err();
        assert!(
            matches!(
                gone,
                KeyError::Unavailable {
                    source: HsmError::Lost { .. }
                }
            ),
            "{gone}"
        );
        std::fs::remove_dir_all(installation.token_dir()).unwrap();
    }
}

/// While the way to one is cut, what waits there goes to the other, and nothing more is sent there first.
#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_does_not_get_on_is_not_waited_for_where_another_can_sign() {
    let installation = Installation::new();
    let mut custodians = installation.custodians();
    let [a, b] = ["hsm-a", "hsm-b"]
        .map(|name| installation.far(name, |wire| wire.with_window(8, true), StartOptions::default()));
    for far in [&a, &b] {
        crate::bench::set_up(&far.hsm, &custodians).await;
        unlock(&far.hsm, &mut custodians).await;
    }
    let key = a.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
    let copy = a.hsm.export(KEY).await.unwrap();
    b.hsm.import(KEY, copy, &key.public_key_spki).await.unwrap();
    let ids = [1, 2].map(|number| HsmId::new(uuid::Uuid::from_u128(number)));
    let pool = Arc::new(Pool::new());
    pool.insert(ids[0], a.hsm.clone());
    pool.insert(ids[1], b.hsm.clone());
    let signer = pool.signer(key.public_key_spki, KEY, ids.to_vec());
    a.wire.hold(true);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let signer = signer.clone();
        tasks.spawn(async move { signer.sign(b"to be signed").await });
    }
    for result in tasks.join_all().await {
        result.unwrap();
    }
    assert!(a.hsm.is_stalled() && !b.hsm.is_stalled());
    let began = std::time::Instant::now();
    signer.sign(b"to be signed").await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "the other was asked first"
    );
    a.wire.hold(false);
    // It goes on where it stood.
    a.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
    assert!(!a.hsm.is_stalled());
    assert!(a.hsm.state().is_unlocked());
}
