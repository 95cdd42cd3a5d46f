//! A device whose chain has been verified.

use time::Date;

use super::step::{ChainError, Genuineness, TrustedCertificate};
use crate::certificate::Certificate;
use crate::key::{CvKey, PublicKey};
use crate::reference::Reference;
use crate::role::RoleKind;

/// Who a device is, proven by its chain. It does not prove that the device at hand has the private key: the device
/// shows that by signing something fresh, such as the request of a key it generates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceIdentity {
    device: TrustedCertificate,
    remarks: Vec<DateRemark>,
}

impl DeviceIdentity {
    /// Takes a verified certificate that is a device's. With `today` given, notes which certificates of its chain are
    /// out of date.
    ///
    /// # Errors
    /// [`ChainError::NotADevice`] when it is another one's.
    pub fn new(device: TrustedCertificate, today: Option<Date>) -> Result<Self, ChainError> {
        if device.kind() != RoleKind::Device {
            return Err(ChainError::NotADevice {
                holder: device.name().clone(),
                found: device.kind(),
            });
        }
        let remarks = today
            .map(|today| device.path().filter_map(|link| remark(link, today)).collect())
            .unwrap_or_default();
        Ok(Self { device, remarks })
    }

    /// The holder reference of the device certificate.
    #[must_use]
    pub fn name(&self) -> &Reference {
        self.device.name()
    }

    /// The serial number: the name without its last five characters.
    #[must_use]
    pub fn serial(&self) -> &str {
        self.device.name().holder()
    }

    /// The device's key, domain parameters included.
    #[must_use]
    pub fn device_key(&self) -> &PublicKey {
        self.device.key().key()
    }

    /// The device's key with its algorithm.
    #[must_use]
    pub fn key(&self) -> &CvKey {
        self.device.key()
    }

    /// Which kind of root vouches for the device.
    #[must_use]
    pub fn genuine(&self) -> Genuineness {
        self.device.genuine()
    }

    /// The device certificate and what it leads to.
    #[must_use]
    pub fn trusted(&self) -> &TrustedCertificate {
        &self.device
    }

    /// Names from the root down without their sequences: `/DESRCACC1/DEDINK04/DENK0404144`.
    #[must_use]
    pub fn display_path(&self) -> String {
        self.device
            .path()
            .map(|link| format!("/{}", link.chr().holder()))
            .collect()
    }

    /// The certificates that are out of date, root first. Empty when no date was given.
    #[must_use]
    pub fn date_remarks(&self) -> &[DateRemark] {
        &self.remarks
    }
}

/// A certificate that is out of date. Worth showing, never a reason to refuse a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateRemark {
    /// Whose certificate it is.
    pub holder: Reference,
    /// In which way.
    pub problem: DateProblem,
}

/// In which way a certificate is out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateProblem {
    /// Its last day has passed.
    Expired {
        /// The last day.
        on: Date,
    },
    /// Its first day has not come.
    NotYetValid {
        /// The first day.
        from: Date,
    },
}

impl std::fmt::Display for DateRemark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.problem {
            DateProblem::Expired { on } => write!(f, "the certificate of {} expired on {on}", self.holder),
            DateProblem::NotYetValid { from } => {
                write!(f, "the certificate of {} is valid from {from}", self.holder)
            }
        }
    }
}

fn remark(certificate: &Certificate, today: Date) -> Option<DateRemark> {
    let expired = certificate
        .expires()
        .filter(|on| *on < today)
        .map(|on| DateProblem::Expired { on });
    let early = certificate
        .effective()
        .filter(|from| *from > today)
        .map(|from| DateProblem::NotYetValid { from });
    let problem = expired.or(early)?;
    Some(DateRemark {
        holder: certificate.chr().clone(),
        problem,
    })
}
