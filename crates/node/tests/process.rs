//! Nodes as processes: started by clients, killed, told to end.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Barrier,
    time::{Duration, Instant},
};

use chancery_api::{FailureKind, Status, Stop};
use chancery_node::{
    Client, DataDir, EXIT_IN_USE, Options, StartError, Stopped, ensure_running, serve, stop,
};
use common::Manager;
use rustix::process::{Pid, Signal, kill_process};

/// Names the data directory of the node that the process is to be.
const DIRECTORY: &str = "CHANCERY_TEST_NODE_DIRECTORY";

/// The node of the other tests' processes: this test program, started with [`DIRECTORY`] set.
#[test]
fn node_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let outcome = DataDir::open(Path::new(&directory))
        .map_err(Into::into)
        .and_then(|data| {
            serve(Options {
                background: true,
                ..Options::new(data)
            })
        });
    match outcome {
        Ok(Stopped::Asked | Stopped::Idle) => std::process::exit(0),
        Ok(Stopped::Signal(name)) => {
            println!("ended by {name}");
            std::process::exit(40);
        }
        Err(error) => {
            println!("chancery: {error}");
            std::process::exit(error.exit_code().into());
        }
    }
}

fn exe() -> PathBuf {
    PathBuf::from("/usr/bin/env")
}

fn args(data: &DataDir) -> Vec<String> {
    let this = std::env::current_exe().unwrap();
    vec![
        format!("{DIRECTORY}={}", data.path().display()),
        this.display().to_string(),
        "--exact".into(),
        "node_process".into(),
        "--nocapture".into(),
    ]
}

fn spawn(data: &DataDir) -> Child {
    Command::new(exe())
        .args(args(data))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until a node answers.
fn client(data: &DataDir) -> Client {
    let begun = Instant::now();
    loop {
        match Client::connect(data) {
            Ok(client) => return client,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
        std::thread::yield_now();
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn after_kill_9_a_new_node_starts_and_counts_on() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    for epoch in 1..=3 {
        let mut node = spawn(&data);
        let status = client(&data).call(&Status {}).unwrap();
        assert_eq!((status.pid, status.epoch), (node.id(), epoch));
        node.kill().unwrap();
        node.wait().unwrap();
        assert!(
            data.socket().exists(),
            "what a killed node leaves behind is there"
        );
        assert_eq!(data.node().unwrap(), None);
    }
    // A client that starts one is not misled by the dead socket either.
    let status = ensure_running(&data, &exe(), &args(&data))
        .unwrap()
        .call(&Status {})
        .unwrap();
    assert_eq!(status.epoch, 4);
    stop(&data, Duration::from_secs(60)).unwrap();
}

#[test]
fn a_second_process_is_turned_away_with_the_first_ones_id() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let mut first = spawn(&data);
    client(&data);
    let second = Command::new(exe()).args(args(&data)).output().unwrap();
    assert_eq!(second.status.code(), Some(EXIT_IN_USE.into()));
    let said = String::from_utf8(second.stdout).unwrap();
    assert!(
        said.contains(&format!("is in use by process {}", first.id())),
        "{said}"
    );
    stop(&data, Duration::from_secs(60)).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_signal_ends_a_node_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    for which in [Signal::TERM, Signal::INT] {
        let mut node = spawn(&data);
        let mut open = client(&data);
        open.call(&Status {}).unwrap();
        signal(node.id(), which);
        assert_eq!(node.wait().unwrap().code(), Some(40));
        assert!(!data.socket().exists());
        assert!(
            !data.path().join("center.db-wal").exists(),
            "the database was closed"
        );
        assert!(open.call(&Status {}).is_err());
    }
}

#[test]
fn clients_that_start_a_node_at_once_end_with_the_same_one() {
    const CLIENTS: usize = 4;
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let barrier = Barrier::new(CLIENTS);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    ensure_running(&data, &exe(), &args(&data))
                        .unwrap()
                        .call(&Status {})
                        .unwrap()
                })
            })
            .collect();
        starters
            .into_iter()
            .map(|starter| starter.join().unwrap())
            .collect()
    });
    let first = &statuses[0];
    assert_ne!(first.pid, std::process::id());
    assert!(
        statuses
            .iter()
            .all(|status| (status.pid, status.epoch) == (first.pid, 1)),
        "{statuses:?}"
    );

    // The node leads a session of its own: this test's terminal means nothing to it.
    let pid = Pid::from_raw(first.pid.try_into().unwrap()).unwrap();
    assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(data.log()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(stop(&data, Duration::from_secs(60)).unwrap());
}

#[test]
fn a_node_that_cannot_start_says_why_through_its_starter() {
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::create(&dir.path().join("data")).unwrap();
    let error = ensure_running(&data, &exe(), &args(&data)).unwrap_err();
    assert!(matches!(error, StartError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("is not initialised"), "{error}");
}

#[test]
fn one_connection_too_many_is_told_so_and_the_others_go_on() {
    const MOST: usize = 512;
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let mut node = spawn(&data);
    let mut first = client(&data);
    first.call(&Status {}).unwrap();
    let others: Vec<_> = (1..MOST).map(|_| Client::connect(&data).unwrap()).collect();
    let failure = Client::connect(&data).unwrap().call(&Status {}).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("512 connections"), "{failure}");
    first.call(&Status {}).unwrap();
    drop(others);
    first.call(&Stop {}).unwrap();
    assert_eq!(node.wait().unwrap().code(), Some(0));
}

#[test]
fn a_data_directory_with_a_long_path_works() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a".repeat(100)).join("b".repeat(100));
    let (data, _) = Manager::init(&deep);
    let status = ensure_running(&data, &exe(), &args(&data))
        .unwrap()
        .call(&Status {})
        .unwrap();
    assert_eq!(status.epoch, 1);
    stop(&data, Duration::from_secs(60)).unwrap();
}
