//! A card that lies, to the driver: every answer comes from the input. Never a panic, and the driver stops.
//!
//! Input: one byte chooses the procedure, then each answer follows its length (two bytes, big endian). What comes after the
//! last answer is the last answer again, so that a driver which only waits for another one would never stop by itself.
#![no_main]

use std::sync::LazyLock;

use chancery_cvc::TrustAnchors;
use chancery_driver::PkaRegistration;
use chancery_fuzz::World;
use chancery_iso7816::{Transport, TransportError};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|bytes: &[u8]| {
    if let Some((procedure, answers)) = bytes.split_first() {
        chancery_fuzz::run(
            *procedure,
            Liar {
                answers,
                last: &[0x6F, 0x00],
                exchanges: 0,
            },
            &WORLD,
        );
    }
});

struct Liar<'a> {
    answers: &'a [u8],
    last: &'a [u8],
    exchanges: usize,
}

impl Transport for Liar<'_> {
    fn transmit(&mut self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.exchanges += 1;
        if self.exchanges > GONE {
            assert!(
                self.exchanges < GONE + PATIENCE,
                "goes on with a token that is gone"
            );
            return Err(TransportError::lost("unplugged"));
        }
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

/// After so many exchanges the card is unplugged.
const GONE: usize = 2048;

/// How many commands a procedure may still try on a card that is gone.
const PATIENCE: usize = 64;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut anchors = TrustAnchors::production().expect("the root that comes with the program");
    anchors
        .add_bytes(include_bytes!("../fixtures/virtual-root.cvc"))
        .expect("the root of the recorded tokens");
    let custodian = include_bytes!("../fixtures/custodian.pka");
    World {
        anchors,
        custodian: PkaRegistration::decode(custodian).expect("the recorded custodian"),
    }
});
