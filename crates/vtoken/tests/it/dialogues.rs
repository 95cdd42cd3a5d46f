//! Dialogues: what is sent, what has to come back.

mod files;
mod firmware;
mod initialisation;
mod keys;
mod pin_rules;
mod pins;
mod selection;
