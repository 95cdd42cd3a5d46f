//! What is known of the card from what passed through.

use crate::policy::Shape;

/// State of a card as its agent can see it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CardState {
    /// Chip authentication was completed and no plain command came after it.
    pub(super) channel: bool,
    /// Chip authentication was completed since the card was reset or its application selected.
    pub(super) proven: bool,
}

impl CardState {
    /// A command was answered.
    pub(super) fn answered(&mut self, command: &Shape, answer: &[u8]) {
        let accepted = matches!(answer, [.., 0x90, 0x00]);
        // A protected answer has data objects; a status word alone comes from outside the channel.
        let outside = !command.is_protected() || answer.len() <= 2;
        if command.is_chip_authentication() && accepted {
            *self = Self {
                channel: true,
                proven: true,
            };
        } else if command.selects_application() && accepted {
            *self = Self::default();
        } else if outside {
            self.channel = false;
        }
    }
}
