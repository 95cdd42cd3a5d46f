//! Envelopes on the socket: one JSON object a line, one reply for each call.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Failure;

/// Version of the messages. A node answers other versions with [`crate::FailureKind::Version`].
pub const PROTOCOL_VERSION: u32 = 1;

/// Longest message in bytes, line feed included; longer ones end the connection.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// A method of the node: its parameters are the implementing type.
pub trait Method: Serialize + DeserializeOwned + Send {
    /// Name on the wire.
    const NAME: &'static str;
    /// What a successful call returns.
    type Reply: Serialize + DeserializeOwned + Send;
}

/// A call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// [`PROTOCOL_VERSION`] of the caller.
    pub v: u32,
    /// [`Method::NAME`].
    pub method: String,
    /// The method's parameters.
    pub params: Value,
}

impl Call {
    /// Wraps a method's parameters.
    ///
    /// # Errors
    /// When the parameters cannot be written as JSON.
    pub fn new<M: Method>(method: &M) -> Result<Self, serde_json::Error> {
        Ok(Self {
            v: PROTOCOL_VERSION,
            method: M::NAME.to_owned(),
            params: serde_json::to_value(method)?,
        })
    }
}

/// The reply to a call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The call succeeded with this [`Method::Reply`].
    Ok(Value),
    /// The call failed; nothing was changed unless the failure says so.
    Failed(Failure),
}
