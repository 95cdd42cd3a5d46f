//! A card that answers nonsense: errors, no panic, no loop without end.

use crate::common::{Answers, FCI, bytes, vector};
use chancery_cvc::{Curve, Reference, TrustAnchors};
use chancery_driver::{Card, Error, KeyAlgorithm, KeySpec, Limits, Pin, PkaRegistration, Replica};
use chancery_driver::{keystore, replicate};
use chancery_schsm::{Algorithm, AlgorithmList, Fid, KekShare, KeyId};

/// Answers SELECT AID well and everything else by the function.
fn card<F: FnMut(&[u8]) -> Vec<u8> + Send>(mut rest: F) -> Answers<impl FnMut(&[u8]) -> Vec<u8> + Send> {
    Answers(move |command: &[u8]| {
        if command.starts_with(&[0x00, 0xA4, 0x04]) {
            bytes(FCI)
        } else {
            rest(command)
        }
    })
}

#[test]
fn a_file_without_end_is_cut_at_the_limit() {
    let mut sent = 0;
    let endless = card(|_| {
        sent += 1;
        let mut answer = vec![0x31; 1000];
        answer.extend([0x90, 0x00]);
        answer
    });
    let mut token = Card::with_limits(
        endless,
        Limits {
            max_file: 4096,
            ..Limits::default()
        },
    )
    .select()
    .unwrap();
    assert!(matches!(
        token.read_file(Fid(0xCF01)),
        Err(Error::TooLarge { limit: 4096, .. })
    ));
    drop(token);
    assert_eq!(sent, 5);
}

#[test]
fn a_file_in_crumbs_is_cut_at_the_number_of_reads() {
    let mut sent = 0_usize;
    let crumbs = card(|_| {
        sent += 1;
        vec![0x00, 0x90, 0x00]
    });
    let mut token = Card::new(crumbs).select().unwrap();
    assert!(matches!(
        token.read_file(Fid(0xCF01)),
        Err(Error::Protocol { .. })
    ));
    drop(token);
    assert_eq!(sent, 300);
}

#[test]
fn domains_and_custodians_without_end_are_cut() {
    let mut sent = 0_usize;
    let endless = card(|command| {
        sent += 1;
        match command.get(1) {
            Some(0x52) => bytes("0100 0102030405060708 9000"),
            Some(0x54) if command.get(2) == Some(&0) => bytes("FFFF0101 9000"),
            _ => bytes("6A88"),
        }
    });
    let mut token = Card::new(endless).select().unwrap();
    assert_eq!(token.key_domains().unwrap().len(), 64);
    assert_eq!(token.custodians().unwrap().len(), 90);
    drop(token);
    assert_eq!(sent, 64 + 1 + 90);
}

#[test]
fn a_card_that_is_no_smartcard_hsm_is_given_back() {
    for answer in [
        "",
        "90",
        "9000",
        "6A82",
        "6F00 9000",
        "6F05 85050000 9000",
        "3003 850101 9000",
    ] {
        let failed = Card::new(Answers(move |_: &[u8]| bytes(answer)))
            .select()
            .err()
            .unwrap();
        assert!(
            matches!(failed.error, Error::Protocol { .. } | Error::NoSuchFile { .. }),
            "{answer}"
        );
        let _transport = failed.card.into_transport();
    }
}

/// Every operation against answers made of a fixed pseudo-random stream, damaged real data and odd status words.
#[test]
fn no_operation_panics() {
    let real = [
        vector("nitrokey-hsm2-fw4.1-ef2f02.hex"),
        vector("nitrokey-hsm2-fw4.1-efce01.hex"),
    ];
    let registration = PkaRegistration::from_chain(&real[0], &real[1]).unwrap();
    let spec = KeySpec {
        id: KeyId(1),
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: Reference::new("UTTEST00001").unwrap(),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter: None,
    };
    let anchors = TrustAnchors::production().unwrap();
    let custodian = Reference::new("UTTEST00001").unwrap();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut answers = 0_u32;
    for _ in 0..300 {
        let mut open = true;
        let wild = card(|command| {
            answers += 1;
            if std::mem::take(&mut open) && command.starts_with(&[0x00, 0x20]) {
                return bytes("9000");
            }
            let [kind, choice, length, at, bit, ..] = next().to_be_bytes();
            let mut answer = match kind % 4 {
                0 => Vec::new(),
                1 => (0..usize::from(length))
                    .map(|_| next().to_be_bytes()[0])
                    .collect(),
                _ => real[usize::from(choice % 2)].clone(),
            };
            let position = usize::from(at) * 4;
            match kind % 7 {
                0 => answer.truncate(position),
                1..=3 => {
                    if let Some(byte) = answer.get_mut(position) {
                        *byte ^= 1 << (bit % 8);
                    }
                }
                _ => {}
            }
            let status = [
                0x9000_u16, 0x9000, 0x6282, 0x6A82, 0x6A88, 0x6300, 0x9001, 0x63C1, 0x6F00,
            ];
            answer.extend(status[usize::from(bit) % status.len()].to_be_bytes());
            answer
        });
        let token = Card::new(wild).select().unwrap();
        let mut token = token.verify_pin(&Pin::new("648219").unwrap()).unwrap();
        drop(token.read_file(Fid(0x2F02)));
        drop(token.device_identity(&anchors));
        drop(token.pin_status());
        drop(token.pka_status());
        drop(token.custodians());
        drop(token.key_domains());
        drop(token.import_share(0, &KekShare::new([1; 32])));
        drop(token.random(8));
        drop(keystore::list(&mut token));
        drop(keystore::token_info(&mut token));
        drop(token.generate(&spec));
        drop(token.sign(KeyId(1), Algorithm::Ecdsa, &[0; 32]));
        drop(token.ecdh(KeyId(1), &[4; 65]));
        drop(token.wrap(KeyId(1)));
        drop(token.unwrap(KeyId(1), &[0; 100]));
        drop(token.write_file(Fid(0xCE01), &real[0]));
        drop(replicate::export(&mut token, KeyId(1)));
        let replica = Replica {
            wrapped: vector("wrapped-ec-p256.hex"),
            description: None,
            certificate: None,
        };
        drop(replicate::import(
            &mut token,
            KeyId(1),
            &replica,
            registration.public_key(),
        ));
        drop(token.proves(KeyId(1), registration.public_key()));
        let mut token = token.logout().unwrap();
        drop(token.register_custodian(&registration));
        drop(
            token
                .challenge(&custodian)
                .map(|pending| pending.answer(&[1; 64])),
        );
        drop(chancery_driver::QuorumSession::begin(token).map(|mut session| {
            drop(session.ask(&custodian));
            drop(session.answer(&custodian, &[1; 64]));
        }));
    }
    assert!(answers > 5_000, "{answers}");
}
