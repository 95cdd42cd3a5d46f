//! The counting transport, and that transports pass through boxes and references.

use chancery_iso7816::recording::{Entry, KEPT_ENTRIES, Recording};
use chancery_iso7816::{StatusWord, Transport, TransportError};
use zeroize::Zeroizing;

/// Answers with the command it got and 9000; is gone for instruction FF.
struct Echo;

impl Transport for Echo {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if command.get(1) == Some(&0xFF) {
            return Err(TransportError::lost("pulled"));
        }
        Ok(Zeroizing::new([command, &[0x90, 0x00]].concat()))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

fn send(mut transport: impl Transport, command: &[u8]) -> Result<usize, TransportError> {
    transport.transmit(command).map(|response| response.len())
}

#[test]
fn exchanges_are_counted_through_every_layer() {
    let mut boxed: Box<dyn Transport> = Box::new(Echo);
    let mut recording = Recording::new(&mut boxed);
    let log = recording.log();
    assert_eq!(send(&mut recording, &[0, 0x84, 0, 0, 8]), Ok(7));
    assert_eq!(send(&mut recording, b"\x00\x20\x00\x81\x06648219"), Ok(13));
    assert!(send(&mut recording, &[0, 0xFF, 0, 0]).unwrap_err().is_lost());
    recording.reset().unwrap();

    assert_eq!(
        (log.count(), log.count_of(0x84), log.count_of(0x68), log.resets()),
        (3, 1, 0, 1)
    );
    let entries = log.entries();
    assert_eq!(
        entries[1],
        Entry {
            header: [0, 0x20, 0, 0x81],
            command_length: 11,
            response_length: 13,
            status: Some(StatusWord::OK)
        }
    );
    assert_eq!(
        (
            entries[2].instruction(),
            entries[2].status,
            entries[2].response_length
        ),
        (0xFF, None, 0)
    );
    let pin = format!("{:?}", b"648219".as_slice());
    assert!(
        !format!("{log:?}").contains(pin.trim_matches(['[', ']'])),
        "no body in the log"
    );

    log.clear();
    assert_eq!((log.count(), log.entries().len(), log.resets()), (0, 0, 0));
}

#[test]
fn the_count_is_exact_beyond_the_entries_kept() {
    let mut recording = Recording::new(Echo);
    let log = recording.log();
    for _ in 0..KEPT_ENTRIES + 10 {
        recording.transmit(&[0, 0x84]).unwrap();
    }
    assert_eq!(log.entries().len(), KEPT_ENTRIES);
    assert_eq!(log.count(), u64::try_from(KEPT_ENTRIES + 10).unwrap());
}
