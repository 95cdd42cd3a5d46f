//! Registration of custodians and their answers, to the byte.

use crate::common::{Script, ascii, vector};
use chancery_cvc::Reference;
use chancery_driver::{Error, PkaRegistration, QuorumError, RegistrationError};

const DEVICE: &str = "nitrokey-hsm2-fw4.1-ef2f02.hex";
const REQUEST: &str = "nitrokey-hsm2-fw4.1-efce01.hex";

#[test]
fn registration_teaches_the_chain_first() {
    // The real key is on secp256k1, a 256-bit curve.
    let new = PkaRegistration::from_chain(&vector(DEVICE), &vector(REQUEST)).unwrap();
    let reference = |name: &Reference| {
        let name = name.as_str();
        format!("{:02X}83{:02X}{}", name.len() + 2, name.len(), ascii(name))
    };
    let select = |name: &Reference| format!("002281B6 {}", reference(name));
    let pso = |content: &[u8]| match content.len() {
        short @ 0..=255 => format!("002A00BE {short:02X} {}", hex::encode(content)),
        long => format!("002A00BE 00{long:04X} {}", hex::encode(content)),
    };
    let dica = select(new.dica().chr());
    let root = select(new.dica().car());
    let device = select(new.device().chr());
    let (teach_dica, teach_device) = (pso(&new.dica().content()), pso(&new.device().content()));
    let content = new.request().content();
    let register = format!("80540000 00{:04X} {} 0100", content.len(), hex::encode(content));
    let other = format!("{} 9000", ascii("DENK099999900001"));
    let same = format!("{} 9001", ascii(new.custodian().as_str()));
    let empty = "6A88";
    let mut token = Script::selected(&[
        ("8054000004", "02010200 9000"),
        ("8054020000", &other),
        ("8054020100", empty),
        (&dica, "6A88"),
        (&root, "9000"),
        (&teach_dica, "9000"),
        (&device, "6A88"),
        (&dica, "9000"),
        (&teach_device, "9000"),
        (&device, "9000"),
        (&register, "02000200 9000"),
        // Again, and again under an empty list: the same name, then the same key.
        ("8054000004", "02010200 9000"),
        ("8054020000", &same),
        ("8054000004", "02010200 9000"),
        ("8054020000", &other),
        ("8054020100", empty),
        ("8054000004", "02000200 9000"),
        ("8054000004", "6D00"),
    ]);
    assert_eq!(token.register_custodian(&new).unwrap().missing, 0);
    assert!(matches!(
        token.register_custodian(&new),
        Err(RegistrationError::DuplicateName { .. })
    ));
    assert!(matches!(
        token.register_custodian(&new),
        Err(RegistrationError::DuplicateKey { .. })
    ));
    assert!(matches!(
        token.register_custodian(&new),
        Err(RegistrationError::NoneMissing { total: 2 })
    ));
    assert!(matches!(
        token.register_custodian(&new),
        Err(RegistrationError::NotConfigured)
    ));

    let mut token = Script::selected(&[
        ("8054000004", "01010100 9000"),
        ("8054020000", empty),
        (&dica, "6A88"),
        (&root, "6A88"),
        ("8054000004", "01010100 9000"),
        ("8054020000", empty),
        (&dica, "6A88"),
        (&root, "9000"),
        (&teach_dica, "6985"),
    ]);
    assert!(matches!(
        token.register_custodian(&new),
        Err(RegistrationError::UnknownIssuer { .. })
    ));
    assert!(matches!(
        token.register_custodian(&new),
        Err(RegistrationError::CertificateRefused { .. })
    ));
}

#[test]
fn a_custodian_answers() {
    let custodian = Reference::new("DENK010000100001").unwrap();
    let select = format!("002281A412 8310 {}", ascii("DENK010000100001"));
    let answer = format!("0082000040 {}", "AA".repeat(64));
    let mut token = Script::selected(&[
        (&select, "9000"),
        ("0084000008", "0102030405060708 9000"),
        (&answer, "9000"),
        ("8054000004", "03000201 9000"),
        (&select, "9000"),
        ("0084000008", "0102030405060708 9000"),
        (&answer, "6300"),
        (&select, "6A88"),
        (&select, "9000"),
        ("0084000008", "0102 9000"),
        ("8054000004", "03000201 9000"),
        ("8054000004", "03000202 9000"),
    ]);
    let pending = token.challenge(&custodian).unwrap();
    assert_eq!(pending.challenge().0, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(pending.answer(&[0xAA; 64]).unwrap().authenticated, 1);
    let wrong = token
        .challenge(&custodian)
        .unwrap()
        .answer(&[0xAA; 64])
        .unwrap_err();
    assert!(matches!(wrong, QuorumError::WrongAnswer { .. }), "{wrong:?}");
    assert!(matches!(
        token.challenge(&custodian).err(),
        Some(QuorumError::NotRegistered { .. })
    ));
    assert!(matches!(
        token.challenge(&custodian).err(),
        Some(QuorumError::Card(Error::Protocol { .. }))
    ));
    let failed = token.into_authenticated_by_quorum().err().unwrap();
    assert_eq!(failed.error.to_string(), "quorum 1 of 2");
    assert!(failed.card.into_authenticated_by_quorum().is_ok());
}
