//! Every mechanism OpenSC offers, judged by openssl.

use std::collections::BTreeSet;

use crate::token::Token;

const MESSAGE: &str = "what is signed here";
/// Hash functions: in the names of mechanisms, as a value of `--hash-algorithm`, and openssl's.
const HASHES: [(&str, &str, &str); 5] = [
    ("SHA1", "SHA-1", "sha1"),
    ("SHA224", "SHA224", "sha224"),
    ("SHA256", "SHA256", "sha256"),
    ("SHA384", "SHA384", "sha384"),
    ("SHA512", "SHA512", "sha512"),
];
/// `DigestInfo` of SHA-256 without the hash (RFC 8017 9.2).
const DIGEST_INFO: &str = "3031300d060960864801650304020105000420";
const CURVES: [&str; 4] = ["prime256v1", "secp384r1", "secp521r1", "brainpoolP256r1"];

/// A token, and which mechanisms were used on it.
struct Bench {
    token: Token,
    used: BTreeSet<String>,
}

impl Bench {
    fn new(kinds: &[(&str, &str)]) -> Self {
        let token = Token::initialised();
        for (kind, id) in kinds {
            token.generate(kind, id, &format!("key {id}"));
        }
        token.pcscd.write("message", MESSAGE);
        for (_, _, hash) in HASHES {
            token
                .openssl(&["dgst", &format!("-{hash}"), "-binary", "-out", hash, "message"])
                .ok();
        }
        Self {
            token,
            used: BTreeSet::new(),
        }
    }

    /// Signs a file.
    fn sign(&mut self, id: &str, mechanism: &str, input: &str, more: &[&str]) {
        self.used.insert(mechanism.to_owned());
        let words = [
            "--sign",
            "--id",
            id,
            "--mechanism",
            mechanism,
            "--input-file",
            input,
            "--output-file",
            "signature",
            "--signature-format",
            "openssl",
        ];
        // What an earlier one left is not looked at.
        let _ = std::fs::remove_file(self.token.pcscd.file("signature"));
        self.token.logged_in(&[&words[..], more].concat()).ok();
    }

    /// openssl takes the signature for one of the message, and not for one of another.
    #[track_caller]
    fn holds(&self, id: &str, hash: &str, more: &[&str]) {
        let public = format!("{id}.pub");
        let hash = format!("-{hash}");
        let words = ["dgst", &hash, "-verify", &public, "-signature", "signature"];
        let verified = self
            .token
            .openssl(&[&words[..], more, &["message"]].concat())
            .ok();
        assert_eq!(verified.out, "Verified OK\n");
        let other = self.token.openssl(&[&words[..], more, &["sha1"]].concat());
        assert_ne!(other.code, 0, "of another message");
    }

    /// Nothing that OpenSC lists with this word was left out.
    fn all_used(&self, word: &str, family: &str) {
        let listed = self.token.pcscd.pkcs11(&["--list-mechanisms"]).ok().out;
        let mut checked = 0;
        for line in listed.lines().map(str::trim) {
            let mut parts = line.split(", ");
            let name = parts.next().unwrap_or_default();
            if name.contains(family) && parts.any(|part| part == word) {
                assert!(self.used.contains(name), "{name} was not tried: {listed}");
                checked += 1;
            }
        }
        assert!(checked > 1, "{listed}");
    }
}

const PSS: [&str; 2] = ["-sigopt", "rsa_padding_mode:pss"];

#[test]
fn rsa_signs_with_every_mechanism_listed() {
    let mut bench = Bench::new(&[("rsa:2048", "11"), ("rsa:3072", "12"), ("rsa:4096", "13")]);
    for (id, length) in [("11", 256), ("12", 384), ("13", 512)] {
        // All with one key, one of each kind with the others.
        let hashes = if id == "11" { &HASHES[..] } else { &HASHES[2..3] };
        for (name, option, hash) in hashes {
            bench.sign(id, &format!("{name}-RSA-PKCS"), "message", &[]);
            bench.holds(id, hash, &[]);
            bench.sign(id, &format!("{name}-RSA-PKCS-PSS"), "message", &[]);
            bench.holds(id, hash, &PSS);
            bench.sign(id, "RSA-PKCS-PSS", hash, &["--hash-algorithm", option]);
            bench.holds(id, hash, &PSS);
        }
        let mut info = hex::decode(DIGEST_INFO).unwrap();
        info.extend(bench.token.pcscd.read("sha256"));
        bench.token.pcscd.write("info", &info);
        bench.sign(id, "RSA-PKCS", "info", &[]);
        bench.holds(id, "sha256", &[]);
        // The block that EMSA-PKCS1-v1_5 makes of it.
        let mut block = vec![0x00, 0x01];
        block.resize(length - info.len() - 1, 0xFF);
        block.push(0);
        block.extend(info);
        bench.token.pcscd.write("block", &block);
        bench.sign(id, "RSA-X-509", "block", &[]);
        bench.holds(id, "sha256", &[]);
    }
    for (name, hash) in [("MD5", "md5"), ("RIPEMD160", "ripemd160")] {
        bench.sign("11", &format!("{name}-RSA-PKCS"), "message", &[]);
        bench.holds("11", hash, &[]);
    }
    bench.all_used("sign", "RSA");
}

#[test]
fn ecdsa_signs_with_every_mechanism_listed() {
    let kinds: Vec<_> = CURVES.iter().map(|curve| format!("EC:{curve}")).collect();
    let keys: Vec<_> = kinds
        .iter()
        .map(String::as_str)
        .zip(["21", "22", "23", "24"])
        .collect();
    let mut bench = Bench::new(&keys);
    for (_, id) in &keys {
        for (name, _, hash) in HASHES {
            bench.sign(id, &format!("ECDSA-{name}"), "message", &[]);
            bench.holds(id, hash, &[]);
            bench.sign(id, "ECDSA", hash, &[]);
            bench.holds(id, hash, &[]);
        }
    }
    bench.all_used("sign", "ECDSA");
}

#[test]
fn rsa_decrypts_with_every_mechanism_listed() {
    let mut bench = Bench::new(&[("rsa:2048", "11"), ("rsa:4096", "13")]);
    let sha256 = ["-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"];
    for (id, length) in [("11", 256), ("13", 512)] {
        let mut block = vec![0x00, 0x07];
        block.resize(length, 0x5A);
        bench.token.pcscd.write("block", &block);
        // Mechanism, file, openssl's padding, its options, pkcs11-tool's.
        type Case<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], &'a [&'a str]);
        let cases: [Case<'_>; 4] = [
            ("RSA-PKCS", "message", "pkcs1", &[], &[]),
            (
                "RSA-PKCS-OAEP",
                "message",
                "oaep",
                &[],
                &["--hash-algorithm", "SHA-1"],
            ),
            (
                "RSA-PKCS-OAEP",
                "message",
                "oaep",
                &sha256,
                &["--hash-algorithm", "SHA256"],
            ),
            ("RSA-X-509", "block", "none", &[], &[]),
        ];
        for (mechanism, plain, padding, options, more) in cases {
            let public = format!("{id}.pub");
            let padding = format!("rsa_padding_mode:{padding}");
            let encrypt = [
                "pkeyutl", "-encrypt", "-pubin", "-inkey", &public, "-in", plain, "-out", "cipher",
                "-pkeyopt", &padding,
            ];
            bench.token.openssl(&[&encrypt[..], options].concat()).ok();
            bench.used.insert(mechanism.to_owned());
            let decrypt = [
                "--decrypt",
                "--id",
                id,
                "--mechanism",
                mechanism,
                "--input-file",
                "cipher",
                "--output-file",
                "plain",
            ];
            bench.token.logged_in(&[&decrypt[..], more].concat()).ok();
            let files = &bench.token.pcscd;
            assert_eq!(
                files.read("plain"),
                files.read(plain),
                "{id} {mechanism} {more:?}"
            );
        }
    }
    bench.all_used("decrypt", "RSA");
}

#[test]
fn keys_are_agreed_upon_with_every_mechanism_listed() {
    let kinds: Vec<_> = CURVES.iter().map(|curve| format!("EC:{curve}")).collect();
    let keys: Vec<_> = kinds
        .iter()
        .map(String::as_str)
        .zip(["21", "22", "23", "24"])
        .collect();
    let mut bench = Bench::new(&keys);
    for ((_, id), curve) in keys.iter().zip(CURVES) {
        let token = &bench.token;
        token
            .openssl(&["ecparam", "-name", curve, "-genkey", "-noout", "-out", "peer.pem"])
            .ok();
        token
            .openssl(&[
                "pkey", "-in", "peer.pem", "-pubout", "-outform", "DER", "-out", "peer.der",
            ])
            .ok();
        let public = format!("{id}.pub");
        token
            .openssl(&[
                "pkeyutl", "-derive", "-inkey", "peer.pem", "-peerkey", &public, "-out", "expected",
            ])
            .ok();
        for mechanism in ["ECDH1-DERIVE", "ECDH1-COFACTOR-DERIVE"] {
            bench.used.insert(mechanism.to_owned());
            bench
                .token
                .logged_in(&[
                    "--derive",
                    "--mechanism",
                    mechanism,
                    "--id",
                    id,
                    "--input-file",
                    "peer.der",
                    "--output-file",
                    "agreed",
                ])
                .ok();
            let files = &bench.token.pcscd;
            assert_eq!(
                files.read("agreed"),
                files.read("expected"),
                "{curve} {mechanism}"
            );
            std::fs::remove_file(files.file("agreed")).unwrap();
        }
    }
    bench.all_used("derive", "ECDH");
}
