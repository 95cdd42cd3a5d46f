//! What the log shows of a receipt: that no byte of it is another, unless the head is that of another log or key.

use aws_lc_rs::signature::Ed25519KeyPair;
use chancery_api::canonical_json;
use chancery_attest::{Input, LogVerdict, Outcome, ReceiptFinding, encode_receipt};
use chancery_audit::NoteSigner;

use crate::{
    common::Numbers,
    receipts::scene::{Scene, installation},
};

#[test]
fn any_byte_that_is_changed_dropped_or_added_is_noticed() {
    let mut scene = Scene::new();
    let text = scene.text();
    let mut receipt = scene.receipt(&text);
    receipt.statements.truncate(1);
    receipt.needed = 1;
    let receipt = scene.logged(receipt);
    let keys = scene.keys();
    let believed = |bytes: &[u8]| match Input::recognise(bytes) {
        Ok(Input::Receipt(receipt)) => ReceiptFinding::logged(&receipt, &keys) == LogVerdict::Included,
        _ => false,
    };
    let mut numbers = Numbers(7);
    let good = encode_receipt(&receipt).unwrap();
    assert!(believed(&good));
    for at in 0..good.len() {
        let change = match at % 3 {
            0 => 0x01,
            1 => 0x20,
            _ => u8::try_from(1 + numbers.below(255)).unwrap(),
        };
        let mut bad = good.clone();
        bad[at] ^= change;
        assert!(!believed(&bad), "byte {at} xor {change:02X}");
        // The whole examination, for some of them: no worse claim is hidden by a better one.
        if at % 97 == 0 {
            let outcome = scene.examine(&[("r", &bad)]).outcome;
            assert!(
                [Outcome::Refused, Outcome::Malformed].contains(&outcome),
                "byte {at}: {outcome:?}"
            );
        }
    }
    let good = canonical_json(&receipt).unwrap();
    assert!(believed(&good));
    for at in (0..good.len()).step_by(5) {
        let mut bad = good.clone();
        bad.remove(at);
        assert!(!believed(&bad), "byte {at} dropped");
        bad.insert(at, numbers.byte());
        assert!(bad == good || !believed(&bad), "byte {at} replaced");
        let mut bad = good.clone();
        bad.insert(at, b" 0A\n"[at % 4]);
        assert!(bad == good || !believed(&bad), "byte added at {at}");
    }
}

#[test]
fn a_head_of_another_log_or_key_proves_nothing() {
    let mut scene = Scene::new();
    let text = scene.text();
    let receipt = scene.receipt(&text);
    let good = scene.logged(receipt);
    let pair = || Ed25519KeyPair::from_seed_unchecked(&[6; 32]).unwrap();
    // The same name, another key.
    let honest = std::mem::replace(
        &mut scene.log,
        NoteSigner::new(&format!("chancery/{}", installation()), pair()).unwrap(),
    );
    let forged = scene.logged(good.clone());
    scene.log = honest;
    assert_eq!(scene.wrong(&forged), ["log bad-head"]);
    // The log of another installation.
    let honest = std::mem::replace(&mut scene.log, NoteSigner::new("chancery/other", pair()).unwrap());
    let other = scene.logged(good.clone());
    scene.log = honest;
    assert_eq!(scene.wrong(&other), ["log bad-head"]);
    // A second signature that nobody checked.
    let mut beside = good.clone();
    let note = &mut beside.inclusion.as_mut().unwrap().checkpoint;
    note.push_str("\u{2014} other AAAAAAAA\n");
    assert_eq!(scene.wrong(&beside), ["log bad-head"]);
    let mut moved = good;
    moved.leaf = 4;
    assert_eq!(scene.wrong(&moved), ["log not-included"]);
}
