//! Results of signatures on their way back.
//!
//! To hand over a result costs a wake-up of the one who waits, a good part of a quick signature. So results of quick
//! signatures are handed over several at a time, as long as at least as many requests are left to go on with.

use std::time::{Duration, Instant};

use chancery_schsm::KeyId;

use super::Reply;
use crate::HsmError;
use crate::shared::Shared;

/// Signatures above this are handed over at once.
const QUICK: Duration = Duration::from_micros(250);
/// Most results kept back.
const MOST: usize = 8;

#[derive(Default)]
pub(crate) struct Replies {
    waiting: Vec<Waiting>,
}

struct Waiting {
    key: KeyId,
    reply: Reply<Vec<u8>>,
    result: Result<Vec<u8>, HsmError>,
}

impl Replies {
    pub(crate) fn push(
        &mut self,
        key: KeyId,
        reply: Reply<Vec<u8>>,
        result: Result<Vec<u8>, HsmError>,
        began: Instant,
        shared: &Shared,
    ) {
        let keep = result.is_ok() && began.elapsed() < QUICK;
        self.waiting.push(Waiting { key, reply, result });
        if !keep || self.waiting.len() >= MOST.min(shared.outstanding() / 2) {
            self.send(shared);
        }
    }

    /// Hands over everything kept back. A signature nobody waits for any more was made all the same: that is said.
    pub(crate) fn send(&mut self, shared: &Shared) {
        for Waiting { key, reply, result } in self.waiting.drain(..) {
            hand_over(shared, key, reply, result);
        }
    }
}

/// Hands over one result.
pub(crate) fn hand_over(
    shared: &Shared,
    key: KeyId,
    reply: Reply<Vec<u8>>,
    result: Result<Vec<u8>, HsmError>,
) {
    if let Err(Ok(_)) = reply.send(result) {
        tracing::warn!(
            hsm = shared.name,
            key = key.0,
            "an HSM made a signature nobody waits for any more; it is discarded"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use tokio::sync::oneshot;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::*;

    /// Takes down events with all their fields.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.push_str(&format!("{}={value:?} ", field.name()));
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push((*event.metadata().level(), text.0));
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_signature_nobody_waits_for_is_told_of_and_not_shown() {
        let shared = Shared::new("hsm-a", Arc::new(|| 0));
        let lines = Lines::default();
        let mut replies = Replies::default();
        tracing::subscriber::with_default(lines.clone(), || {
            let (reply, waiting) = oneshot::channel();
            replies.push(KeyId(7), reply, Ok(vec![0xAB; 4]), Instant::now(), &shared);
            assert!(waiting.blocking_recv().unwrap().is_ok());
            assert!(lines.0.lock().unwrap().is_empty());

            let (reply, _) = oneshot::channel();
            replies.push(KeyId(7), reply, Err(shared.not_open()), Instant::now(), &shared);
            assert!(lines.0.lock().unwrap().is_empty(), "no signature was made");

            let (reply, _) = oneshot::channel();
            replies.push(KeyId(7), reply, Ok(vec![0xAB; 4]), Instant::now(), &shared);
        });
        let lines = lines.0.lock().unwrap();
        let [(level, text)] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(*level, Level::WARN);
        assert!(text.contains("hsm=\"hsm-a\"") && text.contains("key=7"), "{text}");
        assert!(
            !text.contains("171") && !text.to_lowercase().contains("ab, ab"),
            "{text}"
        );
    }
}
