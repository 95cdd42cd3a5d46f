//! Bytes to the reader of container files. Never a panic; what was read is written again byte for byte.
#![no_main]

use chancery_schsm::{KeyContainer, PrivateKeyDescription, blob};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(container) = KeyContainer::parse(bytes) else {
        return;
    };
    assert_eq!(container.encode(), bytes);
    let _ = (
        blob::kcv_of(container.blob()),
        blob::key_type_of(container.blob()),
    );
    if let Some(description) = container.description() {
        let _ = PrivateKeyDescription::parse(description);
    }
});
