//! Virtual SmartCard-HSM, card side.
//!
//! A token is a directory: a lock, a sealed data key, a small public description and one log of encrypted
//! records. Every change of its state is durable before the card answers.

mod pin;
mod secret;
mod state;
