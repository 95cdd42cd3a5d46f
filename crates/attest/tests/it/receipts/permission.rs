//! What permits a signature: the text, who agreed to it, the digests it names and what was added to it.

use chancery_api::{
    Base64, DigestValue, Extent, LeaseText, StatementKind, Widening, canonical_json, manifest_hash,
};
use chancery_attest::encode_receipt;

use crate::{
    common::said,
    receipts::scene::{Scene, digest},
};

#[test]
fn a_text_nobody_agreed_to_permits_nothing() {
    let mut scene = Scene::new();
    let text = scene.text();
    let good = scene.receipt(&text);
    let spaced = [&good.text.0[..], b" "].concat();
    for (bytes, expected) in [
        (spaced, "lease not-canonical"),
        (b"{}".to_vec(), "lease malformed"),
    ] {
        let mut bad = good.clone();
        bad.text = Base64(bytes);
        scene.record(&mut bad);
        assert_eq!(scene.wrong(&bad), [expected]);
    }
    let mut longer = text;
    longer.deadline = "2026-11-28T14:00:00Z".to_owned();
    let mut bad = good;
    bad.text = Base64(canonical_json(&longer).unwrap());
    scene.record(&mut bad);
    let wrong = scene.wrong(&bad);
    assert_eq!(
        wrong,
        [
            "custodian bad-signature",
            "custodian bad-signature",
            "quorum incomplete",
            "log no-proof"
        ]
    );
}

#[test]
fn one_custodian_is_counted_once_and_a_refusal_is_no_agreement() {
    let mut scene = Scene::new();
    let text = scene.text();
    let good = scene.receipt(&text);
    let mut twice = good.clone();
    twice.statements[1] = twice.statements[0].clone();
    twice.statements[1].person = "bob".to_owned();
    scene.record(&mut twice);
    assert_eq!(scene.wrong(&twice), ["quorum incomplete", "log no-proof"]);
    let mut refusal = good.clone();
    refusal.statements[1] = scene.statement(1, &text, StatementKind::Refuse);
    scene.record(&mut refusal);
    assert_eq!(
        scene.wrong(&refusal),
        ["custodian refused", "quorum incomplete", "log no-proof"]
    );
    let mut nobody = good;
    nobody.needed = 0;
    scene.record(&mut nobody);
    assert_eq!(scene.wrong(&nobody), ["quorum incomplete", "log no-proof"]);
}

#[test]
fn what_the_node_counted_is_said_and_may_not_be_hidden() {
    let mut scene = Scene::new();
    let text = scene.text();
    let mut open = scene.receipt(&text);
    open.statements = [0, 2]
        .map(|who| scene.statement(who, &text, StatementKind::Open))
        .to_vec();
    open.node_enforced = true;
    let open = scene.logged(open);
    assert!(scene.wrong(&open).is_empty());
    let file = encode_receipt(&open).unwrap();
    let found = scene.examine(&[("r", &file)]);
    let details: Vec<_> = found
        .claims
        .iter()
        .filter_map(|claim| claim.detail.clone())
        .collect();
    assert!(
        details.iter().any(|detail| detail.contains("node-enforced")),
        "{details:?}"
    );
    let mut hidden = open;
    hidden.node_enforced = false;
    let hidden = scene.logged(hidden);
    assert_eq!(scene.wrong(&hidden), ["quorum contradicts"]);
}

#[test]
fn digests_nobody_named_are_told_from_those_that_were() {
    let mut scene = Scene::new();
    let verdict = |scene: &mut Scene, extent: Extent, manifest: Vec<DigestValue>| {
        let mut text = scene.text();
        text.extent = extent;
        let mut receipt = scene.receipt(&text);
        receipt.manifest = manifest;
        let receipt = scene.logged(receipt);
        let file = encode_receipt(&receipt).unwrap();
        said(&scene.examine(&[("r", &file)]))
            .into_iter()
            .find(|said| said.starts_with("r extent"))
            .unwrap()
    };
    let others = || vec![digest(2), digest(3)];
    let manifest = manifest_hash(&others());
    let named = |further| Extent::Named {
        manifest,
        count: 2,
        further,
    };
    let exactly = Extent::Manifest { manifest, count: 2 };
    assert_eq!(verdict(&mut scene, exactly, others()), "r extent not-named");
    assert_eq!(verdict(&mut scene, named(1), others()), "r extent counted");
    assert_eq!(verdict(&mut scene, named(1), Vec::new()), "r extent no-list");
    // A list that came another way counts like one in the receipt, whatever its order, and only when it is the one.
    let named_here = || Extent::Manifest {
        manifest: manifest_hash(&[digest(1), digest(2)]),
        count: 2,
    };
    scene.known = vec![digest(2), digest(1), digest(2)];
    assert_eq!(verdict(&mut scene, named_here(), Vec::new()), "r extent named");
    scene.known = others();
    assert_eq!(
        verdict(&mut scene, named_here(), Vec::new()),
        "r extent other-list"
    );
    let any = Extent::Count { count: 3 };
    assert_eq!(verdict(&mut scene, any.clone(), Vec::new()), "r extent counted");
    assert_eq!(verdict(&mut scene, any, others()), "r extent other-list");
}

#[test]
fn what_a_custodian_added_is_in_the_text_that_all_of_them_signed() {
    let mut scene = Scene::new();
    let mut text = scene.text();
    text.extent = Extent::Manifest {
        manifest: manifest_hash(&[digest(2)]),
        count: 1,
    };
    let widening = Widening {
        by: "bob".to_owned(),
        next: 3,
        at: "2026-11-21T12:10:00Z".to_owned(),
        until: None,
    };
    let widened = text.widen(widening.clone()).unwrap();
    let receipt = |scene: &mut Scene, text: &LeaseText| {
        let mut receipt = scene.receipt(text);
        receipt.manifest = vec![digest(2)];
        scene.logged(receipt)
    };
    let good = receipt(&mut scene, &widened);
    assert_eq!(scene.wrong(&good), Vec::<String>::new());
    let file = encode_receipt(&good).unwrap();
    let found = scene.examine(&[("r", &file)]);
    assert!(said(&found).contains(&"r extent counted".to_owned()));
    assert_eq!(found.permits[0].widened, [widening]);
    // Who agreed to the text before did not agree to this one.
    let mut before = good.clone();
    before.statements = [0, 1]
        .map(|who| scene.statement(who, &text, StatementKind::Unlock))
        .to_vec();
    let before = scene.logged(before);
    let wrong = scene.wrong(&before);
    assert!(wrong.contains(&"custodian bad-signature".to_owned()), "{wrong:?}");
    // A statement that had an HSM locked agrees to nothing.
    let mut locked = good.clone();
    locked.statements[1] = scene.statement(1, &widened, StatementKind::Lock);
    let locked = scene.logged(locked);
    assert_eq!(
        scene.wrong(&locked),
        ["custodian bad-answer", "quorum incomplete"]
    );
    // A text that says it was widened by what it does not permit is none.
    let mut lying = widened;
    lying.widened[0].next = 4;
    let lying = receipt(&mut scene, &lying);
    assert!(
        scene.wrong(&lying)[0].starts_with("lease "),
        "{:?}",
        scene.wrong(&lying)
    );
}
