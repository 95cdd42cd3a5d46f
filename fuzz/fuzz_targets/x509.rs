//! Bytes to everything that reads stored or foreign X.509: certificates, to-be-signed bytes, CRLs, keys, names, PEM, and
//! profiles as text. Never a panic; what claims to be the same again is.
#![no_main]

use std::sync::LazyLock;

use chancery_pki::{
    DistinguishedName, Issuer, Profile, PublicKey, RevocationList, ToBeSigned, describe, lint,
    lint_certificate, pem,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let issuer = Issuer::from_certificate(bytes).ok();
    for profile in PROFILES.iter() {
        let _ = lint_certificate(bytes, profile, issuer.as_ref());
        let _ = lint(bytes, profile, None);
    }
    let _ = describe(bytes);
    let _ = RevocationList::parse(bytes);
    if let Ok(tbs) = ToBeSigned::from_der(bytes) {
        assert_eq!(tbs.as_der(), bytes);
    }
    if let Ok(key) = PublicKey::from_spki(bytes) {
        assert_eq!(key.spki(), bytes);
    }
    if let Ok(name) = DistinguishedName::from_der(bytes) {
        assert_eq!(name.as_der(), bytes);
        let _ = (name.to_string(), name.common_name().is_some());
    }
    if let Ok(der) = pem::decode(&[pem::CERTIFICATE], bytes) {
        let text = pem::encode(pem::CERTIFICATE, &der).expect("bytes that were decoded");
        assert_eq!(
            pem::decode(&[pem::CERTIFICATE], text.as_bytes()).expect("text that was encoded"),
            der
        );
    }
    if let Ok(profile) = std::str::from_utf8(bytes)
        .map_err(drop)
        .and_then(|text| Profile::from_toml(text).map_err(drop))
    {
        let _ = (profile.hash(), profile.name().len());
    }
});

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let by_name = |name| Profile::by_name(name).expect("a profile that comes with the program");
    ["root", "server", "client"].into_iter().map(by_name).collect()
});
