//! A share file that a wrong share opens to nonsense with good padding: judged by the crypto library's own padding check.

#![expect(clippy::unwrap_used, reason = "tests")]

use chancery_dkek::doctor::{Case, Finding, GivenShare, Target, TargetKind, examine};
use chancery_dkek::text::{ShareText, parse};
use chancery_dkek::typed::Typed;
use chancery_schsm::{Kcv, Kek, ShareFile, ShareFileKey};
use openssl::{
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

/// The password that was typed, and what OpenSSL's derivation, MD5 with a count of ten million, makes of it and the file's salt.
/// It was worked out by a program of a few lines of Python; deriving it takes seconds, and `sc-hsm-tool` itself is a test of the
/// command line.
const TYPED: (&str, &str, &str) = (
    "2792fd7653ad89ff",
    "e7a9ad128f040719e7a29541606c2e8dc97fe32e62a791ec37d72b75b90da65f",
    "71bb6b3c52f667dd7711e0d6a2855522",
);

/// What `sc-hsm-tool` imports, by the calls that it makes: the file is decrypted under the derived key, and its padding removed.
#[test]
fn the_crypto_library_takes_the_nonsense_for_a_share() {
    let file = file();
    let typed = Typed::from_texts(&parse(&testdata("wrong-share-typed.txt")).unwrap()).unwrap();
    let password = typed.password().unwrap().unwrap();
    let (typed, key, iv) = TYPED;
    assert_eq!(hex::encode(&*password), typed);
    let (key, iv) = (hex::decode(key).unwrap(), hex::decode(iv).unwrap());
    let plain = decrypt(Cipher::aes_256_cbc(), &key, Some(&iv), &file[16..]).unwrap();
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
