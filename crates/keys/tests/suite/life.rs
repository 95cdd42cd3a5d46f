//! Losing tokens, others interfering, closing, waiting no longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chancery_cvc::TrustAnchors;
use chancery_keys::{
    Connect, ConnectError, GenerateSpec, Hsm, HsmError, KeyAlgorithm, SignatureAlgorithm, StartOptions,
    State, VirtualConnect,
};

use crate::bench::{Installation, KEY, Line, Loss, NOW, SIGN, one_answers, spec, unlock};

const ECDSA: SignatureAlgorithm = SignatureAlgorithm::EcdsaDigest;

#[tokio::test]
async fn a_token_pulled_in_mid_life_is_lost_with_time_and_cause() {
    let installation = Installation::new();
    let (bench, mut custodians, key) = installation.open_hsm().await;
    let hsm = &bench.hsm;
    installation.now.store(NOW + 5000, Ordering::SeqCst);
    bench.line.cut_after(0, Loss::Command);
    let lost = hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap_err();
    assert!(lost.to_string().contains("pulled by the test"), "{lost}");
    let State::Lost { at_ms, because } = hsm.state() else {
        panic!("{}", hsm.state())
    };
    assert_eq!(at_ms, NOW + 5000);
    assert!(because.contains("pulled by the test"), "{because}");
    for refused in [
        hsm.inspect().await.map(drop),
        hsm.lock().await,
        hsm.challenge(&custodians[0].chr).await.map(drop),
        hsm.sign(KEY, ECDSA, vec![7; 32]).await.map(drop),
        hsm.export(KEY).await.map(drop),
    ] {
        assert!(matches!(refused, Err(HsmError::Lost { .. })), "{refused:?}");
    }
    // It does not come back while it is away, and comes back locked.
    let away = hsm.reconnect().await.unwrap_err();
    assert!(
        matches!(
            away,
            HsmError::Connect {
                source: ConnectError::NotFound { .. },
                ..
            }
        ),
        "{away}"
    );
    assert!(matches!(hsm.state(), State::Lost { .. }));
    bench.line.mend();
    hsm.reconnect().await.unwrap();
    assert_eq!(hsm.state(), State::Locked);
    assert!(hsm.locked_because().unwrap().contains("pulled by the test"));
    unlock(hsm, &mut custodians).await;
    assert_eq!(hsm.locked_because(), None);
    assert_eq!(hsm.key(KEY).await.unwrap(), Some(key));
}

#[tokio::test]
async fn a_lost_token_is_given_back_so_that_it_can_be_attached_again() {
    let installation = Installation::new();
    let (bench, _, _) = installation.open_hsm().await;
    bench.line.cut_after(0, Loss::Command);
    bench.hsm.inspect().await.unwrap_err();
    bench.line.mend();
    let again = installation.start("hsm-a", &bench.line, StartOptions::default());
    assert_eq!(again.state(), State::Locked);
}

#[tokio::test]
async fn another_token_in_its_place_is_refused() {
    let installation = Installation::new();
    let (bench, _, _) = installation.open_hsm().await;
    bench.line.cut_after(0, Loss::Command);
    bench.hsm.inspect().await.unwrap_err();
    bench.line.mend();
    let other = installation.token("other");
    bench.line.lead_to(other.clone());
    let refused = bench.hsm.reconnect().await.unwrap_err();
    assert!(matches!(refused, HsmError::OtherDevice { .. }), "{refused}");
    assert!(matches!(bench.hsm.state(), State::Lost { .. }));
    // And it is not held.
    other.connect().unwrap();
}

#[tokio::test]
async fn a_reset_by_something_else_is_noticed_by_the_next_use() {
    let installation = Installation::new();
    let (bench, mut custodians, _) = installation.open_hsm().await;
    bench.line.reset_once();
    let refused = bench.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap_err();
    assert!(
        matches!(refused, HsmError::Locked { because: Some(_), .. }),
        "{refused}"
    );
    assert_eq!(bench.hsm.state(), State::Locked);
    assert!(bench.hsm.locked_because().unwrap().contains("reset"));
    // The cause stays until the custodians have opened it again.
    bench.hsm.inspect().await.unwrap();
    assert!(bench.hsm.locked_because().is_some());
    unlock(&bench.hsm, &mut custodians).await;
    assert_eq!(bench.hsm.locked_because(), None);
    bench.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap();
}

#[tokio::test]
async fn a_reset_by_something_else_is_noticed_by_a_look() {
    let installation = Installation::new();
    let (bench, mut custodians, _) = installation.open_hsm().await;
    bench.line.reset_once();
    let seen = bench.hsm.inspect().await.unwrap();
    assert_eq!(seen.quorum.unwrap().answered, 0);
    assert_eq!(bench.hsm.state(), State::Locked);
    assert!(bench.hsm.locked_because().unwrap().contains("reset"));

    one_answers(&bench.hsm, &mut custodians[0]).await;
    bench.line.reset_once();
    bench.hsm.inspect().await.unwrap();
    assert_eq!(bench.hsm.state(), State::Locked);

    // Between challenge and answer: the answer is refused and the count is the token's.
    one_answers(&bench.hsm, &mut custodians[0]).await;
    let challenge = bench.hsm.challenge(&custodians[1].chr).await.unwrap();
    bench.line.reset_once();
    let answer = custodians[1].answer(&bench.hsm, challenge.challenge);
    bench.hsm.answer(&challenge.session, &answer).await.unwrap_err();
    assert_eq!(bench.hsm.state(), State::Locked);
    unlock(&bench.hsm, &mut custodians).await;
}

#[tokio::test]
async fn closing_gives_the_token_back_at_once() {
    let installation = Installation::new();
    let (bench, custodians, _) = installation.open_hsm().await;
    let clone = bench.hsm.clone();
    let connect = VirtualConnect::new(bench.line.dir(), installation.at_rest());
    let held = connect.connect().map(drop).unwrap_err();
    assert!(
        matches!(held, ConnectError::InUse { pid, .. } if pid == std::process::id()),
        "{held}"
    );
    bench.hsm.close("it was detached");
    connect.connect().unwrap();
    // It was locked on the way out.
    assert_eq!(
        bench.line.log().entries().last().unwrap().header,
        [0x00, 0xA4, 0x04, 0x00]
    );
    let State::Lost { at_ms: NOW, because } = clone.state() else {
        panic!("{}", clone.state())
    };
    assert_eq!(because, "it was detached");
    let refused = clone.challenge(&custodians[0].chr).await.unwrap_err();
    assert_eq!(refused.to_string(), "HSM hsm-a is lost: it was detached");
}

#[tokio::test]
async fn closing_from_a_task_leaves_the_others_running() {
    let installation = Installation::new();
    let bench = installation.hsm("hsm-a");
    let line = bench.line.clone();
    line.hold();
    let hsm = bench.hsm.clone();
    let under_way = tokio::spawn(async move { hsm.inspect().await });
    tokio::task::spawn_blocking(move || line.wait_until_held())
        .await
        .unwrap();
    // The command ends because this task, on the same thread, gets to let it.
    tokio::join!(bench.hsm.closed("it was detached"), async {
        assert!(matches!(bench.hsm.state(), State::Lost { .. }));
        bench.line.release();
    });
    VirtualConnect::new(bench.line.dir(), installation.at_rest())
        .connect()
        .unwrap();
    drop(under_way.await.unwrap());
}

#[tokio::test]
async fn closing_ends_an_open_challenge() {
    let installation = Installation::new();
    let (bench, _, custodians) = installation.two_hsms().await;
    bench.hsm.challenge(&custodians[0].chr).await.unwrap();
    bench.hsm.close("it was detached");
    VirtualConnect::new(bench.line.dir(), installation.at_rest())
        .connect()
        .unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_locks_the_token_and_gives_it_back() {
    let installation = Installation::new();
    let (bench, _, _) = installation.open_hsm().await;
    let connect = VirtualConnect::new(bench.line.dir(), installation.at_rest());
    let clone = bench.hsm.clone();
    drop(bench.hsm);
    assert!(connect.connect().is_err());
    drop(clone);
    let began = Instant::now();
    while connect.connect().is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the token is still held"
        );
        std::thread::yield_now();
    }
    assert_eq!(
        bench.line.log().entries().last().unwrap().header,
        [0x00, 0xA4, 0x04, 0x00]
    );
}

#[tokio::test]
async fn a_caller_that_waits_no_longer_leaves_the_token_usable() {
    let installation = Installation::new();
    let (bench, _, _) = installation.open_hsm().await;
    bench.line.hold();
    let log = bench.line.log();
    let before = log.count_of(SIGN);
    let (line, hsm) = (bench.line.clone(), bench.hsm.clone());
    let first = tokio::spawn(async move { hsm.sign(KEY, ECDSA, vec![1; 32]).await });
    tokio::task::spawn_blocking(move || line.wait_until_held())
        .await
        .unwrap();

    // The second waits behind it and gives up: nothing is sent for it.
    tokio::time::pause();
    let late = bench.hsm.sign(KEY, ECDSA, vec![2; 32]).await.unwrap_err();
    let second_key = GenerateSpec {
        key_id: 2,
        ..spec(KeyAlgorithm::EcP256)
    };
    let too_late = bench.hsm.generate(second_key).await.unwrap_err();
    tokio::time::resume();
    assert!(matches!(late, HsmError::Timeout { doing: "sign", .. }), "{late}");
    assert!(matches!(too_late, HsmError::Timeout { .. }), "{too_late}");
    first.abort();
    bench.line.release();
    bench.hsm.sign(KEY, ECDSA, vec![3; 32]).await.unwrap();
    assert_eq!(log.count_of(SIGN), before + 2);
    assert_eq!(bench.hsm.inspect().await.unwrap().keys, [KEY]);
    assert_eq!(bench.hsm.outstanding(), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_more() {
    let installation = Installation::new();
    let options = StartOptions {
        queue: 1,
        ..StartOptions::default()
    };
    let bench = installation.hsm_with("hsm-a", options);
    bench.line.hold();
    let (line, hsm) = (bench.line.clone(), bench.hsm.clone());
    let first = tokio::spawn(async move { hsm.inspect().await });
    tokio::task::spawn_blocking(move || line.wait_until_held())
        .await
        .unwrap();
    let hsm = bench.hsm.clone();
    let second = tokio::spawn(async move { hsm.inspect().await });
    while bench.hsm.outstanding() < 2 {
        tokio::task::yield_now().await;
    }
    let busy = bench.hsm.inspect().await.unwrap_err();
    assert!(matches!(busy, HsmError::Busy { .. }), "{busy}");
    bench.line.release();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[test]
fn a_token_that_cannot_be_trusted_or_had_is_not_started() {
    let installation = Installation::new();
    let start = |connect: VirtualConnect, anchors| {
        Hsm::start("hsm-a", Arc::new(connect), anchors, installation.clock())
    };
    let token = installation.token("hsm-a");
    let refused = start(token.clone(), Arc::new(TrustAnchors::none())).unwrap_err();
    assert!(matches!(refused, HsmError::Chain { .. }), "{refused}");
    let nowhere = VirtualConnect::new(token.dir.join("nowhere"), installation.at_rest());
    let refused = start(nowhere, Arc::clone(&installation.anchors)).unwrap_err();
    assert!(
        matches!(
            refused,
            HsmError::Connect {
                source: ConnectError::NotFound { .. },
                ..
            }
        ),
        "{refused}"
    );
    let held = start(token.clone(), Arc::clone(&installation.anchors)).unwrap();
    let refused = start(token, Arc::clone(&installation.anchors)).unwrap_err();
    assert!(
        matches!(
            refused,
            HsmError::Connect {
                source: ConnectError::InUse { .. },
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(held.identity().genuineness, chancery_cvc::Genuineness::Virtual);
    assert!(held.identity().device.starts_with("UTCHD"));
    assert_eq!(held.identity().device_key.first(), Some(&4));
    assert!(!held.identity().chain.is_empty());
}

#[tokio::test]
async fn the_mark_of_a_virtual_token_grows_with_its_state() {
    let installation = Installation::new();
    let connect = Arc::new(installation.token("hsm-a"));
    let hsm = Hsm::start(
        "hsm-a",
        connect,
        Arc::clone(&installation.anchors),
        installation.clock(),
    )
    .unwrap();
    let before = hsm.inspect().await.unwrap().mark.unwrap();
    let after = hsm
        .initialise(crate::bench::parameters())
        .await
        .unwrap()
        .mark
        .unwrap();
    assert!(after.sequence > before.sequence);
    assert_ne!(after.hash, before.hash);
    assert_eq!(hsm.inspect().await.unwrap().mark, Some(after));
    let plain = Line::to(installation.token("hsm-b"));
    let untold = installation.start("hsm-b", &plain, StartOptions::default());
    assert_eq!(untold.inspect().await.unwrap().mark, None);
}

#[tokio::test]
async fn a_thread_that_fails_leaves_a_lost_hsm_and_no_hanging_caller() {
    let installation = Installation::new();
    let (bench, _, _) = installation.open_hsm().await;
    bench.line.panic_once();
    let lost = bench.hsm.sign(KEY, ECDSA, vec![7; 32]).await.unwrap_err();
    assert!(matches!(lost, HsmError::Lost { .. }), "{lost}");
    assert!(matches!(bench.hsm.inspect().await, Err(HsmError::Lost { .. })));
    bench.hsm.close("it is attached again");
    let again = installation.start("hsm-a", &bench.line, StartOptions::default());
    assert_eq!(again.state(), State::Locked);
}
