//! Two members agree; what does not fit is found before anything is made.

use chancery_cvc::Curve;
use chancery_driver::exchange::VerifiedOffer;
use chancery_schsm::KeyId;
use chancery_tokens::domain::{DomainError, GroupSigner, KeyChoice, Prepared, Wanted, prepare};
use chancery_tokens::transfer::{Parcel, install, wrap};

use crate::bench::{Bench, P256, Token, new_key};
use crate::domains::members::{Desk, admit, group, pair, with_places};

const WANTED: Wanted<'static> = Wanted {
    domain: 0,
    key: KeyChoice::TheOne,
    curve: None,
    peer: None,
    keep_kek: true,
};

fn ready(bench: &Bench, desk: &Desk, token: &Token, wanted: &Wanted<'_>) -> Prepared {
    prepare(&mut token.login(), wanted, &desk.host(bench, token)).unwrap()
}

/// What a token offers; an exchange key stays.
fn offered(bench: &Bench, desk: &Desk, token: &Token, wanted: &Wanted<'_>) -> VerifiedOffer {
    let prepared = ready(bench, desk, token, wanted);
    let offer = prepared.offer().clone();
    prepared.finish().unwrap();
    offer
}

fn refused(bench: &Bench, desk: &Desk, token: &Token, wanted: &Wanted<'_>) -> DomainError {
    let before = token.login().enumerate().unwrap();
    let error = prepare(&mut token.login(), wanted, &desk.host(bench, token)).unwrap_err();
    assert_eq!(
        token.login().enumerate().unwrap(),
        before,
        "{error}: nothing was made"
    );
    assert!(desk.journal.list().unwrap().is_empty());
    error
}

#[test]
fn keys_go_from_member_to_member() {
    let bench = Bench::new();
    let desk = Desk::new(&bench);
    let [one, two] = pair(&bench, &desk);
    let mut first = ready(&bench, &desk, &one, &WANTED);
    assert!(first.is_new() && first.before().is_none());
    let offered = first.offer().clone();
    let mut second = ready(
        &bench,
        &desk,
        &two,
        &Wanted {
            peer: Some(&offered),
            ..WANTED
        },
    );
    let kcv = first.agree(&mut one.login(), second.offer()).unwrap();
    assert_eq!(second.agree(&mut two.login(), &offered).unwrap(), kcv);
    first.finish().unwrap();
    second.finish().unwrap();
    assert!(desk.journal.list().unwrap().is_empty());

    // The proofs of origin of both keys are in the archive.
    assert_eq!(
        bench.archive().list().unwrap().len(),
        3,
        "two exchange keys and the group's"
    );

    let made = bench.make_with(
        &one,
        &chancery_tokens::keys::NewKey {
            key_domain: Some(0),
            ..new_key(P256, "traveller")
        },
    );
    let wrapped = wrap(&mut one.login(), made.id).unwrap();
    assert_eq!(wrapped.kcv, kcv);
    let parcel = Parcel::from_container(&wrapped.container, None, None, "one", None).unwrap();
    let arrived = install(&mut two.login(), &parcel, None, &two.noted(&desk.journal)).unwrap();
    assert!(two.login().proves(arrived.id, &made.public_key.unwrap()).unwrap());

    // Again, with the keys there are: the same comes of it, and nobody replaces it unasked.
    let error = refused(&bench, &desk, &one, &WANTED);
    assert!(
        matches!(error, DomainError::HasKek { domain: 0, kcv: shown } if shown == kcv),
        "{error}"
    );
    let again = Wanted {
        keep_kek: false,
        ..WANTED
    };
    let mut first = ready(&bench, &desk, &one, &again);
    let second = ready(&bench, &desk, &two, &again);
    assert!(!first.is_new() && !second.is_new());
    assert_eq!(first.agree(&mut one.login(), second.offer()).unwrap(), kcv);
}

#[test]
fn what_does_not_fit_is_found_before_a_key_is_made() {
    let bench = Bench::new();
    let desk = Desk::new(&bench);
    let [one, two] = pair(&bench, &desk);
    let stranger = with_places(&bench, "three");
    admit(&bench, &desk, &group(&bench, &desk, "strange"), &stranger);

    let strange = offered(&bench, &desk, &stranger, &WANTED);
    let error = refused(
        &bench,
        &desk,
        &one,
        &Wanted {
            peer: Some(&strange),
            ..WANTED
        },
    );
    assert!(matches!(error, DomainError::OtherGroup { .. }), "{error}");

    let own = offered(&bench, &desk, &two, &WANTED);
    let error = refused(
        &bench,
        &desk,
        &two,
        &Wanted {
            peer: Some(&own),
            ..WANTED
        },
    );
    assert!(matches!(error, DomainError::SameDevice(_)), "{error}");
    let other = Wanted {
        curve: Some(Curve::Secp256r1),
        ..WANTED
    };
    let error = refused(&bench, &desk, &two, &other);
    assert!(matches!(error, DomainError::OtherCurve { .. }), "{error}");
    let error = refused(
        &bench,
        &desk,
        &two,
        &Wanted {
            key: KeyChoice::Id(KeyId(9)),
            ..WANTED
        },
    );
    assert!(matches!(error, DomainError::NoExchangeKey { .. }), "{error}");
    let error = refused(&bench, &desk, &two, &Wanted { domain: 1, ..WANTED });
    assert!(matches!(error, DomainError::NotThere { domain: 1 }), "{error}");

    // A second key, on the peer's curve; then it has to be said which.
    let new = Wanted {
        key: KeyChoice::New,
        ..other
    };
    let peer = offered(&bench, &desk, &two, &new);
    let unlike = Wanted {
        curve: Some(Curve::Secp384r1),
        peer: Some(&peer),
        ..WANTED
    };
    let error = refused(&bench, &desk, &one, &unlike);
    assert!(matches!(error, DomainError::OtherCurve { .. }), "{error}");
    let error = refused(&bench, &desk, &two, &WANTED);
    assert!(
        matches!(&error, DomainError::SeveralExchangeKeys { keys, .. } if keys.len() == 2),
        "{error}"
    );
    let mut first = ready(
        &bench,
        &desk,
        &one,
        &Wanted {
            peer: Some(&peer),
            ..WANTED
        },
    );
    assert_eq!(first.curve(), "secp256r1");
    let error = first.agree(&mut one.login(), &own).unwrap_err();
    assert!(matches!(error, DomainError::OtherCurve { .. }), "{error}");
    first.agree(&mut one.login(), &peer).unwrap();
    first.finish().unwrap();
}

#[test]
fn only_a_key_whose_origin_is_shown_signs_for_a_group() {
    let bench = Bench::new();
    let desk = Desk::new(&bench);
    let (token, id) = group(&bench, &desk, "signer");
    let host = desk.host(&bench, &token);
    let find = |id| GroupSigner::find(&mut token.login(), id, &host);
    assert!(find(id).unwrap().limited);
    let open = bench.make(&token, P256, "does everything");
    assert!(!find(open.id).unwrap().limited);
    let rsa = bench.make(&token, chancery_tokens::keys::NewKeyKind::Rsa(2048), "rsa");
    assert!(matches!(find(rsa.id), Err(DomainError::Format(_))));
    assert!(matches!(find(KeyId(77)), Err(DomainError::NoSuchKey(KeyId(77)))));
    token
        .login()
        .delete_file(chancery_schsm::fid::certificate(id))
        .unwrap();
    assert!(matches!(find(id), Err(DomainError::NoRequest(_))));
}
