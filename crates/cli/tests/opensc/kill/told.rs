//! What clients were told, and the token beside it.

use std::collections::{BTreeMap, BTreeSet};

use chancery_driver::{Pin, PinStatus, keystore};

use super::{
    operation::{Operation, id_of},
    token::{COUNTED, PINS, TRIES, open},
};
use crate::common::Home;

/// What a client was told last.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) pin: usize,
    pub(super) tries: u8,
    pub(super) uses: u32,
    /// Labels of keys that were made.
    pub(super) keys: BTreeSet<String>,
    /// Contents by label.
    pub(super) data: BTreeMap<String, String>,
    /// Keys that nobody was told of: their generation was disturbed.
    pub(super) strays: BTreeSet<u8>,
}

impl Told {
    /// Takes over what the client was told.
    pub(super) fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::WrongPin => self.tries -= 1,
            Operation::ChangePin => {
                self.pin = 1 - self.pin;
                self.tries = TRIES;
            }
            Operation::Sign => {
                self.tries = TRIES;
                self.uses -= 1;
            }
            Operation::MakeKey(label) => {
                self.tries = TRIES;
                self.keys.insert(label.clone());
            }
            Operation::DeleteKey(label) => {
                self.tries = TRIES;
                self.keys.remove(label);
            }
            Operation::WriteData(label, content) => {
                self.tries = TRIES;
                self.data.insert(label.clone(), content.clone());
            }
            Operation::DeleteData(label) => {
                self.tries = TRIES;
                self.data.remove(label);
            }
        }
    }

    /// Compares the token with what clients were told; what an unfinished operation did becomes known by it.
    pub(super) fn compare(&mut self, home: &Home, unfinished: Option<&Operation>, when: &str) {
        let mut token = open(home);
        let card = &mut token;

        let tries = match card.pin_status().unwrap() {
            PinStatus::NotVerified { tries_left } => tries_left,
            other => panic!("{when}: {other:?}"),
        };
        // A try is taken before the PIN is looked at, so that no pulled plug gives one back.
        let possible = match unfinished {
            None => vec![self.tries],
            Some(Operation::WrongPin) => vec![self.tries, self.tries - 1],
            Some(_) => vec![self.tries, self.tries - 1, TRIES],
        };
        assert!(
            possible.contains(&tries),
            "{when}: {tries} tries, told {}",
            self.tries
        );
        self.tries = tries;

        let uses = card
            .key_attributes(COUNTED)
            .unwrap()
            .unwrap()
            .use_counter
            .unwrap();
        let taken = self.uses - uses;
        let most = u32::from(matches!(unfinished, Some(Operation::Sign)));
        assert!(
            uses <= self.uses && taken <= most,
            "{when}: {uses} uses left, told {}",
            self.uses
        );
        self.uses = uses;

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
                self.keys.insert(label.clone());
            }
            Some(Operation::DeleteKey(label)) if !labels.contains(label) => {
                self.keys.remove(label);
            }
            _ => {}
        }
        assert_eq!(labels, self.keys, "{when}");
        let new: Vec<_> = strays.difference(&self.strays).collect();
        let allowed = usize::from(matches!(
            unfinished,
            Some(Operation::MakeKey(_) | Operation::DeleteKey(_))
        ));
        assert!(new.len() <= allowed, "{when}: keys {new:02X?} appeared");
        self.strays = strays;

        if let Some(Operation::ChangePin) = unfinished {
            // Which of the two it is now; the other costs a try, which the right one gives back.
            let [old, new] = [self.pin, 1 - self.pin].map(|number| Pin::new(PINS[number]).unwrap());
            drop(token);
            match open(home).verify_pin(&old) {
                Ok(_) => {}
                Err(failed) => {
                    assert!(failed.card.verify_pin(&new).is_ok(), "{when}: it has neither PIN");
                    self.pin = 1 - self.pin;
                }
            }
            self.tries = TRIES;
        }
        if let Some(Operation::WriteData(label, _) | Operation::DeleteData(label)) = unfinished {
            // It is seen whole or not at all when it is next read.
            self.data.remove(label);
        }
    }
}
