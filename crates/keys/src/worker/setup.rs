//! Setting an HSM up: initialisation and registration of custodians.

use chancery_driver::{Initialize, PkaRegistration, Quorum, RegistrationError};
use chancery_schsm::{InitializeOptions, Kcv, Kek};

use super::Worker;
use super::held::{Held, ask};
use crate::{HsmError, Initialise, Inspection};

/// Tries of a user PIN that the token does not have; the command wants a number none the less.
const TRIES: u8 = 3;
/// The key domain that is set up.
const DOMAIN: u8 = 0;

impl Worker {
    pub(crate) fn initialise(&mut self, parameters: &Initialise) -> Result<Inspection, HsmError> {
        let hsm = self.shared.name.clone();
        let input = |what: &str| HsmError::Input {
            hsm: hsm.clone(),
            what: what.to_owned(),
        };
        let kek = Kek::from_shares(&parameters.shares).map_err(|error| input(&error.to_string()))?;
        if kek.is_zero() {
            return Err(input("its shares cancel each other out: they make no key"));
        }
        let shares = u8::try_from(parameters.shares.len()).map_err(|_| input("more than 255 shares"))?;
        let setup = Initialize {
            options: InitializeOptions::NONE,
            user_pin: None,
            so_pin: parameters.so_pin.clone(),
            retry: TRIES,
            dkek_shares: Some(shares),
            quorum: Some(Quorum {
                required: parameters.required,
                total: parameters.total,
            }),
            domains: None,
        };
        setup.check().map_err(|error| input(&error.to_string()))?;

        let count = self.inspect()?.keys.len();
        if count > 0 {
            return Err(HsmError::HoldsKeys { hsm, count });
        }
        if matches!(self.card, Held::Open(_)) {
            self.select_again()?;
        }
        let Held::Selected(card) = &mut self.card else {
            return Err(self.shared.not_open());
        };
        // From here on it is not what it was, even when the next command fails.
        self.status = None;
        if let Err(error) = card.initialize(&setup) {
            return Err(self.failed("be initialised", error));
        }
        self.registered.clear();
        for share in &parameters.shares {
            ask!(self.failed, "import a share", card => card.import_share(DOMAIN, share));
        }
        self.select_again()?;
        self.look(None)?;
        let inspection = self.inspect()?;
        let expected = kek.kcv();
        if inspection.kcv == Some(expected.0) {
            return Ok(inspection);
        }
        Err(HsmError::OtherKeyDomain {
            hsm,
            kcv: inspection.kcv.map_or(Kcv::NONE, Kcv),
            expected,
        })
    }

    pub(crate) fn register(&mut self, chain: &[u8], request: &[u8]) -> Result<Inspection, HsmError> {
        let hsm = self.shared.name.clone();
        let registration = self.verified(chain, request)?;
        let custodian = registration.custodian().to_string();
        let unattested = |source| HsmError::Unattested {
            hsm: hsm.clone(),
            key: custodian.clone(),
            source,
        };
        let key = registration
            .public_key()
            .to_spki_der()
            .map_err(|error| unattested(Box::new(error)))?;
        let seen = self.inspect()?;
        let wrong = |what: String| HsmError::WrongKey {
            hsm: hsm.clone(),
            what,
        };
        if seen.custodians.iter().any(|known| known.chr == custodian) {
            return match self.registered.get(&custodian) {
                Some(known) if *known != key => Err(wrong(format!(
                    "another custodian key is registered as {custodian}"
                ))),
                _ => Ok(seen),
            };
        }
        if let Some((name, _)) = self.registered.iter().find(|(_, known)| **known == key) {
            return Err(wrong(format!(
                "the key of {custodian} is registered already as {name}"
            )));
        }
        let Held::Selected(card) = &mut self.card else {
            let total = seen.quorum.map_or(0, |quorum| quorum.total);
            return Err(HsmError::Registration {
                hsm,
                custodian,
                source: Box::new(RegistrationError::NoneMissing { total }),
            });
        };
        match card.register_custodian(&registration) {
            Ok(status) => {
                self.registered.insert(custodian, key);
                self.settle(Some(status), None)?;
                self.inspect()
            }
            Err(RegistrationError::Card(error)) => Err(self.failed("register a custodian", error)),
            Err(source) => Err(HsmError::Registration {
                hsm,
                custodian,
                source: Box::new(source),
            }),
        }
    }

    /// A registration whose chain and request hold.
    fn verified(&self, chain: &[u8], request: &[u8]) -> Result<PkaRegistration, HsmError> {
        let unattested = |source: Box<dyn std::error::Error + Send + Sync>| HsmError::Unattested {
            hsm: self.shared.name.clone(),
            key: "the custodian key".to_owned(),
            source,
        };
        let registration =
            PkaRegistration::from_chain(chain, request).map_err(|error| unattested(Box::new(error)))?;
        registration
            .verify(&self.anchors)
            .map_err(|error| unattested(Box::new(error)))?;
        Ok(registration)
    }
}
