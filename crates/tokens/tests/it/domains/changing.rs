//! What a token has, and domains made and deleted.

use chancery_schsm::{Kek, KekShare};
use chancery_tokens::domain::{DomainError, DomainState, Overview, create, delete, delete_key};
use chancery_tokens::keys::NewKey;

use crate::bench::{Bench, P256, new_key};
use crate::domains::members::{Desk, admit, group, with_places};

#[test]
fn domains_are_shown_with_their_keys_made_and_deleted() {
    let bench = Bench::new();
    let desk = Desk::new(&bench);
    let token = with_places(&bench, "one");
    let group = group(&bench, &desk, "signer");
    let mut card = token.login();
    let empty = Overview::of(&mut card).unwrap();
    assert_eq!(empty.places.len(), 2);
    assert!(empty.places.iter().all(|place| place.state == DomainState::Free));

    let (number, status) = create(&mut card, Some(1), 2).unwrap();
    assert_eq!((number, status.shares, status.outstanding), (1, 2, 2));
    assert!(matches!(
        create(&mut card, Some(1), 2),
        Err(DomainError::Taken { domain: 1 })
    ));
    assert!(matches!(
        create(&mut card, Some(2), 2),
        Err(DomainError::NoPlace { domain: 2, places: 2 })
    ));
    assert!(matches!(
        delete_key(&mut card, 1),
        Err(DomainError::NoKek { domain: 1 })
    ));
    assert!(matches!(
        delete(&mut card, 0),
        Err(DomainError::NotThere { domain: 0 })
    ));
    let joined = admit(&bench, &desk, &group, &token);
    assert_eq!((joined.domain, joined.is_alike()), (0, true));
    let mut card = token.login();
    assert!(matches!(
        create(&mut card, None, 1),
        Err(DomainError::NoFreePlace { places: 2 })
    ));

    let shares = [KekShare::new([1; 32]), KekShare::new([2; 32])];
    for share in &shares {
        card.import_share(1, share).unwrap();
    }
    bench.make_with(
        &token,
        &NewKey {
            key_domain: Some(1),
            ..new_key(P256, "in shares")
        },
    );
    bench.make(&token, P256, "outside");
    let mut card = token.login();
    let overview = Overview::of(&mut card).unwrap();
    let kcv = Some(Kek::from_shares(&shares).unwrap().kcv());
    assert_eq!(
        overview.places[1].state,
        DomainState::Shares {
            shares: 2,
            outstanding: 0,
            kcv
        }
    );
    assert_eq!(
        overview.places[0].state,
        DomainState::Exchange {
            group: joined.group,
            kcv: None
        }
    );
    let labels = |keys: &[chancery_tokens::domain::DomainKey]| -> Vec<String> {
        keys.iter().map(|key| key.label.clone()).collect()
    };
    assert_eq!(labels(&overview.places[1].keys), ["in shares"]);
    assert_eq!(labels(&overview.outside), ["outside"]);
    for refused in [delete(&mut card, 1), delete_key(&mut card, 1)] {
        assert!(
            matches!(&refused, Err(DomainError::HasKeys { domain: 1, keys }) if keys.len() == 1),
            "{refused:?}"
        );
    }
    assert_eq!(Overview::of(&mut card).unwrap(), overview);

    card.delete_key(overview.places[1].keys[0].id).unwrap();
    assert_eq!(delete_key(&mut card, 1).unwrap().state.kcv(), kcv);
    assert_eq!(
        delete(&mut card, 1).unwrap().state,
        DomainState::Shares {
            shares: 2,
            outstanding: 2,
            kcv: None
        }
    );
    delete(&mut card, 0).unwrap();
    assert_eq!(Overview::of(&mut card).unwrap().places, empty.places, "as it was");
}

#[test]
fn a_token_with_shares_alone_has_one_place_and_one_without_has_none() {
    let bench = Bench::new();
    let token = bench.token("shares", &crate::bench::SHARES);
    bench.make(&token, P256, "k1");
    let overview = Overview::of(&mut token.login()).unwrap();
    assert_eq!(overview.places.len(), 1);
    assert_eq!(overview.places[0].keys.len(), 1);
    assert!(overview.outside.is_empty());

    let token = bench.token("none", &[]);
    bench.make(&token, P256, "k1");
    let mut card = token.login();
    let overview = Overview::of(&mut card).unwrap();
    assert_eq!((overview.places.len(), overview.outside.len()), (0, 1));
    assert!(matches!(create(&mut card, None, 1), Err(DomainError::NoPlaces)));
    assert!(matches!(delete(&mut card, 0), Err(DomainError::NoPlaces)));
}
