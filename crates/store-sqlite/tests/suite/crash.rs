//! kill -9 in the middle of commits: what was acknowledged is there, and nothing is half there.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use chancery_store::{Change, Store, Write};
use chancery_store_sqlite::SqliteStore;

use crate::{audit::checked_leaves, samples::*};

#[tokio::test]
async fn everything_acknowledged_before_a_kill_is_there_after_it() {
    if let Some(path) = std::env::var_os(CHILD) {
        return commit_for_ever(Path::new(&path)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let mut acknowledged = BTreeSet::new();
    for lines in [1, 2, 3, 5, 8, 13, 40, 150] {
        acknowledged.extend(acknowledged_before_a_kill(&path, lines));
        let store = SqliteStore::open(&path).await.unwrap();
        check(&store, &acknowledged).await;
        store.close().await;
    }
    assert!(acknowledged.len() > 200, "{}", acknowledged.len());
}

/// Runs this test in a process of its own, kills it after some acknowledgements, and returns all it gave.
fn acknowledged_before_a_kill(path: &Path, lines: usize) -> Vec<u64> {
    let mut child = spawn(path);
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = Vec::new();
    let mut seen = 0;
    while seen < lines {
        let line = output.next().expect("the child stopped by itself").unwrap();
        seen += usize::from(collect(&line, &mut numbers));
    }
    // It is busy with the next groups now.
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    for line in output {
        collect(&line.unwrap(), &mut numbers);
    }
    numbers
}

fn spawn(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::everything_acknowledged_before_a_kill_is_there_after_it",
        ])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Notes the numbers of an acknowledgement; other lines are the test harness's own.
fn collect(line: &str, numbers: &mut Vec<u64>) -> bool {
    let Some(acknowledged) = line.split_once(MARK).map(|(_, numbers)| numbers) else {
        return false;
    };
    // A line that was cut off acknowledges nothing.
    let Some(acknowledged) = acknowledged.strip_suffix(" .") else {
        return false;
    };
    numbers.extend(
        acknowledged
            .split(' ')
            .map(|number| number.parse::<u64>().unwrap()),
    );
    true
}

/// The child: commits groups of one to seven changes and says so each time, until it is killed.
async fn commit_for_ever(path: &Path) {
    // Not println!, which the test harness would keep to itself.
    let mut output = std::io::stdout();
    let store = SqliteStore::open(path).await.unwrap();
    let mut next = u64::try_from(store.last_request().await.unwrap().0).unwrap() + 1;
    for round in 0..1_000_000 {
        let numbers: Vec<_> = (next..=next + round % 7).collect();
        next += 1 + round % 7;
        let outcomes = store
            .commit(numbers.iter().copied().map(numbered).collect())
            .await
            .unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
        let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
        writeln!(output, "{MARK}{} .", numbers.join(" ")).unwrap();
    }
}

/// A change of two rows in two tables and two events.
fn numbered(number: u64) -> Change {
    let events = ["first", "second"]
        .map(|which| format!("{which} {number}").into_bytes())
        .to_vec();
    Change {
        writes: vec![
            Write::InsertRequest(request(number)),
            Write::InsertAct(act(number)),
        ],
        events,
    }
}

async fn check(store: &dyn Store, acknowledged: &BTreeSet<u64>) {
    let last = u64::try_from(store.last_request().await.unwrap().0).unwrap();
    let mut events = Vec::new();
    for number in 1..=last {
        // Groups are made in order, so there is no gap either.
        assert_eq!(
            store.request(request_number(number)).await.unwrap(),
            Some(request(number))
        );
        assert_eq!(store.act(act_id(number)).await.unwrap(), Some(act(number)));
        events.extend(numbered(number).events);
    }
    assert_eq!(store.act(act_id(last + 1)).await.unwrap(), None);
    assert_eq!(checked_leaves(store).await, events);
    assert!(
        acknowledged.last().is_none_or(|number| *number <= last),
        "{acknowledged:?} but {last}"
    );
}

const CHILD: &str = "STORE_SQLITE_CRASH_CHILD";
const MARK: &str = "acknowledged ";
