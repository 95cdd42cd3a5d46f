//! Public key authentication on the HSM: status, custodians, teaching it a chain, registration.

use chancery_cvc::Reference;
use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::PkaStatus;

use crate::error::{Doing, Error};
use crate::introduce::IntroductionError;
use crate::registration::PkaRegistration;
use crate::session::Session;

/// Most custodian keys a token takes.
const MAX_CUSTODIANS: u8 = 90;

/// One place for a custodian key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodianSlot {
    /// Number of the place, from 0.
    pub index: u8,
    /// Name of the registered key; `None` while the place is free.
    pub custodian: Option<Reference>,
    /// Whether this key has answered since the token was selected.
    pub answered: bool,
}

/// A custodian key that was not registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The token was not initialised for public key authentication.
    #[error("the token was not initialised with a quorum")]
    NotConfigured,
    /// Every place is taken.
    #[error("all {total} custodian keys are registered already")]
    NoneMissing {
        /// Number of places.
        total: u8,
    },
    /// The name is taken; the HSM would not know whose answer it sees.
    #[error("a custodian key named {custodian} is registered already")]
    DuplicateName {
        /// The name.
        custodian: Reference,
    },
    /// The same key under another name: one person would count twice.
    #[error("the public key of {custodian} is registered already under another name")]
    DuplicateKey {
        /// The name it was to be registered under.
        custodian: Reference,
    },
    /// The HSM has no root that certifies the custodian's token.
    #[error("the HSM does not know {issuer}, which certifies the custodian's token")]
    UnknownIssuer {
        /// Name of the missing authority.
        issuer: Reference,
    },
    /// The HSM did not accept a certificate of the custodian's token.
    #[error("the HSM refused the certificate of {holder}")]
    CertificateRefused {
        /// Holder of the certificate.
        holder: Reference,
        /// The refusal.
        #[source]
        source: Error,
    },
    /// The public key cannot be compared with those registered.
    #[error("the public key of {custodian} cannot be read")]
    Key {
        /// Name of the key.
        custodian: Reference,
        /// Why.
        #[source]
        source: chancery_cvc::KeyError,
    },
    /// A card command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

impl<T: Transport> Session<T> {
    /// State of the quorum; `None` when the token was not initialised with one.
    pub(crate) fn pka_status(&mut self) -> Result<Option<PkaStatus>, Error> {
        let doing = Doing::new("MANAGE PUBLIC KEY AUTHENTICATION", "status");
        let response = self
            .link
            .exchange(&doing, Ok(CommandApdu::new(0x80, 0x54, 0x00, 0x00).expecting(4)))?;
        match response.status {
            StatusWord::OK => parse_status(&doing, &response.data).map(Some),
            StatusWord(0x6D00 | 0x6A86) => Ok(None),
            status => Err(Error::refused(&doing, status)),
        }
    }

    /// Every place for a custodian key; empty when the token has no quorum.
    pub(crate) fn custodians(&mut self) -> Result<Vec<CustodianSlot>, Error> {
        let Some(status) = self.pka_status()? else {
            return Ok(Vec::new());
        };
        (0..status.total.min(MAX_CUSTODIANS))
            .map(|index| self.custodian(index))
            .collect()
    }

    /// Registers a custodian key. The chain of its token is made known to the HSM first.
    pub(crate) fn register_custodian(
        &mut self,
        new: &PkaRegistration,
    ) -> Result<PkaStatus, RegistrationError> {
        let custodian = new.custodian().clone();
        let status = self.pka_status()?.ok_or(RegistrationError::NotConfigured)?;
        if status.missing == 0 {
            return Err(RegistrationError::NoneMissing { total: status.total });
        }
        for index in 0..status.total.min(MAX_CUSTODIANS) {
            if self.custodian(index)?.custodian.as_ref() == Some(&custodian) {
                return Err(RegistrationError::DuplicateName { custodian });
            }
        }
        let public_key = new
            .public_key()
            .to_spki_der()
            .map_err(|source| RegistrationError::Key {
                custodian: custodian.clone(),
                source,
            })?;
        if self.registered.contains(&public_key) {
            return Err(RegistrationError::DuplicateKey { custodian });
        }
        self.introduce(new.dica(), new.device(), new.request().outer_car())?;
        let doing = Doing::new(
            "MANAGE PUBLIC KEY AUTHENTICATION",
            format!("registration of {custodian}"),
        );
        let command = CommandApdu::new(0x80, 0x54, 0x00, 0x00).expecting(256);
        let command = self.oversize(command, new.request().content())?;
        let response = self
            .link
            .expect_ok(&doing, command, |doing, status| match status.0 {
                0x6D00 | 0x6A86 => Error::NotOffered {
                    doing: doing.clone(),
                    status,
                },
                _ => Error::refused(doing, status),
            })?;
        let status = parse_status(&doing, &response.data)?;
        self.registered.push(public_key);
        Ok(status)
    }

    fn custodian(&mut self, index: u8) -> Result<CustodianSlot, Error> {
        let doing = Doing::new("MANAGE PUBLIC KEY AUTHENTICATION", format!("custodian {index}"));
        let command = CommandApdu::new(0x80, 0x54, 0x02, index).expecting(256);
        let response = self.link.exchange(&doing, Ok(command))?;
        let answered = match response.status {
            StatusWord::OK => false,
            StatusWord(0x9001) => true,
            StatusWord(0x6A88) => {
                return Ok(CustodianSlot {
                    index,
                    custodian: None,
                    answered: false,
                });
            }
            status => return Err(Error::refused(&doing, status)),
        };
        let custodian = Reference::from_bytes(&response.data)
            .map_err(|error| Error::protocol(&doing, format!("no custodian's name: {error}")))?;
        Ok(CustodianSlot {
            index,
            custodian: Some(custodian),
            answered,
        })
    }
}

impl From<IntroductionError> for RegistrationError {
    fn from(error: IntroductionError) -> Self {
        match error {
            IntroductionError::UnknownIssuer { issuer } => Self::UnknownIssuer { issuer },
            IntroductionError::CertificateRefused { holder, source } => {
                Self::CertificateRefused { holder, source }
            }
            IntroductionError::Card(error) => Self::Card(error),
        }
    }
}

pub(crate) fn parse_status(doing: &Doing, data: &[u8]) -> Result<PkaStatus, Error> {
    PkaStatus::parse(data).map_err(|error| Error::protocol(doing, error.to_string()))
}
