//! Keys in clear from files, judged by openssl, which also made them.

use chancery_cvc::{Curve, PublicKey};
use chancery_schsm::{Algorithm, AlgorithmList, KeyId};
use chancery_tokens::key::KeyDetails;
use chancery_tokens::transfer::{
    ImportLabels, KeyFile, KeyFileError, KeyFileFormat, Parcel, ParcelError, TransferError, Verified, install,
};
use zeroize::Zeroizing;

use crate::bench::{Bench, OTHER_SHARES, SHARES, Token, kek, openssl, openssl_accepts};

fn labels(label: &str) -> ImportLabels {
    ImportLabels {
        label: label.to_owned(),
        cka_id: None,
    }
}

fn password(text: &str) -> impl FnMut() -> Option<Zeroizing<Vec<u8>>> {
    let text = text.to_owned();
    move || Some(Zeroizing::new(text.clone().into_bytes()))
}

fn none() -> Option<Zeroizing<Vec<u8>>> {
    None
}

/// Imports an AES key that may do everything; where it stands then.
pub(crate) fn import_aes(bench: &Bench, token: &Token, secret: &[u8]) -> KeyId {
    let key = KeyFile::parse(secret, KeyFileFormat::Aes, none).unwrap();
    let permitted = AlgorithmList::new(&[
        Algorithm::AesCbcEncrypt,
        Algorithm::AesCbcDecrypt,
        Algorithm::AesCmac,
        Algorithm::AesDerive,
    ]);
    let parcel = Parcel::import(&key, &kek(&SHARES), &permitted.unwrap(), labels("aes"), "a test").unwrap();
    let journal = bench.journal();
    let arrived = install(&mut token.login(), &parcel, None, &token.noted(&journal)).unwrap();
    assert_eq!(arrived.verified, Verified::ByUse);
    arrived.id
}

#[test]
fn files_of_every_form_become_keys_that_sign() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let run = |words: &[&str]| openssl(dir, words);
    run(&[
        "ecparam",
        "-name",
        "secp384r1",
        "-genkey",
        "-noout",
        "-out",
        "ec.pem",
    ]);
    run(&["genrsa", "-out", "rsa.pem", "2048"]);
    run(&["genrsa", "-traditional", "-out", "old.pem", "1024"]);
    run(&[
        "ecparam",
        "-name",
        "brainpoolP256r1",
        "-genkey",
        "-noout",
        "-out",
        "brainpool.pem",
    ]);
    run(&[
        "pkcs8", "-topk8", "-nocrypt", "-in", "ec.pem", "-outform", "DER", "-out", "ec.p8",
    ]);
    run(&[
        "pkcs8",
        "-topk8",
        "-in",
        "rsa.pem",
        "-passout",
        "pass:geheim",
        "-out",
        "rsa.p8.pem",
    ]);
    run(&[
        "pkcs8",
        "-topk8",
        "-in",
        "rsa.pem",
        "-passout",
        "pass:geheim",
        "-outform",
        "DER",
        "-out",
        "rsa.p8",
    ]);
    run(&[
        "rsa",
        "-in",
        "rsa.pem",
        "-traditional",
        "-outform",
        "DER",
        "-out",
        "rsa.der",
    ]);
    run(&[
        "req",
        "-x509",
        "-key",
        "ec.pem",
        "-subj",
        "/CN=imported",
        "-days",
        "30",
        "-out",
        "cert.pem",
    ]);
    run(&[
        "pkcs12",
        "-export",
        "-inkey",
        "ec.pem",
        "-in",
        "cert.pem",
        "-name",
        "friendly",
        "-passout",
        "pass:geheim",
        "-out",
        "ec.p12",
    ]);
    run(&[
        "pkcs12",
        "-export",
        "-inkey",
        "ec.pem",
        "-in",
        "cert.pem",
        "-passout",
        "pass:",
        "-out",
        "empty.p12",
    ]);
    let files = [
        ("ec.pem", "ec.pem", ""),
        ("ec.p8", "ec.pem", ""),
        ("brainpool.pem", "brainpool.pem", ""),
        ("old.pem", "old.pem", ""),
        ("rsa.pem", "rsa.pem", ""),
        ("rsa.der", "rsa.pem", ""),
        ("rsa.p8.pem", "rsa.pem", "geheim"),
        ("rsa.p8", "rsa.pem", "geheim"),
        ("ec.p12", "ec.pem", "geheim"),
        ("empty.p12", "ec.pem", ""),
    ];
    for (file, original, secret) in files {
        let bytes = std::fs::read(dir.join(file)).unwrap();
        let key = KeyFile::parse(&bytes, KeyFileFormat::Asymmetric, password(secret)).unwrap();
        let parcel = Parcel::import(
            &key,
            &kek(&SHARES),
            &AlgorithmList::unrestricted(),
            labels(key.label().unwrap_or("k")),
            file,
        )
        .unwrap();
        let mut card = token.login();
        let arrived = install(&mut card, &parcel, None, &token.noted(&journal)).unwrap();
        assert_eq!(arrived.verified, Verified::ByUse, "{file}");
        assert_eq!(
            (arrived.described, arrived.certified),
            (true, file.ends_with("p12"))
        );
        let details = KeyDetails::read(&mut card, arrived.id).unwrap().unwrap();
        assert_eq!(
            details.description.label(),
            if file == "ec.p12" { "friendly" } else { "k" }
        );
        let public = openssl(dir, &["pkey", "-in", original, "-pubout", "-outform", "DER"]);
        let public = PublicKey::from_spki_der(&public).unwrap();
        let algorithm = match public {
            PublicKey::Rsa(_) => Algorithm::RsaPkcs1Sha256,
            _ => Algorithm::EcdsaSha256,
        };
        let signature = card.sign(arrived.id, algorithm, b"message").unwrap();
        assert!(
            openssl_accepts(&public, b"message", &signature, &["-sha256"]),
            "{file}"
        );
        card.delete_key(arrived.id).unwrap();
    }
    for (file, secret) in [
        ("rsa.p8.pem", "falsch"),
        ("rsa.p8", "falsch"),
        ("ec.p12", "falsch"),
    ] {
        let bytes = std::fs::read(dir.join(file)).unwrap();
        let wrong = KeyFile::parse(&bytes, KeyFileFormat::Asymmetric, password(secret));
        assert!(matches!(wrong, Err(KeyFileError::Password(Some(_)))), "{file}");
        let missing = KeyFile::parse(&bytes, KeyFileFormat::Asymmetric, none);
        assert!(matches!(missing, Err(KeyFileError::Password(None))), "{file}");
    }
    run(&["genpkey", "-algorithm", "ed25519", "-out", "ed.pem"]);
    run(&["genrsa", "-out", "odd.pem", "2056"]);
    for file in ["ed.pem", "odd.pem"] {
        let bytes = std::fs::read(dir.join(file)).unwrap();
        let refused = KeyFile::parse(&bytes, KeyFileFormat::Asymmetric, none);
        assert!(matches!(refused, Err(KeyFileError::Unsupported(_))), "{file}");
    }
    let certificate = std::fs::read(dir.join("cert.pem")).unwrap();
    for bad in [
        &certificate[..],
        b"",
        b"nonsense",
        &[0x30, 0x03, 0x02, 0x01, 0x03],
    ] {
        assert!(matches!(
            KeyFile::parse(bad, KeyFileFormat::Asymmetric, none),
            Err(KeyFileError::NoKey)
        ));
    }
    // A certificate of somebody else's.
    let bytes = std::fs::read(dir.join("rsa.pem")).unwrap();
    let key = KeyFile::parse(&bytes, KeyFileFormat::Asymmetric, none).unwrap();
    let other = openssl::x509::X509::from_pem(&certificate)
        .unwrap()
        .to_der()
        .unwrap();
    let refused = Parcel::import(
        &key.with_certificate(other),
        &kek(&SHARES),
        &AlgorithmList::unrestricted(),
        labels("k"),
        "",
    );
    assert!(matches!(refused, Err(ParcelError::OtherKey)));
}

#[test]
fn aes_keys_come_as_bytes_or_digits() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    for length in [16, 24, 32] {
        import_aes(&bench, &token, &vec![0x5A; length]);
    }
    let digits = KeyFile::parse(
        b" 00112233 44556677\n8899aabbccddeeff\n",
        KeyFileFormat::AesHex,
        none,
    )
    .unwrap();
    assert_eq!(digits.material().bits(), 128);
    assert!(!format!("{digits:?}").contains("33"));
    assert!(matches!(
        KeyFile::parse(&[0; 17], KeyFileFormat::Aes, none),
        Err(KeyFileError::AesLength(17))
    ));
    assert!(matches!(
        KeyFile::parse(b"zz", KeyFileFormat::AesHex, none),
        Err(KeyFileError::Digits)
    ));
}

#[test]
fn a_key_encryption_key_of_another_token_is_refused_and_nothing_is_sent() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    let key = KeyFile::parse(&[7; 16], KeyFileFormat::Aes, none).unwrap();
    let parcel = Parcel::import(
        &key,
        &kek(&OTHER_SHARES),
        &AlgorithmList::unrestricted(),
        labels("k"),
        "",
    )
    .unwrap();
    let mut card = token.login();
    let refused = install(&mut card, &parcel, None, &token.noted(&journal));
    assert!(matches!(refused, Err(TransferError::OtherDomain { .. })));
    assert!(card.enumerate().unwrap().keys().is_empty());
}

#[test]
fn curves_without_a_name_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    // Explicit parameters of a named curve are that curve.
    openssl(
        directory.path(),
        &[
            "ecparam",
            "-name",
            "prime256v1",
            "-param_enc",
            "explicit",
            "-genkey",
            "-noout",
            "-out",
            "explicit.pem",
        ],
    );
    let bytes = std::fs::read(directory.path().join("explicit.pem")).unwrap();
    let key = KeyFile::parse(&bytes, KeyFileFormat::Asymmetric, none).unwrap();
    assert_eq!(key.material().bits(), usize::from(Curve::Secp256r1.bits()));
}
