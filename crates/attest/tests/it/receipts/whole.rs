//! A whole receipt: what it shows, and that some signature covers each part of it.

use chancery_api::{Receipt, canonical_json};
use chancery_attest::{Input, Outcome, Verification, encode_receipt, parse_receipt};

use crate::{
    common::{production, said, today},
    receipts::scene::{Scene, digest},
};

#[test]
fn a_receipt_shows_who_permitted_what_and_where_it_was_signed() {
    let mut scene = Scene::new();
    let text = scene.text();
    let receipt = scene.receipt(&text);
    let receipt = scene.logged(receipt);
    let file = encode_receipt(&receipt).unwrap();
    assert_eq!(parse_receipt(&file).unwrap(), receipt);
    let (key, other) = (scene.key.spki.clone(), scene.custodians[0].1.request.clone());
    let found = scene.examine(&[("r", &file), ("key", &key), ("other", &other)]);
    assert_eq!(
        said(&found)[..15],
        [
            "r signature valid",
            "r chain authentic",
            "r origin proven-virtual",
            "r possession shown",
            "r matches yes",
            "r chain authentic",
            "r lease permits",
            "r extent named",
            "r custodian agreed-virtual",
            "r custodian agreed-virtual",
            "r quorum complete",
            "r log included",
            "key matches yes",
            "other origin no-chain",
            "other possession shown",
        ]
    );
    let found = scene.examine(&[("r", &file)]);
    assert_eq!(found.outcome, Outcome::Holds);
    let permit = &found.permits[0];
    assert_eq!(
        (permit.purpose.as_str(), permit.agreed.len()),
        ("firmware 4.2", 2)
    );
    assert!(permit.agreed.iter().all(|agreed| !agreed.hardware));
    let origin = &found.claims[2];
    assert!(origin.text.contains("not hardware"), "{}", origin.text);
    // One line of canonical JSON is the same receipt.
    let canonical = canonical_json(&receipt).unwrap();
    assert_eq!(scene.examine(&[("r", &canonical)]).outcome, Outcome::Holds);
    // Without the key of the log nothing is said about it; without a root nothing about tokens.
    let inputs = [("r".to_owned(), Input::recognise(&file))];
    let found = Verification::of(&inputs, &scene.anchors, today());
    assert_eq!(found.outcome, Outcome::NotProven);
    assert!(said(&found).contains(&"r log unknown-key".to_owned()));
    let found = Verification::of(&inputs, &production(), today());
    assert_eq!(found.outcome, Outcome::UnknownIssuer);
    let said = said(&found);
    assert!(
        said.contains(&"r custodian unknown-issuer".to_owned())
            && said.contains(&"r quorum not-proven".to_owned()),
        "{said:?}"
    );
}

#[test]
fn without_the_log_every_signature_still_covers_its_part() {
    let mut scene = Scene::new();
    let text = scene.text();
    let good = scene.receipt(&text);
    assert_eq!(scene.wrong(&good), ["log no-proof"]);
    type Change = fn(&mut Receipt);
    let changes: [(Change, &str); 18] = [
        (|r| r.digest = digest(2), "signature wrong"),
        (|r| r.signature.0[5] ^= 1, "signature wrong"),
        (|r| r.signature.0.truncate(63), "signature unfit"),
        (|r| r.public_key.0[40] ^= 1, "signature unfit"),
        (|r| r.origin.request.0[90] ^= 1, "origin"),
        (|r| r.origin.chain.0[90] ^= 1, "origin chain-not-authentic"),
        (|r| r.hsm_chain.0[90] ^= 1, "lease hsm-not-proven"),
        (|r| r.hsm.name = "hsm-b".to_owned(), "lease other-hsm"),
        (
            |r| r.time = "2026-11-21T14:00:01Z".to_owned(),
            "lease out-of-time",
        ),
        (
            |r| r.time = "2026-11-21T11:59:59Z".to_owned(),
            "lease out-of-time",
        ),
        (|r| r.manifest[1] = digest(3), "extent other-list"),
        (|r| r.manifest.clear(), "extent no-list"),
        (|r| r.statements[0].statement.0[9] ^= 1, "custodian bad-signature"),
        (
            |r| r.statements[0].unlock.as_mut().unwrap().0[9] ^= 1,
            "custodian bad-answer",
        ),
        (|r| r.statements[0].log.size = 4, "custodian bad-signature"),
        (|r| r.statements[1].chain.0[90] ^= 1, "custodian"),
        (|r| r.statements[0].unlock = None, "custodian bad-answer"),
        (|r| r.statements.truncate(1), "quorum incomplete"),
    ];
    for (change, expected) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        scene.record(&mut bad);
        let wrong = scene.wrong(&bad);
        assert!(
            wrong.iter().any(|claim| claim.starts_with(expected)),
            "{expected}: {wrong:?}"
        );
        // Whoever does not change the log's entry as well is found out by it.
        let mut bad = good.clone();
        change(&mut bad);
        assert!(scene.wrong(&bad).contains(&"log other-entry".to_owned()));
    }
}
