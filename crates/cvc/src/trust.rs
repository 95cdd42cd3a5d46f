//! From bytes found on a device to a device known: anchors, the step from issuer to holder, and the chain.

mod anchors;
mod chain;
mod identity;
mod step;

pub use anchors::{AnchorError, TrustAnchors};
pub use chain::DeviceChain;
pub use identity::{DateProblem, DateRemark, DeviceIdentity};
pub use step::{ChainError, Genuineness, TrustedCertificate};
