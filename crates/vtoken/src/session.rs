//! What a token forgets at reset and at SELECT.

use std::collections::BTreeSet;

use chancery_cvc::Reference;
use chancery_schsm::secure_messaging::{CardChannel, Protocol};
use zeroize::Zeroizing;

use crate::trust::Remembered;

/// Length of a challenge that EXTERNAL AUTHENTICATE can answer, in bytes.
pub(crate) const CHALLENGE_LENGTH: usize = 8;
/// Most certificates remembered at once; the oldest goes first.
const MOST_REMEMBERED: usize = 32;

/// Whether something was granted in this session, and how it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Granted {
    /// It was not.
    #[default]
    No,
    /// To a command without protection: until the end of the session.
    InPlain,
    /// To a command in the secure channel: until the end of that channel.
    InChannel,
}

impl Granted {
    /// Granted to a command that came through the channel or not.
    pub(crate) fn to(protected: bool) -> Self {
        if protected { Self::InChannel } else { Self::InPlain }
    }

    /// Whether it is granted now.
    pub(crate) fn holds(self) -> bool {
        self != Self::No
    }
}

/// Volatile card state.
#[derive(Default)]
pub(crate) struct Session {
    /// The application has been selected.
    pub(crate) selected: bool,
    /// File identifier of the current EF.
    pub(crate) current_file: Option<u16>,
    /// The user PIN has been verified.
    pub(crate) user_pin: Granted,
    /// The SO-PIN has been verified.
    pub(crate) so_pin: Granted,
    /// INITIALIZE DEVICE succeeded in this session: files may be written, as on real devices.
    pub(crate) initialised_here: Granted,
    /// Slots of the custodian keys that answered.
    pub(crate) custodians: BTreeSet<u8>,
    /// The challenge that waits for EXTERNAL AUTHENTICATE.
    pub(crate) challenge: Option<[u8; CHALLENGE_LENGTH]>,
    /// Slot of the custodian key chosen by MSE SET AT.
    pub(crate) custodian: Option<u8>,
    /// Holder reference of the verification key chosen by MSE SET DST.
    pub(crate) verifier: Option<Reference>,
    /// EF 2F10: command data too long for one APDU.
    pub(crate) scratch: Option<Zeroizing<Vec<u8>>>,
    /// Protocol of chip authentication chosen by MSE SET AT.
    pub(crate) protocol: Option<Protocol>,
    /// The open secure channel.
    pub(crate) channel: Option<CardChannel>,
    remembered: Vec<Remembered>,
}

impl Session {
    /// The session after a successful SELECT of the application.
    pub(crate) fn selected() -> Self {
        Self {
            selected: true,
            ..Self::default()
        }
    }

    /// Ends the channel, and with it what was granted in it: whoever speaks from here on need not be who held the channel.
    /// The custodians' answers stay, they are proofs of their own.
    pub(crate) fn end_channel(&mut self) {
        self.channel = None;
        for granted in [&mut self.user_pin, &mut self.so_pin, &mut self.initialised_here] {
            if *granted == Granted::InChannel {
                *granted = Granted::No;
            }
        }
    }

    /// Keeps the key of a verified certificate; an older one of the same holder is replaced.
    pub(crate) fn remember(&mut self, certificate: Remembered) {
        self.remembered.retain(|known| known.chr != certificate.chr);
        if self.remembered.len() >= MOST_REMEMBERED {
            self.remembered.remove(0);
        }
        self.remembered.push(certificate);
    }

    /// The remembered key of this holder.
    pub(crate) fn remembered(&self, chr: &Reference) -> Option<&Remembered> {
        self.remembered.iter().find(|known| known.chr == *chr)
    }
}
