//! What is asked of a node.

use chancery_api::{
    LeaseRequest, LeaseShow, LeaseView, SignatureView, SigningKeyView, SigningKeys, SigningSign,
};
use chancery_client::{ClientError, NodeClient};

/// A node, as far as slots need it. Calls block.
#[expect(
    clippy::missing_errors_doc,
    reason = "each gives back what the call gave back"
)]
pub trait Calls: Send + Sync {
    /// Host and port, for people.
    fn name(&self) -> String;

    /// Keys this client may ask leases for.
    fn keys(&self) -> Result<Vec<SigningKeyView>, ClientError>;

    /// Signs under a lease.
    fn sign(&self, call: &SigningSign) -> Result<Vec<SignatureView>, ClientError>;

    /// Asks for a lease.
    fn request(&self, call: &LeaseRequest) -> Result<LeaseView, ClientError>;

    /// A lease, once it has changed.
    fn show(&self, call: &LeaseShow) -> Result<LeaseView, ClientError>;
}

impl Calls for NodeClient {
    fn name(&self) -> String {
        self.node().to_owned()
    }

    fn keys(&self) -> Result<Vec<SigningKeyView>, ClientError> {
        self.call(&SigningKeys {})
    }

    fn sign(&self, call: &SigningSign) -> Result<Vec<SignatureView>, ClientError> {
        self.call(call)
    }

    fn request(&self, call: &LeaseRequest) -> Result<LeaseView, ClientError> {
        self.call(call)
    }

    fn show(&self, call: &LeaseShow) -> Result<LeaseView, ClientError> {
        self.call(call)
    }
}
