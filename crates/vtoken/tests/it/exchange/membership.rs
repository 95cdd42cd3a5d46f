//! Creating a domain by membership.

use chancery_cvc::TrustAnchors;
use openssl::nid::Nid;

use crate::exchange::group::{
    Signer, chain_of, content, device_point, exchange_key, introduce, member, named_group, write_scratch,
};
use crate::support::{self, Installation, SELECT, VERIFY, apdu, ec_parameters, generate, tlv};

const CREATE: &str = "80520200";

#[test]
fn groups_are_named_by_their_signer() {
    let installation = Installation::new();
    for (index, nid) in [Nid::BRAINPOOL_P256R1, Nid::X9_62_PRIME256V1, Nid::SECP521R1]
        .into_iter()
        .enumerate()
    {
        let mut signer = Signer::new(&installation, &format!("signer{index}"), nid);
        let mut token = member(&installation, &format!("member{index}"), &mut signer);
        let status = format!("00000000000000000000{}", signer.uid());
        token.dialogue(&[
            ("8052000000", 0x9000, &status),
            ("8052000100", 0x6A88, ""),
            (&format!("8052000020{}00", "11".repeat(32)), 0x6986, ""),
            ("80520100010100", 0x6985, ""),
        ]);
        let mut token = token.replug();
        // Anybody may ask.
        token.dialogue(&[
            (SELECT, 0x9000, "*"),
            ("8052000000", 0x9000, &status),
            ("8052030000", 0x6982, ""),
            (VERIFY, 0x9000, ""),
            ("8052030000", 0x9000, ""),
            ("8052000000", 0x6A88, ""),
        ]);
    }
}

#[test]
fn nobody_joins_without_a_membership() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::BRAINPOOL_P256R1);
    let (mut token, mut other) = (
        installation.ready("a", "970102"),
        installation.ready("b", "970102"),
    );
    let membership = signer.membership(&mut token);
    let command = |data: &[u8]| apdu(CREATE, &hex::encode(data));
    assert_eq!(token.status(&command(&membership)), 0x6A88, "unknown device");
    introduce(&mut signer.token, &mut token);
    introduce(&mut signer.token, &mut other);
    let mark = token.token.mark();
    assert_eq!(other.status(&command(&membership)), 0x6985, "of another device");

    let x = &device_point(&mut token)[1..33];
    let signed = |signer: &mut Signer, message: &[u8]| {
        let signature = signer.sign(message);
        [&signer.request[..], &hex::decode(tlv("54", &signature)).unwrap()].concat()
    };
    assert_eq!(
        token.status(&command(&signed(&mut signer, x))),
        0x6985,
        "without 54"
    );
    let y = device_point(&mut token)[33..].to_vec();
    let other_half = signed(&mut signer, &[&[0x54], &y[..]].concat());
    assert_eq!(token.status(&command(&other_half)), 0x6985, "y");

    let request = signer.request.clone();
    assert_eq!(token.status(&command(&request)), 0x6A80, "no signature");
    assert_eq!(
        token.status(&command(&[&membership[..], &[0]].concat())),
        0x6A80,
        "more behind"
    );
    assert_eq!(token.status(CREATE), 0x6A80, "nothing");
    let rsa = generate(
        &mut signer.token,
        2,
        &support::rsa_parameters(1024),
        "UTGROUP00002",
        "",
    );
    let rsa = [content(&rsa), hex::decode(tlv("54", &[1; 64])).unwrap()].concat();
    assert_eq!(token.status(&command(&rsa)), 0x6A80, "RSA");
    for index in [20, request.len() / 2, request.len() - 10, membership.len() - 10] {
        let mut altered = membership.clone();
        altered[index] ^= 1;
        let status = token.status(&command(&altered));
        assert!(
            [0x6A80, 0x6A88, 0x6985].contains(&status),
            "{index}: {status:04X}"
        );
    }
    assert_eq!(token.token.mark(), mark);
    token.ok(&command(&membership));
    assert_eq!(token.status(&command(&membership)), 0x6985, "exists");
    assert_eq!(token.status(&apdu("80520205", &hex::encode(&membership))), 0x6A86);
    token.ok(SELECT);
    assert_eq!(token.status(&apdu("80520201", &hex::encode(&membership))), 0x6982);
}

#[test]
fn memberships_come_through_the_scratch_file_too() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::BRAINPOOL_P256R1);
    let mut token = installation.ready("a", "970102");
    introduce(&mut signer.token, &mut token);
    let membership = signer.membership(&mut token);
    write_scratch(&mut token, &membership);
    token.ok("8052020000");
    assert_eq!(token.status("8052020100"), 0x6A80, "used up");
    write_scratch(&mut token, &membership);
    token.ok(SELECT);
    token.ok(VERIFY);
    introduce(&mut signer.token, &mut token);
    assert_eq!(token.status("8052020100"), 0x6A80, "forgotten");
}

#[test]
fn only_keys_that_can_do_nothing_else_are_shown_as_exchange_keys() {
    let installation = Installation::new();
    let mut signer = Signer::new(&installation, "signer", Nid::BRAINPOOL_P256R1);
    let mut token = member(&installation, "a", &mut signer);
    let request = exchange_key(&mut token, 1, Nid::BRAINPOOL_P256R1);
    assert_eq!(named_group(&request), Some(signer.uid()));
    let extensions = format!("6551 734F 060B2B0601040181C31F030202 8040{}", signer.uid());
    let shown = hex::encode_upper(&request);
    assert!(shown.contains(&extensions.replace(' ', "")), "{shown}");
    let mut anchors = TrustAnchors::none();
    anchors
        .add_bytes(installation.factory.root_certificate())
        .unwrap();
    let identity = chain_of(&mut token).verify(&anchors, None).unwrap();
    let attested = chancery_cvc::AuthenticatedRequest::parse(&request).unwrap();
    attested.verify(&identity).unwrap();

    let p256 = ec_parameters(Nid::X9_62_PRIME256V1);
    for attributes in [
        "",
        "920100",
        "91028480 920100",
        "91028492 920100",
        "91028498 920100",
        "9101FF 920100",
    ] {
        let request = generate(&mut token, 2, &p256, "UTOTHER00001", attributes);
        assert_eq!(named_group(&request), None, "{attributes}");
        assert_eq!(
            crate::exchange::group::derive(&mut token, 2, &request),
            0x6A81,
            "{attributes}"
        );
    }
    // Nor do keys derived from others.
    generate(&mut token, 2, &p256, "UTOTHER00001", "91028498 920100");
    token.ok("80760203 02 9801");
    let derived = token.send("00B1CE03000004 54020000 0000").0;
    assert_eq!(named_group(&derived), None);
    assert_eq!(crate::exchange::group::derive(&mut token, 3, &derived), 0x6A81);
}
