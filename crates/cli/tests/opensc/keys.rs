//! Key pairs of every kind OpenSC makes, listed, described, used up and deleted.

use crate::token::Token;

/// What `pkcs11-tool --key-type` takes, the key id it gets, and how openssl describes it.
pub(crate) const KINDS: [(&str, &str, &str); 7] = [
    ("rsa:2048", "11", "Public-Key: (2048 bit)"),
    ("rsa:3072", "12", "Public-Key: (3072 bit)"),
    ("rsa:4096", "13", "Public-Key: (4096 bit)"),
    ("EC:prime256v1", "21", "ASN1 OID: prime256v1"),
    ("EC:secp384r1", "22", "ASN1 OID: secp384r1"),
    ("EC:secp521r1", "23", "ASN1 OID: secp521r1"),
    ("EC:brainpoolP256r1", "24", "ASN1 OID: brainpoolP256r1"),
];

#[test]
fn keys_of_every_kind_are_made_listed_tested_and_deleted() {
    let token = Token::initialised();
    for (kind, id, described) in KINDS {
        let label = format!("key {id}");
        token.generate(kind, id, &label);
        let text = ["pkey", "-pubin", "-in", &format!("{id}.pub"), "-noout", "-text"];
        let public = token.openssl(&text).ok().out;
        assert!(public.contains(described), "{kind}: {public}");
    }
    let list = token.logged_in(&["--list-objects"]).ok().out;
    let dump = token.pcscd.client("pkcs15-tool", &["-D"]).ok().out;
    for (kind, id, _) in KINDS {
        let label = format!("key {id}");
        assert_eq!(
            list.matches(&format!("label:      {label}\n")).count(),
            2,
            "{kind}: a private and a public key: {list}"
        );
        assert!(dump.contains(&format!("Key [{label}]")), "{kind}: {dump}");
    }
    assert_eq!(dump.matches("Private RSA Key [").count(), 3, "{dump}");
    assert_eq!(dump.matches("Private EC Key [").count(), 4, "{dump}");
    assert!(
        dump.contains("ModLength      : 4096") && dump.contains("FieldLength    : 521"),
        "{dump}"
    );

    // A token without keys has no errors either: that it looked at these is what is checked.
    let test = token.logged_in(&["--test"]).ok().out;
    assert!(test.contains("No errors"), "{test}");
    assert!(!test.contains("FAILED") && !test.contains("ERR"), "{test}");
    for (kind, id, _) in KINDS {
        assert!(test.contains(&format!("(key {id})")), "{kind}: {test}");
    }
    assert!(test.matches("RSA-X-509: OK").count() >= 9, "{test}");

    token
        .logged_in(&["--delete-object", "--type", "privkey", "--id", "24"])
        .ok();
    let list = token.logged_in(&["--list-objects"]).ok().out;
    assert!(!list.contains("key 24") && list.contains("key 23"), "{list}");
    let said = token
        .pcscd
        .pkcs11(&["--list-objects", "--type", "privkey"])
        .ok()
        .out;
    assert!(
        !said.contains("key 11"),
        "private keys are not shown before login: {said}"
    );
}

#[test]
fn random_numbers_and_data_objects_are_read_back() {
    let token = Token::initialised();
    let random = |name: &str| {
        token
            .pcscd
            .pkcs11(&["--generate-random", "64", "--output-file", name])
            .ok();
        token.pcscd.read(name)
    };
    let (first, second) = (random("r1"), random("r2"));
    assert_eq!((first.len(), second.len()), (64, 64));
    assert_ne!(first, second);

    // pkcs11-tool takes at most 5000.
    let data: Vec<u8> = (0..2000_u16).flat_map(u16::to_be_bytes).collect();
    token.pcscd.write("data", &data);
    token
        .logged_in(&[
            "--write-object",
            "data",
            "--type",
            "data",
            "--label",
            "four thousand bytes",
            "--application-label",
            "a",
        ])
        .ok();
    token
        .pcscd
        .pkcs11(&[
            "--read-object",
            "--type",
            "data",
            "--label",
            "four thousand bytes",
            "--output-file",
            "back",
        ])
        .ok();
    assert!(token.pcscd.read("back") == data);
}
