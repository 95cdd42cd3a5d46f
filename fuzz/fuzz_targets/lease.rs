//! The text of a lease as a custodian's side reads it, and a receipt. Never a panic; what is accepted is canonical, and what is shown
//! stays on its lines.
#![no_main]

use std::sync::LazyLock;

use chancery_agent::{Accepted, AcceptedHsm, ShownLease};
use chancery_api::{Base64, Hash32, InstallationId, LeaseState, LeaseText, LeaseView, canonical_json};
use chancery_attest::{encode_receipt, parse_receipt};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(receipt) = parse_receipt(bytes) {
        let file = encode_receipt(&receipt).expect("a receipt that was read");
        assert_eq!(parse_receipt(&file).expect("what was written"), receipt);
    }
    // Whatever is no lease is refused by its form alone; for the rest the identifiers are those of the seeds.
    let Ok(text) = serde_json::from_slice::<LeaseText>(bytes) else {
        return;
    };
    let view = LeaseView {
        lease: text.lease,
        text: Base64(bytes.to_vec()),
        state: LeaseState::Waiting,
        version: 1,
        agreed: vec![text.purpose.clone()],
        could: Vec::new(),
        needed: 2,
        because: None,
        node_enforced: bytes.len().is_multiple_of(2),
        used: 0,
        remaining_seconds: 60,
        hsms: Vec::new(),
    };
    let installation: InstallationId = text.installation;
    if let Ok(lease) = ShownLease::read(&view, installation, &ACCEPTED) {
        assert_eq!(canonical_json(lease.text()).expect("a text"), bytes);
        for line in lease.lines(OffsetDateTime::UNIX_EPOCH, None) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
});

/// The HSM of the seeds.
static ACCEPTED: LazyLock<Accepted> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("chancery-fuzz-lease-{}", std::process::id()));
    let mut accepted = Accepted::load(&directory, "UTCHDALICE00000").expect("nothing accepted yet");
    accepted
        .accept(
            "hsm-a",
            AcceptedHsm {
                device: "UTCHDHSMAAA00000".to_owned(),
                key: Hash32([1; 32]),
            },
        )
        .expect("a first HSM");
    accepted
});
