//! A template at work.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use crate::message::{
    CommandObject, CommandTemplate, MAX_VALUE, MessageError, ResponseObject, ResponseTemplate,
};

/// A template whose objects are run one after another, and what came of those that were.
pub(super) struct Run {
    pub(super) number: u64,
    objects: VecDeque<CommandObject>,
    results: Vec<ResponseObject>,
    executed: i32,
    bytes: usize,
}

/// Room kept for the rest of an answer: a close with its reason, the count.
const RESERVE: usize = 1024;
/// Tag and length of an object at most.
const HEADER: usize = 4;

impl Run {
    pub(super) fn new(number: u64, template: CommandTemplate) -> Self {
        Self {
            number,
            objects: template.0.into(),
            results: Vec::new(),
            executed: 0,
            bytes: 0,
        }
    }

    /// The next thing to do.
    pub(super) fn next(&mut self) -> Option<CommandObject> {
        self.objects.pop_front()
    }

    /// A command was executed. `false` when its answer does not fit into the template any more: it is left out.
    #[must_use]
    pub(super) fn answered(&mut self, answer: Zeroizing<Vec<u8>>) -> bool {
        self.executed = self.executed.saturating_add(1);
        let bytes = self.bytes + answer.len() + HEADER;
        if bytes > MAX_VALUE - RESERVE {
            return false;
        }
        self.bytes = bytes;
        self.results.push(ResponseObject::Response(answer));
        true
    }

    /// The card was reset.
    pub(super) fn reset(&mut self, atr: Vec<u8>) {
        self.bytes += atr.len() + HEADER;
        self.results.push(ResponseObject::Atr(atr));
    }

    /// The answer to the template.
    pub(super) fn finish(self) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        self.template(None).encode()
    }

    /// The answer to the template as far as it was run, and why it ends there.
    pub(super) fn close(self, reason: &str) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        self.template(Some(reason)).encode()
    }

    fn template(mut self, close: Option<&str>) -> ResponseTemplate {
        if let Some(reason) = close {
            let reason: String = reason.chars().take(RESERVE / 8).collect();
            self.results.push(ResponseObject::Close { reason });
        }
        ResponseTemplate {
            results: self.results,
            executed: Some(self.executed),
        }
    }
}
