//! What comes from a token or from a tester: a look at a token that lies, and a log of a test.
//!
//! Input: one byte chooses. 0: the rest are answers of a token, each after its length (two bytes, big endian), the last again
//! and again. Otherwise: the rest is a log, which is played to such a token.
#![no_main]

use std::sync::LazyLock;

use chancery_cvc::TrustAnchors;
use chancery_driver::Card;
use chancery_iso7816::{Transport, TransportError};
use chancery_tokens::{
    acceptance::{parse_log, replay},
    info::inspect,
};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0, answers)) => {
            if let Ok(mut card) = Card::new(Liar::new(answers)).select() {
                // Whatever is found must be found soon; an error is as good as any.
                let _ = inspect(&mut card, &ANCHORS, None);
            }
        }
        Some((_, log)) => {
            if let Ok((_, exchanges)) = parse_log(log) {
                let compared = replay(&exchanges, &mut Liar::new(log), b"648219");
                if let Ok(compared) = compared {
                    assert!(compared.played + compared.skipped == exchanges.len());
                    assert!(compared.deviations.len() <= compared.played);
                }
            }
        }
        None => {}
    }
});

struct Liar<'a> {
    answers: &'a [u8],
    last: &'a [u8],
    exchanges: usize,
}

impl<'a> Liar<'a> {
    fn new(answers: &'a [u8]) -> Self {
        Self {
            answers,
            last: &[0x6F, 0x00],
            exchanges: 0,
        }
    }
}

impl Transport for Liar<'_> {
    fn transmit(&mut self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.exchanges += 1;
        assert!(self.exchanges < PATIENCE, "a look that does not end");
        if let Some(([high, low], rest)) = self.answers.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            (self.last, self.answers) = rest.split_at(length.min(rest.len()));
        }
        Ok(Zeroizing::new(self.last.to_vec()))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// More commands than any look or log of the fuzzer's size takes.
const PATIENCE: usize = 100_000;

static ANCHORS: LazyLock<TrustAnchors> = LazyLock::new(|| {
    let mut anchors = TrustAnchors::production().expect("the root that comes with the program");
    anchors
        .add_bytes(include_bytes!("../fixtures/virtual-root.cvc"))
        .expect("the root of the recorded tokens");
    anchors
});
