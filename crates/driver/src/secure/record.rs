//! What a channel is remembered by.

use std::fmt;

use chancery_schsm::secure_messaging::Protocol;
use zeroize::Zeroizing;

use super::agreement::Agreement;

/// Everything needed to compute the keys of a channel again and to check each of its messages.
///
/// It convinces who held the channel, and nobody else: the authentication codes are symmetric, and whoever has this record
/// could have made every answer in it. No PIN passes through a channel that is recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    /// What protected the messages.
    pub protocol: Protocol,
    /// The host's ephemeral private key: a number, big endian, without leading zeros.
    pub ephemeral: Zeroizing<Vec<u8>>,
    /// The token's nonce.
    pub nonce: Vec<u8>,
    /// What the token proved itself with.
    pub token: Vec<u8>,
    /// Commands and answers, from the first in the channel on.
    pub exchanges: Vec<Exchange>,
}

/// One command and its answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The command as it was before it was protected.
    pub command: Vec<u8>,
    /// The command as it was sent.
    pub protected_command: Vec<u8>,
    /// The answer as it came.
    pub protected_response: Vec<u8>,
}

impl ChannelRecord {
    pub(super) fn begin(agreement: &Agreement) -> Self {
        Self {
            protocol: agreement.keys.protocol(),
            ephemeral: Zeroizing::new(agreement.ephemeral.private_key().to_vec()),
            nonce: agreement.nonce.to_vec(),
            token: agreement.token.to_vec(),
            exchanges: Vec::new(),
        }
    }
}

impl fmt::Debug for ChannelRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ChannelRecord({:?}, {} exchanges)",
            self.protocol,
            self.exchanges.len()
        )
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Exchange({} bytes out, {} bytes back)",
            self.protected_command.len(),
            self.protected_response.len()
        )
    }
}
