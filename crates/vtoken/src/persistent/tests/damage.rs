//! Bytes on disk that are not what was written.

use super::*;

/// The log of a token that was committed to and not opened since, and its state.
fn written(bench: &Bench) -> (Vec<u8>, StateMark) {
    let mut token = bench.open(&bench.disk).unwrap();
    for commit in short_story() {
        token.commit(&commit).unwrap();
    }
    (bench.log(&bench.disk), token.mark())
}

fn opened_with(bench: &Bench, log: &[u8]) -> Result<Persistent, OpenError> {
    bench.open(&with_log(bench, log))
}

fn with_log(bench: &Bench, log: &[u8]) -> ReplayFiles {
    let disk = bench.disk.fork();
    disk.overwrite(Path::new(LOG), log).unwrap();
    disk
}

/// Offsets at which records start, found without the reader: from the sizes after each commit.
fn borders(bench: &Bench) -> Vec<usize> {
    let mut token = bench.open(&bench.disk).unwrap();
    let mut borders = vec![bench.log(&bench.disk).len() - 16];
    for commit in short_story() {
        token.commit(&commit).unwrap();
        borders.push(bench.log(&bench.disk).len() - 16);
    }
    borders
}

#[test]
fn one_altered_byte_anywhere_is_noticed_and_named() {
    let bench = Bench::new();
    let (log, mark) = written(&bench);
    assert_eq!(opened_with(&bench, &log).unwrap().mark(), mark);
    for index in 0..log.len() {
        for bits in [0x01, 0x80, 0xFF] {
            let mut altered = log.clone();
            altered[index] ^= bits;
            match opened_with(&bench, &altered) {
                Err(OpenError::Damaged { file, offset, .. }) => {
                    assert_eq!(file, Path::new(LOG));
                    assert!(
                        offset <= u64::try_from(index).unwrap(),
                        "byte {index}, named {offset}"
                    );
                }
                Err(OpenError::UnknownVersion { .. }) if index == 7 => {}
                Err(error) => panic!("byte {index}: {error}"),
                Ok(_) => panic!("byte {index} unnoticed"),
            }
        }
    }
}

#[test]
fn opening_a_damaged_log_alters_nothing() {
    let bench = Bench::new();
    let (mut log, _) = written(&bench);
    let middle = log.len() / 2;
    log[middle] ^= 1;
    let disk = with_log(&bench, &log);
    let before = disk.list(Path::new("/tokens/hsm")).unwrap();
    assert!(bench.open(&disk).is_err());
    assert_eq!(bench.log(&disk), log);
    assert_eq!(disk.list(Path::new("/tokens/hsm")).unwrap(), before);
}

#[test]
fn a_log_cut_short_is_an_error_or_an_older_state() {
    let bench = Bench::new();
    let start = bench.open(&bench.disk).unwrap().state().clone();
    let (log, mark) = written(&bench);
    let states = states(&start, &short_story());
    for length in 0..log.len() {
        if let Ok(token) = opened_with(&bench, &log[..length]) {
            let count = usize::try_from(token.mark().sequence).unwrap();
            assert_eq!(Some(token.state()), states.get(count));
            assert!(
                length >= log.len() - 16 || token.mark().sequence < mark.sequence,
                "cut at {length}"
            );
        }
    }
}

#[test]
fn records_cannot_be_dropped_repeated_or_reordered() {
    let bench = Bench::new();
    let borders = borders(&bench);
    let log = bench.log(&bench.disk);
    let record = |number: usize| &log[borders[number]..borders[number + 1]];
    let head = &log[..borders[0]];
    let tail = &log[borders[3]..];
    let refused = [
        ("dropped", [head, record(0), record(2), tail].concat()),
        (
            "repeated",
            [head, record(0), record(1), record(1), record(2), tail].concat(),
        ),
        (
            "reordered",
            [head, record(1), record(0), record(2), tail].concat(),
        ),
        ("first dropped", [head, record(1), record(2), tail].concat()),
    ];
    assert_eq!([head, record(0), record(1), record(2), tail].concat(), log);
    for (what, altered) in refused {
        assert!(
            matches!(opened_with(&bench, &altered), Err(OpenError::Damaged { .. })),
            "{what}"
        );
    }
}

#[test]
fn another_tokens_log_or_record_is_refused() {
    let bench = Bench::new();
    bench.make("other");
    let borders = borders(&bench);
    let log = bench.log(&bench.disk);
    let other_path = Path::new("/tokens/other/state.log");
    let other = bench.disk.read(other_path, u64::MAX).unwrap();
    assert!(matches!(
        opened_with(&bench, &other),
        Err(OpenError::Damaged { offset: 8, .. })
    ));

    // The same history in a fresh file: same key, same sequence numbers, other file key.
    let fork = bench.disk.fork();
    bench.open(&fork).map(drop).unwrap();
    let mut token = bench.open(&fork).unwrap();
    token.commit(&[Change::SetOptions(3)]).unwrap();
    let fresh = bench.log(&fork);
    let spliced = [&log[..borders[1]], &fresh[fresh.len() - 100..]].concat();
    assert!(opened_with(&bench, &spliced).is_err());
}

#[test]
fn an_older_copy_put_back_shows_a_lower_mark() {
    let bench = Bench::new();
    let mut token = bench.open(&bench.disk).unwrap();
    token.commit(&[initialise()]).unwrap();
    let copy = bench.log(&bench.disk);
    token
        .commit(&[Change::PinTries {
            reference: PinReference::User,
            left: 2,
        }])
        .unwrap();
    let newest = token.mark();
    drop(token);

    let mut rolled_back = opened_with(&bench, &copy).unwrap();
    assert!(rolled_back.mark().sequence < newest.sequence);
    assert_eq!(rolled_back.state().user_pin.as_ref().unwrap().tries_left, 3);
    // The same number of commits later it is still another history.
    rolled_back
        .commit(&[Change::PinTries {
            reference: PinReference::User,
            left: 2,
        }])
        .unwrap();
    assert_eq!(rolled_back.mark().sequence, newest.sequence);
    assert_ne!(rolled_back.mark().hash, newest.hash);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn any_bytes_as_a_log_are_refused_without_panic(bytes in proptest::collection::vec(0u8.., 0..400)) {
        let bench = Bench::new();
        assert!(opened_with(&bench, &bytes).is_err());
        let with_magic = [b"CHVTLOG\x01", bytes.as_slice()].concat();
        assert!(opened_with(&bench, &with_magic).is_err());
        let log = bench.log(&bench.disk);
        // Behind a good log anything but zeros is damage, or cut as never acknowledged; the state stands.
        if let Ok(token) = opened_with(&bench, &[log.as_slice(), &bytes].concat()) {
            assert_eq!(token.mark().sequence, 0);
        }
    }
}
