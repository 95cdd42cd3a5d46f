//! `connector`, `ticket`, `client`: who may come from the network.

mod client;
mod connector;
mod secret_file;
mod ticket;

pub(crate) use client::{ClientCommand, KEY_LIMIT, without_private_key};
pub(crate) use connector::ConnectorCommand;
pub(crate) use secret_file::SecretFile;
pub(crate) use ticket::TicketCommand;
