use std::os::unix::fs::PermissionsExt as _;

use super::*;

const BEGIN: Begin<'static> = Begin {
    kind: "init",
    device: "UTCHDAAAAAA",
    token: "hsm-a",
    now: 1_700_000_000,
};

#[test]
fn what_was_done_is_there_after_the_process_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path().join("journal"));
    assert!(journal.list().unwrap().is_empty());
    let mut work = journal.begin(&BEGIN, &["the plan"]).unwrap();
    assert_eq!(work.id(), "init-1");
    work.begin_step("initialise", &()).unwrap();
    work.end_step("initialise", &7).unwrap();
    work.begin_step("label", &()).unwrap();
    assert!(journal.list().unwrap()[0].busy);
    assert!(matches!(
        journal.take(Some("init-1")),
        Err(JournalError::Busy { .. })
    ));
    drop(work);

    let path = dir.path().join("journal/init-1.journal");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let work = journal.take(None).unwrap();
    let record = work.record();
    assert_eq!(record.plan::<Vec<String>>().unwrap(), ["the plan"]);
    assert!(record.is_done("initialise") && !record.is_done("label"));
    assert!(record.is_in_doubt("label") && !record.is_in_doubt("initialise"));
    assert_eq!(record.step("initialise").unwrap().detail, 7);
    work.finish().unwrap();
    assert!(!path.exists());
    assert!(matches!(journal.take(None), Err(JournalError::None)));
}

#[test]
fn work_that_is_finished_meanwhile_is_not_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path());
    for pause in 0..10 {
        let work = journal.begin(&BEGIN, &()).unwrap();
        let other = journal.clone();
        let taker = thread::spawn(move || other.take(Some("init-1")));
        thread::sleep(Duration::from_millis(pause));
        work.finish().unwrap();
        // One that came first waits for the lock, and then the work is gone.
        let taken = taker.join().unwrap();
        assert!(
            matches!(
                taken,
                Err(JournalError::NotFound { .. } | JournalError::Busy { .. })
            ),
            "{taken:?}"
        );
        // Nor is another of that name, begun at once.
        let next = journal.begin(&BEGIN, &()).unwrap();
        assert_eq!(next.id(), "init-1");
        next.finish().unwrap();
    }
}

#[test]
fn works_of_one_kind_have_ids_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path());
    let first = journal.begin(&BEGIN, &()).unwrap();
    let second = journal.begin(&BEGIN, &()).unwrap();
    assert_eq!((first.id(), second.id()), ("init-1", "init-2"));
    assert!(matches!(journal.take(None), Err(JournalError::Several { ids }) if ids.len() == 2));
    first.finish().unwrap();
    drop(second);
    assert_eq!(journal.take(None).unwrap().id(), "init-2");
    for strange in ["../init-2", "", "INIT-2", "init-3", "init-2/"] {
        assert!(
            matches!(journal.take(Some(strange)), Err(JournalError::NotFound { .. })),
            "{strange}"
        );
    }
}

#[test]
fn half_a_line_never_happened() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path());
    let mut work = journal.begin(&BEGIN, &()).unwrap();
    work.begin_step("initialise", &()).unwrap();
    drop(work);
    let path = dir.path().join("init-1.journal");
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        if cut < first {
            assert!(journal.list().unwrap().is_empty(), "{cut}");
            continue;
        }
        let mut work = journal.take(None).unwrap();
        assert!(work.record().steps.is_empty(), "{cut}");
        work.end_step("label", &()).unwrap();
        drop(work);
        let again = journal.take(None).unwrap();
        assert!(again.record().is_done("label") && again.record().steps.len() == 1);
    }
}

#[test]
fn an_altered_journal_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path());
    drop(journal.begin(&BEGIN, &()).unwrap());
    let path = dir.path().join("init-1.journal");
    let good = fs::read_to_string(&path).unwrap();
    let twice = format!("{good}{good}");
    for bad in [
        "{}\n",
        "nonsense\n",
        &good.replace("\"version\":1", "\"version\":2"),
        &twice,
    ] {
        fs::write(&path, bad).unwrap();
        assert!(
            matches!(journal.take(None), Err(JournalError::Damaged { .. })),
            "{bad}"
        );
    }
}

#[test]
fn a_step_that_fails_stays_begun() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path());
    let mut work = journal.begin(&BEGIN, &()).unwrap();
    let failed = work.step("initialise", &(), || Err::<(), _>(io::Error::other("gone")));
    assert!(matches!(failed, Err(StepError::Step(_))));
    assert!(work.record().is_in_doubt("initialise"));
    assert_eq!(work.step("label", &(), || Ok::<_, io::Error>(3)).unwrap(), 3);
    assert!(work.record().is_done("label"));
}
