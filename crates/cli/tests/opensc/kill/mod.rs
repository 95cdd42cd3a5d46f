//! `kill -9` of the plugging process while OpenSC works: what was reported as done is there, what was under way is there
//! wholly or not at all, and no counter goes back.

mod operation;
mod token;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use chancery_driver::{Pin, keystore};

use self::{
    operation::Operation,
    token::{PINS, TRIES, USES, open, p256, prepare},
    told::Told,
};
use crate::{
    common::{Ended, Home},
    dice::Dice,
    pcscd::{Pcscd, Plugged},
    token::home_with,
};

/// Operations of each of two campaigns.
const OPERATIONS: usize = 500;
/// One operation in so many is disturbed, and of those that make keys, in several steps, one in so many.
const DISTURBED: usize = 12;
const DISTURBED_MAKING: usize = 4;
/// Most keys and data objects at a time.
const MANY: usize = 12;

#[test]
fn nothing_acknowledged_is_lost_first_campaign() {
    Campaign::new(1).run();
}

#[test]
fn nothing_acknowledged_is_lost_second_campaign() {
    Campaign::new(2).run();
}

/// A token, and what its clients were told.
struct Campaign {
    home: Home,
    pcscd: Pcscd,
    plugged: Option<Plugged>,
    dice: Dice,
    /// How long an undisturbed operation of this kind takes.
    usual: BTreeMap<&'static str, Duration>,
    told: Told,
    next: usize,
    kills: usize,
    half_done: usize,
}

impl Campaign {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let home = home_with(&["one"]);
        prepare(&home);
        let pcscd = Pcscd::start();
        pcscd.write("digest", [0x5A; 32]);
        let plugged = Plugged::into(&pcscd, &home, &["one"]);
        pcscd
            .client(
                "pkcs15-tool",
                &["--read-public-key", "01", "--output", "counted.pub"],
            )
            .ok();
        Self {
            home,
            pcscd,
            plugged: Some(plugged),
            dice: Dice::new(seed),
            usual: BTreeMap::new(),
            told: Told {
                pin: 0,
                tries: TRIES,
                uses: USES,
                keys: BTreeSet::new(),
                data: BTreeMap::new(),
                strays: BTreeSet::new(),
            },
            next: 0,
            kills: 0,
            half_done: 0,
        }
    }

    fn run(mut self) {
        for number in 0..OPERATIONS {
            let operation = self.choose();
            let usual = self.usual.get(operation.kind()).copied();
            let one_in = match operation {
                Operation::MakeKey(_) => DISTURBED_MAKING,
                _ => DISTURBED,
            };
            match usual.filter(|_| self.dice.below(one_in) == 0) {
                Some(usual) => self.disturbed(&operation, usual),
                None => {
                    let start = Instant::now();
                    let ended = operation
                        .start(&self.pcscd, self.told.pin)
                        .wait_with_output()
                        .unwrap();
                    self.usual.insert(operation.kind(), start.elapsed());
                    let done = operation.acknowledged(&self.pcscd, &Ended::from(ended));
                    assert!(done, "operation {number}, undisturbed: {operation:?}");
                    self.told.note(&operation);
                }
            }
        }
        self.all_data_is_there();
        drop(self.plugged.take());
        self.told.compare(&self.home, None, "at the end");
        println!(
            "{} kills, {} operations half done, {} keys nobody was told of",
            self.kills,
            self.half_done,
            self.told.strays.len()
        );
        assert!(self.kills > OPERATIONS / DISTURBED / 2, "{} kills", self.kills);
        assert!(self.told.uses < USES, "signatures were made");
        self.strays_are_explored();
    }

    fn choose(&mut self) -> Operation {
        self.next += 1;
        let name = |kind: &str| format!("{kind}-{}", self.next);
        let some = |dice: &mut Dice, labels: Vec<&String>| -> String {
            let chosen = dice.below(labels.len());
            labels[chosen].clone()
        };
        match self.dice.below(20) {
            0..=3 if self.told.tries > 2 => Operation::WrongPin,
            4 => Operation::ChangePin,
            5..=10 => Operation::Sign,
            11..=13 if self.told.keys.len() < MANY && self.told.strays.len() < 100 => {
                Operation::MakeKey(name("key"))
            }
            11..=15 if !self.told.keys.is_empty() => {
                let labels = self.told.keys.iter().collect();
                Operation::DeleteKey(some(&mut self.dice, labels))
            }
            16..=17 if self.told.data.len() < MANY => {
                Operation::WriteData(name("data"), name("content").repeat(20))
            }
            16..=19 if !self.told.data.is_empty() => {
                let labels = self.told.data.keys().collect();
                Operation::DeleteData(some(&mut self.dice, labels))
            }
            _ => Operation::Sign,
        }
    }

    /// Kills the plugging process at some moment of an operation, and looks at the token.
    fn disturbed(&mut self, operation: &Operation, usual: Duration) {
        let client = operation.start(&self.pcscd, self.told.pin);
        thread::sleep(self.dice.moment(usual));
        self.plugged.take().unwrap().kill();
        self.kills += 1;
        let ended = Ended::from(client.wait_with_output().unwrap());
        if operation.acknowledged(&self.pcscd, &ended) {
            self.told.note(operation);
            self.told
                .compare(&self.home, None, &format!("after {operation:?} was acknowledged"));
        } else {
            self.half_done += 1;
            self.told.compare(
                &self.home,
                Some(operation),
                &format!("in the middle of {operation:?}"),
            );
        }
        // pcscd looks for cards now and then: the next client must not meet the one that was pulled.
        self.pcscd.wait_for_cards(0);
        self.plugged = Some(Plugged::into(&self.pcscd, &self.home, &["one"]));
    }

    /// Every data object that a client was told of is read back.
    fn all_data_is_there(&self) {
        for (label, content) in &self.told.data {
            let words = [
                "--read-object",
                "--type",
                "data",
                "--label",
                label,
                "--output-file",
                "back",
            ];
            self.pcscd.pkcs11(&words).ok();
            assert_eq!(self.pcscd.read("back"), content.as_bytes(), "{label}");
        }
    }

    /// What OpenSC does not show, we do: keys without a description.
    fn strays_are_explored(mut self) {
        // One for certain, as a generation leaves it that is cut off after its first step.
        let mut card = open(&self.home)
            .verify_pin(&Pin::new(PINS[self.told.pin]).unwrap())
            .unwrap();
        let id = keystore::next_free_id(&mut card).unwrap();
        card.generate(&p256(id, None)).unwrap();
        drop(card);
        self.told.strays.insert(id.0);
        let (code, explored) = self.home.json(&["token", "explore", "one"]);
        assert_eq!(code, 0, "{explored}");
        let keys = explored["keys"].as_array().unwrap();
        let nameless = keys.iter().filter(|key| key["label"].is_null());
        let ids: BTreeSet<u8> = nameless
            .map(|key| u8::try_from(key["id"].as_u64().unwrap()).unwrap())
            .collect();
        assert_eq!(ids, self.told.strays);
    }
}
