//! What a full disk and a pulled plug do to a command.

use super::*;

/// Commands that have to make something durable before they answer.
const CHANGES: &[&str] = &[
    SHARE,
    GENERATE,
    "00D7CE01 0A 54020000 5304 01020304",
    "00D7C401 08 54020000 5302 0102",
    "00E4020002C401",
    VERIFY,
    WRONG_PIN,
    "0020008808 3537363231383830",
    "002400810C 363438323139 363438323130",
    "002C00810E 3537363231383830 363438323139",
    VERIFY,
    "00E4020002CC01",
    INITIALISE,
];

#[test]
fn a_full_disk_is_a_memory_failure_and_changes_nothing() {
    let mut bench = Bench::without_share();
    for command in CHANGES {
        bench.disk.limit_space(Some(0));
        let (state, mark) = (bench.state().clone(), bench.token.mark());
        let logged_in = bench.token.card.session.user_pin;
        assert_eq!(bench.status(command), 0x6581, "{command}");
        assert_eq!((bench.state(), bench.token.mark()), (&state, mark), "{command}");
        assert_eq!(bench.token.card.session.user_pin, logged_in, "{command}");
        bench.disk.limit_space(None);
        let status = bench.status(command);
        assert!(matches!(status, 0x9000 | 0x63C2), "{command} {status:04X}");
        assert_ne!(bench.token.mark(), mark, "{command}");
        if *command == WRONG_PIN {
            bench.ok(VERIFY);
        }
    }
}

#[test]
fn a_right_pin_opens_nothing_when_its_try_can_not_be_stored() {
    let mut bench = Bench::ready();
    bench.ok(SELECT);
    bench.disk.limit_space(Some(0));
    assert_eq!(bench.status(VERIFY), 0x6581);
    assert_eq!(bench.status("00200081"), 0x63C3);
    assert_eq!(bench.status("00D7C40106540200005300"), 0x6982);
}

/// Runs `command` with the plug pulled at every disk operation it does; `check` gets the answer's status word, if one
/// came, and the state found after the restart.
fn pull_the_plug(prepared: &Bench, command: &str, check: impl Fn(Option<u16>, &State)) {
    let mut pulled = 0;
    for number in 1..30 {
        for survival in [Survival::Lost, Survival::Kept] {
            let disk = prepared.disk.fork();
            let mut token = open(&disk, &prepared.at_rest);
            for step in [SELECT, VERIFY] {
                token.process(&bytes(step));
            }
            disk.crash_at(disk.operations() + number);
            let answer = status_of(&token.process(&bytes(command))).0;
            let crashed = disk.has_crashed();
            pulled += u32::from(crashed);
            drop(token);
            // Once the machine is down no answer leaves it.
            let answer = (!crashed).then_some(answer);
            let found = open(&disk.after_crash(survival), &prepared.at_rest);
            check(answer, found.card.state());
        }
    }
    assert!(pulled > 0, "{command}");
}

#[test]
fn a_pulled_plug_gives_no_try_back() {
    let bench = Bench::ready();
    pull_the_plug(&bench, WRONG_PIN, |answer, state| {
        let left = state.user_pin.as_ref().unwrap().tries_left;
        match answer {
            Some(status) => assert_eq!((status, left), (0x63C2, 2)),
            None => assert!((2..=3).contains(&left)),
        }
    });
}

#[test]
fn a_pulled_plug_gives_no_use_back() {
    let mut bench = Bench::ready();
    // A counted key: 90 04 00000003 behind the holder reference.
    let counted = GENERATE.split_whitespace().collect::<String>();
    let counted = counted.replacen("00460100000100", "00460100000106", 1);
    let counted = format!("{}9004000000030000", counted.strip_suffix("0000").unwrap());
    bench.ok(&counted);
    pull_the_plug(&bench, SIGN, |answer, state| {
        let left = state.keys[&1].use_counter.unwrap();
        match answer {
            Some(status) => assert_eq!((status, left), (0x9000, 2)),
            None => assert!((2..=3).contains(&left)),
        }
    });
}

#[test]
fn key_and_request_come_together_or_not_at_all() {
    let bench = Bench::ready();
    pull_the_plug(&bench, GENERATE, |answer, state| {
        assert_eq!(state.keys.contains_key(&1), state.files.contains_key(&0xCE01));
        if let Some(status) = answer {
            assert_eq!((status, state.keys.len()), (0x9000, 1));
        }
    });
}

#[test]
fn initialisation_happens_as_a_whole() {
    let mut bench = Bench::ready();
    bench.ok(GENERATE);
    let before = bench.state().clone();
    pull_the_plug(&bench, INITIALISE, |answer, state| {
        assert_eq!(state.keys.is_empty(), state.files.is_empty());
        assert_eq!(state.device, before.device);
        if answer == Some(0x9000) {
            assert!(state.keys.is_empty());
        }
    });
}
