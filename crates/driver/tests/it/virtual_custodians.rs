//! Custodians with tokens of their own unlock a virtual HSM.

use crate::common::rehearsal::{Rehearsal, Token, login, name, openssl_accepts, pin};
use chancery_cvc::Curve;
use chancery_driver::custodian::{answer, custodian_registration, custodian_request};
use chancery_driver::{
    AttestError, Authenticated, Card, CustodianError, Error, Initialize, KeyAlgorithm, KeySpec,
    PkaRegistration, Progress, Quorum, QuorumError, QuorumSession, RegistrationError,
    RegistrationFormatError, SoPin,
};
use chancery_schsm::{Algorithm, AlgorithmList, InitializeOptions, KeyId, fid};

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

/// Three custodian tokens with their keys.
fn custodians(rehearsal: &mut Rehearsal) -> Vec<(Authenticated<Token>, PkaRegistration)> {
    ["alice", "bob", "carol"]
        .into_iter()
        .map(|person| {
            let mut token = login(rehearsal.hsm_with_pin(person, &[]));
            let registration = custodian_request(&mut token, KeyId(1), &rehearsal.anchors).unwrap();
            (token, registration)
        })
        .collect()
}

#[test]
fn two_of_three_custodians_unlock() {
    let mut rehearsal = Rehearsal::new();
    let mut people = custodians(&mut rehearsal);
    let token = rehearsal.hsm_with_quorum(
        "hsm",
        &[],
        Quorum {
            required: 2,
            total: 3,
        },
    );
    let mut hsm = Card::new(token.clone()).select().unwrap();
    for (index, (card, registration)) in people.iter_mut().enumerate() {
        let (device, key) = registration.verify(&rehearsal.anchors).unwrap();
        assert_eq!(registration.custodian(), &device.name().with_sequence(1).unwrap());
        assert_eq!(key.public_key(), registration.public_key());
        assert_eq!(
            card.key_attributes(KeyId(1)).unwrap().unwrap().algorithms.ids(),
            [0x73]
        );
        // Through the file, as it travels.
        let travelled = PkaRegistration::decode(&registration.encode()).unwrap();
        let status = hsm.register_custodian(&travelled).unwrap();
        assert_eq!(usize::from(status.missing), 2 - index);
        assert_eq!(
            custodian_registration(card, KeyId(1)).unwrap().encode(),
            registration.encode()
        );
    }
    assert!(matches!(
        hsm.register_custodian(&people[0].1),
        Err(RegistrationError::NoneMissing { total: 3 })
    ));

    // One after the other by borrowed challenges.
    let target = hsm.device_chain().unwrap().device_name().unwrap().clone();
    for (count, index) in [(1, 0), (2, 2)] {
        let (card, registration) = &mut people[index];
        let pending = hsm.challenge(registration.custodian()).unwrap();
        let plain = answer(card, KeyId(1), &target, pending.challenge()).unwrap();
        assert_eq!(pending.answer(&plain).unwrap().authenticated, count);
        if count == 1 {
            let failed = hsm.into_authenticated_by_quorum().err().unwrap();
            assert_eq!(failed.error.to_string(), "quorum 1 of 2");
            hsm = failed.card;
        }
    }
    let answered: Vec<bool> = hsm
        .custodians()
        .unwrap()
        .iter()
        .map(|slot| slot.answered)
        .collect();
    assert_eq!(answered, [true, false, true]);
    let mut open = hsm.into_authenticated_by_quorum().unwrap();
    let device = rehearsal.identity(&mut open);
    let (generated, _) = open
        .generate_attested(&spec(1, KeyAlgorithm::Ec(Curve::Secp256r1)), &device)
        .unwrap();
    let signature = open.sign(KeyId(1), Algorithm::EcdsaSha256, b"m").unwrap();
    assert!(openssl_accepts(&generated.public_key, b"m", &signature));

    // A session, after the lock; the wrong person's, another HSM's and a replayed answer do not count.
    let mut session = QuorumSession::begin(open.logout().unwrap()).unwrap();
    let alice = people[0].1.custodian().clone();
    let question = session.ask(&alice).unwrap();
    let bobs = answer(&mut people[1].0, KeyId(1), &question.target, question.challenge).unwrap();
    assert!(matches!(
        session.answer(&alice, &bobs),
        Err(QuorumError::WrongAnswer { .. })
    ));
    let question = session.ask(&alice).unwrap();
    let elsewhere = answer(
        &mut people[0].0,
        KeyId(1),
        &name("UTCHDAAAAAA00000"),
        question.challenge,
    )
    .unwrap();
    assert!(matches!(
        session.answer(&alice, &elsewhere),
        Err(QuorumError::WrongAnswer { .. })
    ));
    let question = session.ask(&alice).unwrap();
    let good = answer(&mut people[0].0, KeyId(1), &question.target, question.challenge).unwrap();
    assert!(matches!(session.answer(&alice, &good), Ok(Progress::More(_))));
    let bob = people[1].1.custodian().clone();
    session.ask(&bob).unwrap();
    assert!(
        matches!(session.answer(&bob, &good), Err(QuorumError::WrongAnswer { .. })),
        "replayed"
    );
    let question = session.ask(&bob).unwrap();
    let good = answer(&mut people[1].0, KeyId(1), &question.target, question.challenge).unwrap();
    assert!(matches!(session.answer(&bob, &good), Ok(Progress::Reached(_))));
    let mut open = session.finish().unwrap();
    open.sign(KeyId(1), Algorithm::EcdsaSha256, b"m").unwrap();
}

#[test]
fn the_same_custodian_or_a_wide_curve_is_not_registered() {
    let mut rehearsal = Rehearsal::new();
    let mut people = custodians(&mut rehearsal);
    let token = rehearsal.hsm_with_quorum(
        "hsm",
        &[],
        Quorum {
            required: 2,
            total: 3,
        },
    );
    let mut hsm = Card::new(token.clone()).select().unwrap();
    hsm.register_custodian(&people[0].1).unwrap();
    let twice = hsm.register_custodian(&people[0].1);
    assert!(
        matches!(twice, Err(RegistrationError::DuplicateName { .. })),
        "{twice:?}"
    );
    // Also after the connection was made anew.
    let mut hsm = Card::new(token).select().unwrap();
    let twice = hsm.register_custodian(&people[0].1);
    assert!(
        matches!(twice, Err(RegistrationError::DuplicateName { .. })),
        "{twice:?}"
    );
    assert!(matches!(
        QuorumSession::begin(hsm).err().unwrap().error,
        QuorumError::Incomplete(_)
    ));

    let bob = &mut people[1].0;
    let certificates = bob.read_file(fid::DEVICE_CERTIFICATES).unwrap().unwrap();
    for algorithm in [KeyAlgorithm::Ec(Curve::Secp384r1), KeyAlgorithm::Rsa(2048)] {
        let wide = bob.generate(&spec(2, algorithm)).unwrap();
        let refused = PkaRegistration::from_chain(&certificates, &wide.request);
        assert!(
            matches!(refused, Err(RegistrationFormatError::Curve { .. })),
            "{refused:?}"
        );
        bob.delete_key(KeyId(2)).unwrap();
    }
    // A key that may sign anything could be talked into an unlock.
    bob.generate(&spec(2, KeyAlgorithm::Ec(Curve::Secp256r1)))
        .unwrap();
    assert!(matches!(
        custodian_registration(bob, KeyId(2)),
        Err(CustodianError::NotDedicated(_))
    ));
    assert!(matches!(
        custodian_registration(bob, KeyId(7)),
        Err(CustodianError::NoRequest(_))
    ));

    // Bob's request with Alice's certificates: not generated in Alice's token.
    let mixed = PkaRegistration::new(
        people[0].1.dica().as_bytes(),
        people[0].1.device().as_bytes(),
        people[1].1.request().content(),
    )
    .unwrap();
    assert!(matches!(
        mixed.verify(&rehearsal.anchors),
        Err(AttestError::Request(_))
    ));
}

#[test]
fn tokens_of_another_installation_are_unknown_to_the_hsm() {
    let mut here = Rehearsal::new();
    let mut elsewhere = Rehearsal::new();
    let mut people = custodians(&mut elsewhere);
    let token = here.hsm_with_quorum(
        "hsm",
        &[],
        Quorum {
            required: 1,
            total: 2,
        },
    );
    let mut hsm = Card::new(token).select().unwrap();
    let (_, registration) = people.remove(0);
    assert!(registration.verify(&here.anchors).is_err());
    let refused = hsm.register_custodian(&registration);
    assert!(
        matches!(refused, Err(RegistrationError::UnknownIssuer { .. })),
        "{refused:?}"
    );
}

#[test]
fn pin_and_quorum_together_are_both_needed_in_either_order() {
    let mut rehearsal = Rehearsal::new();
    let (mut alice, registration) = custodians(&mut rehearsal).remove(0);
    let token = rehearsal.token("hsm");
    let mut hsm = Card::new(token).select().unwrap();
    let setup = Initialize {
        options: InitializeOptions::PIN_AND_PUBLIC_KEYS,
        user_pin: Some(pin()),
        so_pin: SoPin::new(*b"57621880"),
        retry: 3,
        dkek_shares: None,
        quorum: Some(Quorum {
            required: 1,
            total: 1,
        }),
        domains: None,
    };
    hsm.initialize(&setup).unwrap();
    hsm.register_custodian(&registration).unwrap();
    let mut unlock = |hsm| {
        let mut session = QuorumSession::begin(hsm).unwrap();
        let question = session.ask(registration.custodian()).unwrap();
        let plain = answer(&mut alice, KeyId(1), &question.target, question.challenge).unwrap();
        assert!(matches!(
            session.answer(registration.custodian(), &plain),
            Ok(Progress::Reached(_))
        ));
        session
    };

    let failed = unlock(hsm).finish().err().unwrap();
    assert!(
        matches!(failed.error, QuorumError::PinMissing),
        "{}",
        failed.error
    );
    let mut open = failed.card.stop().verify_pin(&pin()).unwrap();
    open.generate(&spec(1, KeyAlgorithm::Ec(Curve::Secp256r1)))
        .unwrap();

    let failed = open.logout().unwrap().verify_pin(&pin()).err().unwrap();
    assert!(
        matches!(failed.error, Error::NotAuthenticated { .. }),
        "{}",
        failed.error
    );
    let mut open = unlock(failed.card).finish().unwrap();
    open.sign(KeyId(1), Algorithm::EcdsaSha256, b"m").unwrap();
}
