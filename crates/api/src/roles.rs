//! Roles of a trust center.

use serde::{Deserialize, Serialize};

/// What a person may do. A role counts only where a TrustCenter Manager has signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Decides on people, custodians, HSMs and CAs.
    TrustcenterManager,
    /// Runs the trust center day by day: attaches and detaches HSMs, copies keys.
    TrustcenterOperator,
    /// Approves or rejects certificate requests.
    RegistrationOfficer,
    /// Decides that a certificate or a CRL is signed.
    CertificationOfficer,
    /// Takes part in opening archived keys.
    RecoveryAgent,
    /// Reads everything, changes nothing.
    Auditor,
    /// Holds certificates and asks for them.
    Subscriber,
}

impl Role {
    /// All roles, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::TrustcenterManager,
        Self::TrustcenterOperator,
        Self::RegistrationOfficer,
        Self::CertificationOfficer,
        Self::RecoveryAgent,
        Self::Auditor,
        Self::Subscriber,
    ];

    /// The name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrustcenterManager => "trustcenter-manager",
            Self::TrustcenterOperator => "trustcenter-operator",
            Self::RegistrationOfficer => "registration-officer",
            Self::CertificationOfficer => "certification-officer",
            Self::RecoveryAgent => "recovery-agent",
            Self::Auditor => "auditor",
            Self::Subscriber => "subscriber",
        }
    }

    /// The name in sentences.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::TrustcenterManager => "TrustCenter Manager",
            Self::TrustcenterOperator => "TrustCenter Operator",
            Self::RegistrationOfficer => "Registration Officer",
            Self::CertificationOfficer => "Certification Officer",
            Self::RecoveryAgent => "Recovery Agent",
            Self::Auditor => "Auditor",
            Self::Subscriber => "Subscriber",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|role| role.name()).collect();
                format!("no role {text:?}; roles are {}", known.join(", "))
            })
    }
}
