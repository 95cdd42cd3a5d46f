//! Bytes to the parsers of RAMOverHTTP messages: never a panic; what parses is written as a message that parses to the
//! same.
#![no_main]

use chancery_ram::message::{CommandTemplate, Posted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(template) = CommandTemplate::parse(bytes)
        && let Ok(encoded) = template.encode()
    {
        assert!(CommandTemplate::parse(&encoded).is_ok_and(|again| again == template));
    }
    if let Ok(posted) = Posted::parse(bytes) {
        let encoded = match &posted {
            Posted::Initiation(initiation) => initiation.encode(),
            Posted::Response(response) => response.encode(),
        };
        if let Ok(encoded) = encoded {
            assert!(Posted::parse(&encoded).is_ok_and(|again| again == posted));
        }
    }
});
