//! One behaviour suite for every signing key, and what is special to a pooled one.

use std::sync::Arc;

use chancery_api::HsmId;
use chancery_keys::{
    GenerateSpec, Hsm, HsmError, KeyAlgorithm, KeyError, NO_ERA, Pool, SignatureAlgorithm, SigningKey,
    SoftwareKey,
};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Verifier;

use crate::bench::{Bench, Installation, KEY, Loss, SIGN, spec, unlock};

/// What the contract of [`SigningKey`] says, judged by OpenSSL.
pub(crate) async fn behaves(key: Arc<dyn SigningKey>, digest: MessageDigest) {
    let public = PKey::public_key_from_der(key.public_key()).unwrap();
    let is_good = |message: &[u8], signature: &[u8]| {
        let mut verifier = Verifier::new(digest, &public).unwrap();
        verifier.verify_oneshot(signature, message).unwrap_or(false)
    };
    let long: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    for message in [&b""[..], b"to be signed", &[0x30; 1200], &long] {
        let signature = key.sign(message).await.unwrap();
        assert!(is_good(message, &signature), "{} bytes", message.len());
        assert!(!is_good(b"something else", &signature));
    }
    let tasks: Vec<_> = (0..32_u8)
        .map(|number| {
            let key = Arc::clone(&key);
            tokio::spawn(async move { (number, key.sign(&[number; 40]).await.unwrap()) })
        })
        .collect();
    for task in tasks {
        let (number, signature) = task.await.unwrap();
        assert!(is_good(&[number; 40], &signature), "concurrent {number}");
    }
    // Calls that are dropped harm no other.
    for _ in 0..8 {
        tokio::select! {
            biased;
            result = key.sign(b"dropped") => drop(result.unwrap()),
            () = std::future::ready(()) => {}
        }
    }
    let signature = key.sign(b"last").await.unwrap();
    assert!(is_good(b"last", &signature));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_software_key_behaves() {
    behaves(
        Arc::new(SoftwareKey::generate().unwrap()),
        MessageDigest::sha256(),
    )
    .await;
    assert!(matches!(
        SoftwareKey::from_pkcs8(b"no key"),
        Err(KeyError::Internal { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_key_of_every_kind_behaves() {
    let installation = Installation::new();
    let (bench, _, first) = installation.open_hsm().await;
    let (pool, id) = (Arc::new(Pool::new()), HsmId::new(uuid::Uuid::from_u128(1)));
    pool.insert(id, bench.hsm.clone());
    let signer = pool.signer(first.public_key_spki, KEY, vec![id]);
    behaves(Arc::new(signer), MessageDigest::sha256()).await;
    let kinds = [
        (KeyAlgorithm::EcP384, MessageDigest::sha384()),
        (KeyAlgorithm::EcP521, MessageDigest::sha512()),
        (KeyAlgorithm::Rsa2048, MessageDigest::sha256()),
    ];
    for (key_id, (algorithm, digest)) in (2..).zip(kinds) {
        let key = bench
            .hsm
            .generate(GenerateSpec {
                key_id,
                ..spec(algorithm)
            })
            .await
            .unwrap();
        let signer = pool.signer(key.public_key_spki, key_id, vec![id]);
        behaves(Arc::new(signer), digest).await;
    }
}

#[tokio::test]
async fn a_signature_is_one_command() {
    let installation = Installation::new();
    let (bench, _, key) = installation.open_hsm().await;
    let log = bench.line.log();
    log.clear();
    bench
        .hsm
        .sign(KEY, SignatureAlgorithm::EcdsaDigest, vec![7; 32])
        .await
        .unwrap();
    assert_eq!((log.count(), log.count_of(SIGN)), (1, 1));
    let (pool, id) = (Arc::new(Pool::new()), HsmId::new(uuid::Uuid::from_u128(1)));
    pool.insert(id, bench.hsm.clone());
    let signer = pool.signer(key.public_key_spki, KEY, vec![id]);
    for _ in 0..5 {
        signer.sign(b"to be signed").await.unwrap();
    }
    assert_eq!((log.count(), log.count_of(SIGN)), (6, 6));
}

/// Two open HSMs with one key between them.
struct Pair {
    a: Bench,
    b: Bench,
    pool: Arc<Pool>,
    ids: [HsmId; 2],
    spki: Vec<u8>,
    custodians: [crate::bench::Custodian; 3],
}

impl Pair {
    async fn new(installation: &Installation) -> Self {
        let (a, b, mut custodians) = installation.two_hsms().await;
        for hsm in [&a.hsm, &b.hsm] {
            unlock(hsm, &mut custodians).await;
        }
        let key = a.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
        let copy = a.hsm.export(KEY).await.unwrap();
        b.hsm.import(KEY, copy, &key.public_key_spki).await.unwrap();
        let ids = [1, 2].map(|number| HsmId::new(uuid::Uuid::from_u128(number)));
        let pool = Arc::new(Pool::new());
        pool.insert(ids[0], a.hsm.clone());
        pool.insert(ids[1], b.hsm.clone());
        for bench in [&a, &b] {
            bench.line.log().clear();
        }
        Self {
            a,
            b,
            pool,
            ids,
            spki: key.public_key_spki,
            custodians,
        }
    }

    fn signer(&self) -> chancery_keys::PooledKey {
        self.pool.signer(self.spki.clone(), KEY, self.ids.to_vec())
    }

    fn signed(&self) -> [u64; 2] {
        [&self.a, &self.b].map(|bench| bench.line.log().count_of(SIGN))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_go_to_whoever_has_least_to_do() {
    let installation = Installation::new();
    let pair = Pair::new(&installation).await;
    // One that is held up gets one request, and the other all that come meanwhile.
    pair.a.line.hold();
    let held = tokio::spawn({
        let signer = pair.signer();
        async move { signer.sign(b"held up").await }
    });
    let line = pair.a.line.clone();
    tokio::task::spawn_blocking(move || line.wait_until_held())
        .await
        .unwrap();
    for _ in 0..5 {
        pair.signer().sign(b"to be signed").await.unwrap();
    }
    pair.a.line.release();
    held.await.unwrap().unwrap();
    assert_eq!(pair.signed(), [1, 5]);
}

#[tokio::test]
async fn a_loss_is_failed_over_within_the_call() {
    let installation = Installation::new();
    let mut pair = Pair::new(&installation).await;
    let signer = pair.signer();
    pair.a.line.cut_after(0, Loss::Command);
    signer.sign(b"to be signed").await.unwrap();
    assert_eq!(pair.signed(), [0, 1]);
    // A lock by something else as well, once the first is back.
    pair.a.line.mend();
    pair.a.hsm.reconnect().await.unwrap();
    unlock(&pair.a.hsm, &mut pair.custodians).await;
    pair.a.line.reset_once();
    signer.sign(b"to be signed").await.unwrap();
    assert_eq!(pair.b.line.log().count_of(SIGN), 2);

    // With the second gone too, the first needs its custodians.
    pair.b.line.cut_after(0, Loss::Answer);
    let locked = signer.sign(b"to be signed").await.unwrap_err();
    let KeyError::Locked { what } = &locked else {
        panic!("{locked}")
    };
    assert_eq!(what, "hsm-a is locked");
    // Both gone.
    pair.a.line.cut_after(0, Loss::Command);
    pair.a.hsm.inspect().await.unwrap_err();
    let lost = signer.sign(b"to be signed").await.unwrap_err();
    assert!(
        matches!(
            lost,
            KeyError::Unavailable {
                source: HsmError::Lost { .. }
            }
        ),
        "{lost}"
    );
    for id in pair.ids {
        pair.pool.remove(id).unwrap();
    }
    assert!(matches!(
        signer.sign(b"to be signed").await,
        Err(KeyError::NoReplica)
    ));
    assert!(pair.pool.all().is_empty());
}

#[tokio::test]
async fn a_replica_that_is_missing_is_passed_over() {
    let installation = Installation::new();
    let pair = Pair::new(&installation).await;
    let key = pair
        .b
        .hsm
        .generate(GenerateSpec {
            key_id: 2,
            ..spec(KeyAlgorithm::EcP256)
        })
        .await
        .unwrap();
    let signer = pair
        .pool
        .signer(key.public_key_spki.clone(), 2, pair.ids.to_vec());
    signer.sign(b"to be signed").await.unwrap();
    let alone = pair.pool.signer(key.public_key_spki, 2, vec![pair.ids[0]]);
    let missing = alone.sign(b"to be signed").await.unwrap_err();
    assert!(
        matches!(
            missing,
            KeyError::Unavailable {
                source: HsmError::Token { .. }
            }
        ),
        "{missing}"
    );
}

#[tokio::test]
async fn a_wrong_signature_is_not_given_out_and_names_the_hsm() {
    let installation = Installation::new();
    let pair = Pair::new(&installation).await;
    pair.a.line.falsify();
    let wrong = pair.signer().sign(b"to be signed").await.unwrap_err();
    assert!(
        matches!(&wrong, KeyError::WrongSignature { hsm } if hsm == "hsm-a"),
        "{wrong}"
    );
    // The same when the key under the id is another one.
    pair.b
        .hsm
        .generate(GenerateSpec {
            key_id: 2,
            ..spec(KeyAlgorithm::EcP256)
        })
        .await
        .unwrap();
    let signer = pair.pool.signer(pair.spki.clone(), 2, vec![pair.ids[1]]);
    let wrong = signer.sign(b"to be signed").await.unwrap_err();
    assert!(
        matches!(&wrong, KeyError::WrongSignature { hsm } if hsm == "hsm-b"),
        "{wrong}"
    );
    let nonsense = pair.pool.signer(b"no key".to_vec(), KEY, pair.ids.to_vec());
    assert!(matches!(nonsense.sign(b"").await, Err(KeyError::Internal { .. })));
}

/// What custodians opened HSMs for before they were locked, they have not opened them for afterwards: the key goes to an HSM that is
/// still open for it, and to no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_in_the_eras_it_was_given_for() {
    let installation = Installation::new();
    let mut pair = Pair::new(&installation).await;
    let eras = |pair: &Pair| [&pair.a, &pair.b].map(|bench| bench.hsm.status().era);
    let signer = |pair: &Pair, eras: [u64; 2]| {
        let on = pair.ids.into_iter().zip(eras).collect();
        pair.pool.signer_in(pair.spki.clone(), KEY, on)
    };
    let first = signer(&pair, eras(&pair));
    first.sign(b"to be signed").await.unwrap();
    assert_eq!(pair.signed(), [1, 0], "one command");
    // The first one is open again, and for something else: the second one signs.
    pair.a.hsm.lock().await.unwrap();
    unlock(&pair.a.hsm, &mut pair.custodians).await;
    first.sign(b"to be signed").await.unwrap();
    assert_eq!(pair.signed(), [1, 1]);
    // With the second one as well there is none.
    pair.b.hsm.lock().await.unwrap();
    let locked = first.sign(b"to be signed").await.unwrap_err();
    assert!(
        locked
            .to_string()
            .ends_with("hsm-a was locked meanwhile, and opened again for something else, hsm-b is locked"),
        "{locked}"
    );
    unlock(&pair.b.hsm, &mut pair.custodians).await;
    let locked = first.sign(b"to be signed").await.unwrap_err();
    assert!(matches!(locked, KeyError::Locked { .. }), "{locked}");
    assert_eq!(pair.signed(), [1, 1]);
    signer(&pair, eras(&pair)).sign(b"to be signed").await.unwrap();
    assert_eq!(pair.signed(), [2, 1]);
    let never = signer(&pair, [NO_ERA; 2])
        .sign(b"to be signed")
        .await
        .unwrap_err();
    assert!(matches!(never, KeyError::Locked { .. }), "{never}");
}

/// It is looked at when the HSM comes to it, not when it was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_waits_is_not_made_in_the_next_era() {
    let installation = Installation::new();
    let pair = Pair::new(&installation).await;
    let on = || vec![(pair.ids[0], pair.a.hsm.status().era)];
    let sign = |signer: chancery_keys::PooledKey| tokio::spawn(async move { signer.sign(b"waits").await });
    pair.a.line.hold();
    let held = sign(pair.pool.signer_in(pair.spki.clone(), KEY, on()));
    let line = pair.a.line.clone();
    tokio::task::spawn_blocking(move || line.wait_until_held())
        .await
        .unwrap();
    let hsm = pair.a.hsm.clone();
    let locking = tokio::spawn(async move { hsm.lock().await });
    until(&pair.a.hsm, 2).await;
    let waits = sign(pair.pool.signer_in(pair.spki.clone(), KEY, on()));
    until(&pair.a.hsm, 3).await;
    pair.a.line.release();
    held.await.unwrap().unwrap();
    locking.await.unwrap().unwrap();
    let locked = waits.await.unwrap().unwrap_err();
    assert!(matches!(locked, KeyError::Locked { .. }), "{locked}");
    assert_eq!(pair.signed(), [1, 0]);
}

/// Waits until so many requests are outstanding.
async fn until(hsm: &Hsm, outstanding: usize) {
    while hsm.outstanding() < outstanding {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}
