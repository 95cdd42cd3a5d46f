//! Making devices known to a token, so that it believes what they vouch for (reference: BSI TR-03110-3 B.11.4).

use chancery_cvc::{Certificate, Reference};
use chancery_iso7816::tlv::{Tag, Writer};
use chancery_iso7816::{CommandApdu, StatusWord, Transport};

use crate::error::{Doing, Error};
use crate::session::Session;

/// A device that a token does not take for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntroductionError {
    /// The token has no root that certifies the device.
    #[error("the token does not know {issuer}, which certifies the other token")]
    UnknownIssuer {
        /// Name of the missing authority.
        issuer: Reference,
    },
    /// The token did not accept a certificate of the chain.
    #[error("the token refused the certificate of {holder}")]
    CertificateRefused {
        /// Holder of the certificate.
        holder: Reference,
        /// The refusal.
        #[source]
        source: Error,
    },
    /// A card command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

impl<T: Transport> Session<T> {
    /// Makes the chain of a device known and chooses the key named `signer`, whose signature comes next.
    pub(crate) fn introduce(
        &mut self,
        dica: &Certificate,
        device: &Certificate,
        signer: &Reference,
    ) -> Result<(), IntroductionError> {
        self.teach(dica)?;
        self.teach(device)?;
        if self.select_verification_key(signer)? {
            Ok(())
        } else {
            Err(IntroductionError::UnknownIssuer {
                issuer: signer.clone(),
            })
        }
    }

    /// Makes a certificate's key known: nothing to do when it is, else its issuer must be.
    fn teach(&mut self, certificate: &Certificate) -> Result<(), IntroductionError> {
        let holder = certificate.chr();
        if self.select_verification_key(holder)? {
            return Ok(());
        }
        let issuer = certificate.car();
        if !self.select_verification_key(issuer)? {
            return Err(IntroductionError::UnknownIssuer {
                issuer: issuer.clone(),
            });
        }
        let doing = Doing::new(
            "PERFORM SECURITY OPERATION",
            format!("verify certificate of {holder}"),
        );
        let command = CommandApdu::new(0x00, 0x2A, 0x00, 0xBE).with_data(&certificate.content());
        match self.link.expect_ok(&doing, command, Error::refused) {
            Ok(_) => Ok(()),
            Err(source @ Error::Refused { .. }) => Err(IntroductionError::CertificateRefused {
                holder: holder.clone(),
                source,
            }),
            Err(other) => Err(other.into()),
        }
    }

    /// MSE SET DST; `false` when the card does not know the key.
    fn select_verification_key(&mut self, name: &Reference) -> Result<bool, Error> {
        let doing = Doing::new("MANAGE SECURITY ENVIRONMENT", format!("verification key {name}"));
        let command = CommandApdu::new(0x00, 0x22, 0x81, 0xB6).with_data(&key_reference(name));
        let response = self.link.exchange(&doing, command)?;
        match response.status {
            StatusWord::OK => Ok(true),
            StatusWord(0x6A88) => Ok(false),
            status => Err(Error::refused(&doing, status)),
        }
    }
}

/// DO 83 with the name of a key.
pub(crate) fn key_reference(name: &Reference) -> Vec<u8> {
    let mut data = Writer::new();
    data.tlv(Tag(0x83), name.as_bytes());
    data.finish()
}
