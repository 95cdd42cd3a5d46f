//! `kill -9` of the plugging process while OpenSC works: what was reported as done is there, what was under way is there
//! wholly or not at all, and no counter goes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use chancery_cvc::Curve;
use chancery_driver::{
    Card, Initialize, KeyAlgorithm, KeyDescription, KeySpec, Pin, PinStatus, Selected, SoPin, keystore,
};
use chancery_node::DataDir;
use chancery_schsm::{AlgorithmList, InitializeOptions, KeyId};
use chancery_vtoken::VirtualToken;

use crate::{
    common::{Ended, Home},
    dice::Dice,
    pcscd::{Pcscd, Plugged, judge},
    token::{SO_PIN, home_with},
};

/// Operations of each of two campaigns.
const OPERATIONS: usize = 500;
/// One operation in so many is disturbed, and of those that make keys, in several steps, one in so many.
const DISTURBED: usize = 12;
const DISTURBED_MAKING: usize = 4;
const PINS: [&str; 2] = ["12345678", "87654321"];
const TRIES: u8 = 10;
/// The key whose uses are counted.
const COUNTED: KeyId = KeyId(1);
const USES: u32 = 100_000;
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

/// What a client was told last.
#[derive(Debug)]
struct Told {
    pin: usize,
    tries: u8,
    uses: u32,
    /// Labels of keys that were made.
    keys: BTreeSet<String>,
    /// Contents by label.
    data: BTreeMap<String, String>,
    /// Keys that nobody was told of: their generation was disturbed.
    strays: BTreeSet<u8>,
}

/// What OpenSC is asked to do.
#[derive(Debug, Clone)]
enum Operation {
    WrongPin,
    ChangePin,
    Sign,
    MakeKey(String),
    DeleteKey(String),
    WriteData(String, String),
    DeleteData(String),
}

impl Operation {
    fn kind(&self) -> &'static str {
        match self {
            Self::WrongPin => "wrong PIN",
            Self::ChangePin => "change PIN",
            Self::Sign => "sign",
            Self::MakeKey(_) => "make key",
            Self::DeleteKey(_) => "delete key",
            Self::WriteData(..) => "write data",
            Self::DeleteData(_) => "delete data",
        }
    }
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
                    let ended = self.start(&operation).wait_with_output().unwrap();
                    self.usual.insert(operation.kind(), start.elapsed());
                    let done = self.acknowledged(&operation, &Ended::from(ended));
                    assert!(done, "operation {number}, undisturbed: {operation:?}");
                    self.note(&operation);
                }
            }
        }
        self.all_data_is_there();
        drop(self.plugged.take());
        self.compare(None, "at the end");
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

    fn start(&self, operation: &Operation) -> std::process::Child {
        let module = crate::pcscd::opensc_module();
        let pin = PINS[self.told.pin];
        let mut words = vec!["--module", &module];
        let id;
        match operation {
            Operation::WrongPin => words.extend(["--login", "--pin", "00000000", "--list-objects"]),
            Operation::ChangePin => {
                words.extend(["--change-pin", "--pin", pin, "--new-pin", PINS[1 - self.told.pin]]);
            }
            Operation::Sign => words.extend([
                "--login",
                "--pin",
                pin,
                "--sign",
                "--id",
                "01",
                "--mechanism",
                "ECDSA",
                "--input-file",
                "digest",
                "--output-file",
                "signature",
                "--signature-format",
                "openssl",
            ]),
            Operation::MakeKey(label) => {
                id = id_of(label);
                words.extend([
                    "--login",
                    "--pin",
                    pin,
                    "--keypairgen",
                    "--key-type",
                    "EC:prime256v1",
                    "--label",
                    label,
                    "--id",
                    &id,
                ]);
            }
            Operation::DeleteKey(label) => {
                id = id_of(label);
                words.extend([
                    "--login",
                    "--pin",
                    pin,
                    "--delete-object",
                    "--type",
                    "privkey",
                    "--id",
                    &id,
                ]);
            }
            Operation::WriteData(label, content) => {
                self.pcscd.write("content", content);
                words.extend([
                    "--login",
                    "--pin",
                    pin,
                    "--write-object",
                    "content",
                    "--type",
                    "data",
                    "--label",
                    label,
                    "--application-label",
                    "campaign",
                ]);
            }
            Operation::DeleteData(label) => words.extend([
                "--login",
                "--pin",
                pin,
                "--delete-object",
                "--type",
                "data",
                "--label",
                label,
                "--application-label",
                "campaign",
            ]),
        }
        // What an earlier one wrote is not taken for this one's.
        let _ = std::fs::remove_file(self.pcscd.file("signature"));
        self.pcscd.command("pkcs11-tool", &words).spawn().unwrap()
    }

    /// Whether the client was told that it is done.
    fn acknowledged(&self, operation: &Operation, ended: &Ended) -> bool {
        match operation {
            Operation::WrongPin => {
                let refused = ["CKR_PIN_INCORRECT", "CKR_PIN_LOCKED"];
                refused.iter().any(|code| ended.err.contains(code))
            }
            Operation::Sign if ended.code == 0 => {
                let words = [
                    "pkeyutl",
                    "-verify",
                    "-pubin",
                    "-inkey",
                    "counted.pub",
                    "-in",
                    "digest",
                    "-sigfile",
                    "signature",
                ];
                judge(&self.pcscd.file(""), "openssl", &words).ok();
                true
            }
            _ => ended.code == 0,
        }
    }

    /// Takes over what the client was told.
    fn note(&mut self, operation: &Operation) {
        let told = &mut self.told;
        match operation {
            Operation::WrongPin => told.tries -= 1,
            Operation::ChangePin => {
                told.pin = 1 - told.pin;
                told.tries = TRIES;
            }
            Operation::Sign => {
                told.tries = TRIES;
                told.uses -= 1;
            }
            Operation::MakeKey(label) => {
                told.tries = TRIES;
                told.keys.insert(label.clone());
            }
            Operation::DeleteKey(label) => {
                told.tries = TRIES;
                told.keys.remove(label);
            }
            Operation::WriteData(label, content) => {
                told.tries = TRIES;
                told.data.insert(label.clone(), content.clone());
            }
            Operation::DeleteData(label) => {
                told.tries = TRIES;
                told.data.remove(label);
            }
        }
    }

    /// Kills the plugging process at some moment of an operation, and looks at the token.
    fn disturbed(&mut self, operation: &Operation, usual: Duration) {
        let client = self.start(operation);
        thread::sleep(self.dice.moment(usual));
        self.plugged.take().unwrap().kill();
        self.kills += 1;
        let ended = Ended::from(client.wait_with_output().unwrap());
        if self.acknowledged(operation, &ended) {
            self.note(operation);
            self.compare(None, &format!("after {operation:?} was acknowledged"));
        } else {
            self.half_done += 1;
            self.compare(Some(operation), &format!("in the middle of {operation:?}"));
        }
        // pcscd looks for cards now and then: the next client must not meet the one that was pulled.
        self.pcscd.wait_for_cards(0);
        self.plugged = Some(Plugged::into(&self.pcscd, &self.home, &["one"]));
    }

    /// Compares the token with what clients were told; what an unfinished operation did becomes known by it.
    fn compare(&mut self, unfinished: Option<&Operation>, when: &str) {
        let mut token = open(&self.home);
        let card = &mut token;
        let told = &mut self.told;

        let tries = match card.pin_status().unwrap() {
            PinStatus::NotVerified { tries_left } => tries_left,
            other => panic!("{when}: {other:?}"),
        };
        // A try is taken before the PIN is looked at, so that no pulled plug gives one back.
        let possible = match unfinished {
            None => vec![told.tries],
            Some(Operation::WrongPin) => vec![told.tries, told.tries - 1],
            Some(_) => vec![told.tries, told.tries - 1, TRIES],
        };
        assert!(
            possible.contains(&tries),
            "{when}: {tries} tries, told {}",
            told.tries
        );
        told.tries = tries;

        let uses = card
            .key_attributes(COUNTED)
            .unwrap()
            .unwrap()
            .use_counter
            .unwrap();
        let taken = told.uses - uses;
        let most = u32::from(matches!(unfinished, Some(Operation::Sign)));
        assert!(
            uses <= told.uses && taken <= most,
            "{when}: {uses} uses left, told {}",
            told.uses
        );
        told.uses = uses;

        let mut labels = BTreeSet::new();
        let mut strays = BTreeSet::new();
        for key in keystore::list(card).unwrap() {
            if key.id == COUNTED {
                continue;
            }
            if key.label().is_empty() {
                strays.insert(key.id.0);
                continue;
            }
            let label = key.label().to_owned();
            assert_eq!(hex::encode(key.cka_id()), id_of(&label), "{when}: {label}");
            assert!(key.public_key.is_some(), "{when}: {label} has no public key");
            labels.insert(label);
        }
        match unfinished {
            Some(Operation::MakeKey(label)) if labels.contains(label) => {
                told.keys.insert(label.clone());
            }
            Some(Operation::DeleteKey(label)) if !labels.contains(label) => {
                told.keys.remove(label);
            }
            _ => {}
        }
        assert_eq!(labels, told.keys, "{when}");
        let new: Vec<_> = strays.difference(&told.strays).collect();
        let allowed = usize::from(matches!(
            unfinished,
            Some(Operation::MakeKey(_) | Operation::DeleteKey(_))
        ));
        assert!(new.len() <= allowed, "{when}: keys {new:02X?} appeared");
        told.strays = strays;

        if let Some(Operation::ChangePin) = unfinished {
            // Which of the two it is now; the other costs a try, which the right one gives back.
            let [old, new] = [told.pin, 1 - told.pin].map(|number| Pin::new(PINS[number]).unwrap());
            drop(token);
            match open(&self.home).verify_pin(&old) {
                Ok(_) => {}
                Err(failed) => {
                    assert!(failed.card.verify_pin(&new).is_ok(), "{when}: it has neither PIN");
                    told.pin = 1 - told.pin;
                }
            }
            told.tries = TRIES;
        }
        if let Some(Operation::WriteData(label, _) | Operation::DeleteData(label)) = unfinished {
            // It is seen whole or not at all when it is next read.
            told.data.remove(label);
        }
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

fn p256(id: KeyId, use_counter: Option<u32>) -> KeySpec {
    KeySpec {
        id,
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: "UTCAMPAIGN00000".parse().unwrap(),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter,
    }
}

/// CKA_ID of a key, from the number in its label.
fn id_of(label: &str) -> String {
    let number: u32 = label.rsplit('-').next().unwrap().parse().unwrap();
    format!("{:08x}", 0x4000_0000 + number)
}

/// The token, in this process.
fn open(home: &Home) -> Selected<VirtualToken> {
    let data = DataDir::open(&home.data()).unwrap();
    let token = VirtualToken::open(&data.tokens().join("one"), &data.at_rest()).unwrap();
    Card::new(token).select().unwrap()
}

/// Initialises the token, with a key whose uses are counted: OpenSC cannot make one.
fn prepare(home: &Home) {
    let mut token = open(home);
    let pin = || Pin::new(PINS[0]).unwrap();
    token
        .initialize(&Initialize {
            options: InitializeOptions(0x0001),
            user_pin: Some(pin()),
            so_pin: SoPin::from_hex(SO_PIN).unwrap(),
            retry: TRIES,
            dkek_shares: None,
            quorum: None,
            domains: None,
        })
        .unwrap();
    let mut card = token.verify_pin(&pin()).unwrap();
    let key = card.generate(&p256(COUNTED, Some(USES))).unwrap();
    card.describe_key(COUNTED, &key.public_key, &KeyDescription::new("counted"))
        .unwrap();
}
