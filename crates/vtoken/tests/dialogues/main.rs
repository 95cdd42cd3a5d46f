//! Dialogues: what is sent, what has to come back.

mod files;
mod initialisation;
mod keys;
mod pins;
mod selection;
#[path = "../support/mod.rs"]
mod support;
