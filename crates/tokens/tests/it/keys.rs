//! Keys on virtual tokens: listed, made, used, certified, wrapped, imported, interrupted, explored.

mod careful;
mod certifying;
mod exploring;
mod foreign;
mod importing;
mod interrupted;
mod listing;
mod making;
mod operating;
mod transferring;
