//! Setting up, registering custodians, unlocking by a quorum, locking.

use std::time::Duration;

use chancery_keys::{HsmError, KeyAlgorithm, SignatureAlgorithm, StartOptions, State};
use chancery_schsm::{Kek, KekShare};

use crate::bench::{Installation, KEY, NOW, SIGN, one_answers, parameters, set_up, shares, spec, unlock};
use crate::wire::Fault;

#[tokio::test]
async fn two_of_three_open_it_and_one_does_not() {
    let installation = Installation::new();
    let mut custodians = installation.custodians();
    let bench = installation.hsm("hsm-a");
    let hsm = &bench.hsm;
    assert_eq!(hsm.state(), State::NotInitialised);
    assert!(!hsm.inspect().await.unwrap().initialised);
    let refused = hsm.challenge(&custodians[0].chr).await.unwrap_err();
    assert!(matches!(refused, HsmError::NoQuorum { .. }), "{refused}");

    let seen = hsm.initialise(parameters()).await.unwrap();
    assert_eq!(hsm.state(), State::Unregistered { missing: 3 });
    assert_eq!(seen.kcv, Some(Kek::from_shares(&shares()).unwrap().kcv().0));
    assert_eq!((seen.shares_outstanding, seen.keys.len()), (0, 0));
    for (index, custodian) in custodians.iter().enumerate() {
        let early = hsm.challenge(&custodians[0].chr).await.unwrap_err();
        assert!(matches!(early, HsmError::NoQuorum { .. }), "{early}");
        let seen = hsm
            .register(custodian.chain.clone(), custodian.request.clone())
            .await
            .unwrap();
        let quorum = seen.quorum.unwrap();
        assert_eq!((quorum.required, quorum.total, quorum.answered), (2, 3, 0));
        assert_eq!(usize::from(quorum.missing), 2 - index);
        assert_eq!(seen.custodians.len(), index + 1);
    }
    assert_eq!(hsm.state(), State::Locked);
    let again = hsm
        .register(custodians[1].chain.clone(), custodians[1].request.clone())
        .await
        .unwrap();
    assert_eq!(again.custodians.len(), 3);

    assert_eq!(
        one_answers(hsm, &mut custodians[2]).await,
        State::Quorum { have: 1, need: 2 }
    );
    assert_eq!(hsm.state(), State::Quorum { have: 1, need: 2 });
    let seen = hsm.inspect().await.unwrap();
    assert_eq!(
        seen.custodians
            .iter()
            .filter(|custodian| custodian.answered)
            .count(),
        1
    );
    let refused = hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap_err();
    assert_eq!(refused.to_string(), "HSM hsm-a is locked, quorum 1 of 2");
    assert!(matches!(refused, HsmError::Locked { .. }));

    assert_eq!(
        one_answers(hsm, &mut custodians[0]).await,
        State::Unlocked { since_ms: NOW }
    );
    hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();

    hsm.lock().await.unwrap();
    assert_eq!((hsm.state(), hsm.locked_because()), (State::Locked, None));
    let refused = hsm
        .sign(KEY, SignatureAlgorithm::EcdsaDigest, vec![7; 32])
        .await
        .unwrap_err();
    assert!(matches!(refused, HsmError::Locked { .. }), "{refused}");
}

/// What custodians opened it for before it was locked, they have not opened it for afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_for_one_era_is_not_made_in_the_next() {
    let installation = Installation::new();
    for window in [1, 8] {
        let (far, mut custodians, _) = installation
            .open_far(|wire| wire.with_window(window, true), StartOptions::default())
            .await;
        let hsm = &far.hsm;
        let sign = |era: u64| {
            hsm.sign_here_or(
                KEY,
                SignatureAlgorithm::EcdsaDigest,
                vec![7; 32],
                Some(era),
                || false,
            )
        };
        let era = || hsm.status().era;
        let first = era();
        sign(first).await.unwrap();
        hsm.inspect().await.unwrap();
        assert_eq!(era(), first, "looking at it costs no answers");
        hsm.lock().await.unwrap();
        assert_ne!(era(), first);
        let refused = sign(first).await.unwrap_err();
        assert!(matches!(refused, HsmError::Locked { .. }), "{refused}");
        let before = era();
        unlock(hsm, &mut custodians).await;
        assert_eq!(era(), before, "an era goes from one lock to the next");
        let signs = far.wire.count_of(SIGN);
        let refused = sign(first).await.unwrap_err();
        assert!(matches!(refused, HsmError::OpenedAnew { .. }), "{refused}");
        assert_eq!(far.wire.count_of(SIGN), signs, "the token was not asked");
        sign(era()).await.unwrap();
        // Somebody else's reset ends it as well.
        far.wire.fail_after(0, Fault::Reset);
        sign(era()).await.unwrap_err();
        unlock(hsm, &mut custodians).await;
        let refused = sign(before).await.unwrap_err();
        assert!(matches!(refused, HsmError::OpenedAnew { .. }), "{refused}");
        hsm.closed("enough").await;
        std::fs::remove_dir_all(installation.token_dir()).unwrap();
    }
}

#[tokio::test]
async fn hsms_set_up_with_the_same_shares_have_one_key_domain() {
    let installation = Installation::new();
    let (a, b, _) = installation.two_hsms().await;
    let (a, b) = (a.hsm.inspect().await.unwrap(), b.hsm.inspect().await.unwrap());
    assert!(a.kcv.is_some());
    assert_eq!(a.kcv, b.kcv);
    assert_eq!(a.custodians, b.custodians);
}

#[tokio::test]
async fn a_challenge_takes_its_own_answer_once() {
    let installation = Installation::new();
    let (a, b, mut custodians) = installation.two_hsms().await;
    let hsm = &a.hsm;
    let [ann, bob, _] = &mut custodians;

    let challenge = hsm.challenge(&ann.chr).await.unwrap();
    let signature = ann.answer(hsm, challenge.challenge);
    let wrong = hsm.answer("another session", &signature).await.unwrap_err();
    assert!(matches!(wrong, HsmError::NoSuchChallenge { .. }), "{wrong}");
    let short = hsm.answer(&challenge.session, &signature[1..]).await.unwrap_err();
    assert!(matches!(short, HsmError::AnswerRefused { .. }), "{short}");
    // Neither has spent the challenge.
    let state = hsm.answer(&challenge.session, &signature).await.unwrap();
    assert_eq!(state, State::Quorum { have: 1, need: 2 });

    let replayed = hsm.answer(&challenge.session, &signature).await.unwrap_err();
    assert!(matches!(replayed, HsmError::NoSuchChallenge { .. }), "{replayed}");
    let twice = hsm.challenge(&ann.chr).await.unwrap_err();
    assert!(matches!(twice, HsmError::AlreadyAnswered { .. }), "{twice}");

    // An earlier answer, another custodian's answer and an answer for another HSM are all refused by the token.
    for kind in 0..3 {
        let challenge = hsm.challenge(&bob.chr).await.unwrap();
        let answer = match kind {
            0 => signature.clone(),
            1 => ann.answer(hsm, challenge.challenge),
            _ => bob.answer_for(&b.hsm.identity().device, challenge.challenge),
        };
        let refused = hsm.answer(&challenge.session, &answer).await.unwrap_err();
        assert!(
            matches!(refused, HsmError::AnswerRefused { .. }),
            "{kind}: {refused}"
        );
        let spent = hsm
            .answer(&challenge.session, &bob.answer(hsm, challenge.challenge))
            .await
            .unwrap_err();
        assert!(
            matches!(spent, HsmError::NoSuchChallenge { .. }),
            "{kind}: {spent}"
        );
        assert_eq!(hsm.state(), State::Quorum { have: 1, need: 2 });
    }
    assert!(matches!(one_answers(hsm, bob).await, State::Unlocked { .. }));
    let stranger = installation.custodian("eve");
    let unknown = b.hsm.challenge(&stranger.chr).await.unwrap_err();
    assert!(matches!(unknown, HsmError::NoSuchCustodian { .. }), "{unknown}");
}

#[tokio::test]
async fn an_unanswered_challenge_expires() {
    let installation = Installation::new();
    let mut custodians = installation.custodians();
    let options = StartOptions {
        challenge_expiry: Duration::ZERO,
        ..StartOptions::default()
    };
    let bench = installation.hsm_with("hsm-a", options);
    set_up(&bench.hsm, &custodians).await;
    let challenge = bench.hsm.challenge(&custodians[0].chr).await.unwrap();
    let answer = custodians[0].answer(&bench.hsm, challenge.challenge);
    let late = bench.hsm.answer(&challenge.session, &answer).await.unwrap_err();
    assert!(matches!(late, HsmError::ChallengeExpired { .. }), "{late}");
    assert_eq!(bench.hsm.state(), State::Locked);
    assert_eq!(bench.hsm.inspect().await.unwrap().quorum.unwrap().answered, 0);
}

#[tokio::test]
async fn nothing_reaches_the_token_while_a_challenge_is_open() {
    let installation = Installation::new();
    let (a, _, mut custodians) = installation.two_hsms().await;
    let hsm = &a.hsm;
    let [ann, bob, cem] = &mut custodians;
    let first = hsm.challenge(&ann.chr).await.unwrap();
    let commands = a.line.log().count();
    let busy = hsm
        .sign(KEY, SignatureAlgorithm::EcdsaDigest, vec![7; 32])
        .await
        .unwrap_err();
    assert!(matches!(busy, HsmError::Busy { .. }), "{busy}");
    let busy = hsm.key(KEY).await.unwrap_err();
    assert!(matches!(busy, HsmError::Busy { .. }), "{busy}");
    assert_eq!(hsm.inspect().await.unwrap().custodians.len(), 3);
    assert_eq!(a.line.log().count(), commands);

    // Another challenge takes its place.
    let second = hsm.challenge(&bob.chr).await.unwrap();
    let old = hsm
        .answer(&first.session, &ann.answer(hsm, first.challenge))
        .await
        .unwrap_err();
    assert!(matches!(old, HsmError::NoSuchChallenge { .. }), "{old}");
    let state = hsm
        .answer(&second.session, &bob.answer(hsm, second.challenge))
        .await
        .unwrap();
    assert_eq!(state, State::Quorum { have: 1, need: 2 });

    // A lock ends it, and takes the answers before with it.
    let third = hsm.challenge(&cem.chr).await.unwrap();
    hsm.lock().await.unwrap();
    assert_eq!(hsm.state(), State::Locked);
    let ended = hsm
        .answer(&third.session, &cem.answer(hsm, third.challenge))
        .await
        .unwrap_err();
    assert!(matches!(ended, HsmError::NoSuchChallenge { .. }), "{ended}");
    unlock(hsm, &mut custodians).await;
}

#[tokio::test]
async fn a_token_with_keys_is_never_initialised() {
    let installation = Installation::new();
    let (bench, _, key) = installation.open_hsm().await;
    let refused = bench.hsm.initialise(parameters()).await.unwrap_err();
    assert!(
        matches!(refused, HsmError::HoldsKeys { count: 1, .. }),
        "{refused}"
    );
    bench.hsm.lock().await.unwrap();
    let refused = bench.hsm.initialise(parameters()).await.unwrap_err();
    assert!(
        matches!(refused, HsmError::HoldsKeys { count: 1, .. }),
        "{refused}"
    );
    assert_eq!(bench.hsm.key(KEY).await.unwrap(), Some(key));
}

#[tokio::test]
async fn what_cannot_be_set_up_is_refused_before_the_token_is_erased() {
    let installation = Installation::new();
    let bench = installation.hsm("hsm-a");
    set_up(&bench.hsm, &installation.custodians()).await;
    let mut cases = vec![parameters(), parameters(), parameters(), parameters()];
    cases[0].shares.clear();
    cases[1].shares = vec![KekShare::new([5; 32]), KekShare::new([5; 32])];
    cases[2].required = 4;
    cases[3].required = 0;
    for case in cases {
        let refused = bench.hsm.initialise(case).await.unwrap_err();
        assert!(matches!(refused, HsmError::Input { .. }), "{refused}");
    }
    // A wrong SO-PIN erases nothing either.
    let mut wrong = parameters();
    wrong.so_pin = chancery_driver::SoPin::new(*b"00000000");
    let refused = bench.hsm.initialise(wrong).await.unwrap_err();
    assert!(matches!(refused, HsmError::Token { .. }), "{refused}");
    assert_eq!(bench.hsm.inspect().await.unwrap().custodians.len(), 3);
    assert_eq!(bench.hsm.state(), State::Locked);
}

#[tokio::test]
async fn only_attested_custodian_keys_are_registered() {
    let installation = Installation::new();
    let [ann, bob, _] = installation.custodians();
    let bench = installation.hsm("hsm-a");
    bench.hsm.initialise(parameters()).await.unwrap();
    let strange = Installation::new().custodian("eve");
    let mut altered = ann.request.clone();
    *altered.last_mut().unwrap() ^= 1;
    for (chain, request) in [
        (strange.chain.clone(), strange.request.clone()),
        (bob.chain.clone(), ann.request.clone()),
        (ann.chain.clone(), altered),
        (ann.chain.clone(), Vec::new()),
        (Vec::new(), ann.request.clone()),
    ] {
        let refused = bench.hsm.register(chain, request).await.unwrap_err();
        assert!(matches!(refused, HsmError::Unattested { .. }), "{refused}");
    }
    assert_eq!(bench.hsm.state(), State::Unregistered { missing: 3 });
    bench.hsm.register(ann.chain, ann.request).await.unwrap();
}

#[tokio::test]
async fn a_complete_quorum_takes_no_further_custodian() {
    let installation = Installation::new();
    let (bench, _, _) = installation.open_hsm().await;
    let late = installation.custodian("dora");
    for _ in 0..2 {
        let refused = bench
            .hsm
            .register(late.chain.clone(), late.request.clone())
            .await
            .unwrap_err();
        assert!(matches!(refused, HsmError::Registration { .. }), "{refused}");
        bench.hsm.lock().await.unwrap();
    }
}
