//! Two of three custodians, none of them where the HSM is.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    background::{Background, PATIENCE},
    common::{Ended, Home},
    cupboard,
    elsewhere::{Elsewhere, invite},
    pcscd::{Pcscd, Plugged},
    place::Place,
    relay::relay,
};

/// Ports of the node: for tokens, for clients.
const TOKENS: u16 = 18_443;
const CLIENTS: u16 = 18_444;

/// Somebody at a place of their own, whose way to the node is a relay.
struct Party {
    place: Place,
    carried: Arc<AtomicUsize>,
}

impl Party {
    fn new(world: &Place, name: &str) -> Self {
        let place = Place::new();
        let carried = relay(
            &format!("{}:{CLIENTS}", place.outside),
            &format!("{}:{CLIENTS}", world.inside),
        );
        if place.is_separate() {
            assert!(
                !place.has_way_to(&world.inside),
                "{name} reaches the node past the relay"
            );
        }
        Self { place, carried }
    }

    /// The node's address as it is reached from there.
    fn url(&self) -> String {
        format!("https://{}:{CLIENTS}", self.place.outside)
    }
}

/// A custodian at a place of their own, with a data directory of their own.
struct Custodian {
    party: Party,
    side: Elsewhere,
}

impl Custodian {
    fn run(&self, words: &[&str]) -> Ended {
        let plain = self.side.command(words);
        Ended::from(self.party.place.moved(&self.side.home, plain).output().unwrap())
    }
}

/// Everybody.
struct World {
    home: Home,
    certificate: String,
    build: Party,
    build_key: String,
    bob: Custodian,
    carol: Custodian,
    dave: Custodian,
    _plugged: Plugged,
    _pcscd: Pcscd,
    _agent: Background,
    _hsm: Place,
    _node: Background,
    _node_place: Place,
}

impl World {
    fn new() -> Self {
        let home = Home::new();
        home.run(&["vtoken", "create", "hsm-a"]).ok();
        home.run(&["vtoken", "create", "alice", "--init", "--rehearsal"])
            .ok();
        home.run(&["init", "--manager", "alice", "--token", "alice", "--rehearsal"])
            .ok();
        home.run(&["hsm", "init", "hsm-a", "--quorum", "2of3", "--as", "alice"])
            .ok();
        home.run(&["stop"]).ok();

        let node_place = Place::new();
        let listen = |port: u16| format!("{}:{port}", node_place.inside);
        let (tokens, clients) = (listen(TOKENS), listen(CLIENTS));
        let words = ["serve", "--listen", &tokens, "--api-listen", &clients];
        let node = Background::start(node_place.command(&home, &words), "the node is ready");
        home.run(&["hsm", "attach", "hsm-a", "--as", "alice"]);
        let certificate = home.data().join("network/node.pem").display().to_string();

        // The custodians, each from an own machine: card, registration, invitation, acceptance.
        let pcscd = Pcscd::start();
        let mut dave = Elsewhere::new("dave");
        let plugged = Plugged::into(&pcscd, &dave.home, &["dave"]);
        dave.reader = Some(pcscd.socket());
        let custodian = |side: Elsewhere| {
            let party = Party::new(&node_place, &side.name);
            let invitation = invite(&home, Some(&party.url()), &format!("{}.invitation", side.name));
            side.join(&home, "alice", "hsm-a", &invitation).ok();
            assert!(!side.home.data().join("installation.json").exists());
            Custodian { party, side }
        };
        let (bob, carol, dave) = (
            custodian(Elsewhere::new("bob")),
            custodian(Elsewhere::new("carol")),
            custodian(dave),
        );
        for (custodian, name) in [(&bob, "bob"), (&dave, "dave")] {
            custodian.run(&["hsm", "unlock", "hsm-a", "--as", name]).ok();
        }
        home.run(&["signer", "create", "firmware", "--hsm", "hsm-a", "--as", "alice"])
            .ok();
        let (_, keys) = home.json(&["signer", "keys"]);
        let number = keys[0]["key_id"].to_string();
        home.run(&["hsm", "lock"]).ok();

        // The HSM goes elsewhere as well.
        home.run(&["hsm", "detach", "hsm-a", "--as", "alice"]).ok();
        cupboard::add(&home);
        let hsm = Place::new();
        relay(&format!("{}:{TOKENS}", hsm.outside), &tokens);
        let url = format!("https://{}:{TOKENS}", hsm.outside);
        let words = cupboard::connect(&url, &certificate, &number);
        let agent = Background::start(hsm.command(&home, &words), "connected");
        cupboard::attach(&home).ok();
        let build = Party::new(&node_place, "build");
        let build_key = home.dir.path().join("build.key").display().to_string();
        home.run(&["client", "key", "--out", &build_key]).ok();
        home.run(&["client", "add", "build", "--key", &format!("{build_key}.crt")])
            .ok();
        Self {
            home,
            certificate,
            build,
            build_key,
            bob,
            carol,
            dave,
            _plugged: plugged,
            _pcscd: pcscd,
            _agent: agent,
            _hsm: hsm,
            _node: node,
            _node_place: node_place,
        }
    }

    /// A command of the requester, at its place, to the node.
    fn command(&self, words: &[&str]) -> Command {
        let url = self.build.url();
        let node = [
            "--node",
            &url,
            "--node-cert",
            &self.certificate,
            "--client-key",
            &self.build_key,
        ];
        self.build.place.command(&self.home, &[words, &node].concat())
    }

    fn build(&self, words: &[&str]) -> Ended {
        Ended::from(self.command(words).output().unwrap())
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
            .command(&[&words[..], more].concat())
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

/// Has a custodian's machine believe that it is somebody else's; the file and what was in it.
fn rename_member(side: &Elsewhere, from: &str, to: &str) -> (PathBuf, String) {
    let file = side.membership();
    let text = fs::read_to_string(&file).unwrap();
    let quoted = |name: &str| format!("\"person\": \"{name}\"");
    assert!(text.contains(&quoted(from)));
    fs::write(&file, text.replace(&quoted(from), &quoted(to))).unwrap();
    (file, text)
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
    assert_eq!(world.build(&sign).code, 4);
    world.dave.run(&["approve", &lease, "--as", "dave"]).ok();
    assert_eq!(world.state(&lease), "waiting");
    let again = world.dave.run(&["approve", &lease, "--as", "dave"]);
    assert_eq!(world.state(&lease), "waiting", "{}", again.err);
    // dave's machine knows nobody of that name; his key is the one of dave's agent, whatever name he says.
    let posing = world.dave.run(&["approve", &lease, "--as", "bob"]);
    assert_eq!(posing.code, 5, "{}{}", posing.out, posing.err);
    let kept = rename_member(&world.dave.side, "dave", "bob");
    let posing = world.dave.run(&["approve", &lease, "--as", "bob"]);
    assert_eq!(posing.code, 7, "{}{}", posing.out, posing.err);
    assert!(posing.err.contains("not of bob"), "{}", posing.err);
    fs::write(kept.0, kept.1).unwrap();
    assert_eq!(world.state(&lease), "waiting");
    assert_eq!(world.build(&sign).code, 4);
    // Two open it, and it signs.
    world.bob.run(&["approve", &lease, "--as", "bob"]).ok();
    let ended = Ended::from(waits.wait_with_output().unwrap()).ok();
    assert!(
        ended.err.contains("dave") && ended.err.contains("bob"),
        "{}{}",
        ended.out,
        ended.err
    );
    world.build(&sign).ok();
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
    world.build(&["lease", "withdraw", &lease]).ok();

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
    world.carol.run(&refuse).ok();
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!(ended.code, 7, "{}{}", ended.out, ended.err);
    let last = ended.err.lines().last().unwrap();
    assert!(
        last.contains("carol") && last.contains("wrong kernel version"),
        "{last}"
    );

    // A time-out: who agreed, and that it was not enough.
    let (waits, lease) = world.ask(&["--for", "nightly", "--timeout", "6s"]);
    world.bob.run(&["approve", &lease, "--as", "bob"]).ok();
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!(ended.code, 4, "{}{}", ended.out, ended.err);
    assert!(
        ended.err.contains("agreed: bob") && ended.err.contains("not given in time"),
        "{}",
        ended.err
    );
    let custodians = [&world.dave, &world.bob, &world.carol].map(|custodian| &custodian.party);
    for party in custodians.into_iter().chain([&world.build]) {
        assert!(party.carried.load(Ordering::SeqCst) > 0, "through the relay");
    }
}
