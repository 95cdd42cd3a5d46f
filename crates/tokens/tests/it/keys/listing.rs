//! Finding keys, and how many commands it costs.

use chancery_schsm::{Algorithm, AlgorithmList, KeyId, PrivateKeyDescription, fid};
use chancery_tokens::catalogue::{Catalogue, Description, FindError, Hold, KeyName, KeyNameError};
use chancery_tokens::key::KeyDetails;
use chancery_tokens::keys::NewKey;

use crate::bench::{AES, Bench, FIRST, P256, new_key};

#[test]
fn twenty_keys_with_labels_cost_a_list_and_a_read_each_and_the_list_alone_while_held() {
    let bench = Bench::new();
    let token = bench.token("many", &[]);
    for number in 0..20 {
        bench.make(&token, P256, &format!("key {number}"));
    }
    let mut card = token.login();
    token.log.clear();
    let mut catalogue = Catalogue::new();
    let listing = catalogue.look(&mut card, Hold::Lost).unwrap();
    assert_eq!(token.log.count(), 1 + 20);
    let labels: Vec<_> = listing
        .keys
        .iter()
        .map(|key| key.description.label().to_owned())
        .collect();
    assert_eq!(
        labels,
        (0..20).map(|number| format!("key {number}")).collect::<Vec<_>>()
    );
    assert!(listing.keys.iter().all(|key| key.has_certificate == Some(true)));

    token.log.clear();
    assert_eq!(catalogue.look(&mut card, Hold::Kept).unwrap(), listing);
    assert_eq!(token.log.count(), 1);

    // Another program rewrote a label in place: seen as soon as the token was not held.
    let renamed = PrivateKeyDescription::ec(FIRST, "renamed", &[1], 256).encode();
    card.write_file(fid::prkd(FIRST), &renamed).unwrap();
    token.log.clear();
    let again = catalogue.look(&mut card, Hold::Lost).unwrap();
    assert_eq!(token.log.count(), 21);
    assert_eq!(again.keys[0].description.label(), "renamed");

    // What this program changes it tells; what appears or goes is seen in the list.
    card.delete_key(KeyId(2)).unwrap();
    card.write_file(
        fid::prkd(FIRST),
        &PrivateKeyDescription::ec(FIRST, "mine", &[1], 256).encode(),
    )
    .unwrap();
    catalogue.forget(FIRST);
    bench.make(&token, AES, "new");
    let mut card = token.login();
    token.log.clear();
    let last = catalogue.look(&mut card, Hold::Kept).unwrap();
    assert_eq!(
        token.log.count(),
        1 + 1,
        "the label that was forgotten; key 2 was made anew"
    );
    assert_eq!(last.keys[0].description.label(), "mine");
}

#[test]
fn a_key_without_description_costs_nothing_and_a_stale_one_is_not_taken_for_it() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    bench.make(&token, P256, "one");
    bench.make(&token, P256, "two");
    let mut card = token.login();
    card.delete_file(fid::prkd(FIRST)).unwrap();
    let mut catalogue = Catalogue::new();
    token.log.clear();
    let listing = catalogue.look(&mut card, Hold::Lost).unwrap();
    assert_eq!(token.log.count(), 2);
    assert_eq!(listing.keys[0].description, Description::Missing);
    // Described by another program while we held the token is impossible, but seen.
    card.write_file(
        fid::prkd(FIRST),
        &PrivateKeyDescription::ec(FIRST, "late", &[1], 256).encode(),
    )
    .unwrap();
    assert_eq!(
        catalogue.look(&mut card, Hold::Kept).unwrap().keys[0]
            .description
            .label(),
        "late"
    );
}

#[test]
fn keys_are_found_by_id_label_and_cka_id_and_never_guessed() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    for (label, cka_id) in [("one", 0x0A), ("twin", 0x0B), ("twin", 0x0C)] {
        bench.make_with(
            &token,
            &NewKey {
                cka_id: Some(vec![cka_id, 0x10]),
                ..new_key(P256, label)
            },
        );
    }
    let listing = Catalogue::new().look(&mut token.login(), Hold::Lost).unwrap();
    let find = |text: &str| listing.find(&text.parse().unwrap()).map(|key| key.id.0);
    assert_eq!(find("2"), Ok(2));
    assert_eq!(find("one"), Ok(1));
    assert_eq!(find("label:one"), Ok(1));
    assert_eq!(find("id:0c10"), Ok(3));
    let ambiguous = find("twin").unwrap_err();
    assert!(matches!(&ambiguous, FindError::Ambiguous { ids, .. } if *ids == [KeyId(2), KeyId(3)]));
    assert_eq!(
        ambiguous.to_string(),
        "2 keys are called \"twin\": 2, 3; say which by its id"
    );
    assert!(matches!(find("other"), Err(FindError::NotFound { .. })));
    assert!(
        find("9")
            .unwrap_err()
            .to_string()
            .contains("1 \"one\", 2 \"twin\", 3 \"twin\"")
    );
    for bad in ["0", "256", "1000000000000"] {
        assert_eq!(bad.parse::<KeyName>(), Err(KeyNameError::Number(bad.to_owned())));
    }
    assert_eq!(
        "id:0g".parse::<KeyName>(),
        Err(KeyNameError::Digits("0g".to_owned()))
    );
    assert_eq!("".parse::<KeyName>(), Err(KeyNameError::Empty));
    assert_eq!("label:7".parse::<KeyName>(), Ok(KeyName::Label("7".to_owned())));
}

#[test]
fn odd_and_missing_descriptions_leftovers_and_tails_are_coped_with() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    for label in ["first", "second", "third"] {
        bench.make(&token, P256, label);
    }
    let mut card = token.login();
    card.write_file(fid::prkd(KeyId(1)), b"nonsense").unwrap();
    // In place, with the tail of something longer behind it.
    let mut tail = PrivateKeyDescription::ec(KeyId(2), "s", &[2], 256).encode();
    tail.extend_from_slice(&[0x30, 0x7F, 0x00]);
    card.write_file(fid::prkd(KeyId(2)), &tail).unwrap();
    card.delete_file(fid::key(KeyId(3))).unwrap();
    card.write_file(fid::prkd(KeyId(9)), &vec![0xFF; 9000]).unwrap();
    let listing = Catalogue::new().look(&mut card, Hold::Lost).unwrap();
    assert!(matches!(listing.keys[0].description, Description::Odd { .. }));
    assert_eq!(listing.keys[1].description.label(), "s");
    assert_eq!(listing.keys.len(), 2);
    assert_eq!(
        listing.orphans,
        [
            fid::prkd(KeyId(3)),
            fid::prkd(KeyId(9)),
            fid::certificate(KeyId(3))
        ]
    );
}

#[test]
fn details_tell_what_the_key_itself_says() {
    let bench = Bench::new();
    let token = bench.token("t", &[[1; 32]]);
    let made = bench.make_with(
        &token,
        &NewKey {
            algorithms: AlgorithmList::new(&[Algorithm::Ecdsa, Algorithm::Wrap]).unwrap(),
            use_counter: Some(7),
            ..new_key(P256, "counted")
        },
    );
    let mut card = token.login();
    token.log.clear();
    let details = KeyDetails::read(&mut card, made.id).unwrap().unwrap();
    assert_eq!(token.log.count(), 4);
    assert_eq!(details.attributes.use_counter, Some(7));
    assert_eq!(details.attributes.algorithms.ids(), [0x70, 0x92]);
    assert_eq!(details.algorithm(), "secp256r1");
    assert_eq!(details.public_key, made.public_key);
    assert_eq!(details.kcv(), Some(crate::bench::kek(&[[1; 32]]).kcv()));
    assert!(!details.is_custodian_key());
    assert!(KeyDetails::read(&mut card, KeyId(200)).unwrap().is_none());
}
