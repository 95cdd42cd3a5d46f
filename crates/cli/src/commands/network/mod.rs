//! `connector`, `ticket`, `client`: who may come from the network.

mod client;
mod connector;
mod secret_file;
mod ticket;

pub(crate) use client::ClientCommand;
pub(crate) use connector::ConnectorCommand;
pub(crate) use ticket::TicketCommand;
