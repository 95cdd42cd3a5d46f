//! An installation of virtual tokens in a directory of its own.

use std::collections::BTreeMap;
use std::process::Command;

use chancery_cvc::{DeviceIdentity, PublicKey, Reference, TrustAnchors};
use chancery_driver::{Authenticated, Card, Initialize, Pin, Quorum, SoPin};
use chancery_iso7816::Transport;
use chancery_iso7816::recording::{Log, Recording};
use chancery_schsm::{InitializeOptions, KekShare};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use tempfile::TempDir;

use crate::common::Shared;

/// A virtual token that stays plugged in while connections to it come and go.
pub(crate) type Token = Shared<Recording<VirtualToken>>;

pub(crate) struct Rehearsal {
    directory: TempDir,
    at_rest: AtRest,
    factory: Factory,
    pub(crate) anchors: TrustAnchors,
    logs: BTreeMap<String, Log>,
}

impl Rehearsal {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let at_rest = AtRest::MachineSecret(directory.path().join("secret"));
        let today = chancery_cvc::Date::from_ordinal_date(2026, 325).unwrap();
        let factory = Factory::open_or_create(&directory.path().join("factory"), &at_rest, today).unwrap();
        let mut anchors = TrustAnchors::none();
        anchors.add_bytes(factory.root_certificate()).unwrap();
        Self {
            directory,
            at_rest,
            factory,
            anchors,
            logs: BTreeMap::new(),
        }
    }

    /// Makes a token and plugs it in.
    pub(crate) fn token(&mut self, name: &str) -> Token {
        let tokens = self.directory.path().join("tokens");
        let today = chancery_cvc::Date::from_ordinal_date(2026, 325).unwrap();
        let name = TokenName::new(name).unwrap();
        self.factory.create(&tokens, &name, today).unwrap();
        let token = Recording::new(VirtualToken::open(&tokens.join(name.as_str()), &self.at_rest).unwrap());
        self.logs.insert(name.as_str().to_owned(), token.log());
        Shared::new(token)
    }

    pub(crate) fn log(&self, name: &str) -> &Log {
        &self.logs[name]
    }

    /// A token with a PIN and, with shares, a complete DKEK.
    pub(crate) fn hsm_with_pin(&mut self, name: &str, shares: &[[u8; 32]]) -> Token {
        let token = self.token(name);
        let mut card = Card::new(token.clone()).select().unwrap();
        card.initialize(&Initialize {
            user_pin: Some(pin()),
            ..setup(shares)
        })
        .unwrap();
        import(&mut card, shares);
        token
    }

    /// A token opened by its custodians, without a PIN.
    pub(crate) fn hsm_with_quorum(&mut self, name: &str, shares: &[[u8; 32]], quorum: Quorum) -> Token {
        let token = self.token(name);
        let mut card = Card::new(token.clone()).select().unwrap();
        card.initialize(&Initialize {
            quorum: Some(quorum),
            ..setup(shares)
        })
        .unwrap();
        import(&mut card, shares);
        token
    }

    pub(crate) fn identity<T: Transport>(&self, card: &mut Authenticated<T>) -> DeviceIdentity {
        card.device_identity(&self.anchors).unwrap()
    }
}

pub(crate) fn pin() -> Pin {
    Pin::new("648219").unwrap()
}

pub(crate) fn login<T: Transport>(transport: T) -> Authenticated<T> {
    Card::new(transport).select().unwrap().verify_pin(&pin()).unwrap()
}

pub(crate) fn name(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

/// The openssl command as judge of a signature over a message with SHA-256.
pub(crate) fn openssl_accepts(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let directory = TempDir::new().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let key = file("key.der", &key.to_spki_der().unwrap());
    let (message, signature) = (file("message", message), file("signature", signature));
    let judge = Command::new("openssl")
        .args(["dgst", "-sha256", "-keyform", "DER", "-verify"])
        .arg(key)
        .arg("-signature")
        .arg(signature)
        .arg(message)
        .output()
        .unwrap();
    judge.status.success()
}

fn setup(shares: &[[u8; 32]]) -> Initialize {
    Initialize {
        options: InitializeOptions::NONE,
        user_pin: None,
        so_pin: SoPin::new(*b"57621880"),
        retry: 3,
        dkek_shares: (!shares.is_empty()).then(|| u8::try_from(shares.len()).unwrap()),
        quorum: None,
        domains: None,
    }
}

fn import<T: Transport>(card: &mut chancery_driver::Selected<T>, shares: &[[u8; 32]]) {
    for share in shares {
        card.import_share(0, &KekShare::new(*share)).unwrap();
    }
}
