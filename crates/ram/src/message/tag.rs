//! Tags of templates and objects, one byte each.

/// Initiation template.
pub(super) const INITIATION: u8 = 0xE8;
/// Command scripting template.
pub(super) const COMMANDS: u8 = 0xAA;
/// Response scripting template.
pub(super) const RESPONSES: u8 = 0xAB;
/// Command APDU.
pub(super) const COMMAND: u8 = 0x22;
/// Response APDU.
pub(super) const RESPONSE: u8 = 0x23;
/// Reset, and the answer to it.
pub(super) const RESET: u8 = 0xC0;
/// Longest command the token's side takes.
pub(super) const MAX_COMMAND: u8 = 0xC1;
/// Longest response the token's side takes.
pub(super) const MAX_RESPONSE: u8 = 0xC2;
/// Seconds to completion.
pub(super) const SECONDS: u8 = 0xC3;
/// Number of executed commands.
pub(super) const EXECUTED: u8 = 0x80;
/// Notification.
pub(super) const NOTIFICATION: u8 = 0xE0;
/// Close.
pub(super) const CLOSE: u8 = 0xE1;
/// Integer.
pub(super) const INTEGER: u8 = 0x02;
/// Text, UTF-8.
pub(super) const TEXT: u8 = 0x0C;
