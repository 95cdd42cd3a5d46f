//! One newtype per kind of identifier, so that they cannot be confused.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn new(value: Uuid) -> Self {
                Self(value)
            }

            /// The 16 bytes of the identifier, in the order of RFC 9562.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads an identifier of exactly 16 bytes.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One trust center: chosen at `init`, part of every statement a person signs.
    InstallationId
);
id!(
    /// A person.
    PersonId
);
id!(
    /// An HSM as the center knows it; the device itself is identified by its device certificate.
    HsmId
);
id!(
    /// A CA or signing key, wherever its replicas are.
    SignerId
);
id!(
    /// A certification authority.
    CaId
);
id!(
    /// A certificate record, from before it is signed.
    CertificateId
);
id!(
    /// A signed act of a person.
    ActId
);
id!(
    /// A quorum's permission to use a signing key.
    LeaseId
);

/// The number of a service request, counted from 1 in one installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestNumber(pub i64);

impl std::fmt::Display for RequestNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
