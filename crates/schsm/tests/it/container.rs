//! Container files: what others write, other orders, absent parts, and what is none.

use std::path::Path;

use chancery_iso7816::tlv::{Tag, Writer};
use chancery_schsm::container::{ContainerError, KeyContainer, MAX_LENGTH, Part};
use chancery_schsm::{KeyId, PrivateKeyDescription};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::{X509, X509Name};
use proptest::prelude::*;

fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors")
        .join(name);
    hex::decode(
        std::fs::read_to_string(path)
            .unwrap()
            .split_whitespace()
            .collect::<String>(),
    )
    .unwrap()
}

fn blob() -> Vec<u8> {
    vector("wrapped-ec-p256.hex")
}

fn request() -> Vec<u8> {
    vector("nitrokey-hsm2-fw4.1-efce01.hex")
}

fn certificate() -> Vec<u8> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "k1").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    builder.build().to_der().unwrap()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Writer::new();
    out.tlv(Tag(0x30), &parts.concat());
    out.finish()
}

fn octets(value: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.tlv(Tag(0x04), value);
    out.finish()
}

#[test]
fn every_order_and_absence_is_read_and_written_again_byte_for_byte() {
    let rsa = PrivateKeyDescription::rsa(KeyId(1), "k", &[1], 2048).encode();
    let descriptions = [
        PrivateKeyDescription::ec(KeyId(1), "k", &[1], 256).encode(),
        rsa.clone(),
        PrivateKeyDescription::aes("k", &[1], 256).encode(),
        rsa_with_subject(&rsa),
    ];
    let blob = octets(&blob());
    for description in &descriptions {
        for second in [request(), certificate()] {
            let parts: [(&[u8], Part); 3] = [
                (&blob, Part::Blob),
                (description, Part::Description),
                (&second, Part::Certificate),
            ];
            for order in [
                &[0][..],
                &[0, 1],
                &[0, 2],
                &[0, 1, 2],
                &[0, 2, 1],
                &[1, 0],
                &[2, 1, 0],
                &[1, 0, 2],
                &[2, 0],
            ] {
                let bytes = sequence(&order.iter().map(|index| parts[*index].0).collect::<Vec<_>>());
                let container = KeyContainer::parse(&bytes).unwrap();
                let kinds: Vec<_> = order.iter().map(|index| parts[*index].1).collect();
                assert_eq!(container.order(), kinds);
                assert_eq!(octets(container.blob()), blob);
                assert_eq!(
                    container.description(),
                    order.contains(&1).then_some(description.as_slice())
                );
                assert_eq!(
                    container.certificate(),
                    order.contains(&2).then_some(second.as_slice())
                );
                assert_eq!(container.encode(), bytes);
            }
        }
    }
}

/// As OpenSC leaves a description behind when it stores a certificate: with the subject in it.
fn rsa_with_subject(description: &[u8]) -> Vec<u8> {
    let name = X509::from_der(&certificate())
        .unwrap()
        .subject_name()
        .to_der()
        .unwrap();
    let body = &name[2..];
    PrivateKeyDescription::parse(description)
        .unwrap()
        .with_subject(&sequence(&[body]))
        .encode()
}

#[test]
fn a_new_container_has_the_usual_order() {
    let description = PrivateKeyDescription::ec(KeyId(1), "k", &[1], 256).encode();
    let container = KeyContainer::new(&blob(), Some(&description), Some(&request())).unwrap();
    assert_eq!(
        container.encode(),
        sequence(&[&octets(&blob()), &description, &request()])
    );
    assert!(matches!(
        KeyContainer::new(&blob(), Some(&certificate()), None),
        Err(ContainerError::Unknown { tag: Tag(0x30) })
    ));
    assert!(KeyContainer::new(&[], None, None).is_err());
}

#[test]
fn what_is_no_container_is_named() {
    let blob = octets(&blob());
    let description = PrivateKeyDescription::ec(KeyId(1), "k", &[1], 256).encode();
    let bad = |bytes: &[u8]| KeyContainer::parse(bytes).unwrap_err();
    assert!(matches!(bad(&[]), ContainerError::Tlv(_)));
    assert_eq!(bad(&sequence(&[])), ContainerError::NoBlob);
    assert_eq!(bad(&sequence(&[&description])), ContainerError::NoBlob);
    assert_eq!(bad(&sequence(&[&blob, &blob])), ContainerError::Twice(Part::Blob));
    assert_eq!(
        bad(&sequence(&[&description, &blob, &description])),
        ContainerError::Twice(Part::Description)
    );
    assert_eq!(
        bad(&sequence(&[&blob, &[0x05, 0x00]])),
        ContainerError::Unknown { tag: Tag(0x05) }
    );
    let mut trailing = sequence(&[&blob]);
    trailing.push(0);
    assert!(matches!(bad(&trailing), ContainerError::Tlv(_)));
    assert!(matches!(bad(&blob), ContainerError::Tlv(_)), "a bare blob");
    let mut long = vec![0x30, 0x83, 0x00];
    long.extend_from_slice(&u16::try_from(blob.len()).unwrap().to_be_bytes());
    long.extend_from_slice(&blob);
    assert_eq!(bad(&long), ContainerError::Length { tag: Tag(0x30) });
    assert!(matches!(
        bad(&sequence(&[&octets(&[0; 4097])])),
        ContainerError::Blob { length: 4097 }
    ));
    assert!(matches!(
        bad(&vec![0x30; MAX_LENGTH + 1]),
        ContainerError::TooLong { .. }
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_what_is_read_comes_out_again(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(container) = KeyContainer::parse(&bytes) {
            prop_assert_eq!(container.encode(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_is_read_back_as_it_is(index in 0usize..1500, value in any::<u8>()) {
        let description = PrivateKeyDescription::ec(KeyId(1), "k", &[1], 256).encode();
        let mut bytes = sequence(&[&octets(&blob()), &description, &request()]);
        let length = bytes.len();
        bytes[index % length] = value;
        if let Ok(container) = KeyContainer::parse(&bytes) {
            prop_assert_eq!(container.encode(), bytes);
        }
    }
}
