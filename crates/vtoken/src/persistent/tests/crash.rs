//! The power is cut at every operation, and once more while recovering.

use super::*;

const SURVIVALS: [Survival; 6] = [
    Survival::Lost,
    Survival::Kept,
    Survival::Mixed(1),
    Survival::Mixed(2),
    Survival::Mixed(3),
    Survival::Mixed(4),
];

/// Plays the story until the power goes. Number of commits acknowledged, and whether another was in flight.
fn play(bench: &Bench, disk: &ReplayFiles, story: &[Vec<Change>]) -> (usize, bool) {
    let Ok(mut token) = bench.open(disk) else {
        return (0, false);
    };
    for (done, commit) in story.iter().enumerate() {
        if token.commit(commit).is_err() {
            return (done, true);
        }
    }
    (story.len(), false)
}

/// What a restart must find, and that it works again.
fn check(bench: &Bench, disk: &ReplayFiles, states: &[State], outcome: (usize, bool), place: &str) {
    let (acknowledged, in_flight) = outcome;
    let mut token = bench
        .open(disk)
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    let count = usize::try_from(token.mark().sequence).unwrap();
    let whole = count == acknowledged || (in_flight && count == acknowledged + 1);
    assert!(whole, "{place}: {acknowledged} acknowledged, {count} there");
    assert_eq!(Some(token.state()), states.get(count), "{place}");
    // What was found is durable from now on, and so is what follows.
    let mark = token.mark();
    let found = bench.open(&disk.after_crash(Survival::Lost)).unwrap();
    assert_eq!((found.mark(), found.state()), (mark, token.state()), "{place}");
    token.commit(&[Change::SetOptions(0x7777)]).unwrap();
    let again = bench.open(&disk.after_crash(Survival::Lost)).unwrap();
    assert_eq!(
        (again.mark(), again.state().options),
        (token.mark(), 0x7777),
        "{place}"
    );
}

fn count_operations(bench: &Bench, story: &[Vec<Change>]) -> u64 {
    let disk = bench.disk.fork();
    assert_eq!(play(bench, &disk, story), (story.len(), false));
    disk.operations()
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged() {
    let bench = Bench::new();
    let story = long_story();
    let states = states(bench.open(&bench.disk).unwrap().state(), &story);
    let operations = count_operations(&bench, &story);
    assert!(operations > 3 * 60, "{operations}");
    for number in 1..=operations {
        let disk = bench.disk.fork();
        disk.crash_at(number);
        let outcome = play(&bench, &disk, &story);
        assert!(disk.has_crashed());
        for survival in SURVIVALS {
            let place = format!("operation {number}, {survival:?}");
            check(&bench, &disk.after_crash(survival), &states, outcome, &place);
        }
    }
}

#[test]
fn a_second_crash_while_recovering_loses_nothing_either() {
    let bench = Bench::new();
    let story = short_story();
    let states = states(bench.open(&bench.disk).unwrap().state(), &story);
    for number in 1..=count_operations(&bench, &story) {
        let disk = bench.disk.fork();
        disk.crash_at(number);
        let (acknowledged, in_flight) = play(&bench, &disk, &story);
        for survival in SURVIVALS {
            let restarted = disk.after_crash(survival);
            let recovered = restarted.fork();
            bench.open(&recovered).map(drop).unwrap();
            for second in 1..=recovered.operations() {
                let interrupted = restarted.fork();
                interrupted.crash_at(second);
                assert!(bench.open(&interrupted).is_err());
                for survival in [survival, Survival::Lost, Survival::Mixed(second)] {
                    let place = format!("operation {number}, then {second}, {survival:?}");
                    let disk = interrupted.after_crash(survival);
                    check(&bench, &disk, &states, (acknowledged, in_flight), &place);
                }
            }
        }
    }
}

#[test]
fn io_errors_at_any_operation_leave_the_state_of_before() {
    let bench = Bench::new();
    let story = long_story();
    let operations = count_operations(&bench, &story);
    // Runs of errors: the first may strike a change, the others taking it back and the next attempt.
    for (number, count) in (1..=operations).flat_map(|number| [(number, 1), (number, 2), (number, 5)]) {
        let place = format!("{count} errors from operation {number}");
        let disk = bench.disk.fork();
        disk.fail_during(number..number + count);
        let mut token = (0..=count)
            .find_map(|_| bench.open(&disk).ok())
            .unwrap_or_else(|| panic!("{place}"));
        for commit in &story {
            let (state, mark) = (token.state().clone(), token.mark());
            let mut attempts = 0..=count;
            while token.commit(commit).is_err() {
                assert!(attempts.next().is_some(), "{place}");
                assert_eq!((token.state(), token.mark()), (&state, mark), "{place}");
                // Whatever a crash leaves now, it is the state of before or, where the disk would not even take
                // it back, the state asked for.
                let mut asked = state.clone();
                commit.iter().for_each(|change| asked.apply(change));
                for survival in SURVIVALS {
                    let found = bench.open(&disk.after_crash(survival)).unwrap();
                    let found = found.state();
                    assert!(*found == state || *found == asked, "{place}, {survival:?}");
                }
            }
        }
        let (state, mark) = (token.state().clone(), token.mark());
        assert_eq!(mark.sequence, u64::try_from(story.len()).unwrap());
        drop(token);
        for survival in SURVIVALS {
            let found = bench.open(&disk.after_crash(survival)).unwrap();
            assert_eq!(
                (found.state(), found.mark()),
                (&state, mark),
                "{place}, {survival:?}"
            );
        }
    }
}

#[test]
fn after_a_failed_sync_a_fresh_file_is_begun() {
    let bench = Bench::new();
    let mut token = bench.open(&bench.disk).unwrap();
    let salt = |bench: &Bench| bench.log(&bench.disk)[8..24].to_vec();
    let before = salt(&bench);
    // A commit is a write and a sync.
    let sync = bench.disk.operations() + 2;
    bench.disk.fail_during(sync..sync + 1);
    assert!(token.commit(&[Change::SetOptions(1)]).is_err());
    assert_eq!(salt(&bench), before);
    token.commit(&[Change::SetOptions(1)]).unwrap();
    assert_ne!(salt(&bench), before);
}

#[test]
fn a_token_half_made_is_never_listed() {
    let bench = Bench::new();
    let empty = ReplayFiles::new();
    let attempt = |disk: &ReplayFiles| {
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let name = TokenName::new("hsm").unwrap();
        let about = About {
            device_id: Reference::new("UTCHDABCDEF00000").unwrap(),
            created: date!(2026 - 11 - 21),
        };
        let device = DeviceRecord {
            chr: "UTCHDABCDEF00000".to_owned(),
            ..DeviceRecord::default()
        };
        token_dir::create(
            &files,
            Path::new("/tokens"),
            &name,
            &bench.at_rest,
            &State {
                device,
                ..State::default()
            },
            &about,
        )
    };
    let whole = empty.fork();
    attempt(&whole).unwrap();
    for number in 1..=whole.operations() {
        let disk = empty.fork();
        disk.crash_at(number);
        assert!(attempt(&disk).is_err());
        for survival in SURVIVALS {
            let disk = disk.after_crash(survival);
            let listed = crate::inventory::list_on(&disk, Path::new("/tokens")).unwrap();
            let place = format!("operation {number}, {survival:?}");
            match listed.as_slice() {
                [] => attempt(&disk).unwrap_or_else(|error| panic!("{place}: {error}")),
                [token] => assert_eq!(token.name.as_str(), "hsm"),
                more => panic!("{place}: {more:?}"),
            }
            bench
                .open(&disk)
                .map(drop)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            token_dir::sweep(&disk, Path::new("/tokens"));
            assert_eq!(disk.list(Path::new("/tokens")).unwrap(), ["hsm"], "{place}");
        }
    }
}

#[test]
fn a_token_half_destroyed_is_whole_or_gone() {
    let bench = Bench::new();
    let destroy =
        |disk: &ReplayFiles| token_dir::destroy(disk, Path::new("/tokens"), &TokenName::new("hsm").unwrap());
    let whole = bench.disk.fork();
    destroy(&whole).unwrap();
    assert!(whole.list(Path::new("/tokens")).unwrap().is_empty());
    for number in 1..=whole.operations() {
        let disk = bench.disk.fork();
        disk.crash_at(number);
        let _ = destroy(&disk);
        for survival in SURVIVALS {
            let disk = disk.after_crash(survival);
            if !crate::inventory::list_on(&disk, Path::new("/tokens"))
                .unwrap()
                .is_empty()
            {
                bench.open(&disk).map(drop).unwrap();
                destroy(&disk).unwrap();
            }
            token_dir::sweep(&disk, Path::new("/tokens"));
            assert!(
                disk.list(Path::new("/tokens")).unwrap().is_empty(),
                "operation {number}, {survival:?}"
            );
        }
    }
}
