//! Several signatures under way at a time on a long wire.

use std::sync::Arc;
use std::time::Duration;

use chancery_keys::{GeneratedKey, Hsm, HsmError, SignatureAlgorithm, StartOptions, State};
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::PKey;
use tokio::task::JoinSet;

use crate::bench::{Installation, KEY, unlock};
use crate::wire::Fault;

const ECDSA: SignatureAlgorithm = SignatureAlgorithm::EcdsaDigest;
/// SIGN.
const SIGN: u8 = 0x68;

/// So many callers ask for a signature each, all at once; every digest is another one.
async fn all_at_once(hsm: &Hsm, key: &GeneratedKey, callers: u8) -> Vec<Result<(), HsmError>> {
    let public = PKey::public_key_from_der(&key.public_key_spki)
        .unwrap()
        .ec_key()
        .unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let (hsm, public) = (hsm.clone(), public.clone());
        tasks.spawn(async move {
            let digest = [number; 32];
            let signature = hsm.sign(KEY, ECDSA, digest.to_vec()).await?;
            let signature = EcdsaSig::from_der(&signature).unwrap();
            assert!(
                signature.verify(&digest, &public).unwrap(),
                "somebody else's signature"
            );
            Ok(())
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_under_way_before_the_last_answer_comes() {
    let installation = Installation::new();
    for tells in [true, false] {
        let (far, _, key) = installation
            .open_far(|wire| wire.with_window(8, tells), StartOptions::default())
            .await;
        far.wire.set_delay(Duration::from_millis(20));
        for result in all_at_once(&far.hsm, &key, 24).await {
            result.unwrap();
        }
        assert_eq!(
            far.wire.most_under_way(),
            8,
            "as many as the wire takes, and no more"
        );
        assert_eq!(far.wire.count_of(SIGN), 24, "each sent once");
        assert_eq!(far.hsm.outstanding(), 0);
        far.hsm.closed("enough").await;
        std::fs::remove_dir_all(installation.token_dir()).unwrap();
    }
}

/// A request that comes while an answer is awaited is sent at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_request_does_not_wait_for_an_answer() {
    let installation = Installation::new();
    let (far, _, key) = installation
        .open_far(|wire| wire.with_window(8, true), StartOptions::default())
        .await;
    far.wire.set_delay(Duration::from_secs(1));
    let first = tokio::spawn({
        let (hsm, key) = (far.hsm.clone(), key.clone());
        async move { all_at_once(&hsm, &key, 1).await }
    });
    while far.wire.most_under_way() < 1 || far.hsm.outstanding() < 1 {
        assert!(!first.is_finished(), "it was not under way for long");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let second = all_at_once(&far.hsm, &key, 1).await;
    assert_eq!(far.wire.most_under_way(), 2);
    for result in second.into_iter().chain(first.await.unwrap()) {
        result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_lost_among_many_commands_costs_none_of_them() {
    let installation = Installation::new();
    let (far, _, key) = installation
        .open_far(|wire| wire.with_window(8, true), StartOptions::default())
        .await;
    far.wire.set_delay(Duration::from_millis(2));
    for fault in [Fault::Plain, Fault::LoseCommand, Fault::LoseAnswer, Fault::Alter] {
        for after in [0, 3, 7, 11] {
            let proven = far.wire.authenticated();
            far.wire.fail_after(after, fault);
            for result in all_at_once(&far.hsm, &key, 12).await {
                result.unwrap_or_else(|error| panic!("{fault:?} after {after}: {error}"));
            }
            assert_eq!(far.wire.authenticated(), proven + 1, "{fault:?} after {after}");
        }
    }
    assert_eq!(far.wire.selections(), 0);
    assert!(far.hsm.state().is_unlocked());
    assert_eq!(far.hsm.status().last_loss, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_lost_among_many_commands_is_told_to_each() {
    let installation = Installation::new();
    let (far, mut custodians, key) = installation
        .open_far(|wire| wire.with_window(8, true), StartOptions::default())
        .await;
    far.wire.set_delay(Duration::from_millis(2));
    for (fault, cause) in [
        (Fault::Reset, "power"),
        (Fault::Select, "reader"),
        (Fault::Gone, "the connector went away"),
    ] {
        far.wire.fail_after(5, fault);
        let (good, bad): (Vec<_>, Vec<_>) = all_at_once(&far.hsm, &key, 16)
            .await
            .into_iter()
            .partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (5, 11), "{fault:?}");
        for error in bad {
            let error = error.unwrap_err();
            assert!(error.to_string().contains(cause), "{fault:?}: {error}");
        }
        let status = far.hsm.status();
        assert_eq!(
            status.last_loss.unwrap().number,
            if fault == Fault::Reset {
                1
            } else if fault == Fault::Select {
                2
            } else {
                3
            }
        );
        if let State::Lost { .. } = status.state {
            far.wire.mend();
            far.hsm.reconnect().await.unwrap();
        }
        unlock(&far.hsm, &mut custodians).await;
        for result in all_at_once(&far.hsm, &key, 4).await {
            result.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_concerns_one_command() {
    let installation = Installation::new();
    let (far, _, key) = installation
        .open_far(|wire| wire.with_window(8, true), StartOptions::default())
        .await;
    far.wire.set_delay(Duration::from_millis(5));
    let wrong = {
        let hsm = far.hsm.clone();
        tokio::spawn(async move { hsm.sign(99, ECDSA, vec![7; 32]).await })
    };
    for result in all_at_once(&far.hsm, &key, 12).await {
        result.unwrap();
    }
    let refused = wrong.await.unwrap().unwrap_err();
    assert!(matches!(refused, HsmError::Token { .. }), "{refused}");
    let too_long = far.hsm.sign(KEY, ECDSA, vec![7; 3000]).await.unwrap_err();
    assert!(matches!(too_long, HsmError::Token { .. }), "{too_long}");
    far.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
    assert_eq!(
        far.wire.authenticated(),
        3,
        "at the start, and after two SELECTs of setting up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_does_not_let_through_is_told_and_not_repeated() {
    let installation = Installation::new();
    for window in [1, 8] {
        let (far, _, key) = installation
            .open_far(|wire| wire.with_window(window, true), StartOptions::default())
            .await;
        far.wire.set_delay(Duration::from_millis(2));
        far.wire.fail_after(3, Fault::Stop);
        let (good, bad): (Vec<_>, Vec<_>) = all_at_once(&far.hsm, &key, 12)
            .await
            .into_iter()
            .partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (11, 1));
        let stopped = bad.into_iter().next().unwrap().unwrap_err();
        assert!(matches!(stopped, HsmError::NotLetThrough { .. }), "{stopped}");
        assert_eq!(stopped.to_string(), "the agent at HSM hsm-a does not let it sign");
        assert!(far.hsm.state().is_unlocked());
        assert_eq!(far.wire.selections(), 0);
        far.hsm.closed("enough").await;
        std::fs::remove_dir_all(installation.token_dir()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_and_other_requests_harm_nobody() {
    let installation = Installation::new();
    let (far, _, key) = installation
        .open_far(|wire| wire.with_window(4, true), StartOptions::default())
        .await;
    far.wire.set_delay(Duration::from_millis(5));
    let hsm = &far.hsm;
    let given_up = async {
        for number in 0..24_u64 {
            let limit = Duration::from_millis(number);
            drop(tokio::time::timeout(limit, hsm.sign(KEY, ECDSA, vec![1; 32])).await);
        }
    };
    let looked = async {
        for _ in 0..6 {
            assert_eq!(hsm.inspect().await.unwrap().keys, [KEY]);
        }
    };
    let signed = async {
        for _ in 0..4 {
            for result in all_at_once(hsm, &key, 10).await {
                result.unwrap();
            }
        }
    };
    tokio::join!(given_up, looked, signed);
    assert_eq!(far.hsm.outstanding(), 0);
    assert!(far.hsm.state().is_unlocked());
    // It ends while signatures are under way.
    far.wire.set_delay(Duration::from_millis(300));
    let hsm = far.hsm.clone();
    let last = tokio::spawn(async move { all_at_once(&hsm, &key, 8).await });
    while far.hsm.outstanding() < 8 {
        assert!(!last.is_finished(), "none was under way for long");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    far.hsm.closed("enough").await;
    for result in last.await.unwrap() {
        if let Err(error) = result {
            assert!(matches!(error, HsmError::Lost { .. }), "{error}");
        }
    }
    drop(Arc::new(far));
}
