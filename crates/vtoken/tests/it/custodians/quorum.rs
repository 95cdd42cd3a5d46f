//! The quorum, and everything somebody could try instead.

use crate::support;
use chancery_schsm::secure_messaging::Protocol;

use super::*;
use crate::secure_channel::channel::Channel;

#[test]
fn two_of_three() {
    let installation = Installation::new();
    let mut quorum = Quorum::new(&installation, "0000", "");
    let generate_key = apdu(
        "00460100",
        &format!(
            "5F290100 {} 5F200C555444554D4D593030303031",
            ec_parameters(Nid::X9_62_PRIME256V1)
        ),
    );
    quorum.hsm.dialogue(&[
        (STATUS, 0x9000, "03000200"),
        ("00200081", 0x6300, ""),
        (&generate_key, 0x6982, ""),
        ("8054020000", 0x9000, &hex::encode_upper(&quorum.tokens[0].1)),
        ("8054020300", 0x6A88, ""),
    ]);
    assert_eq!(quorum.answer(0), 0x9000);
    quorum.hsm.dialogue(&[
        (STATUS, 0x9000, "03000201"),
        ("00200081", 0x6300, ""),
        (&generate_key, 0x6982, ""),
        ("8054020000", 0x9001, "*"),
        ("8054020100", 0x9000, "*"),
    ]);
    // The same custodian again is still one.
    assert_eq!(quorum.answer(0), 0x9000);
    quorum
        .hsm
        .dialogue(&[(STATUS, 0x9000, "03000201"), (&generate_key, 0x6982, "")]);
    assert_eq!(quorum.answer(2), 0x9000);
    quorum.hsm.dialogue(&[
        (STATUS, 0x9000, "03000202"),
        ("00200081", 0x9000, ""),
        (&generate_key, 0x9000, "67*"),
        (&apdu("80680170", &"11".repeat(32)), 0x9000, "30*"),
        (SELECT, 0x9000, "*"),
        (STATUS, 0x9000, "03000200"),
        ("00200081", 0x6300, ""),
        (&apdu("80680170", &"11".repeat(32)), 0x6982, ""),
    ]);
    // Registration survives, authentication does not.
    let Quorum { hsm, name, tokens } = quorum;
    let mut hsm = hsm.replug();
    hsm.ok(SELECT);
    let mut quorum = Quorum { hsm, name, tokens };
    assert_eq!((quorum.answer(1), quorum.answer(0)), (0x9000, 0x9000));
    quorum
        .hsm
        .dialogue(&[(&apdu("80680170", &"11".repeat(32)), 0x9000, "30*")]);
}

#[test]
fn challenges_serve_once_and_for_one_device() {
    let installation = Installation::new();
    let mut quorum = Quorum::new(&installation, "0000", "");
    assert_eq!(quorum.answer(0), 0x9000);
    let challenge = quorum.challenge();
    let Quorum { hsm, name, tokens } = &mut quorum;
    let (token, chr) = &mut tokens[1];
    let good = answer_of(token, 1, name, &challenge);
    hsm.ok(&choose_custodian(chr));
    // Another challenge in between: the first is void, the earlier success stays.
    let other = hsm.ok("0084000008");
    assert_ne!(challenge, other);
    assert_eq!(hsm.status(&good), 0x6300);
    assert_eq!(
        hsm.status(&answer_of(token, 1, name, &other)),
        0x6985,
        "used up by the wrong answer"
    );
    hsm.dialogue(&[(STATUS, 0x9000, "03000201")]);
    // For another device.
    let challenge = hsm.ok("0084000008");
    assert_eq!(
        hsm.status(&answer_of(token, 1, "UTCHDAAAAAA00000", &challenge)),
        0x6300
    );
    // Random bytes of another length are no challenge.
    let challenge = hsm.ok("0084000010");
    assert_eq!(hsm.status(&answer_of(token, 1, name, &challenge)), 0x6985);
    // In the name of another custodian.
    let challenge = hsm.ok("0084000008");
    let answer = answer_of(token, 1, name, &challenge);
    quorum.hsm.ok(&choose_custodian(&quorum.tokens[2].1));
    assert_eq!(quorum.hsm.status(&answer), 0x6300);
    // Malformed answers.
    for data in [
        "00820000",
        "0082000001 00",
        &format!("0082000040{}", "00".repeat(64)),
        &format!("0082000040{}", "FF".repeat(64)),
    ] {
        quorum.hsm.ok("0084000008");
        assert_eq!(quorum.hsm.status(data), 0x6300, "{data}");
    }
    // Replayed: right the first time, then never again.
    let challenge = quorum.challenge();
    let Quorum { hsm, name, tokens } = &mut quorum;
    let (token, chr) = &mut tokens[1];
    hsm.ok(&choose_custodian(chr));
    let answer = answer_of(token, 1, name, &challenge);
    assert_eq!(hsm.status(&answer), 0x9000);
    hsm.ok(SELECT);
    hsm.ok(&choose_custodian(chr));
    assert_eq!(hsm.status(&answer), 0x6985);
    hsm.ok("0084000008");
    assert_eq!(hsm.status(&answer), 0x6300);
    hsm.dialogue(&[
        (STATUS, 0x9000, "03000200"),
        (&choose_custodian("UTNOBODY00001"), 0x6A88, ""),
        ("002281A4028300", 0x6A88, ""),
        ("002281A40283", 0x6700, ""),
        ("002281A4", 0x6A80, ""),
        ("00220000 00", 0x6A86, ""),
    ]);
}

#[test]
fn pin_and_quorum_together() {
    let installation = Installation::new();
    let pin = "8106363438323139 910103";
    let mut quorum = Quorum::new(&installation, "0010", pin);
    let write = "00D7C40106 54020000 5300";
    quorum.hsm.ok(SELECT);
    quorum.hsm.dialogue(&[
        ("00200081", 0x63C3, ""),
        (support::VERIFY, 0x9000, ""),
        ("00200081", 0x6300, ""),
    ]);
    assert_eq!(quorum.hsm.status(write), 0x6982);
    assert_eq!((quorum.answer(0), quorum.answer(1)), (0x9000, 0x9000));
    quorum.hsm.dialogue(&[
        (write, 0x9000, ""),
        ("00200081", 0x9000, ""),
        (SELECT, 0x9000, "*"),
    ]);
    assert_eq!((quorum.answer(0), quorum.answer(1)), (0x9000, 0x9000));
    quorum.hsm.dialogue(&[
        (write, 0x6982, ""),
        (support::VERIFY, 0x9000, ""),
        (write, 0x9000, ""),
    ]);
}

#[test]
fn a_lost_channel_takes_the_pin_along_and_no_answer_of_a_custodian() {
    let installation = Installation::new();
    let mut quorum = Quorum::new(&installation, "0010", "8106363438323139 910103");
    let write = "00D7C40106 54020000 5300";
    quorum.hsm.ok(SELECT);
    assert_eq!(quorum.answer(0), 0x9000);
    let Quorum { hsm, name, tokens } = &mut quorum;
    let mut channel = Channel::open(hsm, Protocol::Aes128);
    let (token, chr) = &mut tokens[1];
    assert_eq!(channel.send(hsm, &choose_custodian(chr)).1, 0x9000);
    let (challenge, _) = channel.send(hsm, "0084000008");
    let answer = answer_of(token, 1, name, &challenge);
    channel.dialogue(
        hsm,
        &[
            (&answer, 0x9000, ""),
            (support::VERIFY, 0x9000, ""),
            (write, 0x9000, ""),
        ],
    );
    hsm.dialogue(&[
        (STATUS, 0x9000, "03000202"),
        (write, 0x6982, ""),
        (support::VERIFY, 0x9000, ""),
        (write, 0x9000, ""),
    ]);
}

#[test]
fn the_quorum_replaces_the_pin_once_it_is_complete() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020008 8106363438323139 910103 93020101");
    hsm.ok(SELECT);
    let write = "00D7C40106 54020000 5300";
    hsm.dialogue(&[
        ("00200081", 0x63C3, ""),
        (support::VERIFY, 0x9000, ""),
        (write, 0x9000, ""),
    ]);
    let mut alice = custodian_token(&installation, "alice", &mut hsm);
    let (chr, request) = custodian_key(&mut alice, 1, Nid::BRAINPOOL_P256R1);
    hsm.ok(&register(&request));
    hsm.dialogue(&[
        (write, 0x6982, ""),
        ("00200081", 0x6300, ""),
        (support::VERIFY, 0x6300, ""),
    ]);
    let name = device_name(&mut hsm);
    let challenge = hsm.ok("0084000008");
    hsm.ok(&choose_custodian(&chr));
    assert_eq!(hsm.status(&answer_of(&mut alice, 1, &name, &challenge)), 0x9000);
    hsm.dialogue(&[(write, 0x9000, ""), ("00200081", 0x9000, "")]);
    // Option 0008: another key takes the slot, and has to answer itself.
    let (other, request) = custodian_key(&mut alice, 2, Nid::BRAINPOOL_P256R1);
    hsm.dialogue(&[
        (&apdu("80540101", &hex::encode(&request)), 0x6A88, ""),
        (&apdu("80540100", &hex::encode(&request)), 0x9000, "01000100"),
        (write, 0x6982, ""),
        (&choose_custodian(&chr), 0x6A88, ""),
        (&choose_custodian(&other), 0x9000, ""),
    ]);
}

#[test]
fn keys_are_closed_while_custodians_are_missing() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let key = apdu(
        "00460100",
        &format!(
            "5F290100 {} 5F200C555444554D4D593030303031",
            ec_parameters(Nid::X9_62_PRIME256V1)
        ),
    );
    hsm.dialogue(&[
        (&key, 0x6982, ""),
        ("00200081", 0x6300, ""),
        // The session that initialised may write files, no other.
        ("00D72F0306 54020000 5300", 0x9000, ""),
        (SELECT, 0x9000, "*"),
        ("00D72F0306 54020000 5300", 0x6982, ""),
        (&key, 0x6982, ""),
    ]);
}
