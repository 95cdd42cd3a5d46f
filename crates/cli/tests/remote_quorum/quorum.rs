//! Two of three custodians, none of them where the HSM is.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    common::{Ended, Home},
    place::Place,
    relay::relay,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Ports of the node: for tokens, for clients.
const TOKENS: u16 = 8443;
const CLIENTS: u16 = 8444;

/// A process that is ended when the test is.
struct Background(Child);

impl Background {
    /// Starts it and waits for a line.
    fn start(mut command: Command, ready: &str) -> Self {
        let mut child = Self(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let (told, lines) = mpsc::channel();
        let log = child.0.stderr.take().unwrap();
        // Read to the end, so that the process never waits for a reader.
        thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
        let mut said = Vec::new();
        while !said.iter().any(|line: &String| line.contains(ready)) {
            said.push(
                lines
                    .recv_timeout(PATIENCE)
                    .unwrap_or_else(|error| panic!("{error}: {said:?}")),
            );
        }
        child
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client of the node's at its own place, with its own key.
struct Party {
    place: Place,
    key: String,
    carried: Arc<AtomicUsize>,
}

/// Everybody.
struct World {
    home: Home,
    certificate: String,
    build: Party,
    alice: Party,
    bob: Party,
    carol: Party,
    _agent: Background,
    _hsm: Place,
    _node: Background,
    _node_place: Place,
}

impl World {
    fn new() -> Self {
        let home = Home::ready();
        for hsm in ["hsm-a", "hsm-b"] {
            home.run(&["hsm", "attach", hsm, "--as", "alice"]);
            for custodian in ["alice", "bob"] {
                home.run(&["hsm", "unlock", hsm, "--as", custodian]);
            }
        }
        home.run(&["signer", "create", "firmware", "--hsm", "hsm-a", "--as", "alice"])
            .ok();
        let (_, keys) = home.json(&["signer", "keys"]);
        let number = keys[0]["key_id"].to_string();
        home.run(&["hsm", "lock"]).ok();
        home.run(&["stop"]).ok();

        let node_place = Place::new();
        let listen = |port: u16| format!("{}:{port}", node_place.inside);
        let (tokens, clients) = (listen(TOKENS), listen(CLIENTS));
        let words = ["serve", "--listen", &tokens, "--api-listen", &clients];
        let node = Background::start(node_place.command(&home, &words), "the node is ready");
        for hsm in ["hsm-a", "hsm-b"] {
            home.run(&["hsm", "detach", hsm, "--as", "alice"]).ok();
        }
        let certificate = home.data().join("network/node.pem").display().to_string();
        home.run(&["connector", "add", "cupboard", "--ticket-file", "cupboard.ticket"])
            .ok();
        let hsm = Place::new();
        relay(&format!("{}:{TOKENS}", hsm.outside), &tokens);
        let url = format!("https://{}:{TOKENS}", hsm.outside);
        let words = [
            "connect",
            &url,
            "--token",
            "hsm-a",
            "--ticket-file",
            "cupboard.ticket",
        ];
        let more = ["--node-cert", &certificate, "--allow-key", &number, "--permanent"];
        let agent = Background::start(hsm.command(&home, &[&words[..], &more].concat()), "connected");
        home.run(&[
            "hsm",
            "attach",
            "hsm-a",
            "--connector",
            "cupboard",
            "--as",
            "alice",
        ])
        .ok();
        let party = |name: &str, custodian: bool| {
            let place = Place::new();
            let carried = relay(&format!("{}:{CLIENTS}", place.outside), &clients);
            let key = home.dir.path().join(format!("{name}.key")).display().to_string();
            home.run(&["client", "key", "--out", &key]).ok();
            let public = format!("{key}.crt");
            let add = ["client", "add", name, "--key", &public];
            let of = ["--custodian", name];
            home.run(&[&add[..], if custodian { &of } else { &[] }].concat())
                .ok();
            if place.is_separate() {
                assert!(
                    !place.has_way_to(&node_place.inside),
                    "{name} reaches the node past the relay"
                );
            }
            Party { place, key, carried }
        };
        let (build, alice) = (party("build", false), party("alice", true));
        let (bob, carol) = (party("bob", true), party("carol", true));
        Self {
            home,
            certificate,
            build,
            alice,
            bob,
            carol,
            _agent: agent,
            _hsm: hsm,
            _node: node,
            _node_place: node_place,
        }
    }

    /// A command of a party, at its place, to the node.
    fn command(&self, party: &Party, words: &[&str]) -> Command {
        let url = format!("https://{}:{CLIENTS}", party.place.outside);
        let node = [
            "--node",
            &url,
            "--node-cert",
            &self.certificate,
            "--client-key",
            &party.key,
        ];
        party.place.command(&self.home, &[words, &node].concat())
    }

    fn run(&self, party: &Party, words: &[&str]) -> Ended {
        Ended::from(self.command(party, words).output().unwrap())
    }

    /// A request that waits, and its lease.
    fn ask(&self, more: &[&str]) -> (Child, String) {
        let words = [
            "unlock",
            "request",
            "--signer",
            "firmware",
            "--count",
            "2",
            "--for-time",
            "10m",
            "--wait",
        ];
        let child = self
            .command(&self.build, &[&words[..], more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lease = self.waiting();
        (child, lease)
    }

    /// The lease that waits.
    fn waiting(&self) -> String {
        let began = Instant::now();
        loop {
            let (code, leases) = self.home.json(&["lease", "list", "--open"]);
            assert_eq!(code, 0, "{leases}");
            let mut leases = leases.as_array().unwrap().iter();
            if let Some(lease) = leases.find(|lease| lease["state"] == "waiting") {
                return lease["lease"].as_str().unwrap().to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "no lease came");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn state(&self, lease: &str) -> Value {
        let (code, view) = self.home.json(&["lease", "show", lease]);
        assert_eq!(code, 0, "{view}");
        view["state"].clone()
    }
}

#[test]
fn a_remote_quorum_opens_a_remote_hsm_and_who_waits_is_told_why_not() {
    let world = World::new();
    let separate = world.build.place.is_separate();
    eprintln!(
        "parties in {}",
        if separate {
            "separate network namespaces"
        } else {
            "addresses 127.0.0.x: network namespaces are not permitted here"
        }
    );
    let image = world.home.dir.path().join("image");
    fs::write(&image, "firmware").unwrap();
    let (image, signature, key) = (
        image.display().to_string(),
        world.home.dir.path().join("sig").display().to_string(),
        world.home.dir.path().join("pub").display().to_string(),
    );
    let sign = ["sign", &image, "--signer", "firmware", "--out", &signature];

    // One is not enough, whoever it is and however often; nor is one who answers in another's name.
    let (waits, lease) = world.ask(&["--for", "firmware 4.2"]);
    assert_eq!(world.run(&world.build, &sign).code, 4);
    world
        .run(&world.alice, &["approve", &lease, "--as", "alice"])
        .ok();
    assert_eq!(world.state(&lease), "waiting");
    let again = world.run(&world.alice, &["approve", &lease, "--as", "alice"]);
    assert_eq!(world.state(&lease), "waiting", "{}", again.err);
    let posing = world.run(&world.alice, &["approve", &lease, "--as", "bob"]);
    assert_eq!(posing.code, 7, "{}{}", posing.out, posing.err);
    assert!(posing.err.contains("not of bob"), "{}", posing.err);
    assert_eq!(world.state(&lease), "waiting");
    assert_eq!(world.run(&world.build, &sign).code, 4);
    // Two open it, and it signs.
    world.run(&world.bob, &["approve", &lease, "--as", "bob"]).ok();
    let ended = Ended::from(waits.wait_with_output().unwrap()).ok();
    assert!(
        ended.err.contains("alice") && ended.err.contains("bob"),
        "{}{}",
        ended.out,
        ended.err
    );
    world.run(&world.build, &sign).ok();
    world.home.run(&["signer", "key", "firmware", "--out", &key]).ok();
    let judged = Command::new("openssl")
        .args([
            "dgst",
            "-sha256",
            "-verify",
            &key,
            "-signature",
            &signature,
            &image,
        ])
        .output()
        .unwrap();
    assert!(judged.status.success(), "{judged:?}");
    world.run(&world.build, &["lease", "withdraw", &lease]).ok();

    // A refusal, in its own words.
    let (waits, lease) = world.ask(&["--for", "nightly"]);
    let refuse = [
        "approve",
        &lease,
        "--as",
        "carol",
        "--refuse",
        "wrong kernel version",
    ];
    world.run(&world.carol, &refuse).ok();
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    let last = ended.err.lines().last().unwrap();
    assert!(
        last.contains("carol") && last.contains("wrong kernel version"),
        "{last}"
    );

    // A time-out: who agreed, and that it was not enough.
    let (waits, lease) = world.ask(&["--for", "nightly", "--timeout", "6s"]);
    world.run(&world.bob, &["approve", &lease, "--as", "bob"]).ok();
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!(ended.code, 4, "{}{}", ended.out, ended.err);
    assert!(
        ended.err.contains("agreed: bob") && ended.err.contains("not given in time"),
        "{}",
        ended.err
    );
    for party in [&world.build, &world.alice, &world.bob, &world.carol] {
        assert!(party.carried.load(Ordering::SeqCst) > 0, "through the relay");
    }
}
