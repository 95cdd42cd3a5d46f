//! Debian's pcscd ends 60 s after its last client, and its readers with it: a plugged token keeps it.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    pcscd::{Pcscd, Plugged, until},
    token::home_with,
};

/// How often the control is given a client anew: a client that is gone before pcscd has stopped its clock leaves it stopped.
const CLIENTS: usize = 3;

#[test]
fn a_plugged_token_is_still_there_after_ninety_idle_seconds() {
    let home = home_with(&["one"]);
    let mut pcscd = Pcscd::with_auto_exit();
    // What would happen otherwise: this one has had a client, and has none any more.
    let mut alone = Pcscd::with_auto_exit();
    assert_eq!(alone.cards(), 0);
    let mut plugged = Plugged::into(&pcscd, &home, &["one"]);
    let start = Instant::now();
    thread::sleep(Duration::from_secs(90).saturating_sub(start.elapsed()));
    ends_alone(&mut alone);
    assert!(pcscd.is_running() && plugged.is_running());
    let name = pcscd.client("opensc-tool", &["-n"]).ok().out;
    assert!(name.starts_with("SmartCard-HSM"), "{name}");

    // It ends all the same when it is told to, and the token comes back with the next one.
    pcscd.stop();
    plugged.wait_for("ejected");
    pcscd.run();
    plugged.wait_for("inserted");
    pcscd.wait_for_cards(1);
    assert_eq!(plugged.interrupt(), 0);
    until("the reader is empty", || pcscd.cards() == 0, || pcscd.log());
}

/// Holds the control to what it shows: without clients pcscd ends by itself.
fn ends_alone(alone: &mut Pcscd) {
    for _ in 0..CLIENTS {
        let end = Instant::now() + Duration::from_secs(75);
        while alone.is_running() && Instant::now() < end {
            thread::sleep(Duration::from_millis(100));
        }
        if !alone.is_running() {
            return;
        }
        let _cards = alone.cards();
    }
    panic!("pcscd does not end without clients: {}", alone.log());
}
