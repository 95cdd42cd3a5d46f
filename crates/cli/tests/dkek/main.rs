//! Backup shares on the command line: made, shown, checked, imported, mended; by us and by `sc-hsm-tool`.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod doctor;
mod files;
mod guide;
#[path = "../common/pcscd.rs"]
mod pcscd;
mod screen;
#[path = "../common/terminal.rs"]
mod terminal;
mod tokens;
mod tool;
mod world;
