//! How long and how much.

use std::time::Duration;

use chancery_iso7816::CommandApdu;

/// Longest command in bytes that a session carries: it and its framing have to fit one template.
pub const MAX_COMMAND: usize = 60_000;

/// Most commands in one template.
pub(super) const MAX_JOBS: usize = 16;

/// Most bytes of commands in one template.
pub(super) const MAX_BYTES: usize = 32 * 1024;

/// Most bytes of expected responses in one template.
pub(super) const MAX_EXPECTED: usize = 32 * 1024;

/// Longest text shown to the user at the client, in bytes.
pub(super) const MAX_TEXT: usize = 1024;

/// Most templates that may be with an agent of ours, empty ones included.
pub(super) const MAX_HANDED: usize = 8;

/// Templates with commands that may be with an agent of ours: one at the card, one ahead.
pub(super) const AHEAD: usize = 2;

/// Waiting times of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A POST that waits for this long is answered with an empty template.
    pub keep_alive: Duration,
    /// A client that has no command and no POST open for this long is gone.
    pub silence: Duration,
    /// The same for our own agent once chip authentication has proven its token.
    pub resume: Duration,
    /// How long a session that is over still says so.
    pub farewell: Duration,
    /// How long callers who just got their answers are given to come back before the next template goes out, at least. After
    /// a template that took long they get a 32nd of that: to go without one of them costs the card another way there and back.
    pub gather: Duration,
    /// How long the first of several commands waits for the others.
    pub burst: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(15),
            silence: Duration::from_secs(10),
            resume: Duration::from_secs(60),
            farewell: Duration::from_secs(5),
            gather: Duration::from_millis(4),
            burst: Duration::from_millis(1),
        }
    }
}

/// The part of the time a template took that callers are given to come back.
const GATHER_PART: u32 = 32;

/// The most they are given.
const LONGEST_GATHER: Duration = Duration::from_millis(10);

impl Limits {
    /// How long callers are given to come back after a template that took so long.
    pub(super) fn gather_after(&self, took: Duration) -> Duration {
        self.gather.max((took / GATHER_PART).min(LONGEST_GATHER))
    }
}

/// How long a card may take for a command: 30 s, and 300 s to generate a key pair. INS stands in the clear also under
/// secure messaging.
#[must_use]
pub fn time_for(command: &[u8]) -> Duration {
    match command {
        [_, GENERATE, ..] => Duration::from_secs(300),
        _ => Duration::from_secs(30),
    }
}

/// Bytes of response a command may bring at most.
pub(super) fn expected(command: &[u8]) -> usize {
    let stated = CommandApdu::parse(command)
        .ok()
        .and_then(|command| usize::try_from(command.expected()).ok());
    match (stated, command) {
        (Some(stated @ 1..=0xFFFF), _) => stated,
        // A signature or a decrypted block, under secure messaging or not, is far shorter than "all there is".
        (_, [_, SIGN | DECIPHER, ..]) => 1024,
        _ => 4096,
    }
}

/// GENERATE ASYMMETRIC KEY PAIR.
const GENERATE: u8 = 0x46;
/// SIGN of a SmartCard-HSM.
const SIGN: u8 = 0x68;
/// DECIPHER of a SmartCard-HSM.
const DECIPHER: u8 = 0x62;
