//! Whose keys are taken.

use super::*;
use crate::support;

#[test]
fn registration_refuses_what_cannot_work() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let mut stranger = installation.ready("stranger", "");
    let (_, unknown) = custodian_key(&mut stranger, 1, Nid::BRAINPOOL_P256R1);
    assert_eq!(
        hsm.status(&register(&unknown)),
        0x6A88,
        "the device was not introduced"
    );
    let mut alice = custodian_token(&installation, "alice", &mut hsm);
    let (_, wide) = custodian_key(&mut alice, 2, Nid::SECP384R1);
    assert_eq!(hsm.status(&register(&wide)), 0x6A80, "only 256 bits");
    let rsa = generate(&mut alice, 3, &support::rsa_parameters(2048), "UTALICE00003", "");
    assert_eq!(hsm.status(&register(&rsa)), 0x6A80);
    let (_, good) = custodian_key(&mut alice, 1, Nid::BRAINPOOL_P256R1);
    let mark = hsm.token.mark();
    for index in [40, 200, good.len() - 100, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[index] ^= 1;
        assert_ne!(hsm.status(&register(&damaged)), 0x9000, "{index}");
    }
    for length in [0, 1, good.len() / 2, good.len() - 1] {
        let status = hsm.status(&apdu("80540000", &hex::encode(&good[..length])));
        assert_eq!(status, if length == 0 { 0x9000 } else { 0x6A80 });
    }
    assert_eq!(hsm.token.mark(), mark);
    assert_eq!(hsm.ok(&register(&good)), [3, 2, 2, 0]);
    assert_eq!(hsm.status(&register(&good)), 0x6985, "same key, same name");
    // Same name, another key.
    let (_, same_name) = custodian_key(&mut alice, 1, Nid::BRAINPOOL_P256R1);
    assert_eq!(hsm.status(&register(&same_name)), 0x6985);
    // The chosen custodian can not answer while keys are missing.
    let chr = String::from_utf8(hsm.ok("8054020000")).unwrap();
    assert_eq!(hsm.status(&choose_custodian(&chr)), 0x6985);
    // Through the scratch file, which the session after initialisation may write.
    let (_, second) = custodian_key(&mut alice, 4, Nid::X9_62_PRIME256V1);
    hsm.ok(&apdu("00D72F10", &format!("54020000{}", tlv("53", &second))));
    assert_eq!(hsm.ok("8054000004"), [3, 1, 2, 0]);
    let (_, third) = custodian_key(&mut alice, 5, Nid::SECP256K1);
    assert_eq!(hsm.ok(&register(&third)), [3, 0, 2, 0]);
    let (_, fourth) = custodian_key(&mut alice, 6, Nid::SECP256K1);
    assert_eq!(hsm.status(&register(&fourth)), 0x6985, "all slots are taken");
    assert_eq!(
        hsm.status(&apdu("80540100", &hex::encode(&fourth))),
        0x6982,
        "no replacement"
    );
}

#[test]
fn custodian_keys_of_openssl_under_another_scheme_are_unknown() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let scheme = Scheme::new();
    let device = scheme.device("UTCHDBBBBBB00000");
    let custodian = Custodian::new(&device, 1, Nid::BRAINPOOL_P256R1);
    let own_issuer = {
        let chain = hsm.send("00B12F02000004 54020000 0000").0;
        chancery_cvc::DeviceChain::parse(&chain)
            .unwrap()
            .issuer_certificate()
            .unwrap()
            .clone()
    };
    hsm.dialogue(&[
        (&verify_certificate(&device.certificate), 0x6985, ""),
        (&choose_verifier(scheme.root.chr().as_str()), 0x6A88, ""),
        (&choose_verifier(device.issuer.chr().as_str()), 0x6A88, ""),
        (&choose_verifier("DESRCACC100001"), 0x9000, ""),
        (&verify_certificate(&device.issuer), 0x6A80, ""),
        (&verify_certificate(&scheme.root), 0x6A80, ""),
        (&choose_verifier(own_issuer.chr().as_str()), 0x9000, ""),
        (&verify_certificate(&device.certificate), 0x6A80, ""),
        (&verify_certificate(&own_issuer), 0x6A80, ""),
        (&apdu("002A00BE", "7F4E00"), 0x6A80, ""),
        (&apdu("002A0000", "7F4E00"), 0x6A86, ""),
        (&register(&custodian.request), 0x6A88, ""),
        (&custodian.select(), 0x6A88, ""),
        (STATUS, 0x9000, "03030200"),
    ]);
    assert!(
        custodian
            .answer("UTCHDBBBBBB00000", &[0; 8])
            .starts_with("0082000040")
    );
}

#[test]
fn a_real_device_is_recognised() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors/nitrokey-hsm2-fw4.1-ef2f02.hex");
    let chain = bytes(&std::fs::read_to_string(path).unwrap());
    let chain = chancery_cvc::DeviceChain::parse(&chain).unwrap();
    let (device, issuer) = (
        chain.device_certificate().unwrap(),
        chain.issuer_certificate().unwrap(),
    );
    hsm.dialogue(&[
        (&choose_verifier(issuer.car().as_str()), 0x9000, ""),
        (&verify_certificate(device), 0x6A80, ""),
        (&verify_certificate(issuer), 0x9000, ""),
        (&choose_verifier(issuer.chr().as_str()), 0x9000, ""),
        (&verify_certificate(device), 0x9000, ""),
        (&choose_verifier(device.chr().as_str()), 0x9000, ""),
        (SELECT, 0x9000, "*"),
        (&choose_verifier(device.chr().as_str()), 0x6A88, ""),
    ]);
}

#[test]
fn the_free_slots_of_a_token_in_use_are_its_owners() {
    let installation = Installation::new();
    for (name, option) in [("one", "0000"), ("two", "0010")] {
        let mut hsm = installation.token(name);
        initialise(
            &mut hsm,
            &format!("8002{option} 8106363438323139 910103 93020201"),
        );
        hsm.ok(SELECT);
        let mut alice = custodian_token(&installation, &format!("alice-{name}"), &mut hsm);
        let mut mallory = custodian_token(&installation, &format!("mallory-{name}"), &mut hsm);
        let (_, first) = custodian_key(&mut alice, 1, Nid::BRAINPOOL_P256R1);
        let (_, foreign) = custodian_key(&mut mallory, 1, Nid::BRAINPOOL_P256R1);
        // Nothing is on it yet: hosts register without the PIN.
        assert_eq!(hsm.ok(&register(&first)), [2, 1, 1, 0]);
        for (make, remove) in [
            ("004805B2000000", "00E4020002CC05"),
            ("00D7CD0106 54020000 5300", "00E4020002CD01"),
        ] {
            hsm.ok(support::VERIFY);
            hsm.ok(make);
            hsm.ok(SELECT);
            introduce(&mut mallory, &mut hsm);
            assert_eq!(hsm.status(&register(&foreign)), 0x6982, "{make}");
            assert_eq!(hsm.status("0020008106303030303030"), 0x63C2);
            assert_eq!(hsm.status(&register(&foreign)), 0x6982, "{make}");
            assert_eq!(hsm.ok("8054000004"), [2, 1, 1, 0]);
            hsm.ok(support::VERIFY);
            hsm.ok(remove);
        }
        // The owner can.
        hsm.ok("004805B2000000");
        assert_eq!(hsm.ok(&register(&foreign)), [2, 0, 1, 0]);
    }
}
