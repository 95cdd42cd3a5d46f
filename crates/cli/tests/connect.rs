//! `chancery connect`, against a server of the test's.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use common::{Home, documented};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const TICKET: &str = "0123456789abcdef0123456789abcdef";

/// Listens on this machine and answers each POST in turn; what was posted.
fn server(answers: Vec<Option<Vec<u8>>>) -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/rt/hsm", listener.local_addr().unwrap());
    let (posted, posts) = mpsc::channel();
    // It ends with the process of the tests.
    thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(post) = read(&mut stream) {
                if posted.send(post).is_err() {
                    return;
                }
                let answer = match answers.next() {
                    Some(Some(body)) => {
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                        [head.into_bytes(), body].concat()
                    }
                    Some(None) => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
                    None => {
                        // Held: there is nothing to do.
                        thread::park();
                        return;
                    }
                };
                stream.write_all(&answer).unwrap();
            }
        }
    });
    (url, posts)
}

fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if &head[before..] == "\r\n" {
            break;
        }
    }
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A template of one command.
fn command(apdu: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(apdu.len()).unwrap();
    Some([&[0xAA, length + 2, 0x22, length], apdu].concat())
}

fn home() -> Home {
    let home = Home::new();
    home.run(&["vtoken", "create", "hsm-a"]).ok();
    home
}

#[test]
fn a_token_is_attached_and_what_it_may_not_see_is_shown() {
    let home = home();
    let ticket = home.private("ticket", &format!("{TICKET}\n"));
    let notice = b"\xAA\x0B\xE0\x09\x02\x01\x01\x0C\x04a\nb\x1b".to_vec();
    let (url, posts) = server(vec![
        command(&[0x00, 0x20, 0x00, 0x81, 6, b'6', b'4', b'8', b'2', b'1', b'9']),
        command(b"\x00\xA4\x04\x00\x0B\xE8\x2B\x06\x01\x04\x01\x81\xC3\x1F\x02\x01\x00"),
        Some(notice),
        None,
    ]);
    let words = [
        "connect",
        &url,
        "--token",
        "hsm-a",
        "--ticket-file",
        &ticket,
        "--allow-key",
        "1",
    ];
    let ended = home.run(&[&words[..], &["--json"]].concat()).ok();
    let (head, first) = posts.recv().unwrap();
    assert!(
        head.contains(&format!("authorization: Bearer {TICKET}\r\n")),
        "{head}"
    );
    assert_eq!(first[0], 0xE8);
    let (head, refused) = posts.recv().unwrap();
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(refused, [0xAB, 7, 0x23, 2, 0x69, 0x82, 0x80, 1, 1]);
    let (_, selected) = posts.recv().unwrap();
    assert!(selected.ends_with(&[0x90, 0x00, 0x80, 1, 1]), "{selected:02X?}");

    let lines: Vec<Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["holding", "connected", "refused", "notified", "ended"]);
    assert_eq!(lines[2]["command"], "00 20 00 81");
    assert_eq!(lines[2]["count"], 1);
    assert_eq!(lines[3]["text"], "the server says: a\\u{a}b\\u{1b}");
    assert!(!ended.out.contains(TICKET) && !ended.err.contains(TICKET));
    let shape: Value = {
        let text = documented();
        let part = text.split("\n#### connect\n```json\n").nth(1).unwrap();
        serde_json::from_str(part.split("\n```").next().unwrap()).unwrap()
    };
    for line in &lines {
        for name in line.as_object().unwrap().keys() {
            let known = shape.get(name).or_else(|| shape.get(format!("{name}?")));
            assert!(known.is_some(), "{name} is not documented");
        }
    }
    // It is free again.
    home.run(&["token", "info", "hsm-a"]).ok();
}

#[test]
fn it_is_held_until_it_is_told_to_end() {
    let home = home();
    let (url, posts) = server(vec![Some(vec![0xAA, 0])]);
    let mut process = home
        .command(&["connect", &url, "--token", "hsm-a", "--permanent", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["event"], "holding");
    assert_eq!(next()["event"], "connected");
    posts.recv().unwrap();
    posts.recv().unwrap();
    let busy = home.run(&["token", "keys", "list", "hsm-a"]);
    assert_eq!(busy.code, 6, "{}", busy.err);
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert_eq!(next()["text"], "session ended: stopped on request");
    assert_eq!(process.wait().unwrap().code(), Some(0));
    home.run(&["token", "keys", "list", "hsm-a"]).ok();
}

#[test]
fn mistakes_are_named_before_anything_is_sent() {
    let home = home();
    let ticket = home.private("ticket", TICKET);
    let connect = |more: &[&str]| home.run(&[&["connect"], more].concat());
    let url = "https://127.0.0.1:9";
    // A ticket that others may read, or that is none; an address without encryption; a key that is the device's.
    fs::set_permissions(&ticket, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = connect(&[url, "--token", "hsm-a", "--ticket-file", &ticket]);
    assert!(
        ended.code == 3 && ended.err.contains("chmod 600"),
        "{}",
        ended.err
    );
    let short = home.private("short", "abc");
    let ended = connect(&[url, "--token", "hsm-a", "--ticket-file", &short]);
    assert!(
        ended.code == 3 && ended.err.contains("holds no ticket"),
        "{}",
        ended.err
    );
    let ended = connect(&["http://192.0.2.1/rt/hsm", "--token", "hsm-a"]);
    assert!(
        ended.code == 7 && ended.err.contains("without encryption"),
        "{}",
        ended.err
    );
    let ended = connect(&[url, "--token", "hsm-a", "--allow-key", "0"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    let none = home.private("none.pem", "no certificate");
    let ended = connect(&[url, "--token", "hsm-a", "--node-cert", &none]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert_eq!(connect(&[url]).code, 2);
    assert_eq!(connect(&["--token", "hsm-a"]).code, 2);
    // No such token; nobody there.
    let ended = connect(&[url, "--token", "hsm-z"]);
    assert!(ended.code == 5 && ended.err.contains("hsm-z"), "{}", ended.err);
    let ended = connect(&[url, "--token", "hsm-a"]);
    assert!(
        ended.code == 8 && ended.err.contains("cannot be reached"),
        "{}",
        ended.err
    );
}

#[test]
fn several_tokens_come_from_a_file() {
    let home = home();
    home.run(&["vtoken", "create", "hsm-b"]).ok();
    home.private("a.ticket", TICKET);
    let (url, posts) = server(vec![None, None]);
    let config = home.private(
        "connect.toml",
        &format!(
            "node = \"{url}\"\n[[token]]\ntoken = \"hsm-a\"\nticket-file = \"a.ticket\"\nallow-keys = [1]\n[[token]]\ntoken = \"hsm-b\"\n"
        ),
    );
    let ended = home.run(&["connect", "--config", &config]).ok();
    assert!(
        ended.err.contains("hsm-a: holding") && ended.err.contains("hsm-b: holding"),
        "{}",
        ended.err
    );
    let tickets = posts.try_iter().filter(|(head, _)| head.contains(TICKET)).count();
    assert_eq!(tickets, 1);
    let wrong = home.private("wrong.toml", "node = \"https://x\"\n[[token]]\ntokn = \"a\"\n");
    let ended = home.run(&["connect", "--config", &wrong]);
    assert!(ended.code == 3 && ended.err.contains("tokn"), "{}", ended.err);
}

#[test]
fn the_service_unit_passes_systemds_own_check() {
    let home = home();
    let ticket = home.private("hsm-a.ticket", TICKET);
    let config = home.private(
        "connect.toml",
        "node = \"https://node.example\"\n[[token]]\ntoken = \"hsm-a\"\nticket-file = \"hsm-a.ticket\"\n",
    );
    let one = [
        "https://node.example/",
        "--token",
        "my hsm",
        "--ticket-file",
        &ticket,
        "--allow-key",
        "0x10",
    ];
    for words in [&one[..], &["--config", &config]] {
        let unit = home
            .run(&[&["connect"], words, &["--service-unit"]].concat())
            .ok()
            .out;
        assert!(
            unit.contains(" --permanent") && unit.contains("LoadCredential=hsm-a.ticket:/"),
            "{unit}"
        );
        assert!(!unit.contains(TICKET));
        let file = home.dir.path().join("chancery-connect.service");
        fs::write(&file, &unit).unwrap();
        let Ok(checked) = Command::new("systemd-analyze").arg("verify").arg(&file).output() else {
            // Machines without systemd have no use for the unit.
            return;
        };
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(!said.contains("chancery-connect.service"), "{said}\n{unit}");
    }
    let unit = home
        .run(&[&["connect"], &one[..], &["--service-unit"]].concat())
        .ok()
        .out;
    assert!(
        unit.contains("--token \"my hsm\" ") && unit.contains("--allow-key 16 "),
        "{unit}"
    );
}
