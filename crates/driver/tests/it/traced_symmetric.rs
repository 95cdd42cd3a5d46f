//! Secret keys, byte for byte as other hosts send them, and files of every length.

use crate::common::{self, Answers, Script, bytes};
use chancery_driver::reading::{self, Cut};
use chancery_driver::{AesSize, Card, Error, SecretKeySpec};
use chancery_schsm::{AlgorithmList, Fid, KeyId};

const KEY: KeyId = KeyId(0x22);

fn spec() -> SecretKeySpec {
    SecretKeySpec {
        id: KEY,
        size: AesSize::Bits256,
        algorithms: AlgorithmList::from_ids(&[0x10, 0x11, 0x18, 0x99]).unwrap(),
        key_domain: None,
        use_counter: None,
    }
}

#[test]
fn a_secret_key_is_made_as_by_the_manufacturers_module() {
    let mut card = Script::authenticated(&[
        ("00A40000 02 CC22 00", "6A82"),
        ("004822B2 06 910410111899", "9000"),
        ("00A40000 02 CC22 00", "6A82"),
        ("004822B0 0F 9004000000 07 910410111899 920103", "9000"),
        ("00A40000 02 CC22 00", "6A82"),
        ("004822B1 06 910410111899", "6D00"),
        ("00A40000 02 CC22 00", "6F0A 8102 0042 A504 9102 1011 9000"),
    ]);
    card.generate_secret(&spec()).unwrap();
    card.generate_secret(&SecretKeySpec {
        size: AesSize::Bits128,
        key_domain: Some(3),
        use_counter: Some(7),
        ..spec()
    })
    .unwrap();
    let old = SecretKeySpec {
        size: AesSize::Bits192,
        ..spec()
    };
    assert!(matches!(
        card.generate_secret(&old),
        Err(Error::NotOffered { .. })
    ));
    assert!(matches!(
        card.generate_secret(&spec()),
        Err(Error::KeyExists { .. })
    ));
    let device = SecretKeySpec {
        id: KeyId::DEVICE,
        ..spec()
    };
    assert!(matches!(card.generate_secret(&device), Err(Error::Input { .. })));
}

#[test]
fn the_card_chains_from_zero_and_the_host_puts_its_vector_in() {
    let plain = "11".repeat(16) + &"22".repeat(16);
    // The vector FF.. is in the first block on the way in, and taken out of it on the way back.
    let sent = "EE".repeat(16) + &"22".repeat(16);
    let answer = "A5".repeat(32);
    let encrypt = format!("80782210 20 {sent} 20");
    let decrypt = format!("80782211 20 {answer} 20");
    let encrypted = format!("{answer} 9000");
    let decrypted = format!("{sent} 9000");
    let short = format!("{} 9000", "A5".repeat(31));
    let mut card = Script::authenticated(&[
        (&encrypt, &encrypted),
        (&decrypt, &decrypted),
        (&encrypt, &short),
        (&encrypt, "6A81"),
        (&encrypt, "6984"),
        ("80782218 03 616263 10", &format!("{} 9000", "5A".repeat(16))),
        ("80782299 04 74657374 20", &format!("{} 9000", "C3".repeat(32))),
    ]);
    let plain = bytes(&plain);
    let iv = [0xFF; 16];
    let made = card.encrypt_cbc(KEY, iv, &plain).unwrap();
    assert_eq!(*made, bytes(&answer));
    assert_eq!(*card.decrypt_cbc(KEY, iv, &made).unwrap(), plain);
    assert!(matches!(
        card.encrypt_cbc(KEY, iv, &plain),
        Err(Error::Protocol { .. })
    ));
    assert!(matches!(
        card.encrypt_cbc(KEY, iv, &plain),
        Err(Error::UseNotPermitted { .. })
    ));
    assert!(matches!(
        card.encrypt_cbc(KEY, iv, &plain),
        Err(Error::UseCounterSpent { .. })
    ));
    assert_eq!(card.cmac(KEY, b"abc").unwrap(), [0x5A; 16]);
    assert_eq!(*card.derive_secret(KEY, b"test").unwrap(), [0xC3; 32]);
    for odd in [0, 15, 17] {
        assert!(matches!(
            card.encrypt_cbc(KEY, iv, &vec![0; odd]),
            Err(Error::Input { .. })
        ));
    }
}

#[test]
fn a_key_is_derived_without_a_length_before_the_parameter() {
    let mut card = Script::authenticated(&[
        ("00A40000 02 CC09 00", "6A82"),
        ("80762209 04 98 0A0B0C", "9000"),
        ("00B1CE09 000004 54020000 0000", "6A82"),
    ]);
    assert!(
        card.derive_ec_key(KEY, KeyId(9), &[10, 11, 12])
            .unwrap()
            .is_none()
    );
}

/// A card with one file of this length that gives so many bytes at a time; 54 04 beyond 64 KiB if it can.
fn with_file(length: usize, far: bool, piece: usize) -> Answers<impl FnMut(&[u8]) -> Vec<u8> + Send> {
    let mut reads = 0;
    Answers(move |command: &[u8]| {
        if command[1] == 0xA4 {
            return bytes(common::FCI);
        }
        assert_eq!(command[..4], [0x00, 0xB1, 0xCF, 0x01]);
        reads += 1;
        assert!(reads < 1000, "it never ends");
        let offset = match &command[7..] {
            [0x54, 2, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            [0x54, 4, a, b, c, d, ..] if far => {
                usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap()
            }
            _ => return vec![0x6A, 0x80],
        };
        let part = length.saturating_sub(offset).min(piece);
        let mut answer = vec![0xFF; part];
        answer.extend_from_slice(if offset + part >= length {
            &[0x62, 0x82]
        } else {
            &[0x90, 0x00]
        });
        answer
    })
}

#[test]
fn files_beyond_64_kib_are_read_as_far_as_the_card_gives_them() {
    let file = Fid(0xCF01);
    let read = |length, far, limit| {
        let mut card = Card::new(with_file(length, far, 1000)).select().unwrap();
        let content = reading::read(&mut card, file, limit).unwrap().unwrap();
        (content.bytes.len(), content.cut)
    };
    let most = 1 << 20;
    assert_eq!(read(0, true, most), (0, None));
    assert_eq!(read(65_000, true, most), (65_000, None));
    assert_eq!(read(100_000, true, most), (100_000, None));
    assert_eq!(read(100_000, false, most), (66_000, Some(Cut::Offset)));
    assert_eq!(read(100_000, true, 70_000), (70_000, Some(Cut::Limit)));
    // A small reader is put up with, a card that gives a byte at a time is not.
    let mut card = Card::new(with_file(60_000, true, 200)).select().unwrap();
    assert_eq!(
        reading::read(&mut card, file, most).unwrap().unwrap().bytes.len(),
        60_000
    );
    let mut card = Card::new(with_file(60_000, true, 1)).select().unwrap();
    assert_eq!(
        reading::read(&mut card, file, most).unwrap().unwrap().cut,
        Some(Cut::Pieces)
    );
    let mut card = Card::new(with_file(100_000, true, 1000)).select().unwrap();
    assert!(matches!(card.read_file(file), Err(Error::TooLarge { .. })));
}
