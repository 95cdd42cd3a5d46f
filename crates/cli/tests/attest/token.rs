//! Virtual tokens as other software would use them.

use chancery_driver::{Card, Initialize, KeyAlgorithm, KeySpec, Pin, SoPin, keystore::KeyDescription};
use chancery_schsm::{AlgorithmList, InitializeOptions, KekShare, KeyId};
use chancery_vtoken::{AtRest, VirtualToken};

use crate::common::Home;

/// A virtual token with a PIN and, with shares, a DKEK, and one key; its files.
pub(crate) struct Token {
    pub(crate) pin_file: String,
}

impl Token {
    pub(crate) fn make(home: &Home, name: &str, shares: Option<u8>) -> Self {
        home.run(&["vtoken", "create", name]).ok();
        let mut card = Card::new(open(home, name)).select().unwrap();
        card.initialize(&Initialize {
            options: InitializeOptions::NONE,
            user_pin: Some(Pin::new("648219").unwrap()),
            so_pin: SoPin::new(*b"57621880"),
            retry: 3,
            dkek_shares: shares,
            quorum: None,
            domains: None,
        })
        .unwrap();
        for _ in 0..shares.unwrap_or(0) {
            card.import_share(0, &KekShare::new([7; 32])).unwrap();
        }
        Self {
            pin_file: home.private(&format!("{name}.pin"), "648219\n"),
        }
    }

    /// Generates a key as other software would, keeping nothing.
    pub(crate) fn generate(home: &Home, name: &str, id: u8) {
        let mut card = Card::new(open(home, name))
            .select()
            .unwrap()
            .verify_pin(&Pin::new("648219").unwrap())
            .unwrap();
        let key = card
            .generate(&KeySpec {
                id: KeyId(id),
                algorithm: KeyAlgorithm::Ec(chancery_cvc::Curve::Secp256r1),
                chr: chancery_cvc::Reference::new("UTCA00001").unwrap(),
                algorithms: AlgorithmList::unrestricted(),
                key_domain: None,
                use_counter: None,
            })
            .unwrap();
        card.describe_key(KeyId(id), &key.public_key, &KeyDescription::new("release"))
            .unwrap();
    }
}

pub(crate) fn open(home: &Home, name: &str) -> VirtualToken {
    let at_rest = AtRest::MachineSecret(home.data().join("machine.secret"));
    VirtualToken::open(&home.data().join("tokens").join(name), &at_rest).unwrap()
}
