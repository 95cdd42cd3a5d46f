//! What a CRL says about one certificate (RFC 5280 5.3).

use core::fmt;

use time::OffsetDateTime;
use x509_cert::ext::pkix::CrlReason;

use crate::serial::SerialNumber;

/// Why a certificate was revoked (RFC 5280 5.3.1). The numbers are those of `CRLReason`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// 0: no reason given; not written into the CRL.
    #[default]
    Unspecified,
    /// 1: the subject's private key is, or may be, known to others.
    KeyCompromise,
    /// 2: the CA's private key is, or may be, known to others.
    CaCompromise,
    /// 3: the subject's name or organisation changed.
    AffiliationChanged,
    /// 4: there is a newer certificate.
    Superseded,
    /// 5: the certificate is no longer needed.
    CessationOfOperation,
    /// 6: revoked for the time being.
    CertificateHold,
    /// 8: for delta CRLs only; [`crate::prepare_crl`] refuses it.
    RemoveFromCrl,
    /// 9: a privilege in the certificate was withdrawn.
    PrivilegeWithdrawn,
    /// 10: an attribute authority's key is, or may be, known to others.
    AaCompromise,
}

/// One revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Serial number of the certificate.
    pub serial: SerialNumber,
    /// When it was revoked; parts of a second are cut off.
    pub revoked_at: OffsetDateTime,
    /// Why.
    pub reason: RevocationReason,
}

impl RevocationReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::RemoveFromCrl,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// The number in `CRLReason`.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::RemoveFromCrl => 8,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }

    /// The reason of a number; nothing for 7 and numbers above 10.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The word for commands and listings, such as `key-compromise`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::CertificateHold => "certificate-hold",
            Self::RemoveFromCrl => "remove-from-crl",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
            Self::AaCompromise => "aa-compromise",
        }
    }

    /// The reason of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    pub(crate) fn to_x509(self) -> CrlReason {
        match self {
            Self::Unspecified => CrlReason::Unspecified,
            Self::KeyCompromise => CrlReason::KeyCompromise,
            Self::CaCompromise => CrlReason::CaCompromise,
            Self::AffiliationChanged => CrlReason::AffiliationChanged,
            Self::Superseded => CrlReason::Superseded,
            Self::CessationOfOperation => CrlReason::CessationOfOperation,
            Self::CertificateHold => CrlReason::CertificateHold,
            Self::RemoveFromCrl => CrlReason::RemoveFromCRL,
            Self::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
            Self::AaCompromise => CrlReason::AaCompromise,
        }
    }

    pub(crate) fn from_x509(reason: CrlReason) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|candidate| candidate.to_x509() == reason)
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_unique() {
        for reason in RevocationReason::ALL {
            assert_eq!(RevocationReason::from_number(reason.number()), Some(reason));
            assert_eq!(RevocationReason::from_word(reason.word()), Some(reason));
            assert_eq!(RevocationReason::from_x509(reason.to_x509()), Some(reason));
            assert_eq!(reason.to_x509() as u32, u32::from(reason.number()));
        }
        assert_eq!(RevocationReason::from_number(7), None);
    }
}
