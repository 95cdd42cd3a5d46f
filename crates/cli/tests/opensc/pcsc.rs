//! Our own side of PC/SC: several programs at one card.

use std::{
    env,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use chancery_iso7816::{Transport as _, TransportError};
use chancery_pcsc::{Context, PcscError, PcscToken, Sharing, Usage};

use crate::{
    common::Ended,
    pcscd::{Pcscd, Plugged},
    token::home_with,
};

/// A short wait that is used up.
const SHORT: Duration = Duration::from_millis(300);
/// A long one that is not.
const LONG: Duration = Duration::from_secs(60);
/// Set for the process that is the client: the library reads its socket's name once.
const CLIENT: &str = "CHANCERY_TEST_PCSC_CLIENT";
const SELECT: [u8; 17] = [
    0x00, 0xA4, 0x04, 0x00, 0x0B, 0xE8, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x02, 0x01, 0x00,
];
/// GET CHALLENGE for 1000 bytes, in extended form.
const MUCH_RANDOM: [u8; 7] = [0x00, 0x84, 0x00, 0x00, 0x00, 0x03, 0xE8];

#[test]
fn programs_share_a_card_and_see_what_others_do_to_it() {
    if let Some(program) = env::var_os(CLIENT) {
        return client(&program.into());
    }
    let home = home_with(&["one"]);
    let pcscd = Pcscd::start();
    let _plugged = Plugged::into(&pcscd, &home, &["one"]);
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "pcsc::programs_share_a_card_and_see_what_others_do_to_it",
            "--nocapture",
        ])
        .env("PCSCLITE_CSOCK_NAME", pcscd.socket())
        .env("CHANCERY_DATA_DIR", home.data())
        .env(CLIENT, env!("CARGO_BIN_EXE_chancery"))
        .output()
        .unwrap();
    let ended = Ended::from(output).ok();
    assert!(ended.out.contains("1 passed"), "{}", ended.out);
}

/// The client, in a process whose pcscd is the private one.
fn client(chancery: &PathBuf) {
    let context = Context::open().unwrap();
    let readers = context.readers().unwrap();
    assert_eq!(readers.len(), 2, "{readers:?}");
    let card = readers[0].card.as_ref().unwrap();
    assert_eq!(card.usage, Usage::Free);
    assert_eq!(
        hex::encode_upper(&card.atr),
        "3BDE96FF8191FE1FC38031815448534D3173802140810792"
    );
    assert_eq!(readers[1].card, None);
    let name = readers[0].name.as_str();

    let mut first = context.connect(name, Sharing::Shared).unwrap();
    let mut second = context.connect(name, Sharing::Shared).unwrap();
    assert_eq!((first.reader(), first.atr()), (name, &card.atr[..]));
    assert_eq!(
        context.readers().unwrap()[0].card.as_ref().unwrap().usage,
        Usage::Shared
    );
    assert!(first.transmit(&SELECT).unwrap().ends_with(&[0x90, 0x00]));
    assert_eq!(second.transmit(&MUCH_RANDOM).unwrap().len(), 1002);

    // One at a time.
    first.begin(LONG).unwrap();
    first.begin(LONG).unwrap();
    assert!(first.in_transaction());
    let error = second.begin(SHORT).unwrap_err();
    assert!(matches!(error, PcscError::StillInUse { .. }), "{error}");
    assert!(!second.in_transaction());
    // Nor does anything else that has to wait go on for ever.
    let error = context.connect_within(name, Sharing::Shared, SHORT).unwrap_err();
    assert!(matches!(error, PcscError::StillInUse { .. }), "{error}");
    assert!(first.transmit(&SELECT).unwrap().ends_with(&[0x90, 0x00]));
    first.end().unwrap();
    first.end().unwrap();
    second.begin(LONG).unwrap();
    assert!(second.transmit(&SELECT).unwrap().ends_with(&[0x90, 0x00]));

    // A reset by another is noticed at the next command, and only there.
    second.reset().unwrap();
    assert!(second.transmit(&MUCH_RANDOM).is_ok(), "who resets goes on");
    second.end().unwrap();
    let error = first.transmit(&SELECT).unwrap_err();
    assert!(matches!(error, TransportError::Reset { .. }), "{error}");
    let error = first.begin(LONG).unwrap_err();
    assert!(matches!(error, PcscError::Reset { .. }), "{error}");
    first.reconnect().unwrap();
    assert!(first.transmit(&SELECT).unwrap().ends_with(&[0x90, 0x00]));

    let error = context.connect(name, Sharing::Exclusive).unwrap_err();
    assert!(matches!(error, PcscError::InUse { .. }), "{error}");
    drop((first, second));
    let mut alone = once_free(&context, name);
    let error = context.connect(name, Sharing::Shared).unwrap_err();
    assert!(matches!(error, PcscError::InUse { .. }), "{error}");
    assert!(matches!(
        alone.transmit(&vec![0; 70_000]),
        Err(TransportError::TooLong { .. })
    ));

    // Pulled.
    let known = context.readers().unwrap();
    assert_eq!(known[0].card.as_ref().unwrap().usage, Usage::Exclusive);
    assert!(!context.wait_for_change(&known, SHORT).unwrap());
    let unplug = Command::new(chancery)
        .args(["vtoken", "unplug", "one"])
        .output()
        .unwrap();
    Ended::from(unplug).ok();
    assert!(context.wait_for_change(&known, LONG).unwrap());
    assert_eq!(context.readers().unwrap()[0].card, None);
    assert!(alone.transmit(&SELECT).unwrap_err().is_lost());
    assert!(alone.reconnect().is_err());
    let error = context.connect(name, Sharing::Shared).unwrap_err();
    assert!(matches!(error, PcscError::NoCard { .. }), "{error}");
    let error = context.connect("no such reader", Sharing::Shared).unwrap_err();
    assert!(matches!(error, PcscError::NoReader { .. }), "{error}");
}

/// The card for us alone, as soon as pcscd has let go of the connection that was given up while it waited.
fn once_free(context: &Context, name: &str) -> PcscToken {
    let begun = Instant::now();
    loop {
        match context.connect(name, Sharing::Exclusive) {
            Err(PcscError::InUse { .. }) if begun.elapsed() < LONG => thread::sleep(SHORT),
            result => return result.unwrap(),
        }
    }
}
