//! A share file that a wrong share opens to nonsense with good padding: judged by the crypto library's own derivation and padding check.

#![expect(clippy::unwrap_used, reason = "tests")]

use chancery_dkek::doctor::{Case, Finding, GivenShare, Target, TargetKind, examine};
use chancery_dkek::text::{ShareText, parse};
use chancery_dkek::typed::Typed;
use chancery_schsm::{Kcv, Kek, ShareFile, ShareFileKey};
use openssl::{
    hash::MessageDigest,
    pkcs5::bytes_to_key,
    sha::sha256,
    symm::{Cipher, decrypt},
};

const RIGHT: Kcv = Kcv([0x2D, 0xB2, 0x63, 0xC2, 0xBF, 0x30, 0xEF, 0xB9]);
const IMPORTED: Kcv = Kcv([0xC4, 0xDA, 0x56, 0x50, 0x80, 0xE8, 0x86, 0xD9]);

fn testdata(name: &str) -> String {
    std::fs::read_to_string(format!(
        "{}/../../testdata/dkek/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

fn file() -> Vec<u8> {
    hex::decode(testdata("wrong-share.pbe.hex").trim()).unwrap()
}

fn given(texts: Vec<ShareText>) -> Vec<GivenShare> {
    texts
        .into_iter()
        .map(|text| GivenShare {
            source: "paper".into(),
            text,
        })
        .collect()
}

/// What `sc-hsm-tool` imports, by the calls that it makes: the file is decrypted under the derived key, and its padding removed.
#[test]
fn the_crypto_library_takes_the_nonsense_for_a_share() {
    let file = file();
    let typed = Typed::from_texts(&parse(&testdata("wrong-share-typed.txt")).unwrap()).unwrap();
    let password = typed.password().unwrap().unwrap();
    let salt = file[8..16].try_into().unwrap();
    let cipher = Cipher::aes_256_cbc();
    let pair = bytes_to_key(cipher, MessageDigest::md5(), &password, Some(salt), 10_000_000).unwrap();
    let plain = decrypt(cipher, &pair.key, pair.iv.as_deref(), &file[16..]).unwrap();
    assert!(plain.len() > 32, "the padding is too short");
    assert_eq!(sha256(&plain[..32])[..8], IMPORTED.0);
}

#[test]
fn the_doctor_names_the_key_that_was_imported() {
    let case = Case {
        files: vec![("backup.pbe".into(), ShareFile::parse(&file()).unwrap())],
        shares: given(parse(&testdata("wrong-share-printed.txt")).unwrap()),
        typed: vec![(
            "notes".into(),
            Typed::from_texts(&parse(&testdata("wrong-share-typed.txt")).unwrap()).unwrap(),
        )],
        targets: vec![Target {
            name: "hsm".into(),
            kind: TargetKind::Token,
            kcv: IMPORTED,
        }],
        effort: 10,
        look_for_imports: true,
        ..Case::default()
    };
    let mut derive = |file: &ShareFile, password: &[u8]| -> ShareFileKey { file.derive(password, |_| ()) };
    let found = examine(&case, &mut derive).unwrap();
    assert!(
        found
            .findings
            .iter()
            .any(|finding| matches!(finding, Finding::WrongKeyImported { .. })),
        "{:?}",
        found.findings
    );
    assert_eq!(found.keys[0].kcv, RIGHT);
    let opened = found.to_mend(0).unwrap();
    assert_eq!(Kek::from(opened.share.clone()).kcv(), IMPORTED);
    assert_eq!(
        found.tried, 2,
        "one derivation for the right shares, one for the typed ones"
    );
}
