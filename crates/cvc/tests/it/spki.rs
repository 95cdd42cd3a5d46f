//! `SubjectPublicKeyInfo` against the `openssl` program.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::Pair;
use chancery_cvc::{Curve, KeyError, PublicKey, SignatureAlgorithm};

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}

fn public_part(private: &[u8], form: &[&str]) -> Vec<u8> {
    openssl(&[&["pkey", "-pubout", "-outform", "DER"], form].concat(), private)
}

#[test]
fn keys_of_the_program_go_there_and_back() {
    for curve in Curve::ALL {
        // The program has its own names for two of them.
        let option = match curve {
            Curve::Secp192r1 => "ec_paramgen_curve:prime192v1".to_owned(),
            Curve::Secp256r1 => "ec_paramgen_curve:prime256v1".to_owned(),
            other => format!("ec_paramgen_curve:{other}"),
        };
        let private = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", &option], &[]);
        let der = public_part(&private, &[]);
        let key = PublicKey::from_spki_der(&der).unwrap();
        assert_eq!(key.domain().unwrap().curve(), Some(curve));
        assert_eq!(key.to_spki_der().unwrap(), der);
        assert!(der.ends_with(key.point().unwrap()));
        let explicit = openssl(
            &[
                "ec",
                "-pubin",
                "-inform",
                "DER",
                "-pubout",
                "-outform",
                "DER",
                "-param_enc",
                "explicit",
            ],
            &der,
        );
        assert!(explicit.len() > der.len());
        assert_eq!(PublicKey::from_spki_der(&explicit).unwrap(), key, "{curve}");
    }
    let private = openssl(
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
        &[],
    );
    let der = public_part(&private, &[]);
    let key = PublicKey::from_spki_der(&der).unwrap();
    assert!(matches!(&key, PublicKey::Rsa(rsa) if rsa.bits() == 3072 && rsa.exponent() == [1, 0, 1]));
    assert_eq!(key.to_spki_der().unwrap(), der);
}

#[test]
fn other_keys_and_other_bytes_are_refused() {
    let ed25519 = openssl(&["genpkey", "-algorithm", "ED25519"], &[]);
    let der = public_part(&ed25519, &[]);
    assert!(matches!(
        PublicKey::from_spki_der(&der),
        Err(KeyError::Unsupported { .. })
    ));
    let mut der = Pair::ec(Curve::Secp256r1).public().key().to_spki_der().unwrap();
    assert!(matches!(
        PublicKey::from_spki_der(&der[1..]),
        Err(KeyError::Structure(_))
    ));
    der.push(0);
    assert!(matches!(
        PublicKey::from_spki_der(&der),
        Err(KeyError::Structure(_))
    ));
    assert!(matches!(
        PublicKey::from_spki_der(&[0x30, 0x01, 0x00]),
        Err(KeyError::Malformed { .. })
    ));
    let point = Pair::ec(Curve::Secp256r1).public().without_domain();
    assert!(matches!(point.key().to_spki_der(), Err(KeyError::NoDomain)));
}

#[test]
fn the_program_accepts_signatures_in_der_form() {
    let directory = std::env::temp_dir().join(format!("chancery-cvc-spki-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for curve in [Curve::Secp256r1, Curve::Secp521r1, Curve::BrainpoolP384r1] {
        let pair = Pair::ec_with(curve, SignatureAlgorithm::EcdsaSha384);
        let plain = pair.sign(b"message").unwrap();
        let der = chancery_cvc::plain_to_der(&plain).unwrap();
        assert_eq!(
            chancery_cvc::der_to_plain(&der, curve.field_len()).unwrap(),
            plain
        );
        let key = file("key.der", &pair.public().key().to_spki_der().unwrap());
        let signature = file("signature.der", &der);
        let verify = [
            "dgst",
            "-sha384",
            "-keyform",
            "DER",
            "-verify",
            &key,
            "-signature",
            &signature,
        ];
        assert_eq!(openssl(&verify, b"message"), b"Verified OK\n");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
