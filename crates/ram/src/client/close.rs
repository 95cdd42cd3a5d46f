//! The last steps of a session.

use super::{End, PostId};

/// A session that ends: the card is reset, the last POST is made.
pub(super) struct Closing {
    pub(super) end: End,
    pub(super) reset: Step,
    /// The last POST, while it is open.
    pub(super) farewell: Option<PostId>,
}

/// How far a step is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Needed,
    UnderWay,
    Done,
}

impl Closing {
    /// A card that is gone cannot be reset.
    pub(super) fn new(end: End) -> Self {
        let reset = if matches!(end, End::CardLost { .. }) {
            Step::Done
        } else {
            Step::Needed
        };
        Self {
            end,
            reset,
            farewell: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.reset == Step::Done && self.farewell.is_none()
    }
}
