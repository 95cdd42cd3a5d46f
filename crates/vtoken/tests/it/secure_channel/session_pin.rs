//! The session PIN.

use chancery_schsm::secure_messaging::Protocol;

use crate::secure_channel::channel::Channel;
use crate::support::{Bench, Installation, SELECT, SO_PIN, VERIFY, apdu};

const GENERATE: &str = "805A0181 00";

/// A token with these options, selected and with the PIN verified.
fn ready(installation: &Installation, name: &str, options: &str) -> Bench {
    let mut bench = installation.token(name);
    bench.ok(SELECT);
    bench.ok(&apdu(
        "80500000",
        &format!("8002{options} 8106363438323139 8208{SO_PIN} 910103"),
    ));
    bench.ok(VERIFY);
    bench
}

/// VERIFY with a new session PIN.
fn draw(bench: &mut Bench) -> String {
    let mut channel = Channel::open(bench, Protocol::Aes128);
    let (pin, status) = channel.send(bench, GENERATE);
    assert_eq!((pin.len(), status), (8, 0x9000));
    format!("0020008108{}", hex::encode(pin))
}

#[test]
fn only_in_a_channel_after_verify_and_where_it_was_asked_for() {
    let installation = Installation::new();
    let mut bench = ready(&installation, "a", "0004");
    assert_eq!(bench.ok(SELECT)[7..9], [0x00, 0x04]);
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    channel.dialogue(
        &mut bench,
        &[
            (GENERATE, 0x6982, ""),
            (VERIFY, 0x9000, ""),
            ("805A0081 00", 0x6A86, ""),
            ("805A0188 00", 0x6A86, ""),
            ("805A0181", 0x6700, ""),
            ("805A0181 04", 0x6700, ""),
            ("805A0181 01 00 00", 0x6700, ""),
        ],
    );
    assert_eq!(bench.status(GENERATE), 0x6982);
    // Outside the channel that ended with this command the PIN is not verified any more.
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    assert_eq!(channel.send(&mut bench, GENERATE).1, 0x6982);
    bench.ok(VERIFY);
    let one = draw(&mut bench);
    let other = draw(&mut bench);
    assert_ne!(one, other);
    assert_eq!(bench.status(&one), 0x63C2);
    assert_eq!(bench.status(&other), 0x9000);

    let mut bench = ready(&installation, "b", "0001");
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    channel.dialogue(&mut bench, &[(GENERATE, 0x6D00, "")]);
}

#[test]
fn it_logs_in_again_once_a_lost_channel_is_made_anew() {
    let installation = Installation::new();
    let mut bench = ready(&installation, "a", "0004");
    bench.ok(SELECT);
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    assert_eq!(channel.send(&mut bench, VERIFY).1, 0x9000);
    let (pin, _) = channel.send(&mut bench, GENERATE);
    let session = format!("0020008108{}", hex::encode(pin));
    let write = "00D7CD0106 54020000 5300";
    assert_eq!(channel.send(&mut bench, &session).1, 0x9000);
    // A plain command, of a PIN pad or somebody else, ends the channel and the login.
    assert_eq!(bench.status("00200081"), 0x63C3);
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    channel.dialogue(
        &mut bench,
        &[(write, 0x6982, ""), (&session, 0x9000, ""), (write, 0x9000, "")],
    );
    assert_eq!(bench.status(write), 0x6982);
}

#[test]
fn it_stands_in_for_the_user_pin_until_reset() {
    let installation = Installation::new();
    let mut bench = ready(&installation, "a", "0005");
    let session = draw(&mut bench);
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C3, ""),
        (&session, 0x9000, ""),
        ("00200081", 0x9000, ""),
        ("00D7CD0108 54020000 5302 0102", 0x9000, ""),
        // the PIN itself still counts, and the tries are those of the PIN
        (SELECT, 0x9000, "*"),
        (VERIFY, 0x9000, ""),
        ("0020008106 303030303030", 0x63C2, ""),
        (&session, 0x9000, ""),
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C2, ""),
        ("0020008106 303030303030", 0x63C1, ""),
        (&session, 0x9000, ""),
        (VERIFY, 0x9000, ""),
        (SELECT, 0x9000, "*"),
        ("00200081", 0x63C3, ""),
        // it changes nothing and unblocks nothing
        (&format!("002400810E {} 313233343536", &session[10..]), 0x63C2, ""),
        ("0020008106 303030303030", 0x63C1, ""),
        ("0020008106 303030303030", 0x6983, ""),
        (&session, 0x6983, ""),
        (&format!("002C018108 {SO_PIN}"), 0x9000, ""),
        (&session, 0x9000, ""),
    ]);
    bench.token.power_cycle();
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        (&session, 0x63C2, ""),
        (VERIFY, 0x9000, ""),
    ]);
}

#[test]
fn with_000c_it_outlives_a_reset_but_no_new_pin() {
    let installation = Installation::new();
    let mut bench = ready(&installation, "a", "000D");
    let session = draw(&mut bench);
    bench.token.power_cycle();
    bench.dialogue(&[
        (SELECT, 0x9000, "*"),
        (&session, 0x9000, ""),
        ("002400810C 363438323139 313233343536", 0x9000, ""),
        (&session, 0x63C2, ""),
        ("0020008106 313233343536", 0x9000, ""),
    ]);
    let session = draw(&mut bench);
    bench.dialogue(&[
        (&format!("002C00810E {SO_PIN} 363438323139"), 0x9000, ""),
        (&session, 0x63C2, ""),
        (VERIFY, 0x9000, ""),
    ]);
    let session = draw(&mut bench);
    bench.ok(&apdu(
        "80500000",
        &format!("8002000D 8106363438323139 8208{SO_PIN} 910103"),
    ));
    assert_eq!(bench.status(&session), 0x63C2);
    // Nothing of it is stored.
    bench.ok(VERIFY);
    let session = draw(&mut bench);
    let mut bench = bench.replug();
    bench.ok(SELECT);
    assert_eq!(bench.status(&session), 0x63C2);
}
