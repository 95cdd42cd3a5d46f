//! Bytes to the command parser: never a panic; what parses is encoded to a command that parses to the same.
#![no_main]

use chancery_iso7816::{CommandApdu, ResponseApdu};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(command) = CommandApdu::parse(bytes) {
        let encoded = command.encode();
        assert!(CommandApdu::parse(&encoded).is_ok_and(|again| again == command));
        // Every shape has one way to write it.
        assert_eq!(encoded.as_slice(), bytes);
    }
    let _ = ResponseApdu::parse(bytes);
});
