//! Tokens that are plugged in: into pcscd, and shared through a socket.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Bench;
use crate::{
    common::Ended,
    pcscd::{Pcscd, Plugged, until},
};

impl Bench {
    /// The program, as a client of this pcscd.
    fn at(&self, pcscd: &Pcscd, words: &[&str]) -> Command {
        let mut command = self.home.command(words);
        command.env("PCSCLITE_CSOCK_NAME", pcscd.socket());
        command
    }

    fn run_at(&self, pcscd: &Pcscd, words: &[&str]) -> Ended {
        Ended::from(self.at(pcscd, words).output().unwrap())
    }

    fn list_at(&self, pcscd: &Pcscd) -> Vec<Value> {
        let ended = self.run_at(pcscd, &["token", "list", "--json"]).ok();
        let list: Value = serde_json::from_str(&ended.out).unwrap();
        list["tokens"].as_array().unwrap().clone()
    }
}

#[test]
fn in_readers_tokens_are_found_once_and_worked_on_like_others() {
    let bench = Bench::new(&["hsm-a", "hsm-b"]);
    let device = bench.device("hsm-a");
    let pcscd = Pcscd::start();
    let _plugged = Plugged::into(&pcscd, &bench.home, &["hsm-a", "hsm-b"]);
    let tokens = bench.list_at(&pcscd);
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    for token in &tokens {
        assert_eq!(
            (&token["transport"], &token["state"]),
            (&"pcsc".into(), &"ready".into()),
            "{token}"
        );
    }
    let init = [
        "token",
        "init",
        &device,
        "--pin-file",
        &bench.pin,
        "--so-pin-file",
        &bench.so_pin,
        "--yes",
        "--label",
        "signer",
    ];
    bench.run_at(&pcscd, &init).ok();
    for name in [device.as_str(), "signer", "hsm-a"] {
        let info = bench.run_at(&pcscd, &["token", "info", name]).ok();
        assert!(
            info.out.contains(&device) && info.out.contains("Virtual PCD"),
            "{}",
            info.out
        );
    }
    // Whoever comes after work with the PIN finds the token locked.
    bench
        .run_at(
            &pcscd,
            &[
                "token",
                "test",
                "signer",
                "--operations",
                "5",
                "--pin-file",
                &bench.pin,
            ],
        )
        .ok();
    let status = pcscd
        .client(
            "opensc-tool",
            &["--card-driver", "default", "--send-apdu", "00200081"],
        )
        .ok();
    assert!(status.out.contains("SW1=0x63, SW2=0xC3"), "{}", status.out);
    // A judge of the same reader agrees.
    let judged = pcscd.client("pkcs15-tool", &["--list-info"]).ok();
    assert!(judged.out.contains("signer"), "{}", judged.out);
}

#[test]
fn others_who_want_to_reset_the_card_do_not_end_work_on_it() {
    let bench = Bench::new(&["hsm-a"]);
    bench.init("hsm-a", &[]).ok();
    let pcscd = Pcscd::start();
    let _plugged = Plugged::into(&pcscd, &bench.home, &["hsm-a"]);
    let words = [
        "token",
        "test",
        "hsm-a",
        "--operations",
        "400",
        "--pin-file",
        &bench.pin,
        "--json",
    ];
    let mut test = bench
        .at(&pcscd, &words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tried = 0;
    while test.try_wait().unwrap().is_none() {
        // Refused or not, it has asked.
        pcscd.client("opensc-tool", &["--reset"]);
        tried += 1;
    }
    let ended = Ended::from(test.wait_with_output().unwrap()).ok();
    let outcome: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(outcome["passed"], true, "{outcome}");
    assert!(tried > 0);
}

#[test]
fn through_a_socket_several_processes_take_turns() {
    let bench = Bench::new(&["hsm-a"]);
    let device = bench.device("hsm-a");
    let mut plug = bench
        .home
        .command(&["vtoken", "plug", "hsm-a", "--via", "socket", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Nobody else looks at the token before that: one process at a time opens it.
    let mut told = BufReader::new(plug.stdout.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.contains("served"), "{line:?}");
    let listed = || {
        let (_, list) = bench.home.json(&["token", "list"]);
        list["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .find(|token| token["device"] == device.as_str())
            .cloned()
    };
    until(
        "the token is found through its socket",
        || listed().is_some_and(|token| token["transport"] == "plugged" && token["state"] == "ready"),
        || format!("{:?}", listed()),
    );
    for words in [
        &["vtoken", "plug", "hsm-a"][..],
        &["vtoken", "destroy", "hsm-a", "--yes"],
    ] {
        let refused = bench.home.run(words);
        assert_eq!(refused.code, 6, "{}", refused.err);
        assert!(
            refused.err.contains("chancery vtoken unplug hsm-a"),
            "{}",
            refused.err
        );
    }
    bench.init("hsm-a", &["--label", "shared"]).ok();
    assert_eq!(bench.info("shared")["transport"], "plugged");
    let words = [
        "token",
        "test",
        "shared",
        "--operations",
        "100000",
        "--pin-file",
        &bench.pin,
    ];
    let mut holder = bench
        .home
        .command(&words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until(
        "the other process holds the token",
        || listed().is_some_and(|token| token["in_use_by"] == holder.id()),
        || format!("{:?}", listed()),
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
    bench.home.run(&["token", "undo", "--pin-file", &bench.pin]).ok();
    plug.kill().unwrap();
    plug.wait().unwrap();
    assert_eq!(bench.info("hsm-a")["transport"], "virtual");
}
