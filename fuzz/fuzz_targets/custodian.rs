//! Files between an administrator and a custodian: cards and invitations. Never a panic; what is read is written again as the same, and
//! nothing foreign leaves its line.
#![no_main]

use chancery_agent::{CustodianCard, Invitation};
use chancery_cvc::TrustAnchors;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(card) = CustodianCard::parse(bytes) {
        let file = card.encode().expect("a card that was read");
        assert_eq!(CustodianCard::parse(&file).expect("what was written"), card);
        let fingerprint = card.fingerprint().expect("a card that was read");
        assert!(fingerprint.is(&fingerprint.to_string()));
        // Whatever it proves, it proves nothing without a root.
        let _ = card.proof(&TrustAnchors::none());
    }
    if let Ok(invitation) = Invitation::parse(bytes) {
        let file = invitation.encode().expect("an invitation that was read");
        let again = Invitation::parse(&file).expect("what was written");
        assert_eq!(again, invitation);
        assert_eq!(
            again.fingerprint().expect("a fingerprint"),
            invitation.fingerprint().expect("a fingerprint")
        );
        if let Ok(hsms) = invitation.hsms() {
            assert!(!hsms.is_empty());
        }
    }
});
