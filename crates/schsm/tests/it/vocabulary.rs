//! File identifiers, algorithm identifiers and status values.

use chancery_schsm::{
    Algorithm, AlgorithmList, Fid, Hash, InitializeOptions, Input, Kcv, KeyDomainStatus, KeyId, KeyType,
    Operation, PkaStatus, fid,
};
use proptest::prelude::*;

#[test]
fn file_identifiers() {
    let key = KeyId(0x2A);
    assert_eq!(
        [
            fid::key(key),
            fid::prkd(key),
            fid::certificate(key),
            fid::key_metadata(key)
        ],
        [Fid(0xCC2A), Fid(0xC42A), Fid(0xCE2A), Fid(0xCB2A)]
    );
    assert_eq!(
        [
            fid::ca_certificate(1),
            fid::ca_certificate_description(1),
            fid::data_description(2)
        ],
        [Fid(0xCA01), Fid(0xC801), Fid(0xC902)]
    );
    assert_eq!(
        [fid::private_data(3), fid::public_data(3)],
        [Fid(0xCD03), Fid(0xCF03)]
    );
    assert_eq!(fid::key(key).as_key(), Some(key));
    assert_eq!(fid::prkd(key).as_key(), None);
    assert_eq!(
        (fid::TOKEN_INFO.to_bytes(), fid::TOKEN_INFO.to_string()),
        ([0x2F, 0x03], "2F03".to_owned())
    );
    for listed in [
        0xC401, 0xC800, 0xC900, 0xCA00, 0xCB00, 0xCC00, 0xCD00, 0xCE01, 0xCF01,
    ] {
        assert!(Fid(listed).is_enumerated(), "{listed:04X}");
    }
    for hidden in [
        fid::DIR,
        fid::DEVICE_CERTIFICATES,
        fid::TOKEN_INFO,
        fid::SCRATCH,
        Fid(0xC500),
    ] {
        assert!(!hidden.is_enumerated(), "{hidden}");
    }
    assert!(KeyId::DEVICE.is_device() && !key.is_device());
}

#[test]
fn enumerations_are_read_without_padding() {
    let bytes = [0xCC, 0x00, 0xCC, 0x01, 0xC4, 0x01, 0x00, 0x00, 0xCE];
    assert_eq!(fid::parse_list(&bytes), [Fid(0xCC00), Fid(0xCC01), Fid(0xC401)]);
}

#[test]
fn the_lowest_free_key_number_starts_at_one() {
    assert_eq!(KeyId::lowest_free(&[]), Some(KeyId(1)));
    assert_eq!(
        KeyId::lowest_free(&[KeyId(0), KeyId(1), KeyId(3)]),
        Some(KeyId(2))
    );
    let all: Vec<KeyId> = (0..=255).map(KeyId).collect();
    assert_eq!(KeyId::lowest_free(&all), None);
    assert_eq!(KeyId(16).to_string(), "16");
}

#[test]
fn algorithms_know_key_command_and_input() {
    let cases = [
        (
            0x20,
            Some(KeyType::Rsa),
            Operation::Sign,
            Input::ModulusBlock,
            None,
        ),
        (
            0x21,
            Some(KeyType::Rsa),
            Operation::Decipher,
            Input::ModulusBlock,
            None,
        ),
        (0x30, Some(KeyType::Rsa), Operation::Sign, Input::DigestInfo, None),
        (
            0x34,
            Some(KeyType::Rsa),
            Operation::Sign,
            Input::Message(Hash::Sha384),
            Some(48),
        ),
        (0x40, Some(KeyType::Rsa), Operation::Sign, Input::HashValue, None),
        (
            0x45,
            Some(KeyType::Rsa),
            Operation::Sign,
            Input::Message(Hash::Sha512),
            Some(64),
        ),
        (0x70, Some(KeyType::Ec), Operation::Sign, Input::HashValue, None),
        (
            0x72,
            Some(KeyType::Ec),
            Operation::Sign,
            Input::Message(Hash::Sha224),
            Some(28),
        ),
        (
            0x73,
            Some(KeyType::Ec),
            Operation::Sign,
            Input::Message(Hash::Sha256),
            Some(32),
        ),
        (0x80, Some(KeyType::Ec), Operation::Decipher, Input::Point, None),
        (0x18, Some(KeyType::Aes), Operation::Cipher, Input::Bytes, None),
        (0x92, None, Operation::Wrap, Input::None, None),
    ];
    for (id, key_type, operation, input, hash) in cases {
        let algorithm = Algorithm::from_id(id).unwrap();
        assert_eq!(algorithm.id(), id);
        assert_eq!(
            (algorithm.key_type(), algorithm.operation(), algorithm.input()),
            (key_type, operation, input),
            "{id:02X}"
        );
        assert_eq!(algorithm.hash().map(Hash::output_len), hash, "{id:02X}");
    }
    assert!(
        Algorithm::ALL
            .iter()
            .all(|algorithm| Algorithm::from_id(algorithm.id()) == Some(*algorithm))
    );
    assert!(Algorithm::ALL.is_sorted_by_key(|algorithm| algorithm.id()));
    assert_eq!(Algorithm::from_id(0xA0), None);
}

#[test]
fn an_empty_list_limits_nothing_and_a_list_limits_everything_else() {
    let free = AlgorithmList::unrestricted();
    assert!(free.is_unrestricted() && free.allows(Algorithm::Wrap) && free.allows_id(0x51));
    let custodian = AlgorithmList::new(&[Algorithm::EcdsaSha256]).unwrap();
    assert_eq!(custodian.ids(), [0x73]);
    assert!(custodian.allows(Algorithm::EcdsaSha256));
    assert!(!custodian.allows(Algorithm::Ecdsa) && !custodian.allows(Algorithm::Wrap));
    assert!(
        AlgorithmList::from_ids(&[0x51; 16]).unwrap().allows_id(0x51),
        "unknown ones are kept"
    );
    assert!(AlgorithmList::from_ids(&[0x51; 17]).is_err());
}

#[test]
fn key_domain_status() {
    let incomplete = KeyDomainStatus::parse(&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(!incomplete.is_complete());
    assert_eq!(
        (incomplete.shares, incomplete.kcv, incomplete.uid),
        (1, Kcv::NONE, None)
    );
    let bytes = hex::decode("0100FCD76B667D1B2EBF").unwrap();
    let complete = KeyDomainStatus::parse(&bytes).unwrap();
    assert!(complete.is_complete());
    assert_eq!(complete.kcv.to_string(), "FCD76B667D1B2EBF");
    assert_eq!(complete.encode(), bytes);
    let exchange = [bytes.as_slice(), &[5; 64]].concat();
    let parsed = KeyDomainStatus::parse(&exchange).unwrap();
    assert_eq!(parsed.uid.as_deref(), Some(&[5; 64][..]));
    assert_eq!(parsed.encode(), exchange);
    assert!(KeyDomainStatus::parse(&bytes[..9]).is_err());
    assert!(KeyDomainStatus::parse(&[0; 200]).is_err());
}

#[test]
fn public_key_authentication_status() {
    let status = PkaStatus::parse(&[3, 0, 2, 1]).unwrap();
    assert_eq!(
        (status.registered(), status.is_configured(), status.is_satisfied()),
        (3, true, false)
    );
    assert_eq!(status.encode(), [3, 0, 2, 1]);
    assert!(PkaStatus::parse(&[3, 0, 2, 2]).unwrap().is_satisfied());
    let open = PkaStatus::parse(&[3, 1, 2, 2]).unwrap();
    assert!(
        !open.is_satisfied(),
        "not in force before all keys are registered"
    );
    assert_eq!(open.registered(), 2);
    assert!(!PkaStatus::parse(&[0, 0, 0, 0]).unwrap().is_satisfied());
    assert_eq!(
        PkaStatus::parse(&[1, 2, 0, 0]).unwrap().registered(),
        0,
        "nonsense does not overflow"
    );
    assert!(PkaStatus::parse(&[3, 0, 2]).is_err() && PkaStatus::parse(&[3, 0, 2, 1, 0]).is_err());
}

#[test]
fn initialisation_options() {
    let options = InitializeOptions::RESET_RETRY_COUNTER | InitializeOptions::PIN_AND_PUBLIC_KEYS;
    assert_eq!(options.0, 0x0011);
    assert!(options.contains(InitializeOptions::RESET_RETRY_COUNTER));
    assert!(!options.contains(InitializeOptions::TRANSPORT_PIN));
}

proptest! {
    #[test]
    fn status_parsers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        if let Ok(status) = KeyDomainStatus::parse(&bytes) {
            prop_assert_eq!(status.encode(), bytes.clone());
        }
        if let Ok(status) = PkaStatus::parse(&bytes) {
            prop_assert_eq!(&status.encode()[..], &bytes);
        }
        let _ = fid::parse_list(&bytes);
    }
}
