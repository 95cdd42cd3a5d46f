//! `chancery token domain`: key domains, and tokens that exchange keys in a group.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, process::Command};

use chancery_driver::{Card, Pin, exchange::Offer};
use chancery_node::{DataDir, SystemClock, trust_anchors};
use chancery_tokens::{
    archive::Archive,
    domain::{Host, KeyChoice, Wanted, prepare},
    journal::Journal,
    transfer::Noted,
};
use chancery_vtoken::VirtualToken;
use common::{Ended, Home};
use serde_json::Value;

const NO_KCV: &str = "0000000000000000";

/// A home with tokens that have two places for key domains each.
struct World {
    home: Home,
    pin: String,
}

impl World {
    fn new(tokens: &[&str]) -> Self {
        let home = Home::new();
        let pin = home.private("pin", "648219\n");
        let so_pin = home.private("so-pin", "3537363231383830\n");
        home.run(&[&["vtoken", "create"], tokens].concat()).ok();
        for token in tokens {
            let words = [
                "token",
                "init",
                token,
                "--domains",
                "2",
                "--pin-file",
                &pin,
                "--so-pin-file",
                &so_pin,
                "--yes",
            ];
            home.run(&words).ok();
        }
        Self { home, pin }
    }

    /// A group that `tokens[0]` signs for, and whose members the others are, in their domain 0; its identifier.
    fn with_group(tokens: &[&str]) -> (Self, String) {
        let world = Self::new(tokens);
        let group = world.ok(&["domain", "group", "create", tokens[0], "--label", "backup"]);
        for token in &tokens[1..] {
            let file = format!("{token}.membership");
            world.ok(&[
                "domain", "invite", tokens[0], "backup", "--member", token, "--out", &file,
            ]);
            world.ok(&["domain", "join", token, &file]);
        }
        (world, group["group"].as_str().unwrap().to_owned())
    }

    /// `chancery token ..` with the PIN.
    fn run(&self, words: &[&str]) -> Ended {
        let words = [&["token"], words, &["--pin-file", &self.pin]].concat();
        self.home.run(&words)
    }

    /// The same with `--json`, which has to succeed.
    #[track_caller]
    fn ok(&self, words: &[&str]) -> Value {
        let ended = self.run(&[words, &["--json"]].concat()).ok();
        serde_json::from_str(&ended.out).unwrap()
    }

    /// `domain agree TOKEN 0 --with OTHER`, which both have the same PIN for.
    fn both(&self, token: &str, with: &str, more: &[&str]) -> Ended {
        let words = [
            "domain",
            "agree",
            token,
            "0",
            "--with",
            with,
            "--with-pin-file",
            &self.pin,
        ];
        self.run(&[&words, more].concat())
    }

    fn domains(&self, token: &str) -> Value {
        let (code, shown) = self.home.json(&["token", "domain", "list", token]);
        assert_eq!(code, 0, "{shown}");
        shown["domains"].clone()
    }

    fn kcv(&self, token: &str) -> String {
        self.domains(token)[0]["kcv"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Whether openssl accepts a token's signature over `message` by the key of this label.
    fn signs(&self, token: &str, key: &str, public_key: &str) -> bool {
        let directory = self.home.dir.path();
        fs::write(directory.join("message"), "to be signed").unwrap();
        fs::write(directory.join("key.der"), hex::decode(public_key).unwrap()).unwrap();
        self.run(&["sign", token, key, "--in", "message", "--out", "signature"])
            .ok();
        let judge = Command::new("openssl")
            .current_dir(directory)
            .args([
                "dgst",
                "-sha256",
                "-keyform",
                "DER",
                "-verify",
                "key.der",
                "-signature",
                "signature",
                "message",
            ])
            .output()
            .unwrap();
        judge.status.success()
    }
}

#[test]
fn a_key_wrapped_by_one_member_is_unwrapped_by_the_other() {
    let (world, group) = World::with_group(&["signer", "one", "two"]);
    assert_eq!(group.len(), 128);
    let before = world.domains("one");
    assert_eq!(before[0]["kind"], "exchange");
    assert_eq!(before[0]["group"], group.as_str());
    assert_eq!(before[0]["kcv"], Value::Null);
    assert_eq!(before[1]["kind"], "free");

    let agreed = world.both("one", "two", &["--json"]).ok();
    let agreed: Value = serde_json::from_str(&agreed.out).unwrap();
    let kcv = agreed["kcv"].as_str().unwrap();
    assert_eq!(agreed["with"]["kcv"], kcv);
    assert_eq!(
        (&agreed["key_made"], &agreed["virtual"]),
        (&true.into(), &true.into())
    );
    assert_ne!(kcv, NO_KCV);
    assert_eq!(
        (world.kcv("one"), world.kcv("two")),
        (kcv.to_owned(), kcv.to_owned())
    );

    let made = world.ok(&[
        "keys",
        "generate",
        "one",
        "P-256",
        "--label",
        "traveller",
        "--domain",
        "0",
    ]);
    let public_key = made["public_key"].as_str().unwrap();
    let secret = [
        "keys", "generate", "one", "aes-256", "--label", "secret", "--domain", "0",
    ];
    world.ok(&secret);
    let wrapped = world.ok(&["wrap", "one", "traveller", "traveller.wky"]);
    assert_eq!(wrapped["kcv"], kcv);
    world.ok(&["wrap", "one", "secret", "secret.wky"]);
    let arrived = world.ok(&["unwrap", "two", "traveller.wky"]);
    assert_eq!(arrived["verified"], "by-use");
    world.ok(&["unwrap", "two", "secret.wky"]);
    assert!(world.signs("two", "traveller", public_key));
    assert!(world.signs("one", "traveller", public_key));

    let list = world.home.run(&["token", "domain", "list", "two"]).ok().out;
    assert!(
        list.contains(kcv) && list.contains("\"traveller\"") && list.contains(&group),
        "{list}"
    );
    // A token that is no member of the agreement does not take it.
    let refused = world.run(&["unwrap", "signer", "traveller.wky"]);
    assert_eq!(refused.code, 7, "{}", refused.err);
    assert!(
        refused
            .err
            .contains(&format!("wrapped under key domain KCV {kcv}")),
        "{}",
        refused.err
    );
}

#[test]
fn two_tokens_apart_agree_by_their_offers() {
    let (world, _) = World::with_group(&["signer", "one", "two"]);
    let offered = world
        .run(&["domain", "agree", "one", "0", "--offer", "one.offer"])
        .ok()
        .out;
    assert!(offered.contains("VIRTUAL TOKEN"), "{offered}");
    assert_eq!(world.kcv("one"), "");
    let info = |token: &str| world.home.run(&["token", "info", token]).ok().out;
    assert!(info("one").contains("0 (exchange): no key encryption key agreed yet"));
    let agreed = world.ok(&[
        "domain",
        "agree",
        "two",
        "0",
        "--offer",
        "two.offer",
        "--peer",
        "one.offer",
    ]);
    let kcv = agreed["kcv"].as_str().unwrap();
    assert!(info("two").contains(&format!("0 (exchange): KCV {kcv}, agreed with another token")));
    // With the wrong KCV it is a failure, and the token says what to do.
    let unlike = world.run(&[
        "domain",
        "agree",
        "one",
        "0",
        "--peer",
        "two.offer",
        "--kcv",
        NO_KCV,
    ]);
    assert_eq!(unlike.code, 7, "{}", unlike.out);
    assert!(
        unlike.err.contains(kcv) && unlike.err.contains("delete-key"),
        "{}",
        unlike.err
    );
    // The key encryption key is there now: it is not replaced unasked, and the same keys give the same again.
    let again = ["domain", "agree", "one", "0", "--peer", "two.offer", "--kcv", kcv];
    let refused = world.run(&again);
    assert_eq!(refused.code, 6, "{}", refused.err);
    assert!(
        refused.err.contains(kcv) && refused.err.contains("--replace"),
        "{}",
        refused.err
    );
    world.ok(&[&again[..], &["--replace"]].concat());

    world.ok(&["domain", "delete-key", "one", "0", "--yes"]);
    assert_eq!(world.kcv("one"), "");
    let agreed = world.run(&again).ok().out;
    assert!(agreed.contains(&format!("KCV {kcv}")), "{agreed}");
    assert!(agreed.contains("never with devices"), "{agreed}");
    let both = world.both("one", "two", &["--replace"]).ok().out;
    assert_eq!(both.matches(kcv).count(), 2, "{both}");
    // Another exchange key, another key encryption key, on both sides.
    let anew = world.both("one", "two", &["--replace", "--new-key"]).ok().out;
    assert!(
        anew.contains("takes the place of") && anew.contains(kcv),
        "{anew}"
    );
    assert_ne!(world.kcv("one"), kcv);
    assert_eq!(world.kcv("one"), world.kcv("two"));
}

#[test]
fn who_is_invited_is_said_and_memberships_serve_one_token() {
    let (world, group) = World::with_group(&["signer", "one"]);
    world.home.run(&["vtoken", "create", "two"]).ok();
    let invite =
        |more: &[&str]| world.run(&[&["domain", "invite", "signer", "backup", "--out", "m"], more].concat());
    let invited = invite(&["--member", "one"]).ok().out;
    assert_eq!(invited.matches("VIRTUAL TOKEN").count(), 2, "{invited}");
    assert!(
        invited.contains(&group) && invited.contains("never with devices"),
        "{invited}"
    );
    // The signer's own token can be a member, and one that is elsewhere, by its chain.
    world.ok(&[
        "domain", "invite", "signer", "backup", "--member", "signer", "--out", "s",
    ]);
    world.ok(&["domain", "join", "signer", "s", "--domain", "1"]);
    assert_eq!(world.domains("signer")[1]["group"], group.as_str());
    world
        .home
        .run(&["token", "dump", "two", "--out", "two.files"])
        .ok();
    invite(&["--member-chain", "two.files/2F02.bin"]).ok();

    let foreign = world.run(&["domain", "join", "one", "m"]);
    assert_eq!(foreign.code, 7, "{}", foreign.err);
    assert!(foreign.err.contains("does not admit"), "{}", foreign.err);
    let twice = world.run(&["domain", "join", "one", "one.membership", "--domain", "0"]);
    assert_eq!(twice.code, 6, "{}", twice.err);
    // Real devices are told apart from virtual ones, and need not be here.
    let vector = format!(
        "{}/../../testdata/vectors/nitrokey-hsm2-fw4.1-ef2f02.hex",
        env!("CARGO_MANIFEST_DIR")
    );
    let device = invite(&["--member-chain", &vector]).ok().out;
    assert!(
        device.contains("DENK0404144, a production device") && device.contains("VIRTUAL TOKEN"),
        "{device}"
    );
    let mut changed = fs::read(world.home.dir.path().join("two.files/2F02.bin")).unwrap();
    let middle = changed.len() / 4;
    changed[middle] ^= 1;
    fs::write(world.home.dir.path().join("changed"), changed).unwrap();
    let refused = invite(&["--member-chain", "changed"]);
    assert!([3, 7].contains(&refused.code), "{}", refused.err);
    let odd = world.run(&["domain", "join", "one", "two.files/2F02.bin"]);
    assert!(odd.err.contains("another kind of file"), "{}", odd.err);
    // The group's key signs nothing but memberships.
    fs::write(world.home.dir.path().join("message"), "54").unwrap();
    let sign = world.run(&["sign", "signer", "backup", "--in", "message", "--out", "s"]);
    assert_ne!(sign.code, 0);
}

#[test]
fn domains_of_shares_are_made_and_deleted() {
    let world = World::new(&["one"]);
    let made = world.ok(&["domain", "create", "one", "--shares", "3"]);
    assert_eq!((&made["domain"], &made["outstanding"]), (&0.into(), &3.into()));
    assert_eq!(world.domains("one")[0]["kind"], "shares");
    for (words, code) in [
        (
            &["domain", "create", "one", "--shares", "1", "--domain", "0"][..],
            6,
        ),
        (&["domain", "create", "one", "--shares", "1", "--domain", "7"], 5),
        (&["domain", "delete", "one", "1", "--yes"], 5),
        (&["domain", "delete-key", "one", "0", "--yes"], 5),
        // Nobody can be asked.
        (&["domain", "delete", "one", "0"], 2),
        (&["domain", "agree", "one", "0"], 2),
        (&["domain", "agree", "one", "0", "--offer", "f"], 7),
    ] {
        let ended = world.run(words);
        assert_eq!(ended.code, code, "{words:?}: {}{}", ended.out, ended.err);
    }
    world.ok(&["domain", "delete", "one", "0", "--yes"]);
    assert_eq!(world.domains("one")[0]["kind"], "free");
}

#[test]
fn the_help_says_that_virtual_tokens_and_devices_do_not_agree() {
    let home = Home::new();
    for words in [
        &["token", "domain", "--help"][..],
        &["token", "domain", "agree", "--help"],
    ] {
        let help = home.run(words).ok().out;
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.contains("VIRTUAL TOKENS AND DEVICES DO NOT AGREE WITH EACH OTHER"),
            "{help}"
        );
        assert!(flat.contains("not published"), "{help}");
    }
}

#[test]
fn an_interrupted_agreement_is_shown_finished_and_taken_back() {
    let (world, _) = World::with_group(&["signer", "one", "two"]);
    world.ok(&["domain", "agree", "two", "0", "--offer", "two.offer"]);

    // The program ended when the exchange key was made.
    world.interrupt("one", None);
    let journal = world.home.run(&["token", "journal"]).ok().out;
    assert!(
        journal.contains("agree-1") && journal.contains("exchange key: done"),
        "{journal}"
    );
    let resumed = world.run(&["resume", "agree-1"]).ok().out;
    assert!(
        resumed.contains("is whole; nothing was agreed on yet"),
        "{resumed}"
    );
    assert_eq!(world.kcv("one"), "");

    // It ended when both had been done, before anybody said so.
    let offer = fs::read(world.home.dir.path().join("two.offer")).unwrap();
    world.interrupt("one", Some(&offer));
    let kcv = world.kcv("one");
    assert_ne!(kcv, "");
    let undone = world.run(&["undo"]).ok().out;
    assert!(
        undone.contains("was deleted") && undone.contains(&kcv),
        "{undone}"
    );
    assert_eq!(world.kcv("one"), "");
    let keys = world.domains("one")[0]["keys"].as_array().unwrap().len();
    assert_eq!(keys, 1, "the key of before stays");
    let none = world.home.run(&["token", "journal"]).ok().out;
    assert!(none.contains("no work is open"), "{none}");
}

impl World {
    /// Makes an exchange key and, with an offer, agrees; the program ends before the work is said to be done.
    fn interrupt(&self, name: &str, offer: Option<&[u8]>) {
        let data = DataDir::open(&self.home.data()).unwrap();
        let token = VirtualToken::open(&data.tokens().join(name), &data.at_rest()).unwrap();
        let card = Card::new(token).select().unwrap();
        let mut card = card.verify_pin(&Pin::new("648219").unwrap()).unwrap();
        let device = card
            .device_chain()
            .unwrap()
            .device_name()
            .unwrap()
            .holder()
            .to_owned();
        let anchors = trust_anchors(&data, &data.at_rest(), SystemClock.today()).unwrap();
        let journal = Journal::new(data.path().join("journal"));
        let archive = Archive::below(data.path());
        let host = Host {
            anchors: &anchors,
            archive: &archive,
            noted: Noted {
                journal: &journal,
                device: &device,
                token: name,
                now: SystemClock.now().unix_timestamp(),
            },
            now: SystemClock.now(),
        };
        let peer = offer.map(|file| Offer::decode(file).unwrap().verify(&anchors).unwrap());
        let wanted = Wanted {
            domain: 0,
            key: KeyChoice::New,
            curve: None,
            peer: peer.as_ref(),
            keep_kek: true,
        };
        let mut prepared = prepare(&mut card, &wanted, &host).unwrap();
        if let Some(peer) = &peer {
            prepared.agree(&mut card, peer).unwrap();
        }
    }
}
