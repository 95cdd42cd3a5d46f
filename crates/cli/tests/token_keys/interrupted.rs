//! Work with a key that was interrupted, shown, finished and undone from the command line.

use chancery_driver::{Authenticated, Card, Pin};
use chancery_iso7816::{Transport, TransportError};
use chancery_node::DataDir;
use chancery_schsm::{KeyContainer, KeyId};
use chancery_tokens::{
    archive::Archive,
    journal::Journal,
    keys::{KeyError, store_certificate},
    transfer::{Noted, Parcel, install},
};
use chancery_vtoken::VirtualToken;
use zeroize::Zeroizing;

use crate::world::{PIN, World};

/// A token that is pulled when the description is to be written, or before the key is sent.
struct Pulled {
    token: VirtualToken,
    at: u8,
    gone: bool,
}

impl Transport for Pulled {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.gone |= command[1] == self.at;
        if self.gone {
            return Err(TransportError::lost("pulled by the test"));
        }
        self.token.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

/// Token b, to be pulled at this instruction, with its device id.
fn pulled_at(world: &World, at: u8) -> (Authenticated<Pulled>, String) {
    let data = DataDir::open(&world.home.data()).unwrap();
    let token = VirtualToken::open(&data.tokens().join("b"), &data.at_rest()).unwrap();
    let mut card = Card::new(Pulled {
        token,
        at,
        gone: false,
    })
    .select()
    .unwrap()
    .verify_pin(&Pin::new(PIN).unwrap())
    .unwrap();
    let device = card
        .device_chain()
        .unwrap()
        .device_name()
        .unwrap()
        .holder()
        .to_owned();
    (card, device)
}

fn journal(world: &World) -> Journal {
    Journal::new(DataDir::open(&world.home.data()).unwrap().path().join("journal"))
}

/// Begins to put the key in `k.wky` on token b and pulls it at this instruction.
fn interrupt(world: &World, at: u8) -> String {
    let (mut card, device) = pulled_at(world, at);
    let container = KeyContainer::parse(&world.read("k.wky")).unwrap();
    let parcel = Parcel::from_container(&container, None, None, "k.wky", Some(world.path("k.wky"))).unwrap();
    let journal = journal(world);
    let noted = Noted {
        journal: &journal,
        device: &device,
        token: "b",
        now: 0,
    };
    let error = install(&mut card, &parcel, None, &noted).unwrap_err();
    error.open_work().unwrap().to_owned()
}

#[test]
fn interrupted_work_is_shown_finished_and_undone() {
    let world = World::with_share(&["a", "b"]);
    world.generate("a", "P-256", "k", &[]);
    world.token(&["wrap", "a", "k", "k.wky"]).ok();
    world.write("message", "signed after all");
    const UNWRAP: u8 = 0x74;
    const UPDATE_BINARY: u8 = 0xD7;
    for at in [UNWRAP, UPDATE_BINARY] {
        let id = interrupt(&world, at);
        let shown = world.home.run(&["token", "journal"]).ok().out;
        assert!(shown.contains(&id) && shown.contains("key"), "{shown}");
        let done = world.token(&["resume", &id]).ok().out;
        assert!(done.contains("is on") && done.contains("test use"), "{done}");
        world
            .token(&["sign", "b", "k", "--in", "message", "--out", "signature"])
            .ok();
        assert!(world.verifies("k", "signature", &["-sha256"]));
        let (_, open) = world.home.json(&["token", "journal"]);
        assert_eq!(open, serde_json::json!([]));
        world.token(&["keys", "delete", "b", "1", "--yes"]).ok();

        let id = interrupt(&world, at);
        let other = world.home.json(&["token", "keys", "list", "b"]).1;
        let arrived = other["keys"].as_array().unwrap().len();
        assert_eq!(arrived, usize::from(at == UPDATE_BINARY));
        let undone = world.token(&["undo", &id]).ok().out;
        assert!(undone.contains("is undone"), "{undone}");
        let (_, list) = world.home.json(&["token", "keys", "list", "b"]);
        assert_eq!(
            (&list["keys"], &list["orphans"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
    }
    // The file it came from is gone: what never arrived is said to be so.
    let id = interrupt(&world, UNWRAP);
    std::fs::remove_file(world.path("k.wky")).unwrap();
    let done = world.token(&["resume", &id]).ok().out;
    assert!(done.contains("never arrived"), "{done}");
}

#[test]
fn a_certificate_that_was_lost_on_its_way_comes_back() {
    let world = World::new(&["b"], None);
    world.generate("b", "P-256", "k", &[]);
    let public = [
        "pkey", "-pubin", "-inform", "DER", "-in", "k.pub", "-out", "k.pem",
    ];
    world.openssl(&public).ok();
    let (ca, pem) = (
        [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key",
        ],
        ["-out", "ca.pem"],
    );
    world
        .openssl(&[&ca[..], &["-subj", "/CN=ca"], &pem].concat())
        .ok();
    for (name, subject) in [
        ("long", "/CN=a name that makes it longer than the other one"),
        ("short", "/CN=k"),
    ] {
        let out = format!("{name}.pem");
        let make = [
            "x509",
            "-new",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-force_pubkey",
            "k.pem",
            "-days",
            "9",
        ];
        world
            .openssl(&[&make[..], &["-subj", subject, "-out", &out]].concat())
            .ok();
    }
    let there = || world.home.run(&["token", "cert", "get", "b", "k"]);
    for finish in [true, false] {
        world.token(&["cert", "store", "b", "k", "long.pem"]).ok();
        const UPDATE_BINARY: u8 = 0xD7;
        let (mut card, device) = pulled_at(&world, UPDATE_BINARY);
        let archive = Archive::below(&world.home.data());
        let journal = journal(&world);
        let noted = Noted {
            journal: &journal,
            device: &device,
            token: "b",
            now: 0,
        };
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let short = world.read("short.pem");
        let error = store_certificate(&mut card, KeyId(1), &short, &archive, now, &noted).unwrap_err();
        assert!(matches!(error, KeyError::Interrupted { .. }), "{error}");
        drop(card);
        assert_eq!(there().code, 5, "the old one was deleted");
        let (word, name) = if finish {
            ("resume", "short.pem")
        } else {
            ("undo", "long.pem")
        };
        let done = world.token(&[word, "certificate-1"]).ok().out;
        assert!(done.contains("certificate") && done.contains("key 1"), "{done}");
        assert_eq!(there().ok().out.as_bytes(), world.read(name));
    }
    let (_, open) = world.home.json(&["token", "journal"]);
    assert_eq!(open, serde_json::json!([]));
}
