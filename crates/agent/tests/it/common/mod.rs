//! Virtual tokens of people and HSMs in a directory of their own.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use chancery_agent::{LocalTokens, PinSource, UnlockedToken, initialise};
use chancery_api::InstallationId;
use chancery_cvc::AuthenticatedRequest;
use chancery_driver::{Pin, SoPin};
use chancery_schsm::fid;
use chancery_vtoken::{AtRest, Factory, TokenName};
use openssl::{bn::BigNum, ecdsa::EcdsaSig, pkey::PKey, sha::sha256};
use time::{Date, Month};
use uuid::Uuid;

pub(crate) const PIN: &str = "648219";
pub(crate) const SO_PIN: &str = "3537363231383830";

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) tokens: LocalTokens,
}

impl Place {
    /// Tokens of these names; those of people have PINs.
    pub(crate) fn new(people: &[&str], hsms: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("machine.secret"));
        let today = Date::from_calendar_date(2026, Month::November, 21).unwrap();
        let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, today).unwrap();
        let directory = dir.path().join("tokens");
        for name in people.iter().chain(hsms) {
            factory
                .create(&directory, &TokenName::new(name).unwrap(), today)
                .unwrap();
        }
        let tokens = LocalTokens::new(&directory, at_rest, Some(&factory)).unwrap();
        for name in people {
            let mut token = tokens.open(name).unwrap();
            assert!(!token.has_pin().unwrap());
            initialise(
                &mut token,
                Pin::new(PIN).unwrap(),
                SoPin::from_hex(SO_PIN).unwrap(),
            )
            .unwrap();
            assert!(token.has_pin().unwrap());
        }
        Self { dir, tokens }
    }

    pub(crate) fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn pins(&self, pin: &str) -> PinSource {
        PinSource::File(self.file("pin", &format!("{pin}\n"), 0o600))
    }

    pub(crate) fn unlocked(&self, name: &str) -> UnlockedToken {
        self.tokens.open(name).unwrap().unlock(&self.pins(PIN)).unwrap()
    }

    pub(crate) fn chain(&self, name: &str) -> Vec<u8> {
        self.tokens
            .open(name)
            .unwrap()
            .card()
            .read_file(fid::DEVICE_CERTIFICATES)
            .unwrap()
            .unwrap()
    }
}

pub(crate) fn installation() -> InstallationId {
    InstallationId::new(Uuid::from_bytes([7; 16]))
}

/// Whether a plain signature over a message is that of the key in an authenticated request.
pub(crate) fn is_signed_by(key_request: &[u8], message: &[u8], plain: &[u8]) -> bool {
    let request = AuthenticatedRequest::parse(key_request).unwrap();
    let key = PKey::public_key_from_der(&request.request().public_key().to_spki_der().unwrap()).unwrap();
    let signature = EcdsaSig::from_private_components(
        BigNum::from_slice(&plain[..32]).unwrap(),
        BigNum::from_slice(&plain[32..]).unwrap(),
    )
    .unwrap();
    signature
        .verify(&sha256(message), &key.ec_key().unwrap())
        .unwrap()
}
