//! Calls to a node over TLS: blocking, without a runtime.
//!
//! [`NodeClient`] sends [`chancery_api::Method`]s to a node's `POST /v1/call`, the same JSON as on its Unix socket. It is made
//! for programs that may hold neither a runtime nor threads of their own, a PKCS#11 module above all: it blocks, starts no
//! thread, can be used from many threads at once, and goes on working in a child process after `fork`.
//!
//! Whom it talks to is proven by [`Trust`]: the node's own certificate, or a certification authority. Who calls is proven by
//! an [`Identity`]: key and certificate, of which the node knows the key alone.

mod connection;
mod error;
mod identity;
mod node_client;
mod processes;
mod trust;

pub use error::{ClientError, SettingsError};
pub use identity::Identity;
pub use node_client::{CALL_PATH, NodeClient, Settings, Timeouts};
pub use trust::Trust;
