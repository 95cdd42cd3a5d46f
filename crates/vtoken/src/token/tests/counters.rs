//! Every answer about a PIN tells what is on the disk already.

use super::*;

const SO_VERIFY: &str = "0020008808 3537363231383830";
const WRONG_SO_VERIFY: &str = "0020008808 3030303030303030";
const WRONG_CHANGE: &str = "002400810C 303030303030 363438323130";
const CHANGE_TO_LONG: &str = "0024008116 363438323139 30313233343536373839303132333435";
const CHANGE_TO_SHORT: &str = "0024008116 30313233343536373839303132333435 363438323139";
const WRONG_SO_CHANGE: &str = "0024008810 3030303030303030 3030303030303030";
const WRONG_RESET: &str = "002C00810E 3030303030303030 363438323130";
const WRONG_RESET_ALONE: &str = "002C018108 3030303030303030";
const RESET_ALONE: &str = "002C018108 3537363231383830";
const WRONG_INITIALISE: &str = "805000001C 80020001 8106363438323139 82083030303030303030 910103 920101";

/// Command, status word, tries of the user PIN and of the SO-PIN afterwards.
const DIALOGUE: &[(&str, u16, u8, u8)] = &[
    (WRONG_PIN, 0x63C2, 2, 15),
    (WRONG_CHANGE, 0x63C1, 1, 15),
    (VERIFY, 0x9000, 3, 15),
    (WRONG_SO_VERIFY, 0x63CE, 3, 14),
    (WRONG_SO_CHANGE, 0x63CD, 3, 13),
    (WRONG_RESET, 0x63CC, 3, 12),
    (WRONG_RESET_ALONE, 0x63CB, 3, 11),
    (WRONG_INITIALISE, 0x6985, 3, 10),
    (SO_VERIFY, 0x9000, 3, 15),
    (WRONG_PIN, 0x63C2, 2, 15),
    (WRONG_PIN, 0x63C1, 1, 15),
    (WRONG_PIN, 0x6983, 0, 15),
    (VERIFY, 0x6983, 0, 15),
    (RESET_ALONE, 0x9000, 3, 15),
    (VERIFY, 0x9000, 3, 15),
    // a PIN of no possible length costs nothing
    ("0020008105 3030303030", 0x6700, 3, 15),
    ("0020008807 30303030303030", 0x6700, 3, 15),
    ("002400810B 3030303030303030303030", 0x6700, 3, 15),
    // PINs of different lengths are not told apart by what costs nothing
    (VERIFY, 0x9000, 3, 15),
    (CHANGE_TO_LONG, 0x9000, 3, 15),
    ("002400810C 303030303030303030303030", 0x63C2, 2, 15),
    ("002400810F 303030303030303030303030303030", 0x63C1, 1, 15),
    (CHANGE_TO_SHORT, 0x9000, 3, 15),
    ("002400810C 303030303030303030303030", 0x63C2, 2, 15),
    ("002400810F 303030303030303030303030303030", 0x63C1, 1, 15),
    (VERIFY, 0x9000, 3, 15),
    ("002C018107 30303030303030", 0x6700, 3, 15),
];

#[test]
fn tries_are_on_the_disk_before_the_answer() {
    let mut bench = Bench::ready();
    for (step, (command, status, user, so)) in DIALOGUE.iter().enumerate() {
        assert_eq!(bench.status(command), *status, "step {step}");
        // The power goes right after the answer.
        let disk = bench.disk.after_crash(Survival::Lost);
        let found = open(&disk, &bench.at_rest);
        let state = found.card.state();
        let tries = [&state.user_pin, &state.so_pin].map(|pin| pin.as_ref().unwrap().tries_left);
        assert_eq!(tries, [*user, *so], "step {step}");
    }
}

#[test]
fn a_session_pin_gives_its_own_try_back_and_no_other() {
    let mut bench = Bench::ready();
    bench.token.card.session_pin = Some(Zeroizing::new([7; 8]));
    for (command, status, left) in [
        (WRONG_PIN, 0x63C2, 2),
        ("0020008108 0707070707070707", 0x9000, 2),
        (WRONG_PIN, 0x63C1, 1),
        ("0020008108 0707070707070707", 0x9000, 1),
        (WRONG_PIN, 0x6983, 0),
        ("0020008108 0707070707070707", 0x6983, 0),
    ] {
        assert_eq!(bench.status(command), status);
        let found = open(&bench.disk.after_crash(Survival::Lost), &bench.at_rest);
        assert_eq!(found.card.state().user_pin.as_ref().unwrap().tries_left, left);
    }
}
