//! Everything that can be done to a small log.

mod log;

use chancery_api::Role;
use log::{Log, Someone, TBS, body, decision, signer};
use serde_json::json;

use super::*;

#[test]
fn a_good_log_holds() {
    let verdict = Log::good().verdict();
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert!(verdict.holds);
    assert_eq!(
        (verdict.leaves, verdict.checkpoints, verdict.signed_leaves),
        (5, 3, 5)
    );
    assert_eq!((verdict.acts, verdict.people, verdict.certificates), (3, 2, 1));
}

#[test]
fn leaves_newer_than_the_newest_checkpoint_and_rows_are_fine() {
    let mut log = Log::good();
    log.signed = vec![1];
    let mut records = log.records();
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0b", "tbs": TBS }] });
    let body = body(
        "certificates-claimed",
        &log.carol.actor(13, decision("0b", TBS)),
        &claimed,
    );
    records.push(Record::Leaf(LeafRecord { index: 5, body }));
    let verdict = log.judged(records);
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert_eq!((verdict.leaves, verdict.signed_leaves), (6, 1));
}

#[test]
fn a_changed_leaf_breaks_the_checkpoint_over_it() {
    let log = Log::good();
    let mut records = log.records();
    for record in &mut records {
        if let Record::Leaf(leaf) = record
            && leaf.index == 4
        {
            leaf.body = leaf.body.replace("hsm-a", "hsm-b");
        }
    }
    let problems = log.judged(records).problems.join("\n");
    assert!(
        problems.contains("checkpoint over 5: the log was changed"),
        "{problems}"
    );
    assert!(problems.contains("the head over 5"), "{problems}");
}

#[test]
fn leaves_that_are_missing_or_swapped_are_noticed() {
    let log = Log::good();
    let mut cut = log.records();
    cut.pop();
    let problems = log.judged(cut).problems.join("\n");
    assert!(
        problems.contains("a checkpoint covers 5 leaves and there are 4"),
        "{problems}"
    );
    assert!(problems.contains("the head counts 5"), "{problems}");
    let mut gap = log.records();
    let leaf = gap.len() - 2;
    gap.remove(leaf);
    assert!(
        log.judged(gap)
            .problems
            .iter()
            .any(|problem| problem == "leaf 4 stands where leaf 3 should")
    );
}

#[test]
fn a_checkpoint_of_another_key_is_refused() {
    let mut log = Log::good();
    log.signer = signer();
    assert!(log.problem().contains("the checkpoint over 1 leaves"));
    let mut log = Log::good();
    log.header.audit_key = None;
    assert!(log.problem().contains("the audit key is not there"));
}

#[test]
fn a_log_rewritten_under_new_checkpoints_still_needs_the_pinned_first_act() {
    let mut log = Log::good();
    log.bodies.remove(0);
    assert!(
        log.problem()
            .contains("first leaf is not the act of the pinned manager")
    );
    let other = Log::good();
    let mut log = Log::good();
    log.bodies[0].clone_from(&other.bodies[0]);
    assert!(
        log.problem()
            .contains("first leaf is not the act of the pinned manager")
    );
    let mut log = Log::good();
    log.bodies[4] = log.bodies[0].clone();
    assert!(
        log.problem()
            .contains("not the pinned act of the first manager, or not the first")
    );
}

#[test]
fn an_act_that_is_not_signed_by_its_person_is_refused() {
    let mut log = Log::good();
    let impostor = Someone {
        document: log.carol.document.clone(),
        key: Someone::new("x", 9, Role::Auditor).key,
    };
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &impostor.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("signed by another key"));

    let mut log = Log::good();
    let mut actor = log.carol.actor(12, decision("0a", TBS));
    actor["signature"] = log.carol.actor(13, decision("0a", TBS))["signature"].clone();
    log.bodies[2] = body("certificates-claimed", &actor, &claimed);
    assert!(log.problem().contains("its signature does not hold"));
}

#[test]
fn people_count_only_when_a_manager_made_them_known() {
    let mut log = Log::good();
    let mallory = Someone::new("mallory", 7, Role::CertificationOfficer);
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &mallory.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("no manager made this person known"));
    // carol cannot make anybody known.
    let mut log = Log::good();
    log.bodies[4] = body("requests-approved", &log.carol.approval(14, &mallory), &json!({}));
    assert!(log.problem().contains("carol is no TrustCenter Manager"));
    // A row alone gives no rights.
    let mut log = Log::good();
    log.people.push(PersonRecord {
        id: mallory.document.id,
        name: "mallory".to_owned(),
        key: mallory.document.key,
    });
    assert!(
        log.problem()
            .contains("mallory is in the database and no manager signed them")
    );
}

#[test]
fn a_decision_takes_its_role_and_counts_once() {
    let mut log = Log::good();
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &log.alice.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("alice may not decide on request-sign"));
    let mut log = Log::good();
    log.bodies[4] = log.bodies[2].clone();
    assert!(log.problem().contains("stands in the log twice"));
}

#[test]
fn certificates_of_log_and_database_are_the_same() {
    let mut log = Log::good();
    log.rows[0].serial = "0b".to_owned();
    let problems = log.problem();
    assert!(
        problems.contains("certificate 0b of CA root is in the database and not in the log"),
        "{problems}"
    );
    assert!(
        problems.contains("certificate 0a of CA root is in the log and not in the database"),
        "{problems}"
    );
    let mut log = Log::good();
    log.rows[0].tbs = Hash32([0x33; 32]);
    assert!(
        log.problem()
            .contains("to-be-signed bytes are not those in the log")
    );
    let mut log = Log::good();
    log.rows[0].sha256 = Some(Hash32([0x33; 32]));
    assert!(log.problem().contains("is another one than the log says"));
    let mut log = Log::good();
    log.rows[0].sha256 = None;
    assert!(log.problem().contains("the database has lost it"));
    let mut log = Log::good();
    log.bodies[3] = body("hsm-locked", &json!({ "uid": 0 }), &json!({}));
    assert!(log.problem().contains("is signed and the log does not say so"));
}

#[test]
fn what_was_claimed_must_be_what_was_decided_on() {
    let mut log = Log::good();
    let claimed = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": Hash32([0x44; 32]) }] });
    log.bodies[2] = body(
        "certificates-claimed",
        &log.carol.actor(12, decision("0a", TBS)),
        &claimed,
    );
    assert!(log.problem().contains("not the one that was decided on"));
    let mut log = Log::good();
    let twice = json!({ "certificates": [{ "ca": "root", "serial": "0a", "tbs": TBS }] });
    log.bodies[4] = body(
        "certificates-claimed",
        &log.carol.actor(15, decision("0a", TBS)),
        &twice,
    );
    assert!(
        log.problem()
            .contains("serial number 0a of CA root was given twice")
    );
}

#[test]
fn a_leaf_that_is_not_canonical_or_not_understood_is_named() {
    for (bad, why) in [
        ("{}", "it is no event"),
        ("{ }", "canonical"),
        ("x", "no JSON"),
        ("[]", "it is no event"),
    ] {
        let mut log = Log::good();
        log.bodies[4] = bad.to_owned();
        let problem = log.problem();
        assert!(
            problem.starts_with("leaf 4: ") && problem.contains(why),
            "{bad}: {problem}"
        );
    }
}
