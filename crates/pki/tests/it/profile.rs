//! Profiles as data.

use chancery_pki::{Profile, ProfileError};

const SERVER: &str = include_str!("../../profiles/server.toml");
const ROOT: &str = include_str!("../../profiles/root.toml");

#[test]
fn built_in_profiles_load_and_differ() {
    let hashes: Vec<_> = Profile::BUILT_IN
        .iter()
        .map(|name| Profile::by_name(name).unwrap().hash())
        .collect();
    for (position, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..position].contains(hash));
    }
    let error = Profile::by_name("servr").unwrap_err();
    assert!(
        error.to_string().contains("root, server, client, audit"),
        "{error}"
    );
}

#[test]
fn hash_is_of_the_rules_not_of_the_text() {
    let hash = |text: &str| Profile::from_toml(text).unwrap().hash();
    let reordered = SERVER
        .replace("# ", "#  ")
        .replace("\"p256\", \"p384\"", "\"p384\", \"p256\"");
    assert_ne!(reordered, SERVER);
    assert_eq!(hash(&reordered), hash(SERVER));
    for (from, to) in [
        ("validity_days = 90", "validity_days = 91"),
        ("backdate_seconds = 600", "backdate_seconds = 0"),
        ("wildcards = true", "wildcards = false"),
        ("\"ed25519\"", "\"secp256k1\""),
        ("\"CN\", \"OU\"", "\"CN\""),
        ("\"server-auth\"", "\"client-auth\""),
        ("rsa_max_bits = 4096", "rsa_max_bits = 3072"),
        ("max = 100", "max = 99"),
        ("\"dns\", \"ip\"", "\"dns\""),
        ("may_be_empty = true", "may_be_empty = false"),
    ] {
        let changed = SERVER.replace(from, to);
        assert_ne!(changed, SERVER, "{from}");
        assert_ne!(hash(&changed), hash(SERVER), "{from}");
    }
}

#[test]
fn stored_hashes_stay_valid() {
    // Stored with approvals: if this fails, the canonical form changed and old approvals would not count.
    let hash = Profile::from_toml(
        "name='x'\nkind='leaf'\nvalidity_days=1\nkey_usage=['digital-signature']\n\
         [keys]\nallowed=['p256']\n[subject]\nallowed=['CN']\n",
    )
    .unwrap()
    .hash();
    assert_eq!(hash, openssl::sha::sha256(CANONICAL.as_bytes()));
}

const CANONICAL: &str = "\
CHANCERY-PROFILE-v1
name=1:x
kind=4:leaf
description=0:
validity_days=1:1
backdate_seconds=1:0
key_usage=1:1
key_usage=17:digital-signature
extended_key_usage=1:0
path_length=1:0
keys.curves=1:1
keys.curves=4:p256
keys.ed25519=5:false
keys.rsa_min_bits=1:0
keys.rsa_max_bits=1:0
subject.allowed=1:1
subject.allowed=2:CN
subject.required=1:0
subject.may_be_empty=5:false
names.from_request=1:0
names.required=5:false
names.max=3:100
names.wildcards=5:false
urls.crl=1:0
urls.ca_issuers=1:0
urls.ocsp=1:0
";

#[test]
fn errors_name_the_key() {
    let cases = [
        (SERVER.replace("wildcards", "wildcard"), "wildcard"),
        (
            SERVER.replace("validity_days = 90", "validity_days = \"long\""),
            "validity_days",
        ),
        (SERVER.replace("validity_days = 90\n", ""), "validity_days"),
        (
            SERVER.replace("validity_days = 90", "validity_days = 0"),
            "validity_days",
        ),
        (
            SERVER.replace("backdate_seconds = 600", "backdate_seconds = 9000000"),
            "backdate_seconds",
        ),
        (SERVER.replace("kind = \"leaf\"", "kind = \"leave\""), "kind"),
        (SERVER.replace("name = \"server\"", "name = \"Server 1\""), "name"),
        (
            SERVER.replace("\"digital-signature\"", "\"key-cert-sign\""),
            "key_usage",
        ),
        (
            SERVER.replace("\"digital-signature\"", "\"signing\""),
            "key_usage",
        ),
        (SERVER.replace("\"digital-signature\"", ""), "key_usage"),
        (
            SERVER.replace(
                "\"digital-signature\"",
                "\"digital-signature\", \"encipher-only\"",
            ),
            "key_usage",
        ),
        (
            SERVER.replace("\"server-auth\"", "\"2.5.29.37.0\""),
            "extended_key_usage",
        ),
        (
            SERVER.replace("\"server-auth\"", "\"server\""),
            "extended_key_usage",
        ),
        (SERVER.replace("\"p256\"", "\"p192\""), "keys.allowed"),
        (SERVER.replace("\"p256\"", "\"rsa\""), "keys.allowed"),
        (
            SERVER.replace("rsa_min_bits = 2048", "rsa_min_bits = 1024"),
            "keys.rsa_min_bits",
        ),
        (
            SERVER.replace("rsa_max_bits = 4096", "rsa_max_bits = 2047"),
            "keys.rsa_max_bits",
        ),
        (SERVER.replace("\"rsa\", ", ""), "keys.rsa_min_bits"),
        (SERVER.replace("\"CN\"", "\"XX\""), "subject.allowed"),
        (
            SERVER.replace("may_be_empty = true", "required = [\"UID\"]"),
            "subject.required",
        ),
        (
            SERVER.replace("may_be_empty = true", "required = [\"CN\"]\nmay_be_empty = true"),
            "subject.may_be_empty",
        ),
        (SERVER.replace("max = 100", "max = 101"), "names.max"),
        (SERVER.replace("\"dns\", \"ip\"", "\"ip\""), "names.wildcards"),
        (
            SERVER.replace("\"dns\", \"ip\"", "\"host\""),
            "names.from_request",
        ),
        (
            SERVER.replace("kind = \"leaf\"", "kind = \"leaf\"\npath_length = 0"),
            "path_length",
        ),
        (
            format!("{SERVER}[urls]\ncrl = [\"https://a.example\"]\n"),
            "urls.crl",
        ),
        (
            format!("{SERVER}[urls]\nocsp = [\"http://a.example/{{x}}\"]\n"),
            "urls.ocsp",
        ),
        (
            format!("{ROOT}[urls]\nca_issuers = [\"http://a.example/\"]\n"),
            "urls.ca_issuers",
        ),
        (ROOT.replace("\"key-cert-sign\", ", ""), "key_usage"),
        (
            format!("{ROOT}[names]\nfrom_request = [\"dns\"]\n"),
            "names.from_request",
        ),
    ];
    for (text, key) in cases {
        let error = Profile::from_toml(&text).expect_err(key);
        assert!(!matches!(
            error,
            ProfileError::TooLong { .. } | ProfileError::Unknown { .. }
        ));
        assert!(error.to_string().contains(key), "{key}: {error}");
    }
    assert!(matches!(
        Profile::from_toml(&" ".repeat(70_000)),
        Err(ProfileError::TooLong { limit: 65_536, .. })
    ));
}
