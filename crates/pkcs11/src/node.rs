//! Slots of signers of a node: the key is in HSMs somewhere, and custodians decide whether it signs.
//!
//! A slot stands for one signer, or for all signers of a node, whatever HSM serves them. There is no PIN: any that a program
//! sends is ignored. What lets a program sign is a *lease* of the node. With `wait = "sign"` a login costs nothing and a
//! signature that no lease permits asks for one that names its digest; with `wait = "login"` the login asks, for a number of
//! digests that nobody knows yet. Either way the call waits for the custodians. Leases belong to the client, not to the process
//! or the session: whoever comes next with the same client key goes on under them.
//!
//! What is asked of the node is [`Calls`]; [`NodeClient`](chancery_client::NodeClient) is one. While a request waits, the node
//! is asked about it every few seconds and told to give it up when that stops: what no program waits for any more is taken back
//! without anybody having to do anything, and a program that ends takes nothing from another one that shares its request.

mod calls;
mod claims;
mod config;
mod keys;
mod objects;
mod signing;
mod slot;
mod source;
mod tell;
mod wait;
mod words;

pub use calls::Calls;
pub use config::{Beyond, NodeConfig, SlotsOf, Wait};
pub use slot::NodeSlot;
pub use source::NodeSlots;
pub use tell::{Channels, Teller};
