//! Copies between two virtual tokens, whole and interrupted at every command.

use crate::common::rehearsal::{Rehearsal, Token, login, name, openssl_accepts};
use crate::common::{self, Breaking, Loss};
use chancery_cvc::{Curve, PublicKey};
use chancery_driver::keystore::{self, KeyDescription};
use chancery_driver::replicate::{export, import, inspect};
use chancery_driver::{
    Authenticated, Card, KeyAlgorithm, KeySpec, ReplicaPart, ReplicaState, ReplicateError, Replicated,
};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, fid};

const SHARES: [[u8; 32]; 2] = [[0x11; 32], [0x2A; 32]];
const KEY: KeyId = KeyId(1);

fn generate(hsm: &Token, algorithm: KeyAlgorithm, algorithms: &[Algorithm]) -> PublicKey {
    let mut hsm = login(hsm.clone());
    let spec = KeySpec {
        id: KEY,
        algorithm,
        chr: name("UTCA00001"),
        algorithms: AlgorithmList::new(algorithms).unwrap(),
        key_domain: None,
        use_counter: None,
    };
    let key = hsm.generate(&spec).unwrap().public_key;
    hsm.describe_key(KEY, &key, &KeyDescription::new("root CA"))
        .unwrap();
    key
}

/// Both halves of a copy.
fn replicate<A: Transport, B: Transport>(
    source: &mut Authenticated<A>,
    target: &mut Authenticated<B>,
    expected: &PublicKey,
) -> Result<Replicated, ReplicateError> {
    let replica = export(source, KEY)?;
    import(target, KEY, &replica, expected)
}

fn same_on_both(first: &Token, second: &Token) {
    let entries: Vec<_> = [first, second]
        .map(|token| keystore::entry(&mut login(token.clone()), KEY).unwrap().unwrap())
        .into_iter()
        .map(|entry| (entry.description, entry.certificate))
        .collect();
    assert!(entries[0].0.is_some() && entries[0].1.is_some());
    assert_eq!(entries[0], entries[1]);
}

#[test]
fn every_kind_of_key_is_copied_and_signs() {
    use Algorithm::{Ecdh, EcdsaSha256, RsaDecrypt, RsaPkcs1Sha256, RsaPss, RsaRaw, Wrap};
    let mut rehearsal = Rehearsal::new();
    let first = rehearsal.hsm_with_pin("first", &SHARES);
    let second = rehearsal.hsm_with_pin("second", &SHARES);
    let cases: [(KeyAlgorithm, &[Algorithm], Option<Algorithm>); 8] = [
        (KeyAlgorithm::Ec(Curve::Secp256r1), &[], Some(EcdsaSha256)),
        (KeyAlgorithm::Ec(Curve::Secp384r1), &[], Some(EcdsaSha256)),
        (KeyAlgorithm::Rsa(2048), &[], Some(RsaPkcs1Sha256)),
        (
            KeyAlgorithm::Ec(Curve::BrainpoolP256r1),
            &[EcdsaSha256, Wrap],
            Some(EcdsaSha256),
        ),
        // Keys that sign nothing, or not by themselves, prove themselves too.
        (KeyAlgorithm::Ec(Curve::Secp256r1), &[Ecdh, Wrap], None),
        (KeyAlgorithm::Rsa(2048), &[RsaDecrypt, Wrap], None),
        (KeyAlgorithm::Rsa(2048), &[RsaRaw, Wrap], None),
        (KeyAlgorithm::Rsa(2048), &[RsaPss, Wrap], None),
    ];
    for (algorithm, algorithms, signing) in cases {
        let key = generate(&first, algorithm, algorithms);
        let (mut a, mut b) = (login(first.clone()), login(second.clone()));
        let replica = export(&mut a, KEY).unwrap();
        assert_eq!(
            inspect(&mut b, KEY, &replica, &key).unwrap(),
            ReplicaState::Absent
        );
        assert_eq!(
            replicate(&mut a, &mut b, &key).unwrap(),
            Replicated::Copied,
            "{algorithm:?} {algorithms:?}"
        );
        assert_eq!(
            inspect(&mut b, KEY, &replica, &key).unwrap(),
            ReplicaState::Complete
        );
        assert_eq!(replicate(&mut a, &mut b, &key).unwrap(), Replicated::Unchanged);
        same_on_both(&first, &second);
        let mut b = login(second.clone());
        if let Some(signing) = signing {
            let signature = b.sign(KEY, signing, b"message").unwrap();
            assert!(openssl_accepts(&key, b"message", &signature), "{algorithm:?}");
        }
        assert_eq!(
            b.key_attributes(KEY).unwrap().unwrap().algorithms.ids().len(),
            algorithms.len()
        );
        b.delete_key(KEY).unwrap();
        login(first.clone()).delete_key(KEY).unwrap();
    }
}

#[test]
fn interrupted_at_every_command_the_copy_is_finished() {
    let mut rehearsal = Rehearsal::new();
    let first = rehearsal.hsm_with_pin("first", &SHARES);
    let second = rehearsal.hsm_with_pin("second", &SHARES);
    let key = generate(&first, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    let mut finished = 0;
    for loss in [Loss::Command, Loss::Answer] {
        let mut whole = false;
        // SELECT and VERIFY go through.
        for left in 2.. {
            assert!(left < 100, "the copy takes no end of commands");
            let broken = {
                let mut a = login(first.clone());
                let mut b = login(Breaking {
                    inner: second.clone(),
                    left,
                    loss,
                });
                replicate(&mut a, &mut b, &key)
            };
            let (mut a, mut b) = (login(first.clone()), login(second.clone()));
            let replica = export(&mut a, KEY).unwrap();
            let state = inspect(&mut b, KEY, &replica, &key).unwrap();
            match &broken {
                Ok(Replicated::Copied) => whole = true,
                Ok(other) => panic!("{other:?}"),
                Err(ReplicateError::Target(error)) => assert!(error.is_link_loss(), "{error}"),
                Err(error) => panic!("{error}"),
            }
            let done = replicate(&mut a, &mut b, &key).unwrap();
            let expected = match &state {
                ReplicaState::Absent => Replicated::Copied,
                ReplicaState::Partial { missing } => {
                    assert!(missing.contains(&ReplicaPart::Certificate), "{missing:?}");
                    finished += 1;
                    Replicated::Finished
                }
                ReplicaState::Complete => Replicated::Unchanged,
                ReplicaState::OtherKey => panic!("after {left} commands another key"),
            };
            assert_eq!(done, expected, "{loss:?} after {left}: {state:?}");
            same_on_both(&first, &second);
            login(second.clone()).delete_key(KEY).unwrap();
            if whole {
                break;
            }
        }
    }
    assert!(finished >= 4, "{finished}");
}

#[test]
fn interrupted_on_the_source_the_copy_is_finished() {
    let mut rehearsal = Rehearsal::new();
    let first = rehearsal.hsm_with_pin("first", &SHARES);
    let second = rehearsal.hsm_with_pin("second", &SHARES);
    let key = generate(&first, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    for left in 2.. {
        let mut a = login(Breaking {
            inner: first.clone(),
            left,
            loss: Loss::Answer,
        });
        let mut b = login(second.clone());
        match replicate(&mut a, &mut b, &key) {
            Ok(done) => {
                assert_eq!(done, Replicated::Copied);
                assert!(left > 4);
                break;
            }
            Err(ReplicateError::Source(error)) => assert!(error.is_link_loss(), "{error}"),
            Err(error) => panic!("{error}"),
        }
        assert!(!b.enumerate().unwrap().has_key(KEY));
    }
    same_on_both(&first, &second);
}

#[test]
fn a_half_written_or_foreign_file_is_made_right() {
    let mut rehearsal = Rehearsal::new();
    let first = rehearsal.hsm_with_pin("first", &SHARES);
    let second = rehearsal.hsm_with_pin("second", &SHARES);
    let key = generate(&first, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    let (mut a, mut b) = (login(first.clone()), login(second.clone()));
    // What a key that was deleted long ago left behind.
    b.write_file(fid::certificate(KEY), &[0x30; 900]).unwrap();
    b.write_file(fid::prkd(KEY), &[0x30, 0x00]).unwrap();
    replicate(&mut a, &mut b, &key).unwrap();
    same_on_both(&first, &second);
    let (mut a, mut b) = (login(first.clone()), login(second.clone()));
    let replica = export(&mut a, KEY).unwrap();
    let request = b.read_file(fid::certificate(KEY)).unwrap().unwrap();
    b.write_file(fid::certificate(KEY), &request[..100]).unwrap();
    let missing = vec![ReplicaPart::Certificate];
    assert_eq!(
        inspect(&mut b, KEY, &replica, &key).unwrap(),
        ReplicaState::Partial { missing }
    );
    assert_eq!(replicate(&mut a, &mut b, &key).unwrap(), Replicated::Finished);
    same_on_both(&first, &second);
}

#[test]
fn another_key_is_never_touched() {
    let mut rehearsal = Rehearsal::new();
    let first = rehearsal.hsm_with_pin("first", &SHARES);
    let second = rehearsal.hsm_with_pin("second", &SHARES);
    let wanted = generate(&first, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    for other in [
        KeyAlgorithm::Ec(Curve::Secp256r1),
        KeyAlgorithm::Ec(Curve::Secp384r1),
        KeyAlgorithm::Rsa(2048),
    ] {
        let algorithms: &[Algorithm] = match other {
            KeyAlgorithm::Rsa(_) => &[Algorithm::RsaPkcs1Sha256],
            _ => &[],
        };
        let theirs = generate(&second, other, algorithms);
        let (mut a, mut b) = (login(first.clone()), login(second.clone()));
        // Not even when its files claim to be the wanted key's.
        let request = a.read_file(fid::certificate(KEY)).unwrap().unwrap();
        b.write_file(fid::certificate(KEY), &request).unwrap();
        let refused = replicate(&mut a, &mut b, &wanted).unwrap_err();
        assert!(
            matches!(refused, ReplicateError::OtherKey(KEY)),
            "{other:?}: {refused:?}"
        );
        let signing = if matches!(other, KeyAlgorithm::Rsa(_)) {
            Algorithm::RsaPkcs1Sha256
        } else {
            Algorithm::EcdsaSha256
        };
        let signature = b.sign(KEY, signing, b"still mine").unwrap();
        assert!(openssl_accepts(&theirs, b"still mine", &signature));
        b.delete_key(KEY).unwrap();
    }
}

#[test]
fn a_source_that_is_not_the_expected_key_is_refused() {
    let mut rehearsal = Rehearsal::new();
    let first = rehearsal.hsm_with_pin("first", &SHARES);
    let second = rehearsal.hsm_with_pin("second", &SHARES);
    let expected = generate(&second, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    let forged = login(second.clone())
        .read_file(fid::certificate(KEY))
        .unwrap()
        .unwrap();
    login(second.clone()).delete_key(KEY).unwrap();
    let (mut a, mut b) = (login(first.clone()), login(second));
    assert!(matches!(
        replicate(&mut a, &mut b, &expected),
        Err(ReplicateError::NoSuchKey(KEY))
    ));
    generate(&first, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    let mut a = login(first);
    assert!(matches!(
        replicate(&mut a, &mut b, &expected),
        Err(ReplicateError::OtherCertificate(KEY))
    ));
    // The file is made to agree; the key cannot be.
    a.write_file(fid::certificate(KEY), &forged).unwrap();
    let refused = replicate(&mut a, &mut b, &expected).unwrap_err();
    assert!(matches!(refused, ReplicateError::NotProven(KEY)), "{refused:?}");
    assert!(!b.enumerate().unwrap().has_key(KEY));
}

#[test]
fn other_key_domains_are_found_out_before_anything_is_copied() {
    let mut rehearsal = Rehearsal::new();
    let first = rehearsal.hsm_with_pin("first", &SHARES);
    let other = rehearsal.hsm_with_pin("other", &[[1; 32]]);
    let none = rehearsal.hsm_with_pin("none", &[]);
    let key = generate(&first, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    let mut a = login(first.clone());
    for target in [other, none.clone()] {
        let mut b = login(target);
        let refused = replicate(&mut a, &mut b, &key).unwrap_err();
        assert!(
            matches!(refused, ReplicateError::OtherDomain { .. }),
            "{refused:?}"
        );
        assert!(!b.enumerate().unwrap().has_key(KEY));
    }
    let key = generate(&none, KeyAlgorithm::Ec(Curve::Secp256r1), &[]);
    login(first.clone()).delete_key(KEY).unwrap();
    let refused = replicate(&mut login(none), &mut login(first.clone()), &key).unwrap_err();
    assert!(
        matches!(refused, ReplicateError::SourceDomain { domain: 0 }),
        "{refused:?}"
    );

    // A blob of another domain is refused by the card as such.
    let mut a = login(first.clone());
    let foreign = common::vector("wrapped-ec-p256.hex");
    let refused = a.unwrap(KEY, &foreign).unwrap_err();
    assert!(
        matches!(refused, chancery_driver::Error::WrongKek { .. }),
        "{refused}"
    );
    drop(Card::new(first).reset());
}
