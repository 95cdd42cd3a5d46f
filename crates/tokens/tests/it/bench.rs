//! Virtual tokens that stay plugged in while connections come and go, links that break, and openssl as judge.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_cvc::{Curve, PublicKey, TrustAnchors};
use chancery_driver::{AesSize, Authenticated, Card, Initialize, Pin, SoPin};
use chancery_iso7816::recording::{Log, Recording};
use chancery_iso7816::{Transport, TransportError};
use chancery_schsm::{AlgorithmList, InitializeOptions, Kek, KekShare, KeyId};
use chancery_tokens::archive::Archive;
use chancery_tokens::journal::Journal;
use chancery_tokens::keys::{MadeKey, NewKey, NewKeyKind, generate};
use chancery_tokens::transfer::Noted;
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use tempfile::TempDir;
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub(crate) const SHARES: [[u8; 32]; 2] = [[0x11; 32], [0x2A; 32]];
pub(crate) const OTHER_SHARES: [[u8; 32]; 1] = [[0x77; 32]];

/// A factory of tokens, and the directories of a host that works with them.
pub(crate) struct Bench {
    directory: TempDir,
    at_rest: AtRest,
    factory: Factory,
    pub(crate) anchors: TrustAnchors,
}

/// A token that several connections reach one after the other.
#[derive(Clone)]
pub(crate) struct Token {
    inner: Arc<Mutex<Recording<VirtualToken>>>,
    pub(crate) log: Log,
    pub(crate) device: String,
}

/// Where a link breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// The command never reaches the card.
    Command,
    /// The card did it, and its answer is lost.
    Answer,
}

/// A link that breaks at one exchange and stays broken.
pub(crate) struct Breaking {
    inner: Token,
    left: usize,
    loss: Loss,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let at_rest = AtRest::MachineSecret(directory.path().join("secret"));
        let factory = Factory::open_or_create(&directory.path().join("factory"), &at_rest, today()).unwrap();
        let mut anchors = TrustAnchors::none();
        anchors.add_bytes(factory.root_certificate()).unwrap();
        Self {
            directory,
            at_rest,
            factory,
            anchors,
        }
    }

    /// A token with a PIN and, with shares, a complete key encryption key in domain 0.
    pub(crate) fn token(&self, name: &str, shares: &[[u8; 32]]) -> Token {
        let tokens = self.directory.path().join("tokens");
        let name = TokenName::new(name).unwrap();
        self.factory.create(&tokens, &name, today()).unwrap();
        let token = Recording::new(VirtualToken::open(&tokens.join(name.as_str()), &self.at_rest).unwrap());
        let log = token.log();
        let mut token = Token {
            inner: Arc::new(Mutex::new(token)),
            log,
            device: String::new(),
        };
        let mut card = Card::new(token.clone()).select().unwrap();
        card.initialize(&Initialize {
            options: InitializeOptions::NONE,
            user_pin: Some(pin()),
            so_pin: SoPin::new(*b"57621880"),
            retry: 3,
            dkek_shares: (!shares.is_empty()).then(|| u8::try_from(shares.len()).unwrap()),
            quorum: None,
            domains: None,
        })
        .unwrap();
        for share in shares {
            card.import_share(0, &KekShare::new(*share)).unwrap();
        }
        token.device = card
            .device_chain()
            .unwrap()
            .device_name()
            .unwrap()
            .holder()
            .to_owned();
        token
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn archive(&self) -> Archive {
        Archive::below(self.directory.path())
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::new(self.directory.path().join("journal"))
    }

    pub(crate) fn make(&self, token: &Token, kind: NewKeyKind, label: &str) -> MadeKey {
        self.make_with(token, &new_key(kind, label))
    }

    pub(crate) fn make_with(&self, token: &Token, new: &NewKey) -> MadeKey {
        generate(&mut token.login(), new, &self.anchors, &self.archive(), now()).unwrap()
    }
}

impl Token {
    pub(crate) fn login(&self) -> Authenticated<Self> {
        login(self.clone())
    }

    pub(crate) fn breaking(&self, after: usize, loss: Loss) -> Breaking {
        Breaking {
            inner: self.clone(),
            left: after,
            loss,
        }
    }

    pub(crate) fn noted<'a>(&'a self, journal: &'a Journal) -> Noted<'a> {
        Noted {
            journal,
            device: &self.device,
            token: &self.device,
            now: 1_790_000_000,
        }
    }
}

impl Transport for Token {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).reset()
    }
}

impl Transport for Breaking {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return self.inner.transmit(command);
        }
        if matches!(self.loss, Loss::Answer) {
            self.loss = Loss::Command;
            drop(self.inner.transmit(command));
        }
        Err(TransportError::lost("pulled by the test"))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

pub(crate) fn login<T: Transport>(transport: T) -> Authenticated<T> {
    Card::new(transport).select().unwrap().verify_pin(&pin()).unwrap()
}

pub(crate) fn pin() -> Pin {
    Pin::new("648219").unwrap()
}

pub(crate) fn kek(shares: &[[u8; 32]]) -> Kek {
    let shares: Vec<_> = shares.iter().map(|share| KekShare::new(*share)).collect();
    Kek::from_shares(&shares).unwrap()
}

pub(crate) fn new_key(kind: NewKeyKind, label: &str) -> NewKey {
    NewKey {
        id: None,
        kind,
        label: label.to_owned(),
        cka_id: None,
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter: None,
    }
}

pub(crate) const P256: NewKeyKind = NewKeyKind::Ec(Curve::Secp256r1);
pub(crate) const AES: NewKeyKind = NewKeyKind::Aes(AesSize::Bits256);
pub(crate) const FIRST: KeyId = KeyId(1);

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
}

fn today() -> chancery_cvc::Date {
    chancery_cvc::Date::from_ordinal_date(2026, 325).unwrap()
}

/// Runs openssl; what it writes to standard output.
pub(crate) fn openssl(directory: &Path, words: &[&str]) -> Vec<u8> {
    let run = Command::new("openssl")
        .current_dir(directory)
        .args(words)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "openssl {words:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    run.stdout
}

/// Whether openssl verifies a signature over a message.
pub(crate) fn openssl_accepts(key: &PublicKey, message: &[u8], signature: &[u8], options: &[&str]) -> bool {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("key.der"), key.to_spki_der().unwrap()).unwrap();
    std::fs::write(directory.path().join("message"), message).unwrap();
    std::fs::write(directory.path().join("signature"), signature).unwrap();
    Command::new("openssl")
        .current_dir(directory.path())
        .args([
            "dgst",
            "-keyform",
            "DER",
            "-verify",
            "key.der",
            "-signature",
            "signature",
        ])
        .args(options)
        .arg("message")
        .output()
        .unwrap()
        .status
        .success()
}

/// A certificate for a public key, DER, issued by a key of its own.
pub(crate) fn certificate_for(key: &PublicKey, name: &str) -> Vec<u8> {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    let issuer = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
    let mut subject = openssl::x509::X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key.to_pkey().unwrap()).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(30).unwrap())
        .unwrap();
    builder.sign(&issuer, MessageDigest::sha256()).unwrap();
    builder.build().to_der().unwrap()
}
