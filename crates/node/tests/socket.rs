//! What a node does with callers, well-behaved and not.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "common/running.rs"]
mod running;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::Barrier,
    time::Duration,
};

use chancery_api::{
    AuditLog, Call, FailureKind, HsmList, HsmStatus, Intent, MAX_MESSAGE, Perform, Performed, PersonList,
    Reply, SecretText, Status, Stop,
};
use chancery_audit::SignedNote;
use chancery_node::{AuditKey, Client, ClientError, Options, ServeError, Stopped, SystemClock, serve, stop};
use chancery_vtoken::{Factory, TokenName};
use common::Manager;
use running::{Running, decide};

fn raw(node: &Running) -> UnixStream {
    UnixStream::connect(node.data.socket()).unwrap()
}

fn reply(stream: &mut UnixStream) -> Reply {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

fn is_invalid(reply: &Reply) -> bool {
    matches!(reply, Reply::Failed(failure) if failure.kind == FailureKind::Invalid)
}

#[test]
fn a_node_says_what_it_is_and_answers_stop_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (data, manager) = Manager::init(&dir.path().join("data"));
    assert!(matches!(Client::connect(&data), Err(ClientError::NotRunning(_))));
    assert!(AuditKey::verifier(&data).unwrap().is_none());

    let node = Running::start(&data, Some(Duration::from_secs(900)));
    let mut client = node.client();
    let status = client.call(&Status {}).unwrap();
    assert_eq!(status.pid, std::process::id());
    assert_eq!(status.version, "1.2.3-test");
    assert_eq!(status.data_dir, data.path().display().to_string());
    assert_eq!(status.installation, data.installation().unwrap().id.to_string());
    assert_eq!(status.epoch, 1);
    assert_eq!(status.idle_stop_seconds, 900);
    assert_eq!(status.hsms, []);
    assert!(
        status.started.starts_with("20") && status.started.ends_with('Z'),
        "{}",
        status.started
    );
    let people = client.call(&PersonList {}).unwrap();
    assert_eq!(people.len(), 1);
    assert_eq!(people[0].name, manager.name);
    assert_eq!(data.node().unwrap(), Some(std::process::id()));
    for name in [
        "center.db",
        "node.sock",
        "node.lock",
        "audit.key",
        "machine.secret",
        "installation.json",
    ] {
        let mode = std::fs::metadata(data.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let verifier = AuditKey::verifier(&data).unwrap().unwrap();

    client.call(&Stop {}).unwrap();
    assert_eq!(node.ended(), Stopped::Asked);
    assert_eq!(data.node().unwrap(), None);
    assert!(!data.socket().exists());

    let node = Running::start(&data, None);
    let status = node.client().call(&Status {}).unwrap();
    assert_eq!((status.epoch, status.idle_stop_seconds), (2, 0));
    assert_eq!(AuditKey::verifier(&data).unwrap().unwrap(), verifier);
    assert!(stop(&data, Duration::from_secs(30)).unwrap());
    assert_eq!(
        data.node().unwrap(),
        None,
        "stop waits until the directory is free"
    );
    assert_eq!(node.ended(), Stopped::Asked);
    assert!(!stop(&data, Duration::from_secs(30)).unwrap());
}

#[test]
fn the_audit_log_has_a_signed_head_once_the_node_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let node = Running::start(&data, None);
    // The first start opened the installation, which is an event; the head over it is not due for a second.
    let page = node.client().call(&AuditLog { from: 0, limit: 10 }).unwrap();
    assert_eq!(page.leaves.len(), 1);
    node.client().call(&Stop {}).unwrap();
    node.ended();
    assert!(
        !data.path().join("center.db-wal").exists(),
        "the database was closed"
    );
    let node = Running::start(&data, None);
    let page = node.client().call(&AuditLog { from: 0, limit: 10 }).unwrap();
    assert_eq!(page.size, 1);
    let note = SignedNote::parse(page.checkpoint.unwrap().as_bytes()).unwrap();
    note.verify(&AuditKey::verifier(&data).unwrap().unwrap()).unwrap();
    assert_eq!(note.text().lines().nth(1), Some("1"), "{}", note.text());
    stop(&data, Duration::from_secs(60)).unwrap();
    node.ended();
}

#[test]
fn a_second_node_is_refused_with_the_process_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let node = Running::start(&data, None);
    let error = serve(Options::new(data.clone())).unwrap_err();
    assert!(matches!(error, ServeError::InUse { pid, .. } if pid == std::process::id()));
    assert!(
        error
            .to_string()
            .ends_with(&format!("is in use by process {}", std::process::id())),
        "{error}"
    );
    assert_eq!(error.exit_code(), chancery_node::EXIT_IN_USE);
    node.client().call(&Status {}).unwrap();
    stop(&data, Duration::from_secs(30)).unwrap();
    node.ended();
}

#[test]
fn bad_lines_end_their_connection_and_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let node = Running::start(&data, None);
    let mut good = node.client();
    good.call(&Status {}).unwrap();

    for garbage in [
        &b"\n"[..],
        b"hello\n",
        b"\x00\xff\n",
        b"{\"v\":1}\n",
        &[b'['; 100_000],
        b"GET / HTTP/1.0\r\n\r\n",
    ] {
        let mut stream = raw(&node);
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(is_invalid(&reply(&mut stream)));
        let mut rest = Vec::new();
        // What was sent after the bad line is dropped, which the other end may see as a reset.
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }

    let mut stream = raw(&node);
    let mut half = serde_json::to_vec(&Call::new(&Stop {}).unwrap()).unwrap();
    stream.write_all(&half).unwrap();
    drop(stream);
    half.truncate(half.len() / 2);
    drop(raw(&node).write_all(&half));

    let mut stream = raw(&node);
    let mut flood = stream.try_clone().unwrap();
    let flooding = std::thread::spawn(move || flood.write_all(&vec![b' '; MAX_MESSAGE + 1]));
    assert!(is_invalid(&reply(&mut stream)));
    let _ = flooding.join().unwrap();

    let mut stream = raw(&node);
    stream
        .write_all(b"{\"v\":7,\"method\":\"node.status\",\"params\":{}}\n")
        .unwrap();
    assert!(matches!(reply(&mut stream), Reply::Failed(failure) if failure.kind == FailureKind::Version));

    let mut stream = raw(&node);
    for call in [
        "{\"v\":1,\"method\":\"node.no\",\"params\":{}}\n",
        "{\"v\":1,\"method\":\"hsm.status\",\"params\":{}}\n",
    ] {
        stream.write_all(call.as_bytes()).unwrap();
        assert!(is_invalid(&reply(&mut stream)), "{call}");
    }
    stream
        .write_all(b"{\"v\":1,\"method\":\"node.status\",\"params\":{}}\n")
        .unwrap();
    assert!(
        matches!(reply(&mut stream), Reply::Ok(_)),
        "a failed call leaves the connection"
    );

    assert_eq!(
        good.call(&HsmStatus { hsm: "none".into() }).unwrap_err().kind,
        FailureKind::NotFound
    );
    good.call(&Status {}).unwrap();
    stop(&data, Duration::from_secs(30)).unwrap();
    assert_eq!(node.ended(), Stopped::Asked);
}

#[test]
fn a_hundred_connections_are_answered_while_others_say_nothing() {
    const CLIENTS: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let node = Running::start(&data, None);
    let mut silent: Vec<_> = (0..20).map(|_| raw(&node)).collect();
    for stream in &mut silent {
        stream.write_all(b"{\"v\":1,").unwrap();
    }
    let barrier = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = node.client();
                barrier.wait();
                for _ in 0..5 {
                    assert_eq!(client.call(&Status {}).unwrap().epoch, 1);
                    assert_eq!(client.call(&HsmList {}).unwrap(), []);
                }
            });
        }
    });
    drop(silent);
    stop(&data, Duration::from_secs(60)).unwrap();
    node.ended();
}

#[test]
fn a_node_with_nothing_to_do_ends_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = Manager::init(&dir.path().join("data"));
    let node = Running::start(&data, Some(Duration::from_millis(150)));
    let mut client = node.client();
    client.call(&Status {}).unwrap();
    // The connection stays open: waiting is not work.
    assert_eq!(node.ended(), Stopped::Idle);
    assert_eq!(
        client.call(&Status {}).unwrap_err().kind,
        FailureKind::Unavailable
    );
    assert_eq!(data.node().unwrap(), None);
}

#[test]
fn a_virtual_token_becomes_an_hsm_and_is_free_again_after_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let (data, manager) = Manager::init(&dir.path().join("data"));
    let today = SystemClock.today();
    let factory = Factory::open_or_create(&data.factory(), &data.at_rest(), today).unwrap();
    let name = TokenName::new("hsm-a").unwrap();
    factory.create(&data.tokens(), &name, today).unwrap();

    let node = Running::start(&data, Some(Duration::from_secs(900)));
    let mut client = node.client();
    let intent = Intent::HsmInit {
        tokens: vec!["hsm-a".into()],
        required: 2,
        total: 3,
        shares: 2,
    };
    let act = decide(&manager, &mut client, intent);
    let so_pins = BTreeMap::from([("hsm-a".to_owned(), SecretText::new("3537363231383830".into()))]);
    let Performed::Hsms { hsms } = client.call(&Perform { act, so_pins }).unwrap() else {
        panic!("not a list of HSMs");
    };
    assert_eq!(hsms.len(), 1);
    assert_eq!(hsms[0].name, "hsm-a");
    let in_use = chancery_vtoken::list(&data.tokens()).unwrap();
    assert_eq!(in_use[0].in_use_by, Some(std::process::id()));
    assert_eq!(client.call(&Status {}).unwrap().hsms.len(), 1);

    stop(&data, Duration::from_secs(60)).unwrap();
    assert_eq!(node.ended(), Stopped::Asked);
    let free = chancery_vtoken::list(&data.tokens()).unwrap();
    assert_eq!(free[0].in_use_by, None);

    let node = Running::start(&data, None);
    let hsms = node.client().call(&HsmList {}).unwrap();
    assert_eq!(hsms.len(), 1, "a node attaches its HSMs when it starts");
    stop(&data, Duration::from_secs(60)).unwrap();
    node.ended();
}
