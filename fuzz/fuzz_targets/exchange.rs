//! Bytes to the readers of memberships and offers between members of a group. Never a panic; what was read and is written again
//! reads the same, and nothing but what was signed proves anything.
#![no_main]

use std::sync::LazyLock;

use chancery_cvc::TrustAnchors;
use chancery_driver::exchange::{Membership, Offer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(membership) = Membership::decode(bytes) {
        let again = Membership::decode(&membership.encode()).expect("a membership that was written");
        assert_eq!(again, membership);
        assert_eq!(membership.group().len() % 2, 0);
        let _ = membership.signer().verify(&ANCHORS);
    }
    if let Ok(offer) = Offer::decode(bytes) {
        let again = Offer::decode(&offer.encode()).expect("an offer that was written");
        assert_eq!(again, offer);
        assert!(!offer.group().is_empty());
        let _ = offer.verify(&ANCHORS);
    }
});

/// The root that the seeds lead to, and those of real devices.
static ANCHORS: LazyLock<TrustAnchors> = LazyLock::new(|| {
    let mut anchors = TrustAnchors::production().expect("the root that comes with the program");
    anchors
        .add_bytes(include_bytes!("../fixtures/exchange-root.cvc"))
        .expect("the root of the seeds");
    anchors
});
