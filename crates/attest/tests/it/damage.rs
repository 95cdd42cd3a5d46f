//! Evidence with one byte changed, dropped or added is not authentic, wherever the byte is.

use crate::common::{NITROKEY, Numbers, OF_2016, REQUEST, damage, data, examine, production, text, today};
use chancery_attest::{Attestation, ChainFinding, Input, Outcome, RequestFinding, Seen};
use chancery_cvc::{AuthenticatedRequest, DeviceChain, TrustAnchors};
use time::OffsetDateTime;

/// Whether files examined together say of the first that it is authentic or proven.
fn believed(files: &[(&str, &[u8])]) -> bool {
    let found = examine(files, today());
    found.claims.iter().any(|claim| {
        let about = claim.verdict.claim();
        claim.file == "judged"
            && (about == "chain" || about == "origin")
            && [Outcome::Holds, Outcome::OutOfDate].contains(&claim.outcome)
    })
}

#[test]
fn of_1000_damaged_copies_of_each_vector_none_is_authentic() {
    let chain = data(NITROKEY);
    for (vector, seed) in [(NITROKEY, 1), (OF_2016, 2), (REQUEST, 3)] {
        let good = data(vector);
        assert!(believed(&[("judged", &good), ("chain", &chain)]), "{vector}");
        let mut numbers = Numbers(seed);
        for round in 0..1000 {
            let bad = damage(&good, &mut numbers);
            if bad == good {
                continue;
            }
            assert!(
                !believed(&[("judged", &bad), ("chain", &chain)]),
                "{vector}, round {round}: {}",
                hex::encode(bad)
            );
        }
    }
}

#[test]
fn of_1000_damaged_hexadecimal_files_none_is_authentic() {
    let chain = data(NITROKEY);
    for (vector, seed) in [(NITROKEY, 4), (OF_2016, 5), (REQUEST, 6)] {
        let good = text(vector);
        assert!(believed(&[("judged", &good), ("chain", &chain)]), "{vector}");
        let mut numbers = Numbers(seed);
        for round in 0..1000 {
            let bad = damage(&good, &mut numbers);
            // The line end after the last line is no part of the evidence, and hardly a change.
            if bad.trim_ascii_end() == good.trim_ascii_end() {
                continue;
            }
            assert!(
                !believed(&[("judged", &bad), ("chain", &chain)]),
                "{vector}, round {round}: {}",
                String::from_utf8_lossy(&bad)
            );
        }
    }
}

/// Evidence that can be judged many times without starting from the roots each time.
struct Judge {
    anchors: TrustAnchors,
    chain: ChainFinding,
}

impl Judge {
    fn new() -> Self {
        let anchors = production();
        let chain = ChainFinding::examine(&data(NITROKEY), &anchors, today());
        Self { anchors, chain }
    }

    fn believes(&self, bytes: &[u8]) -> bool {
        match Input::recognise(bytes) {
            Ok(Input::Chain(chain)) => ChainFinding::examine(&chain, &self.anchors, today())
                .identity()
                .is_some(),
            Ok(Input::Request(request)) => {
                let finding = RequestFinding::examine(&request, [&self.chain]);
                finding.proven().is_some() || finding.origin.outcome() == Outcome::Holds
            }
            _ => false,
        }
    }
}

/// Whether a signature covers the byte at this place of a chain: it stands in a DO 7F4E or in the value of a DO 5F37.
fn covered(bytes: &[u8]) -> Vec<bool> {
    let mut covered = vec![false; bytes.len()];
    let mut mark = |part: &[u8]| {
        let at = bytes
            .windows(part.len())
            .position(|window| window == part)
            .unwrap();
        covered[at..at + part.len()].fill(true);
    };
    match Input::recognise(bytes).unwrap() {
        Input::Chain(chain) => {
            for certificate in DeviceChain::parse(&chain).unwrap().certificates() {
                mark(certificate.signed_bytes());
                mark(certificate.signature());
            }
        }
        Input::Request(request) => {
            let request = AuthenticatedRequest::parse(&request).unwrap();
            mark(request.outer_signed_bytes());
            mark(request.outer_signature());
        }
        other => panic!("{other:?}"),
    }
    covered
}

#[test]
fn every_change_of_every_byte_outside_of_signatures_is_noticed() {
    let judge = Judge::new();
    let request = data(REQUEST);
    let bare = request.get(4..).unwrap().to_vec();
    for good in [data(NITROKEY), data(OF_2016), request, bare] {
        assert!(judge.believes(&good));
        let covered = covered(&good);
        let outside: Vec<usize> = (0..good.len()).filter(|at| !covered[*at]).collect();
        assert!((3..=30).contains(&outside.len()), "{}", outside.len());
        for at in outside {
            for change in 1..=255 {
                let mut bad = good.clone();
                bad[at] ^= change;
                assert!(!judge.believes(&bad), "byte {at} xor {change:02X}");
            }
        }
    }
}

#[test]
fn every_byte_under_a_signature_is_under_it() {
    let judge = Judge::new();
    for good in [data(NITROKEY), data(OF_2016), data(REQUEST)] {
        let covered = covered(&good);
        for at in (0..good.len()).filter(|at| covered[*at]) {
            for change in [0x01, 0x10, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= change;
                assert!(!judge.believes(&bad), "byte {at} xor {change:02X}");
            }
        }
    }
}

#[test]
fn every_byte_that_is_dropped_or_added_anywhere_is_noticed() {
    let judge = Judge::new();
    let request = data(REQUEST);
    let bare = request.get(4..).unwrap().to_vec();
    for good in [data(NITROKEY), data(OF_2016), request, bare] {
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad.remove(at);
            assert!(!judge.believes(&bad), "byte {at} dropped");
            assert!(!judge.believes(&good[..at]), "cut after {at} bytes");
        }
        for at in 0..=good.len() {
            for byte in 0..=255 {
                let mut bad = good.clone();
                bad.insert(at, byte);
                assert!(!judge.believes(&bad), "byte {byte:02X} added at {at}");
            }
        }
    }
}

#[test]
fn lengths_longer_than_they_have_to_be_are_noticed() {
    let judge = Judge::new();
    let request = data(REQUEST);
    // 67 8201E6: in one byte more.
    let outer = [&[0x67, 0x83, 0x00][..], &request[2..]].concat();
    assert!(!judge.believes(&outer));
    // The last signature of the bare content: 5F37 40 in one byte more. Nothing stands around it.
    let bare = &request[4..];
    let last = bare.len() - 64;
    let longer = [&bare[..last - 1], &[0x81, 0x40], &bare[last..]].concat();
    assert!(AuthenticatedRequest::parse(&longer).is_ok());
    assert!(!judge.believes(&longer));
    // The same in the first certificate of a chain, with all lengths around it right.
    let chain = data(NITROKEY);
    let end = 4 + usize::from(chain[3]);
    let first = &chain[4..end];
    let signature = first.len() - 64;
    let longer = [&first[..signature - 1], &[0x81, 0x40], &first[signature..]].concat();
    let chain = [&[0x7F, 0x21, 0x81, chain[3] + 1][..], &longer, &chain[end..]].concat();
    assert!(
        DeviceChain::parse(&chain)
            .unwrap()
            .verify(&judge.anchors, None)
            .is_ok()
    );
    assert!(!judge.believes(&chain));
}

#[test]
fn every_damaged_byte_of_an_attestation_is_noticed() {
    let saved = OffsetDateTime::from_unix_timestamp(1_760_000_000).unwrap();
    let seen = Seen {
        label: Some("Schlüssel \"1\"".into()),
        ..Seen::default()
    };
    let good = Attestation::new(&data(REQUEST), &data(NITROKEY), saved, seen)
        .unwrap()
        .encode();
    assert!(Attestation::parse(&good).is_ok());
    for at in 0..good.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= change;
            assert!(Attestation::parse(&bad).is_err(), "byte {at} xor {change:02X}");
        }
        let mut bad = good.clone();
        bad.remove(at);
        assert!(Attestation::parse(&bad).is_err(), "byte {at} dropped");
        for byte in *b" \n0A" {
            let mut bad = good.clone();
            bad.insert(at, byte);
            assert!(Attestation::parse(&bad).is_err(), "byte {byte:02X} added at {at}");
        }
    }
    assert!(Attestation::parse(&[&good[..], b"\n"].concat()).is_err());
}
